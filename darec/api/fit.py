"""Make a model folder of a search's winner, and load one."""

import math
from collections.abc import Sequence

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from darec.api.checks import check_choice, check_device
from darec.api.result import SearchResult
from darec.api.winner_scores import scores_of_winner
from darec.core.cold import COLD
from darec.core.config import parse
from darec.core.recommender import Cache, DivergedError, Recommender, Run, Weights
from darec.data.ratings import DomainPair
from darec.data.split import Training, split
from darec.errors import UserError
from darec.evaluation.origin import this_origin
from darec.evaluation.summary import summarise
from darec.files import digest_of
from darec.models import ModelKind, kind_of
from darec.models.best import REMEDY, Best
from darec.reporter import LOGGER, LogReporter, Reporter
from darec.seeds import derive
from darec.serving import folder as model_folder
from darec.serving.card import FORMAT, Card, Refit, TestScore
from darec.tuning import storage
from darec.tuning.study.model_code import code_of

FOLDER = "model"
"""The name of the model folder in a study's folder."""


def fit(
    result: SearchResult,
    pair: DomainPair,
    *,
    refit: Refit = "all",
    device: str = "cpu",
    reporter: Reporter | None = None,
    cache: Cache | None = None,
) -> str:
    """Write the winner of a search as a model folder, which `darec.load` reads.

    Args:
        result: A finished search.
        pair: The ratings that were searched on.
        refit: ``all`` trains on every rating, for the winner's number of epochs: for production
            use. ``train`` keeps the weights of the search, which were trained on its training
            ratings only. The test scores in the card are of such models.
        device: Where to train, and where a first stage is trained again.
        reporter: Receives progress and messages; by default they are logged.
        cache: Has first stages that need not be trained again.

    Returns:
        The folder or URI, ``<out>/<pair>-<train>/<model>/model``. An older one is replaced.

    Raises:
        UserError: The search is not finished, the ratings are not those it saw, its weights are
            damaged, or training diverges.

    Examples:
        >>> import darec
        >>> pair = darec.load_pair("toys_auto", synthetic=True)
        >>> result = darec.search("bias", pair, trials=1, out="results", resume=True)
        >>> darec.load(darec.fit(result, pair)).card.refit
        'all'
    """
    check_choice("--refit", refit, ("train", "all"))
    check_device(device, None)
    best, reporter = result.best, reporter or LogReporter()
    if best.data_digest != pair.digest:
        raise UserError(f"{pair.name}: its ratings are not those the search saw; search it again")
    kind, stages = kind_of(best.model), model_folder.RecordedStages(cache)
    run = Run(derive(best.seed, "run"), device, stages)
    data = split(pair, best.holdout, best.seed).search.training
    if refit == "all":
        data = Training(pair.source, pair.target)
    try:
        model = kind.build(parse(kind.config, best.config), data, run)
        if refit == "all":
            _train(model, best.epoch, reporter)
    except DivergedError as error:
        message = f"training on every rating diverges: {error}"
        raise RefitDivergedError(f"{best.model}: {message}") from error
    if refit == "train":
        model.load_weights(_weights(result, best))
    card = _card(result, best, kind, data, refit, device)
    path = model_folder.save(
        result.folder / FOLDER, card, model.weights(), stages.stages, data, pair
    )
    place = storage.join(result.path, FOLDER)
    if storage.is_uri(place):
        storage.publish(path, place)
    reporter.line(f"model: {place}")
    return place


def ship(
    result: SearchResult, pair: DomainPair, reporter: Reporter, cache: Cache | None = None
) -> None:
    """Write the model folder that a search ends with: trained on every rating.

    Where that training diverges, the folder has the search's own weights, and a warning says so.
    """
    on_gpu = torch.cuda.is_available() and not kind_of(result.best.model).cpu_only
    device = "cuda" if on_gpu else "cpu"
    try:
        fit(result, pair, device=device, reporter=reporter, cache=cache)
    except RefitDivergedError as error:
        LOGGER.warning("%s; the model folder has the weights of the search", error)
        fit(result, pair, refit="train", reporter=reporter, cache=cache)


