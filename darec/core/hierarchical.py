"""The hierarchical biases of both domains, ready to predict (`darec.core.mixed_model`).

Shapes: N ratings, U users, I items of a domain, E effects of a user (a level and a slope for each
domain), n ratings of a new user.
"""

from dataclasses import astuple, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from darec.core.mixed_model import Array, DomainFit, fit_effects
from darec.core.new_user import NewUser
from darec.core.recommender import Weights
from darec.core.tables import Tables
from darec.data.ratings import Domain, FloatArray, IntArray, Ratings
from darec.data.split import Training

DOMAINS: tuple[Domain, ...] = ("target", "source")
PART: dict[Domain, slice] = {"target": slice(0, 2), "source": slice(2, 4)}
"""Where each domain's level and slope stand among the effects of a user."""
OTHER: dict[Domain, Domain] = {"target": "source", "source": "target"}
REMEMBERED = 4
"""Fits that a process remembers. All models and cold rules of the same ratings share one."""


@dataclass(frozen=True)
class Constants:
    """What holds for a whole domain, in stars or squared stars."""

    mean: float
    noise: float
    """Variance of a rating around its prediction."""
    new_x: float
    """x of an item without training ratings: it counts as one with a single rating."""
    new_item: float
    """Effect of an item without training ratings, which is the mean of its prior."""
    new_variance: float


@dataclass(frozen=True, eq=False)
class ItemEffects:
    """The items of a domain: x (the centred logarithm of the number of ratings), and effects."""

    x_I: FloatArray
    item_I: FloatArray
    variance_I: FloatArray
    constants: Constants

    @staticmethod
    def of(fit: DomainFit) -> "ItemEffects":
        """Return the effects of a fit."""
        new_item = float(fit.prior_2[0])
        return ItemEffects(
            fit.x_I.astype(np.float32),
            fit.item_I.astype(np.float32),
            fit.variance_I.astype(np.float32),
            Constants(fit.mean, fit.noise, -fit.mean_log, new_item, fit.tau),
        )

    def with_unknown(self) -> "ItemEffects":
        """Return the same effects with one more item, which has those of the prior."""
        known = self.constants
        return ItemEffects(
            np.append(self.x_I, np.float32(known.new_x)),
            np.append(self.item_I, np.float32(known.new_item)),
            np.append(self.variance_I, np.float32(known.new_variance)),
            known,
        )


@dataclass(frozen=True, eq=False)
class HierarchicalBiases:
    """The effects of all users ``f32[U, E]`` with their posterior covariances, and of all items."""

    items: dict[Domain, ItemEffects]
    user_UE: FloatArray
    covariance_UEE: FloatArray
    sigma_EE: FloatArray
    """The covariance of the users' prior."""

    @staticmethod
    def fit(training: Training) -> "HierarchicalBiases":
        """Fit both domains; raises ``ValueError`` when one has no rating."""
        effects = fit_effects({d: getattr(training, d) for d in DOMAINS})
        items = {domain: ItemEffects.of(effects.domains[domain]) for domain in DOMAINS}
        of_users = effects.user_UE, effects.covariance_UEE, effects.sigma_EE
        return HierarchicalBiases(
            items, *(array.astype(np.float32, order="C") for array in of_users)
        )

    def swapped(self) -> "HierarchicalBiases":
        """Return the same effects with source and target exchanged."""
        order = [2, 3, 0, 1]
        return HierarchicalBiases(
            {domain: self.items[OTHER[domain]] for domain in DOMAINS},
            self.user_UE[:, order],
            self.covariance_UEE[:, order][:, :, order],
            self.sigma_EE[order][:, order],
        )

    def of_new_user(self, user: NewUser) -> tuple[npt.NDArray[Any], npt.NDArray[Any]]:
        """Return the posterior mean [E] and covariance [E, E] of the effects of a new user."""
        precision_EE: Array = np.linalg.inv(self.sigma_EE.astype(np.float64))
        pull_E: Array = np.zeros(len(precision_EE))
        for domain, own in user.items():
            effects, part = self.items[domain], PART[domain]
            x_n = effects.x_I[own.items]
            design_n2: Array = np.stack([np.ones_like(x_n), x_n], 1).astype(np.float64)
            rest_n = own.values - effects.constants.mean - effects.item_I[own.items]
            weighed_2n = design_n2.T / effects.constants.noise
            precision_EE[part, part] += weighed_2n @ design_n2
            pull_E[part] += weighed_2n @ rest_n
        covariance_EE = np.linalg.inv(precision_EE)
        return covariance_EE @ pull_E, covariance_EE

    def with_unknown(self) -> "HierarchicalBiases":
        """Return the same effects with one more user and item, which have those of the priors."""
        return HierarchicalBiases(
            {domain: effects.with_unknown() for domain, effects in self.items.items()},
            np.vstack([self.user_UE, np.zeros_like(self.sigma_EE[:1])]),
            np.concatenate([self.covariance_UEE, self.sigma_EE[None]]),
            self.sigma_EE,
        )

    def weights(self) -> Weights:
        """Return all effects as tensors, from which `of_weights` builds them again."""
        arrays: dict[str, npt.NDArray[Any]] = {
            "user": self.user_UE,
            "covariance": self.covariance_UEE,
            "sigma": self.sigma_EE,
        }
        for domain, effects in self.items.items():
            arrays[f"{domain}.x"] = effects.x_I
            arrays[f"{domain}.item"] = effects.item_I
            arrays[f"{domain}.variance"] = effects.variance_I
            arrays[f"{domain}.constants"] = np.array(astuple(effects.constants))
        return {name: torch.from_numpy(np.ascontiguousarray(a)) for name, a in arrays.items()}

    @staticmethod
    def of_weights(weights: Weights) -> "HierarchicalBiases":
        """Return the effects that `weights` returned."""
        arrays = {name: weight.numpy() for name, weight in weights.items()}
        items = {
            domain: ItemEffects(
                arrays[f"{domain}.x"],
                arrays[f"{domain}.item"],
                arrays[f"{domain}.variance"],
                Constants(*arrays[f"{domain}.constants"].tolist()),
            )
            for domain in DOMAINS
        }
        return HierarchicalBiases(items, arrays["user"], arrays["covariance"], arrays["sigma"])


