"""Make one model of the best trials of several searches: a stack."""

from functools import partial

import numpy as np

from darec.api.checks import check_count
from darec.api.fit import has_model, ship
from darec.api.result import Results, SearchResult, result_at, searches_of
from darec.api.stack_files import Candidate, candidates_of, save_stack
from darec.core import blend
from darec.data.ratings import DomainPair
from darec.data.split import SearchData, split
from darec.errors import UserError
from darec.evaluation.training import differences, rmse_of
from darec.models import STACK
from darec.reporter import LogReporter, Reporter
from darec.seeds import generator
from darec.tuning import storage
from darec.tuning.study.record import PAGE

MEMBERS = 8
"""Most members of a stack by default: each is trained again for every score."""


def stack(
    results: Results,
    pair: DomainPair,
    *,
    members: int = MEMBERS,
    fit: bool = True,
    reporter: Reporter | None = None,
) -> SearchResult:
    """Blend the best trials of finished searches into one model, by their validation predictions.

    Members and weights are chosen without training, and test ratings have no part in it. The result
    is a search like any other, in ``<out>/<pair>-<train>/stack``: `evaluate`, `fit`, `load` and
    `serve` take it. Another stack there is replaced.

    The weights are non-negative and learned on differences from the hierarchical biases
    (`darec.core.blend`). The stack's validation RMSE is cross-fitted: each rating is predicted with
    members and weights that were learned from other ratings. It is still too low, as the candidates
    and their epochs were chosen by all validation ratings. Where that is no better than the best
    trial alone, or there are fewer than 500 validation ratings, that trial is the only member.

    Args:
        results: Finished searches of one pair, task, split and seed.
        pair: The ratings that were searched on.
        members: Most members.
        fit: Whether to train the members on every rating and write a model folder (`darec.fit`).
        reporter: Receives the members and messages; by default they are logged.

    Raises:
        UserError: The searches do not go together, are of other ratings or of an earlier version,
            or their files are damaged.

    Examples:
        >>> import darec
        >>> pair = darec.load_pair("toys_auto", synthetic=True)
        >>> options = {"trials": 2, "max_epochs": 3, "out": "results", "resume": True}
        >>> done = [darec.search(model, pair, **options) for model in ("bias", "i_autorec")]
        >>> stacked = darec.stack(done, pair)
        >>> len(stacked.best.config["members"]) <= 4
        True
    """
    check_count("--members", members)
    reporter, searches = reporter or LogReporter(), searches_of(results, pair)
    seeds = {search.best.seed for search in searches}
    if len(seeds) > 1:
        raise UserError(f"searches of several seeds do not go together: {sorted(seeds)}")
    first = searches[0].best
    data = split(pair, first.holdout, first.seed).search
    alone = len(searches) == 1
    candidates = [each for search in searches for each in candidates_of(search, data, alone)]
    weight_M, valid_rmse = _weights(candidates, data, first.seed, members, reporter)
    out = result_at(searches[0].out, searches[0].root, pair.name, first.holdout, STACK)
    save_stack(out, candidates, weight_M, valid_rmse, data)
    reporter.line(f"files: {out.path}\npage:  {storage.join(out.path, PAGE)}")
    if fit and not has_model(out, of_this_winner=True):
        ship(out, pair, reporter)
    return out


def _weights(
    candidates: list[Candidate], data: SearchData, seed: int, most: int, reporter: Reporter
) -> tuple[blend.Array, float]:
    """Return the candidates' weights f64[M], and the validation RMSE; report both."""
    predicted = differences([each.predictions for each in candidates], data)

    def judged(learn: blend.Learn) -> float:
        return rmse_of(blend.cross_fitted(predicted, generator(seed, "stack"), learn), data)

    n_valid, few = len(data.valid), partial(blend.few_weights, most=most)
    single = rmse = judged(blend.best_alone)
    weight_M = blend.best_alone(predicted)
    if n_valid < blend.FEWEST:
        message = f"{n_valid} validation ratings are too few to learn weights from ({blend.FEWEST})"
        message += ": the stack has the best trial alone"
    elif not (learned_M := few(predicted)).any():
        message = "no trial improves on the hierarchical biases: the stack has the best trial alone"
    elif (rmse := judged(few)) < single:
        weight_M, message = learned_M, f"the best trial alone has {single:.4f}, by the same rule"
    else:
        message = f"a blend of several trials has {rmse:.4f}: the stack has the best trial alone"
    chosen = sorted(np.flatnonzero(weight_M), key=lambda m: -weight_M[m])
    models = dict.fromkeys(each.best.model for each in candidates)
    reporter.line(
        f"\nStack of {len(chosen)} of {len(candidates)} trials ({', '.join(models)}): "
        f"validation RMSE {min(rmse, single):.4f}, cross-fitted"
    )
    reporter.line(f"  {message}")
    for m in chosen:
        each, trial = candidates[m], candidates[m].trial
        reporter.line(
            f"  weight {weight_M[m]:.2f}  {each.best.model:17} trial {trial.trial_id}, "
            f"validation RMSE {trial.valid_rmse:.4f}"
        )
    return weight_M, float(min(rmse, single))
