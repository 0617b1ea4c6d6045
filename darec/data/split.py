"""Divide a pair into training, validation and test ratings (section 4.1).

A search receives `SearchData`, which has no test ratings.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from darec.data.ratings import Domain, DomainPair, Ratings
from darec.seeds import generator

TrainPercent = Literal[90, 80]
"""Percent of the ratings that are not held out as test ratings."""


@dataclass(frozen=True, eq=False)
class Training:
    """What a model may see: the training ratings of both domains."""

    source: Ratings
    target: Ratings

    def of(self, domain: Domain) -> Ratings:
        """Return the training ratings of a domain."""
        return self.target if domain == "target" else self.source

    def swapped(self) -> "Training":
        """Return the ratings with source and target exchanged."""
        return Training(source=self.target, target=self.source)

    def as_one(self) -> Ratings:
        """Return the ratings of both domains as one, the source's items behind the target's."""
        domains = self.target, self.source
        behind = (0, self.target.n_items)
        return Ratings(
            np.concatenate([ratings.users for ratings in domains]),
            np.concatenate([r.items + np.int32(n) for r, n in zip(domains, behind, strict=True)]),
            np.concatenate([ratings.values for ratings in domains]),
            self.target.n_users,
            self.target.n_items + self.source.n_items,
        )


@dataclass(frozen=True, eq=False)
class SearchData:
    """What a search may see: the training and validation ratings of both domains."""

    training: Training
    valid: Ratings
    """The target's validation ratings, by which a search is judged."""
    valid_source: Ratings

    def swapped(self) -> "SearchData":
        """Return the data with source and target exchanged, for the stage-1 study of the source."""
        return SearchData(self.training.swapped(), self.valid_source, valid_source=self.valid)


@dataclass(frozen=True, eq=False)
class Split:
    """A pair divided by a seed; only `darec.evaluation` reads ``test`` and ``test_source``."""

    search: SearchData
    test: Ratings
    test_source: Ratings
    train: TrainPercent
    seed: int

    def final(self) -> Training:
        """Return training and validation ratings as one, for a refit (docs/paper.md, reading 8)."""
        return Training(
            source=self.search.training.source.join(self.search.valid_source),
            target=self.search.training.target.join(self.search.valid),
        )


def split(pair: DomainPair, train: TrainPercent = 90, seed: int = 0) -> Split:
    """Hold out a random 10 % (``train=90``) or 20 % (``train=80``) of each domain as test ratings.

    A tenth of the rest becomes validation ratings (section 4.1). Each domain has a random stream
    of its own.
    Raises ``ValueError`` for another ``train``, or when a part would be empty.
    """
    if train not in (90, 80):
        raise ValueError(f"train must be 90 or 80 (section 4.1), but got {train}")
    source, valid_source, test_source = _parts(pair.source, train, seed, "source")
    target, valid, test = _parts(pair.target, train, seed, "target")
    search = SearchData(Training(source, target), valid=valid, valid_source=valid_source)
    return Split(search, test=test, test_source=test_source, train=train, seed=seed)


def _parts(ratings: Ratings, train: int, seed: int, domain: str) -> tuple[Ratings, ...]:
    n_test = round(len(ratings) * (100 - train) / 100)
    n_valid = round((len(ratings) - n_test) / 10)
    if min(n_test, n_valid) < 1:
        raise ValueError(f"{domain}: {len(ratings)} ratings are too few for train, valid and test")
    order = generator(seed, "split", domain).permutation(len(ratings))
    test, valid, rest = order[:n_test], order[n_test : n_test + n_valid], order[n_test + n_valid :]
    return ratings.take(rest), ratings.take(valid), ratings.take(test)
