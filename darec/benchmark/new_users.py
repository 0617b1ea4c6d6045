"""How well new users are predicted: people whose ratings a model has not seen in training.

A tenth of the users is left out of a training, and folded in with their training ratings. The
errors are those on their validation ratings. Shapes: U users.
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from darec.benchmark.core import Figure
from darec.benchmark.transfer import CONFIGS, STAGE1
from darec.core.bias import Bias
from darec.core.config import parse
from darec.core.fit import Fit
from darec.core.metrics import clip, rmse
from darec.core.new_user import NewUser, OwnRatings
from darec.core.recommender import Run
from darec.data.ratings import BoolArray, Domain, DomainPair, FloatArray, Ratings
from darec.data.split import SearchData, Training, split
from darec.models import MODELS
from darec.seeds import generator
from darec.serving.scorer import Scorer

SHARE = 0.1
"""Share of the users who are new."""
FOLDS_IN: dict[str, dict[str, Any]] = {
    "bias": {},
    "pmf": {"factors": 5, "center": "bias"},
    "u_autorec": {**STAGE1, "axis": "user"},
    "i_autorec": {**STAGE1, "axis": "item"},
    **{name: values for name, values in CONFIGS.items() if name != "conet"},
}
"""What is measured, by the name of the model and, after a space, of its variant."""


def new_users(
    configs: Mapping[str, dict[str, Any]], epochs: int, pair: DomainPair
) -> Iterator[Figure]:
    """Compare the RMSE on new users with that of a model that was trained with them.

    A second figure is of new users without target ratings; its reference is mu + b_i.
    """
    whole = split(pair).search
    is_new_U = generator(0, "new users").random(len(pair.user_ids)) < SHARE
    domains: dict[Domain, Ratings] = {
        "source": whole.training.source,
        "target": whole.training.target,
    }
    left = Training(**{name: r.take(~is_new_U[r.users]) for name, r in domains.items()})
    held = whole.valid.take(is_new_U[whole.valid.users])
    bias = Bias.fit(left.target)
    nothing = _error(bias.of_all_items(0.0)[held.items], held)
    for name, values in configs.items():
        model = name.split(" ")[0]
        trained = _fitted(model, values, epochs, whole)
        pairs = held.users.astype(np.int64), held.items.astype(np.int64)
        known = _error(trained.pairs(*pairs), held)
        scorer = _fitted(model, values, epochs, replace(whole, training=left))
        both, source = (_folded_in(scorer, domains, held, kept) for kept in (True, False))
        yield Figure(f"{name}_new_users", both, "stars", known, known / both)
        yield Figure(f"{name}_source_only", source, "stars", nothing, nothing / source)


def _fitted(model: str, values: dict[str, Any], epochs: int, data: SearchData) -> Scorer:
    """Train a model, and return it with the weights of its best epoch."""
    kind = MODELS[model]
    fit = Fit(kind.build(parse(kind.config, values), data.training, Run()), data)
    for _ in range(1 if kind.whole_fit else epochs):
        fit.step()
    fit.model.load_weights(fit.best_weights)
    return Scorer(model, fit.model, data.training, "fallback")


def _folded_in(
    scorer: Scorer, domains: Mapping[Domain, Ratings], held: Ratings, with_target: bool
) -> float:
    """Return the RMSE on the held-out ratings of new users, each known by its training ratings."""
    raw = np.empty(len(held), np.float32)
    for user in np.unique(held.users):
        own: NewUser = {
            name: _own(ratings, ratings.users == user, name == "source" or with_target)
            for name, ratings in domains.items()
        }
        is_theirs = held.users == user
        raw[is_theirs] = scorer.fold_in(own).scores_J[held.items[is_theirs]]
    return _error(raw, held)


def _own(ratings: Ratings, of_user: BoolArray, counts: bool) -> OwnRatings:
    kept = of_user if counts else np.zeros_like(of_user)
    return OwnRatings(ratings.items[kept], ratings.values[kept])


def _error(raw: FloatArray, held: Ratings) -> float:
    return rmse(clip(raw), held.values)