@dataclass(frozen=True, eq=False)
class HierarchicalBias:
    """``mean + level[u] + slope[u] x[i] + item[i]``: the hierarchical biases of one domain."""

    biases: HierarchicalBiases
    domain: Domain

    @property
    def items(self) -> ItemEffects:
        """The items of the domain."""
        return self.biases.items[self.domain]

    @property
    def mean(self) -> float:
        """The mean of the domain's training ratings, in stars."""
        return self.items.constants.mean

    @property
    def user_U2(self) -> FloatArray:
        """Each user's level and slope."""
        return self.biases.user_UE[:, PART[self.domain]]

    def predict(self, users: IntArray, items: IntArray) -> FloatArray:
        """Return predictions f32[N], unclipped; users [B, 1] and items [I] broadcast."""
        effect_U2, effects = self.user_U2, self.items
        of_user = effect_U2[users, 0] + effect_U2[users, 1] * effects.x_I[items]
        predicted: FloatArray = np.float32(effects.constants.mean) + of_user + effects.item_I[items]
        return predicted

    def residuals(self, ratings: Ratings) -> FloatArray:
        """Return the ratings minus their predictions, f32[N]."""
        return ratings.values - self.predict(ratings.users, ratings.items)

    def std(self, users: IntArray, items: IntArray) -> FloatArray:
        """Return the standard deviation of a rating around its prediction, f32[N], in stars.

        It has the variance of the user's effects, of the item's, and of a single rating.
        """
        part = PART[self.domain]
        return self._std(self.biases.covariance_UEE[:, part, part], users, items)

    def std_of_new_user(self, user: NewUser) -> FloatArray:
        """Return the standard deviation of a new user's rating of each item, f32[I], in stars."""
        part = PART[self.domain]
        covariance_122 = self.biases.of_new_user(user)[1][None, part, part].astype(np.float32)
        first = np.zeros(1, np.int32)
        return self._std(covariance_122, first, np.arange(len(self.items.x_I), dtype=np.int32))

    def _std(self, covariance_U22: FloatArray, users: IntArray, items: IntArray) -> FloatArray:
        effects, x = self.items, self.items.x_I[items]
        level, both, slope = (covariance_U22[users, i, j] for i, j in ((0, 0), (0, 1), (1, 1)))
        variance = level + 2 * both * x + slope * x**2 + effects.variance_I[items]
        std: FloatArray = np.sqrt(variance + np.float32(effects.constants.noise))
        return std

    def of_new_user(self, user: NewUser) -> FloatArray:
        """Return the predictions of all items f32[I] for a new user with ratings in any domain."""
        level, slope = self.biases.of_new_user(user)[0][PART[self.domain]]
        effects = self.items
        base = np.float32(effects.constants.mean + level)
        return base + np.float32(slope) * effects.x_I + effects.item_I

    def tables(self) -> Tables:
        """Return the tables, with the slopes as the only factor."""
        effects, user_U2 = self.items, np.ascontiguousarray(self.user_U2)
        base_I = effects.item_I + np.float32(effects.constants.mean)
        return Tables(user_U2[:, 1:], effects.x_I[:, None], user_U2[:, 0], base_I, center=self)

    def with_unknown(self) -> "HierarchicalBias":
        """Return the same biases with one more user and item, which have those of the priors."""
        return replace(self, biases=self.biases.with_unknown())


_known: dict[tuple[str, str], HierarchicalBiases] = {}


def hierarchical_biases(training: Training) -> HierarchicalBiases:
    """Return the hierarchical biases of both domains; equal ratings are fitted once.

    Exchanging the domains gives the same numbers.
    """
    if _must_swap(training):
        return hierarchical_biases(training.swapped()).swapped()
    found = known_biases(training)
    if found is None:
        found = HierarchicalBiases.fit(training)
        remember(training, found)
    return found


def known_biases(training: Training) -> HierarchicalBiases | None:
    """Return the hierarchical biases if this process has fitted equal ratings; None otherwise."""
    if _must_swap(training):
        swapped = known_biases(training.swapped())
        return swapped and swapped.swapped()
    return _known.get(_key(training))


def remember(training: Training, biases: HierarchicalBiases) -> None:
    """Take these for the hierarchical biases of these ratings from now on."""
    if _must_swap(training):
        training, biases = training.swapped(), biases.swapped()
    _known[_key(training)] = biases
    for key in list(_known)[:-REMEMBERED]:
        _known.pop(key, None)


def _must_swap(training: Training) -> bool:
    return training.target.digest > training.source.digest


def _key(training: Training) -> tuple[str, str]:
    return training.target.digest, training.source.digest
