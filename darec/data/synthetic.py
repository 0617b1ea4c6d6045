"""A stand-in pair with Table 1's exact counts and planted structure shared across the domains.

Shapes: U users, I items, N ratings, F planted factors.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from darec.data.ratings import DomainPair, Ratings
from darec.paper import TABLE_1, Counts
from darec.seeds import generator

STAR_SHARES = (0.05, 0.05, 0.10, 0.20, 0.60)
"""Amazon's histogram of one to five stars."""
EXPONENT, OFFSET = 0.8, 10.0
"""Activity of the k-th user or item falls as (k + OFFSET) ** -EXPONENT."""


@dataclass(frozen=True)
class Planted:
    """How a score before its cut into stars is made up; standard deviations of its parts."""

    user: float = 0.6
    """A user's taste for high stars, the same in both domains."""
    item: float = 0.6
    factors: float = 0.8
    """The part u . v of ``rank`` user factors, shared by both domains."""
    noise: float = 1.0
    rank: int = 4
    shared: bool = True
    """False draws the source's user parts anew, so that the source says nothing."""


def synthetic_pair(name: str, seed: int = 0) -> DomainPair:
    """Return the stand-in of a pair of Table 1, labelled ``<name>-synthetic``."""
    return planted_pair(f"{name}-synthetic", TABLE_1[name], seed=seed)


def planted_pair(
    name: str, counts: Counts, planted: Planted | None = None, seed: int = 0
) -> DomainPair:
    """Draw a pair with exactly these users, items and ratings; every user and item has a rating.

    Raises ``ValueError`` when a domain has too few or too many ratings for its users and items.
    """
    planted = planted or Planted()
    rng = generator(seed, "synthetic", name)
    people = _people(rng, counts.users, planted)
    others = people if planted.shared else _people(rng, counts.users, planted)
    source = _domain(rng, others, counts.source_items, counts.source_ratings, planted)
    target = _domain(rng, people, counts.target_items, counts.target_ratings, planted)
    ids = [
        np.array([f"{letter}{k:06d}" for k in range(size)], dtype=object)
        for letter, size in (
            ("u", counts.users),
            ("s", counts.source_items),
            ("t", counts.target_items),
        )
    ]
    return DomainPair(name, source, target, *ids)


@dataclass(frozen=True, eq=False)
class _People:
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
    """Draw n distinct cells, power-law on both sides, with every user and item at least once."""
    if not max(n_users, n_items) <= n <= n_users * n_items:
        sizes = f"{n} ratings for {n_users} users and {n_items} items"
        raise ValueError(
            f"every user and item must have a rating in distinct cells, but got {sizes}"
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
