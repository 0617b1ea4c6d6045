"""Train a search's winner on a split and predict the split's test ratings once.

No other file reads the test ratings of a split. Shapes: N test ratings.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from darec.core.bias import Bias
from darec.core.cold import COLD, ColdPolicy, ColdRule
from darec.core.config import parse
from darec.core.metrics import mae, rmse
from darec.core.recommender import Recommender, Run, TwoStage
from darec.data.folds import Fold, split_by_fold
from darec.data.ratings import DomainPair, FloatArray
from darec.data.shuffled import shuffle_source
from darec.data.split import Split, Training, answered_users, split
from darec.evaluation.origin import Origin, this_origin
from darec.evaluation.ranking import rankings
from darec.evaluation.scores import Score
from darec.evaluation.training import train_again
from darec.models import ModelKind, plugins
from darec.models.best import Best
from darec.seeds import derive


@dataclass(frozen=True, eq=False)
class TrainedWinner:
    """A winner trained again on one split: all that its scores are computed from."""

    model: Recommender
    training: Training
    """The ratings that the model was trained on; with ``refit`` the validation ratings, too."""
    parts: Split
    fold: Fold | None
    run_seed: int
    refit: bool
    valid_rmse: float
    """The validation RMSE of the training run's best epoch."""
    epoch: int
    """The epoch that had it."""
    origin: Origin


def evaluate(
    kind: ModelKind,
    best: Best,
    pair: DomainPair,
    split_seed: int,
    run_seed: int,
    device: str = "cpu",
    refit: bool = False,
    code: str | None = None,
    fold: Fold | None = None,
    members: Mapping[str, ModelKind] | None = None,
) -> list[Score]:
    """Return one score per cold policy of a fresh training run on the split of ``split_seed``.

    With ``fold`` the split is that fold of a cross-validation instead of the search's kind.

    The model keeps the epoch that is best by the search's metric (docs/paper.md, reading 8). With
    ``refit`` a second model is trained on training and validation ratings up to that epoch, and
    scored instead. In the cold-user task all of this is done again with a source whose users are
    shuffled (docs/cold_users.md). ``code`` is that of `this_origin`.
    ``members`` are models from outside in a stack, which this process may not know yet.
    Raises `DivergedError` when a loss or a prediction is not finite.
    """
    plugins.OUTSIDE.update(members or {})
    seeds, shuffled = (split_seed, run_seed), None
    if best.cold_users is not None:
        other = shuffle_source(pair, split_seed)
        control = _trained(kind, best, other, seeds, device, refit, code, fold)
        shuffled = control.model.predict(control.parts.test.users, control.parts.test.items)
        del control  # one model in memory at a time
    winner = _trained(kind, best, pair, seeds, device, refit, code, fold)
    scored = Scored(winner, best, shuffled)
    return [scored.under(policy) for policy in get_args(ColdPolicy)]


def rmse_on_test(model: Recommender, parts: Split) -> float:
    """Return a model's RMSE on a split's test ratings, with ``cold=hierarchical``."""
    training, test = parts.search.training, parts.test
    rule = ColdRule(training, answered=answered_users(training, parts.cold_users))
    return rule.rmse(model.predict(test.users, test.items), test, COLD)


def _trained(
    kind: ModelKind,
    best: Best,
    pair: DomainPair,
    seeds: tuple[int, int],
    device: str,
    refit: bool,
    code: str | None,
    fold: Fold | None,
) -> TrainedWinner:
    """Return a winner that was trained on the split and with the run of these two seeds."""
    split_seed, run_seed = seeds
    if fold is None:
        parts = split(pair, best.holdout, split_seed)
    else:
        parts = split_by_fold(pair, fold, split_seed)
    run = Run(derive(run_seed, "run"), device)
    config = parse(kind.config, best.config)
    found = train_again(kind, config, best.max_epochs, parts.search, run, best.metric)
    model, training = found.model, parts.search.training
    if refit:
        training = parts.final()
        model = kind.build(found.config, training, run)
        for _ in range(found.epoch):
            model.train_epoch()
    return TrainedWinner(
        model,
        training,
        parts,
        fold,
        run_seed,
        refit,
        found.valid_rmse,
        found.epoch,
        this_origin(kind, device, code),
    )


