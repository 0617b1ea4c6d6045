"""Cold users: what the source tells about users without any target rating (docs/paper.md, reading 4).

Shapes: N held-out target ratings.
"""

import json
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from darec.core.bias import Bias
from darec.core.config import parse
from darec.core.fit import Fit
from darec.core.metrics import clip, rmse
from darec.core.recommender import BoolArray, Recommender, Run
from darec.data.ratings import DomainPair, FloatArray, Ratings
from darec.data.shuffled import shuffle_source
from darec.data.split import SearchData, Training, TrainPercent, split
from darec.models import MODELS
from darec.models.best import Best
from darec.models.darec import DARec
from darec.provenance import revision, versions
from darec.seeds import derive, generator

SHARE = 0.1
"""Of the users, whose target ratings are all withheld."""
ANSWERING = ("u_darec", "shared_bias", "cmf", "fm_cdcf")
"""Models that know a user from source ratings alone."""


@dataclass(frozen=True)
class ColdUserScore:
    """Errors on all target ratings of users of whom a model saw source ratings only, in stars."""

    model: str
    pair: str
    train: TrainPercent
    seed: int
    """Of the split, the withheld users and the run."""
    n_users: int
    n_ratings: int
    """Withheld, of items that have training ratings."""
    rmse: float
    shuffled_rmse: float
    """Of the same model beside a source whose users are exchanged: it can know nothing."""
    bias_rmse: float
    """mu + b_i: all that is known without a source."""
    mean_rmse: float
    max_epochs: int
    config: dict[str, Any]
    data_digest: str
    revision: str
    versions: dict[str, str]

    @property
    def key(self) -> tuple[Any, ...]:
        """What makes a score the same measurement."""
        return cold_key(self, self.seed)


def cold_key(run: Best | ColdUserScore, seed: int) -> tuple[Any, ...]:
    """Return the key of a run: data, model, config, split, seed and epoch budget."""
    config = json.dumps(run.config, sort_keys=True)
    return run.data_digest, run.model, config, run.train, seed, run.max_epochs


def evaluate_cold_users(
    best: Best, pair: DomainPair, seed: int, device: str = "cpu"
) -> ColdUserScore:
    """Return what a winner's configuration, trained anew, predicts for users it knows by source.

    All target ratings of `SHARE` of the users are withheld from training and validation; the epoch
    is the one with the lowest RMSE on the other users' validation ratings. U-DARec answers from
    the source embedding (docs/paper.md, reading 4). Raises `DivergedError`.
    """
    withheld_U = np.zeros(len(pair.user_ids), bool)
    n_cold = max(1, round(SHARE * len(withheld_U)))
    withheld_U[generator(seed, "cold users").choice(len(withheld_U), n_cold, replace=False)] = True
    errors = []
    for each in (pair, shuffle_source(pair, seed)):
        data = without_target(split(each, best.train, seed).search, withheld_U)
        warm = data.training.target.item_counts > 0
        held = pair.target.take(withheld_U[pair.target.users] & warm[pair.target.items])
        errors.append(_error(best, data, held, seed, device))
    bias = Bias.fit(data.training.target)
    mean = np.full(len(held), data.training.target.values.mean(), np.float32)
    return ColdUserScore(
        model=best.model,
        pair=best.pair,
        train=best.train,
        seed=seed,
        n_users=len(np.unique(held.users)),
        n_ratings=len(held),
        rmse=errors[0],
        shuffled_rmse=errors[1],
        bias_rmse=_rmse(bias.predict(held.users, held.items), held),
        mean_rmse=_rmse(mean, held),
        max_epochs=best.max_epochs,
        config=best.config,
        data_digest=best.data_digest,
        revision=revision(),
        versions=versions(),
    )


def without_target(data: SearchData, withheld_U: BoolArray) -> SearchData:
    """Return the search data without any target rating of these users."""

    def kept(ratings: Ratings) -> Ratings:
        return ratings.take(~withheld_U[ratings.users])

    training = Training(data.training.source, kept(data.training.target))
    return replace(data, training=training, valid=kept(data.valid))


def _error(best: Best, data: SearchData, held: Ratings, seed: int, device: str) -> float:
    kind = MODELS[best.model]
    run = Run(derive(seed, "run"), device)
    fit = Fit(kind.build(parse(kind.config, best.config), data.training, run), data)
    for _ in range(best.max_epochs):
        fit.step()
        if fit.stalled:
            break
    fit.model.load_weights(fit.best_weights)
    return _rmse(_raw(fit.model, held), held)


def _raw(model: Recommender, held: Ratings) -> FloatArray:
    if isinstance(model, DARec):
        return model.predict(held.users, held.items, "target", answers_from="source")
    return model.predict(held.users, held.items)


def _rmse(raw: FloatArray, held: Ratings) -> float:
    return rmse(clip(raw), held.values)
