"""Train on the past and test on what came later, over all ratings or user by user.

The source is cut as well: its ratings after the last training rating of the target are left out,
since they would not be known at that time. User by user, it is the user's own last training rating.
Ratings with equal times are put in a random order; the seed decides nothing else.
Shapes: N ratings, H ratings of a part, U users.
"""

import numpy as np
import numpy.typing as npt

from darec.data.ratings import BoolArray, Domain, DomainPair, Parts, Ratings
from darec.errors import UserError
from darec.seeds import generator

Times = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int64]
LEAST_DATE = 1e8
"""Times above are seconds since 1970 (this one is of 1973); others have an order alone."""


def parts_in_time(
    pair: DomainPair, both_U: BoolArray, train: int, seed: int, by_user: bool
) -> tuple[Parts, Parts]:
    """Return the parts of the source and of the target, both divided in time.

    The last 10 or 20 % are test ratings, and the last tenth of the rest validation ratings. With
    ``by_user`` these are shares of each user's ratings, and at least one rating each, as long as
    one is left to train on. Ratings of users of one domain are never held out; they train unless
    they are later than the last training rating.
    Raises `UserError` when a part would be empty.
    """
    times_S, times_T = pair.source_marks.times, pair.target_marks.times
    assert times_S is not None and times_T is not None  # `Holdout.check` has seen to it
    _check_units(times_S, times_T)
    divide = _by_user if by_user else _over_all
    never_U = np.full(len(both_U), np.inf)
    target, end_U = divide(pair.target, times_T, both_U, never_U, train, seed, "target")
    source, _ = divide(pair.source, times_S, both_U, end_U, train, seed, "source")
    return source, target


def _over_all(
    ratings: Ratings,
    times_N: Times,
    both_U: BoolArray,
    until_U: Times,
    train: int,
    seed: int,
    domain: Domain,
) -> tuple[Parts, Times]:
    """Return the parts, and the time of the last training rating, f64[U], the same for all users.

    Ratings after ``until_U`` are left out.
    """
    known_N = times_N <= until_U[ratings.users]
    held = _in_time(np.flatnonzero(known_N & both_U[ratings.users]), times_N, seed, domain)
    n_test = round(len(held) * (100 - train) / 100)
    n_valid = round((len(held) - n_test) / 10)
    _check(n_test, n_valid, len(held), domain)
    rest, valid, test = np.split(held, [len(held) - n_test - n_valid, len(held) - n_test])
    end = times_N[rest[-1]]
    always = np.flatnonzero(known_N & ~both_U[ratings.users] & (times_N <= end))
    return _taken(ratings, rest, always, valid, test), np.full(len(both_U), end)


def _by_user(
    ratings: Ratings,
    times_N: Times,
    both_U: BoolArray,
    until_U: Times,
    train: int,
    seed: int,
    domain: Domain,
) -> tuple[Parts, Times]:
    """Return the parts, and the time of each user's last training rating, f64[U].

    That time is infinite for users who have no rating held out.
    """
    known_N = times_N <= until_U[ratings.users]
    held = _in_time(np.flatnonzero(known_N & both_U[ratings.users]), times_N, seed, domain)
    held = held[np.argsort(ratings.users[held], kind="stable")]
    users_H = ratings.users[held]
    n_U = np.bincount(users_H, minlength=len(both_U))
    n_test_U = _share(n_U, (100 - train) / 100)
    n_valid_U = _share(n_U - n_test_U, 0.1)
    _check(int(n_test_U.sum()), int(n_valid_U.sum()), len(held), domain)
    behind_H = (np.cumsum(n_U) - 1)[users_H] - np.arange(len(held))  # later ratings of the user
    is_test_H = behind_H < n_test_U[users_H]
    is_valid_H = ~is_test_H & (behind_H < (n_test_U + n_valid_U)[users_H])
    rest = held[~(is_test_H | is_valid_H)]
    end_U = np.full(len(both_U), np.inf)
    end_U[ratings.users[rest]] = times_N[rest]  # the user's last one stays
    end_U[n_test_U + n_valid_U == 0] = np.inf
    always = np.flatnonzero(known_N & ~both_U[ratings.users])
    return _taken(ratings, rest, always, held[is_valid_H], held[is_test_H]), end_U


def _share(n_U: Positions, share: float) -> Positions:
    """Return how many ratings of each user to hold out: at least one, but none of an only one."""
    rounded = np.maximum(1, np.rint(n_U * share).astype(np.int64))
    return np.where(n_U > 1, rounded, 0)


def _in_time(positions: Positions, times_N: Times, seed: int, domain: Domain) -> Positions:
    """Return positions with the oldest rating first; the seed settles the order of equal times."""
    shuffled = positions[generator(seed, "split", domain, "ties").permutation(len(positions))]
    return shuffled[np.argsort(times_N[shuffled], kind="stable")]


def _check_units(times_S: Times, times_T: Times) -> None:
    """Raise `UserError` if the times of one domain are dates and those of the other are not."""
    if (np.median(times_S) > LEAST_DATE) != (np.median(times_T) > LEAST_DATE):
        ranges = [f"{times.min():g} to {times.max():g}" for times in (times_S, times_T)]
        message = f"source {ranges[0]}, target {ranges[1]}"
        raise UserError(f"times of both domains must have one unit, but they are {message}")


def _check(n_test: int, n_valid: int, n: int, domain: Domain) -> None:
    if min(n_test, n_valid) < 1:
        since = " from before the end of the target's training ratings" * (domain == "source")
        raise UserError(f"{domain}: {n} ratings{since} are too few for train, valid and test")


def _taken(
    ratings: Ratings, rest: Positions, always: Positions, valid: Positions, test: Positions
) -> Parts:
    training = ratings.take(np.sort(np.concatenate([rest, always])))
    return training, ratings.take(valid), ratings.take(test)
