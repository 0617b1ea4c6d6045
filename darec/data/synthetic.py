"""Synthetic pairs: the counts of Table 1, and planted structure that both domains share.

Shapes: U users, I items, N ratings, F planted factors.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from darec.data.ratings import SYNTHETIC, DomainPair, Ratings
from darec.paper import TABLE_1, Counts
from darec.seeds import generator

STAR_SHARES = (0.05, 0.05, 0.10, 0.20, 0.60)
"""Share of ratings with one to five stars, as on Amazon."""
EXPONENT, OFFSET = 0.8, 10.0
"""The k-th most active user or item has a share of ratings ~ (k + OFFSET) ** -EXPONENT."""


@dataclass(frozen=True)
class Planted:
    """The standard deviations of the parts that add up to a score, which is then cut into stars."""

    user: float = 0.6
    """The user's bias, the same in both domains."""
    item: float = 0.6
    """The item's bias."""
    factors: float = 0.8
    """The product of user factors, the same in both domains, and item factors."""
    noise: float = 1.0
    rank: int = 4
    """Number of factors."""
    shared: bool = True
    """If False, the source has other user biases and factors, and says nothing about the target."""


def synthetic_pair(name: str, seed: int = 0) -> DomainPair:
    """Return the stand-in for a pair of Table 1; it is called ``<name>-synthetic``."""
    return planted_pair(f"{name}{SYNTHETIC}", TABLE_1[name], seed=seed)


def planted_pair(
    name: str, counts: Counts, planted: Planted | None = None, seed: int = 0
) -> DomainPair:
    """Draw a pair with exactly these counts, in which every user and every item has a rating.

    Raises ``ValueError`` when a domain has too few or too many ratings for its users and items.
    """
    planted = planted or Planted()
    rng = generator(seed, "synthetic", name)
    people = _people(rng, counts.users, planted)
    others = people if planted.shared else _people(rng, counts.users, planted)
    source = _domain(rng, others, counts.source_items, counts.source_ratings, planted)
    target = _domain(rng, people, counts.target_items, counts.target_ratings, planted)
    users, items_S, items_T = (
        np.array([f"{letter}{k:06d}" for k in range(size)], dtype=object)
        for letter, size in (
            ("u", counts.users),
            ("s", counts.source_items),
            ("t", counts.target_items),
        )
    )
    return DomainPair(name, source, target, users, items_S, items_T)


@dataclass(frozen=True, eq=False)
class _People:
    """What a score takes from the users."""

    bias_U: npt.NDArray[np.float64]
    factors_UF: npt.NDArray[np.float64]


def _people(rng: np.random.Generator, n_users: int, planted: Planted) -> _People:
    factors_UF = rng.normal(size=(n_users, planted.rank)) / np.sqrt(planted.rank)
    return _People(rng.normal(scale=planted.user, size=n_users), factors_UF)


def _domain(
    rng: np.random.Generator, people: _People, n_items: int, n: int, planted: Planted
) -> Ratings:
    n_users = len(people.bias_U)
    users, items = _cells(rng, n_users, n_items, n)
    bias_I = rng.normal(scale=planted.item, size=n_items)
    factors_IF = planted.factors * rng.normal(size=(n_items, planted.rank))
    score_N = people.bias_U[users] + bias_I[items] + rng.normal(scale=planted.noise, size=n)
    score_N += np.einsum("nf,nf->n", people.factors_UF[users], factors_IF[items])
    cuts = np.round(np.cumsum(STAR_SHARES)[:-1] * n).astype(int)
    stars_N = np.empty(n, np.float32)
    stars_N[np.argsort(score_N)] = np.searchsorted(cuts, np.arange(n), side="right") + 1
    return Ratings(users, items, stars_N, n_users, n_items)


def _cells(
    rng: np.random.Generator, n_users: int, n_items: int, n: int
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    """Draw n distinct (user, item) cells: each user and item once, the rest by power laws."""
    if not max(n_users, n_items) <= n <= n_users * n_items:
        sizes = f"{n} ratings for {n_users} users and {n_items} items"
        raise ValueError(
            f"every user and item must have a rating, and no user two of one item, but got {sizes}"
        )
    share_U, share_I = _shares(rng, n_users), _shares(rng, n_items)
    longer = max(n_users, n_items)
    first_U = np.concatenate([rng.permutation(n_users), rng.choice(n_users, longer, p=share_U)])
    first_I = np.concatenate([rng.permutation(n_items), rng.choice(n_items, longer, p=share_I)])
    cells = first_U[:longer].astype(np.int64) * n_items + first_I[:longer]
    while len(cells) < n:
        users = rng.choice(n_users, n, p=share_U).astype(np.int64)
        drawn = np.concatenate([cells, users * n_items + rng.choice(n_items, n, p=share_I)])
        _, first = np.unique(drawn, return_index=True)
        cells = drawn[np.sort(first)][:n]
    return (cells // n_items).astype(np.int32), (cells % n_items).astype(np.int32)


def _shares(rng: np.random.Generator, size: int) -> npt.NDArray[np.float64]:
    weights = (np.arange(size) + OFFSET) ** -EXPONENT
    return rng.permutation(weights / weights.sum())
