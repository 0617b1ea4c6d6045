"""A control for claims of transfer: a pair whose source ratings are given to other users."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from darec.data import store
from darec.data.ratings import SHUFFLED, DomainPair
from darec.seeds import generator

SUFFIX = SHUFFLED
"""Ends the name of a pair whose source is shuffled."""


def shuffle_source(pair: DomainPair, seed: int = 0) -> DomainPair:
    """Return the pair with the users of its source permuted; `SUFFIX` is added to its name.

    The ratings stay in their order, so that a split holds out the same ones.
    """
    order = generator(seed, "shuffled source").permutation(pair.source.n_users)
    users = order[pair.source.users].astype(np.int32)
    source = replace(pair.source, users=users)
    return replace(pair, name=pair.name + SUFFIX, source=source)


def prepare_shuffled(pair: DomainPair, data: Path) -> None:
    """Save the shuffled pair among the prepared ones, unless it is there already."""
    shuffled = shuffle_source(pair)
    path = store.pair_file(data, shuffled.name)
    if not path.is_file() or store.provenance(path).get("of") != pair.digest:
        store.save(shuffled, path, {"of": pair.digest})
