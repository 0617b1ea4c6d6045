"""Pairs that several tests need."""

from dataclasses import replace


def partly_shared(pair):
    """A pair whose first users have ratings in the source alone, its last in the target alone."""
    n = pair.source.n_users // 4
    source, target = pair.source, pair.target
    return replace(
        pair,
        source=source.take(source.users < source.n_users - n),
        target=target.take(target.users >= n),
    )
