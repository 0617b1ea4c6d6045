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
    """Return the data of random users, and which share of the target's training ratings they have.

    They have about ``most`` of these ratings, or all if there are no more. Users and items are
    numbered anew, and items that none of them rated are left out.
    """
    training = data.training
    if len(training.target) <= most:
        return data, 1.0
    n_users = training.target.n_users
    n_kept = max(1, round(n_users * most / len(training.target)))
    users = np.sort(generator(0, "some users").permutation(n_users)[:n_kept])
    source, valid_source = _of_users(users, training.source, data.valid_source)
    target, valid = _of_users(users, training.target, data.valid)
    sample = replace(
        data, training=Training(source, target), valid=valid, valid_source=valid_source
    )
    return sample, len(target) / len(training.target)


def _of_users(users: npt.NDArray[np.int64], *parts: Ratings) -> list[Ratings]:
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
