"""Ratings in which items come as twins: the next item has nearly the same raters."""

import numpy as np

from darec.data.ratings import Ratings

TWO_LEVELS, FIVE_LEVELS = [4.0, 5.0], [1.0, 2.0, 3.0, 4.0, 5.0]


def with_twins(rng, levels, copied, n_users=200, n_items=40):
    """Return ratings whose items 2k and 2k + 1 are twins, drawn from `levels`.

    Each user has a favourite level, which is half of the ratings. Twins have 90 % of their raters
    in common, and a share `copied` of the common ratings are made equal.
    """
    rated = rng.random((n_items, n_users)) < 0.15
    rated[1::2] = rated[::2] & (rng.random(rated[::2].shape) < 0.9)
    stars = rng.choice(levels, rated.shape)
    favours = rng.random(rated.shape) < 0.5
    stars = np.where(favours, rng.choice(levels, n_users), stars)
    stars[1::2] = np.where(rng.random(stars[::2].shape) < copied, stars[::2], stars[1::2])
    items, users = np.nonzero(rated)
    return made(users, items, stars[rated], n_users, n_items)


def made(users, items, stars, n_users, n_items):
    """Return `Ratings` of any arrays or lists."""
    users, items = np.asarray(users, np.int32), np.asarray(items, np.int32)
    return Ratings(users, items, np.asarray(stars, np.float32), n_users, n_items)