class RefitDivergedError(UserError):
    """Training the winner on every rating diverges."""


def has_model(result: SearchResult, of_this_winner: bool = False) -> bool:
    """Return whether a search has a model folder.

    With ``of_this_winner`` it must also hold the model of the present winner.
    """
    path = result.folder / FOLDER
    if not (path / model_folder.CARD).is_file() or not of_this_winner:
        return (path / model_folder.CARD).is_file()
    card, best = model_folder.read_card(path), result.best
    return (card.config, card.epoch) == (best.config, best.epoch)


def refresh_cards(results: Sequence[SearchResult]) -> None:
    """Write the present test scores into the cards of the model folders that there are."""
    for result in results:
        if has_model(result):
            path = result.folder / FOLDER
            card = model_folder.read_card(path)
            if card.config != result.best.config:
                continue  # an older stack's
            model_folder.write_card(path, card.with_scores(_scores(result, result.best)))
            place = storage.join(result.path, FOLDER)
            if storage.is_uri(place):
                storage.publish(path, place)


def _train(model: Recommender, epochs: int, reporter: Reporter) -> None:
    """Train for some epochs; raises `DivergedError` when a loss is not finite."""
    with reporter.progress("epochs", epochs) as advance:
        for epoch in range(1, epochs + 1):
            for name, value in model.train_epoch().items():
                if not math.isfinite(value):
                    raise DivergedError(f"{name} is {value} in epoch {epoch}")
            advance()


def _weights(result: SearchResult, best: Best) -> Weights:
    """Return the winner's weights; raises `UserError` if they are missing or damaged."""
    path, named = result.folder / "best.safetensors", f"{result.path}/best.safetensors"
    try:
        damaged = digest_of(path) != best.weights_digest
    except OSError as error:
        raise UserError(f"{named}: cannot be read: {error.strerror}; {REMEDY}") from error
    if damaged:
        raise UserError(f"{named}: its SHA-256 is not the one in best.json; {REMEDY}")
    try:
        weights: Weights = load_file(path)
    except SafetensorError as error:
        raise UserError(f"{named}: must be a safetensors file: {error}; {REMEDY}") from error
    return weights


def _card(
    result: SearchResult, best: Best, kind: ModelKind, data: Training, refit: Refit, device: str
) -> Card:
    return Card(
        format=FORMAT,
        model=best.model,
        config=best.config,
        pair=best.pair,
        train=best.train,
        refit=refit,
        seed=best.seed,
        epoch=best.epoch,
        max_epochs=best.max_epochs,
        valid_rmse=best.valid_rmse,
        bias_valid_rmse=best.bias_valid_rmse,
        scores=_scores(result, best),
        cold=COLD,
        lowest=data.target.scale.low,
        highest=data.target.scale.high,
        counts=model_folder.counts_of(data),
        data_digest=best.data_digest,
        origin=this_origin(kind, device, code_of(kind)),
        files={},
        cold_users=best.cold_users,
        split=best.split,
        metric=best.metric,
        hierarchical_valid_rmse=best.hierarchical_valid_rmse,
        source_lowest=data.source.scale.low,
        source_highest=data.source.scale.high,
    )


def _scores(result: SearchResult, best: Best) -> list[TestScore]:
    """Return the means of the winner's test scores under each cold policy."""
    found = []
    for policy, scores in scores_of_winner(result, best).items():
        rmse, *baselines = (
            summarise([getattr(score, name) for score in scores])
            for name in ("test_rmse", "bias_rmse", "mean_rmse", "hierarchical_rmse")
        )
        means = (baseline.mean for baseline in baselines)
        found.append(TestScore(policy, rmse.n, rmse.mean, rmse.sd, *means))
    return found
