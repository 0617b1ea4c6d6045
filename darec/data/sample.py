"""A small sample of a pair's data, on which a large pair's training can be timed.

Shapes: N ratings, U users, I items.
"""

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from darec.data.ratings import Ratings
from darec.data.split import SearchData, Training
from darec.seeds import generator


def some_users(data: SearchData, most: int) -> tuple[SearchData, float]:
    """Return the data of random users, and which share of all training ratings they have.

    They have about ``most`` training ratings of the larger domain, or more if there would be no
    training or validation ratings in a domain. Users and items are numbered anew, and items that
    none of them rated are left out.
    """
    training, sample = data.training, data
    n_users = training.target.n_users
    n_kept = round(n_users * most / max(len(training.source), len(training.target)))
    order = generator(0, "some users").permutation(n_users)
    while (n_kept := max(1, n_kept)) < n_users:
        sample = _of_users(data, np.sort(order[:n_kept]))
        parts = sample.training.source, sample.training.target, sample.valid, sample.valid_source
        if all(map(len, parts)):
            break
        n_kept, sample = 4 * n_kept, data
    n_ratings = [len(each.source) + len(each.target) for each in (sample.training, training)]
    return sample, n_ratings[0] / n_ratings[1]


def _of_users(data: SearchData, users: npt.NDArray[np.int64]) -> SearchData:
    """Return the data of some users."""
    source, valid_source = _renumbered(users, data.training.source, data.valid_source)
    target, valid = _renumbered(users, data.training.target, data.valid)
    training = Training(source, target)
    return replace(data, training=training, valid=valid, valid_source=valid_source)


def _renumbered(users: npt.NDArray[np.int64], *parts: Ratings) -> list[Ratings]:
    """Return the ratings of some users in each part of a domain, with the same new numbers."""
    new_U = np.full(parts[0].n_users, -1, np.int32)
    new_U[users] = np.arange(len(users), dtype=np.int32)
    kept = [part.take(new_U[part.users] >= 0) for part in parts]
    items = np.unique(np.concatenate([part.items for part in kept]))
    new_I = np.full(parts[0].n_items, -1, np.int32)
    new_I[items] = np.arange(len(items), dtype=np.int32)
    return [
        replace(
            part,
            users=new_U[part.users],
            items=new_I[part.items],
            n_users=len(users),
            n_items=len(items),
        )
        for part in kept
    ]