class Scored:
    """A trained model's predictions of the test ratings, made once for all cold policies.

    ``shuffled f32[N]`` are those of the same winner trained with a shuffled source. Cold items have
    the same prediction in both: a difference is due to the model, not to the policy.
    """

    def __init__(self, trained: TrainedWinner, best: Best, shuffled: FloatArray | None) -> None:
        self._trained, self._best, self._shuffled = trained, best, shuffled
        model, parts, training = trained.model, trained.parts, trained.training
        self._rule = ColdRule(training, answered=answered_users(training, parts.cold_users))
        test = parts.test.users, parts.test.items
        self._raw = model.predict(*test)
        self._stage1: FloatArray | None = None
        if isinstance(model, TwoStage):
            self._stage1 = model.stage1["target"].predict(*test)
        self._bias = self._rule.bias.predict(*test)
        self._hierarchical = self._rule.hierarchical.predict(*test)
        mean = float(training.target.values.mean())
        self._constant = Bias.zero(training.target, mean).predict(*test)
        self._source: tuple[ColdRule, FloatArray] | None = None
        if "source" in model.domains:
            held = parts.test_source
            rule = ColdRule(training, "source")
            self._source = rule, model.predict(held.users, held.items, "source")

    def under(self, policy: ColdPolicy) -> Score:
        """Return the errors under a cold policy, with those of the baselines."""
        trained, best, parts, rule = self._trained, self._best, self._trained.parts, self._rule
        test, scale, source_scale = parts.test, parts.test.scale, parts.test_source.scale
        users, items, truth = test.users, test.items, test.values

        def error(raw: FloatArray) -> float:
            return rule.rmse(raw, test, policy)

        def if_any(raw: FloatArray | None) -> float | None:
            return None if raw is None else error(raw)

        final = rule.apply(self._raw, users, items, policy)
        warm = ~rule.is_cold(users, items)
        source = None
        if self._source is not None:
            source_rule, raw = self._source
            source = source_rule.rmse(raw, parts.test_source, policy)
        target, bias, hierarchical = (
            scale.unit * rmse(final, truth),
            error(self._bias),
            error(self._hierarchical),
        )
        both = None
        if source is not None and scale == source_scale:
            both = math.hypot(target, source)
        lists = None
        if policy == COLD:
            known, seen = trained.training.target, parts.final().target
            lists = rankings(trained.model, rule, known, seen, test, parts.seed)
        return Score(
            model=best.model,
            pair=best.pair,
            scale=scale,
            source_scale=source_scale,
            train=best.train,
            cold_users=best.cold_users,
            split=best.split,
            fold=None if trained.fold is None else trained.fold.number,
            folds=None if trained.fold is None else trained.fold.of,
            cold=policy,
            split_seed=parts.seed,
            run_seed=trained.run_seed,
            searched_split=trained.fold is None and parts.seed == best.seed,
            refit=trained.refit,
            valid_rmse=trained.valid_rmse,
            test_rmse=target,
            test_mae=scale.unit * mae(final, truth),
            warm_rmse=scale.unit * rmse(final[warm], truth[warm]) if warm.any() else None,
            cold_share=float(1 - warm.mean()),
            n_test=len(test),
            rmse_source=source,
            rmse_both=both,
            shuffled_rmse=if_any(self._shuffled),
            stage1_rmse=if_any(self._stage1),
            bias_rmse=bias,
            hierarchical_rmse=hierarchical,
            mean_rmse=error(self._constant),
            beats_bias=target < bias,
            beats_hierarchical=target < hierarchical,
            ranking=lists,
            epoch=trained.epoch,
            max_epochs=best.max_epochs,
            trials=best.trials,
            config=best.config,
            data_digest=best.data_digest,
            origin=trained.origin,
            metric=best.metric,
        )
