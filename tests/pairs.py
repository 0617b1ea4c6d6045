"""Pairs that several tests need."""

from dataclasses import replace

import numpy as np

from darec.data.marks import Marks


def partly_shared(pair):
    """A pair whose first users have ratings in the source alone, its last in the target alone."""
    n = pair.source.n_users // 4
    source, target = pair.source, pair.target
    return replace(
        pair,
        source=source.take(source.users < source.n_users - n),
        target=target.take(target.users >= n),
    )


def timed(pair, seed=0, n_times=10**9):
    """The pair with random times of at most so many values; with many, no two are equal."""
    random = np.random.default_rng(seed)

    def marks(ratings):
        if n_times >= 10**9:
            return Marks(random.permutation(len(ratings)) + random.random())
        return Marks(random.integers(1, n_times + 1, len(ratings)).astype(float))

    return replace(pair, source_marks=marks(pair.source), target_marks=marks(pair.target))
