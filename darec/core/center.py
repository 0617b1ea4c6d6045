"""Centres: what is subtracted from ratings before training, and added to predictions.

Shapes: N ratings, U users, I items, B users asked for.
"""

from dataclasses import replace
from typing import Literal, Protocol

from darec.core.bias import Bias
from darec.core.hierarchical import DOMAINS, HierarchicalBias, hierarchical_biases
from darec.core.new_user import NewUser
from darec.core.tables import Tables
from darec.data.ratings import Domain, FloatArray, IntArray, Ratings
from darec.data.split import Training

CenterKind = Literal["none", "mean", "bias", "hierarchical"]


class Center(Protocol):
    """The centre of one domain's ratings."""

    @property
    def mean(self) -> float:
        """What it predicts before it knows the user and the item, in stars."""

    def predict(self, users: IntArray, items: IntArray) -> FloatArray:
        """Return the centre of each pair in stars, f32[N]; users [B, 1] and items [I] broadcast."""

    def residuals(self, ratings: Ratings) -> FloatArray:
        """Return the ratings minus their centre, f32[N]."""

    def of_new_user(self, user: NewUser) -> FloatArray:
        """Return the centre of all items for a person who is not in the training data, f32[I]."""

    def tables(self) -> Tables:
        """Return the centre as tables."""

    def with_unknown(self) -> "Center":
        """Return the same centre with one more user and item, which have no ratings.

        They are the last ones, so that the position -1 means a user or item outside the data.
        """


def fit_centers(kind: CenterKind, training: Training) -> dict[Domain, Center]:
    """Return the centre of each domain.

    ``none`` subtracts nothing, as the paper does. ``mean``, ``bias`` and ``hierarchical`` are ours
    (docs/paper.md); the last is fitted on both domains together.
    """
    if kind == "hierarchical":
        biases = hierarchical_biases(training)
        return {domain: HierarchicalBias(biases, domain) for domain in DOMAINS}
    return {domain: _own_center(kind, training.of(domain), domain) for domain in DOMAINS}


def _own_center(kind: CenterKind, ratings: Ratings, domain: Domain) -> Bias:
    if kind == "bias":
        return replace(Bias.fit(ratings), domain=domain)
    mean = float(ratings.values.mean()) if kind == "mean" else 0.0
    return replace(Bias.zero(ratings, mean), domain=domain)
