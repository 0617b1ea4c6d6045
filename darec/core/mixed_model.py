"""Biases of both domains under one prior: a linear mixed model with crossed random effects.

``r = mu + a_u + k_u x_i + b_i + e`` in each domain, with ``x_i`` the logarithm of the number of
training ratings of item i, minus its mean over the domain's ratings, and ``e ~ N(0, noise)``.
A user's effects in both domains are one draw ``(a_T, k_T, a_S, k_S) ~ N(0, Sigma)``, so ratings in
one domain say something about the other. An item's effect is a draw
``b_i ~ N(g_0 + g_1 log n_i, tau)``: a rarely rated item is not an average item. Nothing is tuned:
all variances are estimated by variational EM.

Shapes: U users, I items of a domain, N ratings, E effects of a user (2 for each domain).
"""

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import sparse

from darec.data.ratings import Domain, Ratings

Array = npt.NDArray[Any]  # float64
TOLERANCE = 1e-6
"""The fit ends when a sweep raises the evidence bound by less than this per rating.

Variances that hardly change the bound, those of the slopes above all, may then still move: with
1e-9 single predictions differ by up to 0.12 stars, and the validation RMSE by up to 0.0003.
"""
SWEEPS = 1000
"""Most sweeps of a fit. The pairs that were tried need 30 to 90."""
LEAST = 1e-8
"""Added to variances, in squared stars: equal ratings have none."""
START = 0.2
"""The variances of all effects before the first sweep, in squared stars."""


class DomainFit:
    """The ratings of one domain, and the effects of its items with their prior and the noise."""

    def __init__(self, ratings: Ratings) -> None:
        self.n, n_users = len(ratings), ratings.n_users
        self.mean = float(ratings.values.mean(dtype=np.float64))
        rests = ratings.values.astype(np.float64) - self.mean
        self.counts_I = ratings.item_counts
        self.is_rated_I = self.counts_I > 0
        one_I, log_I = np.ones(ratings.n_items), np.log(np.maximum(self.counts_I, 1))
        self.mean_log = float(log_I[ratings.items].mean())
        self.x_I = log_I - self.mean_log
        self.z_I2 = np.stack([one_I, log_I], 1)
        cells = ratings.users, ratings.items
        self._rated_UI: Any = sparse.csr_matrix(
            (np.ones(self.n), cells), (n_users, ratings.n_items)
        )
        self._rated_IU = self._rated_UI.T.tocsr()
        self._squares = float(rests @ rests)
        self._sum_I = np.bincount(ratings.items, rests, ratings.n_items)
        of_x = rests * self.x_I[ratings.items]
        sums = [np.bincount(ratings.users, part, n_users) for part in (rests, of_x)]
        self._sum_2U = np.stack(sums)
        self.rest_2U = self._sum_2U
        """Each user's sums of r - mu - b_i, and of x_i times that."""
        powers_U3: Array = self._rated_UI @ np.stack([one_I, self.x_I, self.x_I**2], 1)
        self.gram_22U = powers_U3.T[[[0, 1], [1, 2]]]
        """Each user's sums of 1, x and x^2 over the rated items."""
        self.noise = float(np.var(rests)) + LEAST
        self.tau, self.prior_2 = START, np.zeros(2)
        self.item_I, self.variance_I = np.zeros(len(one_I)), START * one_I

    def fit_items(self, effect_2U: Array) -> None:
        """Fit the items' effects given those of the users, then the prior of the items."""
        sums_I2 = self._rated_IU @ effect_2U.T
        rest_I = self._sum_I - sums_I2[:, 0] - self.x_I * sums_I2[:, 1]
        self.variance_I = 1 / (1 / self.tau + self.counts_I / self.noise)
        prior_I = self.z_I2 @ self.prior_2
        self.item_I = (prior_I / self.tau + rest_I / self.noise) * self.variance_I
        z_R2, item_R = self.z_I2[self.is_rated_I], self.item_I[self.is_rated_I]
        self.prior_2 = np.linalg.lstsq(z_R2, item_R, rcond=None)[0]
        second_R = (item_R - z_R2 @ self.prior_2) ** 2 + self.variance_I[self.is_rated_I]
        self.tau = LEAST + float(second_R.mean())
        self.item_I[~self.is_rated_I] = self.prior_2[0]
        self.variance_I[~self.is_rated_I] = self.tau
        items_U2: Array = self._rated_UI @ np.stack([self.item_I, self.item_I * self.x_I], 1)
        self.rest_2U = self._sum_2U - items_U2.T

    def fit_noise(self, effect_2U: Array, posterior_22U: Array) -> float:
        """Set the noise to the mean expected squared error; return the domain's evidence bound."""
        second_22U = posterior_22U + effect_2U[:, None] * effect_2U
        of_users = np.vdot(self.gram_22U, second_22U) - 2 * np.vdot(effect_2U, self.rest_2U)
        of_items = self.counts_I @ (self.variance_I + self.item_I**2)
        of_items -= 2 * self._sum_I @ self.item_I
        self.noise = LEAST + float(self._squares + of_users + of_items) / self.n
        # the items' second moments are tau on average, so that their other terms are constant
        logs_I = np.log(self.variance_I[self.is_rated_I] / self.tau)
        return float(logs_I.sum() - self.n * np.log(self.noise)) / 2


