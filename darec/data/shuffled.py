"""A control for claims of transfer: a pair whose source ratings are given to other users."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from darec.data import store
from darec.data.ratings import SHUFFLED, DomainPair
from darec.data.split import in_both_domains
from darec.seeds import generator

SUFFIX = SHUFFLED
"""Ends the name of a pair whose source is shuffled."""


def shuffle_source(pair: DomainPair, seed: int = 0) -> DomainPair:
    """Return the pair with the users of its source permuted; `SUFFIX` is added to its name.

    Users of both domains exchange their source ratings; users of the source alone keep theirs. The
    ratings stay in their order, so that a split holds out the same ones.
    """
    both = np.flatnonzero(in_both_domains(pair))
    order_U = np.arange(pair.source.n_users, dtype=np.int32)
    order_U[both] = both[generator(seed, "shuffled source").permutation(len(both))]
    source = replace(pair.source, users=order_U[pair.source.users])
    return replace(pair, name=pair.name + SUFFIX, source=source)


def prepare_shuffled(pair: DomainPair, data: Path) -> None:
    """Save the shuffled pair among the prepared ones, unless it is there already."""
    shuffled = shuffle_source(pair)
    path = store.pair_file(data, shuffled.name)
    if not path.is_file() or store.provenance(path).get("of") != pair.digest:
        store.save(shuffled, path, {"of": pair.digest})
