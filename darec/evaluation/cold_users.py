"""Cold users: what a model knows from the source about users without any target rating.

Shapes: U users, N held-out target ratings.
"""

import json
from dataclasses import dataclass, replace
from functools import cached_property
from inspect import signature
from typing import Any, Protocol, TypeGuard

import numpy as np

from darec.core.bias import Bias
from darec.core.metrics import clip, rmse
from darec.core.recommender import Recommender, Run
from darec.data.ratings import BoolArray, Domain, DomainPair, FloatArray, IntArray, Ratings
from darec.data.shuffled import shuffle_source
from darec.data.split import SearchData, Training, TrainPercent, split
from darec.evaluation.origin import Origin, this_origin
from darec.evaluation.scores import Count, Stars
from darec.evaluation.training import train_again
from darec.models import MODELS, ModelKind
from darec.models.best import Best
from darec.seeds import derive, generator

SHARE = 0.1
"""Share of the users whose target ratings are all withheld."""
ANSWERING = tuple(name for name, kind in MODELS.items() if kind.cold_users)
"""Models of darec that learn something about a user from source ratings alone."""


class ChoosesDomain(Protocol):
    """A model that knows each user separately in each domain, like the embeddings of U-DARec.

    For a cold user it is asked to answer from the source. Every other model is asked to
    ``predict`` as usual.
    """

    def predict(
        self,
        users: IntArray,
        items: IntArray,
        domain: Domain = "target",
        answers_from: Domain | None = None,
    ) -> FloatArray:
        """Return raw predictions f32[N] from what is known of the users in ``answers_from``."""


@dataclass(frozen=True)
class ColdUserScore:
    """Errors in stars on the target ratings of users who had only source ratings in training."""

    model: str
    pair: str
    train: TrainPercent
    seed: int
    """Decides the split, the withheld users and the training run."""
    n_users: Count
    n_ratings: Count
    """Number of withheld ratings of items that have training ratings; all errors are on these."""
    rmse: Stars
    shuffled_rmse: Stars
    """RMSE of the same model, trained with a source whose users are shuffled."""
    bias_rmse: Stars
    """RMSE of mu + b_i, which is all that is known about these users without a source."""
    mean_rmse: Stars
    """RMSE of the mean of the training ratings."""
    max_epochs: Count
    config: dict[str, Any]
    data_digest: str
    origin: Origin

    @cached_property
    def key(self) -> tuple[Any, ...]:
        """Identifies the measurement: two scores with equal keys measure the same."""
        return cold_key(self, self.seed)


def cold_key(run: Best | ColdUserScore, seed: int) -> tuple[Any, ...]:
    """Return the key of a run: data, model, config, split, seed and epoch budget."""
    config = json.dumps(run.config, sort_keys=True)
    return run.data_digest, run.model, config, run.train, seed, run.max_epochs


def evaluate_cold_users(
    kind: ModelKind,
    best: Best,
    pair: DomainPair,
    seed: int,
    device: str = "cpu",
    code: str | None = None,
) -> ColdUserScore:
    """Train a winner's configuration without some users' target ratings, and predict those.

    All target ratings of `SHARE` of the users are withheld from training and validation. The model
    keeps the epoch with the lowest RMSE on the other users' validation ratings. U-DARec answers
    from the source embedding instead of the target embedding (docs/paper.md, reading 4).
    ``code`` is that of `this_origin`.
    Raises `DivergedError` when a loss or a prediction is not finite.
    """
    withheld_U = np.zeros(len(pair.user_ids), bool)
    n_cold = max(1, round(SHARE * len(withheld_U)))
    withheld_U[generator(seed, "cold users").choice(len(withheld_U), n_cold, replace=False)] = True
    errors = []
    for each in (pair, shuffle_source(pair, seed)):
        data = without_target(split(each, best.train, seed).search, withheld_U)
        warm = data.training.target.item_counts > 0
        held = pair.target.take(withheld_U[pair.target.users] & warm[pair.target.items])
        fit = train_again(kind, best, data, Run(derive(seed, "run"), device))
        errors.append(_rmse(_predict(fit.model, held), held))
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
        origin=this_origin(kind, device, code),
    )


def without_target(data: SearchData, withheld_U: BoolArray) -> SearchData:
    """Return the search data without any target rating of the withheld users, bool[U]."""

    def kept(ratings: Ratings) -> Ratings:
        return ratings.take(~withheld_U[ratings.users])

    training = Training(data.training.source, kept(data.training.target))
    return replace(data, training=training, valid=kept(data.valid))


def _predict(model: Recommender, held: Ratings) -> FloatArray:
    if _chooses_domain(model):
        return model.predict(held.users, held.items, "target", answers_from="source")
    return model.predict(held.users, held.items)


def _chooses_domain(model: Recommender) -> TypeGuard[ChoosesDomain]:
    return "answers_from" in signature(model.predict).parameters


def _rmse(raw: FloatArray, held: Ratings) -> float:
    return rmse(clip(raw), held.values)
