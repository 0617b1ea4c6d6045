"""The control of every claim of transfer: the same source ratings, of other users."""

from dataclasses import replace

import numpy as np

from darec.data.ratings import DomainPair
from darec.seeds import generator

SUFFIX = "-shuffled"


def shuffle_source(pair: DomainPair, seed: int = 0) -> DomainPair:
    """Return the pair with its source's users permuted, under its name with `SUFFIX`.

    Ratings keep their positions, so that a split holds out the same ones.
    """
    order = generator(seed, "shuffled source").permutation(pair.source.n_users)
    users = order[pair.source.users].astype(np.int32)
    source = replace(pair.source, users=users)
    return replace(pair, name=pair.name + SUFFIX, source=source)
