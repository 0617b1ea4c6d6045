"""Train a search's winner on a split and predict its test part once: the only reader of the test.

Shapes: N test ratings.
"""

import math
from dataclasses import replace
from typing import get_args

from darec.core.bias import Bias
from darec.core.config import parse
from darec.core.fit import Fit
from darec.core.metrics import mae, rmse
from darec.core.recommender import ColdPolicy, ColdRule, Recommender, Run, TwoStage
from darec.data.ratings import DomainPair, FloatArray
from darec.data.split import Split, Training, split
from darec.evaluation.scores import Score
from darec.models import MODELS
from darec.models.best import Best
from darec.provenance import revision, versions
from darec.seeds import derive


def evaluate(
    best: Best,
    pair: DomainPair,
    split_seed: int,
    run_seed: int,
    device: str = "cpu",
    refit: bool = False,
) -> list[Score]:
    """Return a score per cold policy, of a fresh training run on the split of ``split_seed``.

    The epoch with the lowest validation RMSE is kept, of at most as many epochs as the search had
    (docs/paper.md, reading 8); with ``refit`` a new run on training and validation ratings stops there instead.
    Raises `DivergedError` when training does not stay finite.
    """
    parts = split(pair, best.train, split_seed)
    kind = MODELS[best.model]
    config = parse(kind.config, best.config)
    run = Run(derive(run_seed, "run"), device)
    training = parts.search.training
    fit = Fit(kind.build(config, training, run), parts.search)
    for _ in range(best.max_epochs):
        fit.step()
        if fit.stalled:
            break
    model: Recommender = fit.model
    if refit:
        training = parts.final()
        model = kind.build(config, training, run)
        for _ in range(fit.best_epoch):
            model.train_epoch()
    else:
        model.load_weights(fit.best_weights)
    return [
        replace(
            score(model, training, parts, policy, best),
            run_seed=run_seed,
            searched_split=split_seed == best.seed,
            refit=refit,
            valid_rmse=fit.best_rmse,
            epoch=fit.best_epoch,
        )
        for policy in get_args(ColdPolicy)
    ]


def score(
    model: Recommender, training: Training, parts: Split, policy: ColdPolicy, best: Best
) -> Score:
    """Return a trained model's test errors under a cold policy, beside both trivial baselines."""
    test, rule = parts.test, ColdRule(training.target)
    users, items, truth = test.users, test.items, test.values

    def error(raw: FloatArray) -> float:
        return rule.rmse(raw, test, policy)

    final = rule.apply(model.predict(users, items), users, items, policy)
    warm = ~rule.is_cold(users, items)
    source = _source_rmse(model, training, parts, policy)
    target = rmse(final, truth)
    bias = error(rule.bias.predict(users, items))
    mean = float(training.target.values.mean())
    constant = Bias.zero(training.target, mean).predict(users, items)
    stage1 = model.stage1["target"].predict(users, items) if isinstance(model, TwoStage) else None
    return Score(
        model=best.model,
        pair=best.pair,
        train=parts.train,
        cold=policy,
        split_seed=parts.seed,
        run_seed=parts.seed,
        searched_split=False,
        refit=False,
        valid_rmse=math.nan,
        test_rmse=target,
        test_mae=mae(final, truth),
        warm_rmse=rmse(final[warm], truth[warm]) if warm.any() else None,
        cold_share=float(1 - warm.mean()),
        n_test=len(test),
        rmse_source=source,
        rmse_both=None if source is None else math.hypot(target, source),
        stage1_rmse=None if stage1 is None else error(stage1),
        bias_rmse=bias,
        mean_rmse=error(constant),
        beats_bias=target < bias,
        epoch=0,
        max_epochs=best.max_epochs,
        trials=best.trials,
        config=best.config,
        data_digest=best.data_digest,
        revision=revision(),
        versions=versions(),
    )


def _source_rmse(
    model: Recommender, training: Training, parts: Split, policy: ColdPolicy
) -> float | None:
    if "source" not in model.domains:
        return None
    test, rule = parts.test_source, ColdRule(training.source)
    raw = model.predict(test.users, test.items, "source")
    return rule.rmse(raw, test, policy)
