"""K-fold cross-validation: every rating is a test rating once."""

from dataclasses import dataclass

import numpy as np

from darec.data.ratings import BoolArray, DomainPair, Parts, Ratings
from darec.data.split import Split, in_both_domains, joined
from darec.errors import UserError
from darec.seeds import generator

LEAST = 12
"""Fewest ratings of a domain. With fewer, two folds would leave no validation rating."""


@dataclass(frozen=True)
class Fold:
    """One of the parts of a cross-validation; raises ``ValueError`` unless 1 <= number <= of."""

    number: int
    """From 1."""
    of: int

    def __post_init__(self) -> None:
        if not (self.of >= 2 and 1 <= self.number <= self.of):
            raise ValueError(f"a fold must be one of 2 or more, but got {self.number} of {self.of}")


def split_by_fold(pair: DomainPair, fold: Fold, seed: int) -> Split:
    """Return the split that tests on one fold of the ratings of both domains.

    The seed deals the ratings of users of both domains into folds of equal size, in each domain by
    a stream of its own. A tenth of the other folds' ratings are validation ratings. Ratings of
    users of one domain always train.
    Raises `UserError` when a part would be empty.
    """
    both_U = in_both_domains(pair)
    source = _parts(pair.source, both_U, fold, seed, "source")
    target = _parts(pair.target, both_U, fold, seed, "target")
    return joined(source, target, seed)


def _parts(ratings: Ratings, both_U: BoolArray, fold: Fold, seed: int, domain: str) -> Parts:
    eligible = np.flatnonzero(both_U[ratings.users])
    if len(eligible) < max(fold.of, LEAST):
        message = f"{len(eligible)} ratings are too few for {fold.of} folds"
        raise UserError(f"{domain}: {message}")
    order = eligible[generator(seed, "folds", domain).permutation(len(eligible))]
    folds = np.array_split(order, fold.of)
    test = folds.pop(fold.number - 1)
    others = generator(seed, "folds", domain, fold.number).permutation(np.concatenate(folds))
    n_valid = round(len(others) / 10)
    always = np.flatnonzero(~both_U[ratings.users])
    training = ratings.take(np.concatenate([others[n_valid:], always]))
    return training, ratings.take(others[:n_valid]), ratings.take(test)