@dataclass(frozen=True, eq=False)
class Effects:
    """The fitted effects of all users and items.

    ``user_UE`` are the posterior means of a user's effects, the target's two first,
    ``covariance_UEE`` their posterior covariances, and ``sigma_EE`` their prior's covariance.
    """

    domains: dict[Domain, DomainFit]
    user_UE: Array
    covariance_UEE: Array
    sigma_EE: Array
    bound: float
    """The evidence bound after the last sweep, less constants."""


def fit_effects(ratings: Mapping[Domain, Ratings], tolerance: float = TOLERANCE) -> Effects:
    """Fit all effects and variances by variational EM, until the evidence bound has converged.

    A sweep takes time linear in the ratings. Raises ``ValueError`` when a domain has no rating.
    """
    for domain, of_domain in ratings.items():
        if not len(of_domain):
            raise ValueError(f"the {domain} must have at least one rating, but has none")
    fits = {domain: DomainFit(of_domain) for domain, of_domain in ratings.items()}
    part = {domain: slice(2 * i, 2 * i + 2) for i, domain in enumerate(fits)}
    size, n = 2 * len(fits), sum(fit.n for fit in fits.values())
    is_seen_U = np.any([of_domain.user_counts > 0 for of_domain in ratings.values()], axis=0)
    seen_U, n_seen = is_seen_U.astype(np.float64), int(is_seen_U.sum())
    user_EU, sigma_EE, last = np.zeros((size, len(seen_U))), START * np.eye(size), -np.inf
    for _ in range(SWEEPS):
        for domain, fit in fits.items():
            fit.fit_items(user_EU[part[domain]])
        user_EU, covariance_EEU, log_U = user_effects(fits, part, sigma_EE)
        second_EE = user_EU @ user_EU.T + covariance_EEU @ seen_U  # the means of the unseen are 0
        sigma_EE = second_EE / n_seen + LEAST * np.eye(size)
        bound = float(log_U @ seen_U - n_seen * np.linalg.slogdet(sigma_EE)[1]) / 2
        for domain, fit in fits.items():
            of = part[domain]
            bound += fit.fit_noise(user_EU[of], covariance_EEU[of, of])
        gain, last = bound - last, bound
        if gain < tolerance * n:
            break
    else:
        warnings.warn(f"the hierarchical biases still changed after {SWEEPS} sweeps", stacklevel=2)
    user_EU, covariance_EEU, _ = user_effects(fits, part, sigma_EE)
    return Effects(fits, user_EU.T, np.moveaxis(covariance_EEU, 2, 0), sigma_EE, bound)


def user_effects(
    fits: Mapping[Domain, DomainFit], part: Mapping[Domain, slice], sigma_EE: Array
) -> tuple[Array, Array, Array]:
    """Return the users' posterior means [E, U], covariances [E, E, U] and their log determinants.

    All else is given.
    """
    n_users = next(iter(fits.values())).gram_22U.shape[2]
    precision_EEU = np.repeat(np.linalg.inv(sigma_EE)[:, :, None], n_users, 2)
    pull_EU = np.zeros((len(sigma_EE), n_users))
    for domain, fit in fits.items():
        precision_EEU[part[domain], part[domain]] += fit.gram_22U / fit.noise
        pull_EU[part[domain]] = fit.rest_2U / fit.noise
    log_U = invert(precision_EEU)
    return np.einsum("iju,ju->iu", precision_EEU, pull_EU), precision_EEU, -log_U


def invert(matrices_EEU: Array) -> Array:
    """Replace positive definite matrices by their inverses; return their log determinants [U].

    Gauss-Jordan elimination of all matrices at once. Positive definite matrices need no pivoting.
    LAPACK, which takes one matrix after the other, needs three times as long.
    """
    log_U = np.zeros(matrices_EEU.shape[2])
    for k, row_EU in enumerate(matrices_EEU):
        pivot_U = row_EU[k].copy()
        log_U += np.log(pivot_U)
        row_EU[k] = 1
        row_EU /= pivot_U
        for i, other_EU in enumerate(matrices_EEU):
            if i != k:
                factor_U = other_EU[k].copy()
                other_EU[k] = 0
                other_EU -= factor_U * row_EU
    return log_U
