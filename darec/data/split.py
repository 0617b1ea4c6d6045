"""Divide a pair into training, validation and test ratings, for one of two tasks.

In the warm task single ratings are held out (section 4.1 and docs/splits.md), in the cold-user task
all target ratings of some users (docs/cold_users.md). A search receives `SearchData`, which has no
test ratings.
Shapes: N ratings, U users.
"""

from dataclasses import dataclass, replace

import numpy as np

from darec.data.holdout import IN_TIME, ColdPercent, Holdout
from darec.data.ratings import BoolArray, Domain, DomainPair, Parts, Ratings
from darec.data.split_file import parts_of_file
from darec.data.temporal import parts_in_time
from darec.errors import UserError
from darec.seeds import generator

VALID_USERS = 0.2
"""Share of the users, test users left out, who are validation users. A tenth, as the paper takes of
the ratings, would be too few users to tell configurations apart: of 1628 users, 80 % of them test
users, it is 33 instead of 65."""
MORE = "prepare the pair from more ratings, or with a lower --min-ratings"
"""What helps where a part of a split would be empty."""
PAPER = Holdout()
"""The paper's protocol."""


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
    cold_users: ColdPercent | None = None
    """Percent of the users who are test users of the cold-user task; None: the warm task."""

    @property
    def answered_U(self) -> BoolArray | None:
        """Return `answered_users` of the training ratings."""
        return answered_users(self.training, self.cold_users)

    def swapped(self) -> "SearchData":
        """Return the warm data with source and target exchanged, for the source's stage 1."""
        return SearchData(self.training.swapped(), self.valid_source, valid_source=self.valid)

    def reshuffled(self, seed: int) -> "SearchData":
        """Return another division of the same ratings into training and validation ratings.

        The number of validation ratings or users stays the same. The warm task draws validation
        ratings in each domain, of users who have ratings in both. The cold-user task draws
        validation users, and leaves the source as it is.
        Only for a random split: in other splits, validation ratings are not drawn at random.
        """
        target, source = self.training.target, self.training.source
        all_target, all_source = target.join(self.valid), source.join(self.valid_source)
        both_U = (all_target.user_counts > 0) & (all_source.user_counts > 0)
        if self.cold_users is not None:
            n_users = int((self.valid.user_counts > 0).sum())
            users = generator(seed, "users").permutation(np.flatnonzero(both_U))[:n_users]
            held_N = np.isin(all_target.users, users)
            training = Training(source, all_target.take(~held_N))
            return replace(self, training=training, valid=all_target.take(held_N))
        parts = {}
        for name, ratings, n_valid in (
            ("target", all_target, len(self.valid)),
            ("source", all_source, len(self.valid_source)),
        ):
            eligible = np.flatnonzero(both_U[ratings.users])
            held_N = np.zeros(len(ratings), bool)
            held_N[generator(seed, name).permutation(eligible)[:n_valid]] = True
            parts[name] = ratings.take(~held_N), ratings.take(held_N)
        training = Training(parts["source"][0], parts["target"][0])
        return SearchData(training, parts["target"][1], parts["source"][1])

    def of_stage1(self, seed: int) -> "SearchData":
        """Return the data of a first stage's studies, which know one domain each.

        A model of the target alone can tell nothing about cold users. In the cold-user task a tenth
        of the training users' target ratings validates it instead, as in the warm task.
        """
        if self.cold_users is None:
            return self
        ratings = self.training.target
        order = generator(seed, "split", "stage 1", "target").permutation(len(ratings))
        n_valid = round(len(ratings) / 10)
        valid, rest = ratings.take(order[:n_valid]), ratings.take(order[n_valid:])
        return SearchData(replace(self.training, target=rest), valid, self.valid_source)


@dataclass(frozen=True, eq=False)
class Split:
    """A pair divided by a seed; only `darec.evaluation` reads ``test`` and ``test_source``."""

    search: SearchData
    test: Ratings
    test_source: Ratings
    seed: int

    @property
    def cold_users(self) -> ColdPercent | None:
        """Percent of the users who are test users of the cold-user task; None: the warm task."""
        return self.search.cold_users

    def final(self) -> Training:
        """Return training and validation ratings as one, for a refit (docs/paper.md, reading 8)."""
        return Training(
            source=self.search.training.source.join(self.search.valid_source),
            target=self.search.training.target.join(self.search.valid),
        )


def split(pair: DomainPair, holdout: Holdout = PAPER, seed: int = 0) -> Split:
    """Divide a pair for the warm task, or for the cold-user task.

    Warm: a random 10 % (``train=90``) or 20 % (``train=80``) of each domain's ratings are test
    ratings, and a tenth of the rest validation ratings (section 4.1). With another ``split`` than
    ``random`` the time of the ratings says which ones (`parts_in_time`), or the pair's split file.
    Where the file does not name the source's ratings, they are divided at random.

    Cold users: this percentage of the users are test users, and a fifth of the others validation
    users (`VALID_USERS`). All of their target ratings are test or validation ratings, and no
    others. The source is divided as in the warm task.

    Only users who have ratings in both domains are held out, or have ratings held out, unless a
    split file says otherwise. Each domain has a random stream of its own, and so has the choice of
    cold users.
    Raises `UserError` when the pair lacks times or a split file, or a part would be empty.
    """
    holdout.check(pair)
    both_U, train = in_both_domains(pair), holdout.train
    if holdout.split in IN_TIME:
        by_user = holdout.split == "user-temporal"
        source, target = parts_in_time(pair, both_U, train, seed, by_user)
        return joined(source, target, seed)
    if holdout.split == "file" and pair.source_marks.parts is not None:
        source = parts_of_file(pair.source, pair.source_marks)
    else:
        source = _parts(pair.source, both_U, train, seed, "source")
    return joined(source, target_parts(pair, holdout, seed), seed, holdout.cold_users)


def target_parts(pair: DomainPair, holdout: Holdout, seed: int = 0) -> Parts:
    """Return the target's training, validation and test ratings of `split`.

    Raises as it does, but not for too few ratings in the source.
    """
    holdout.check(pair)
    both_U = in_both_domains(pair)
    if holdout.split in IN_TIME:
        by_user = holdout.split == "user-temporal"
        return parts_in_time(pair, both_U, holdout.train, seed, by_user)[1]
    if holdout.split == "file":
        return parts_of_file(pair.target, pair.target_marks)
    if holdout.cold_users is None:
        return _parts(pair.target, both_U, holdout.train, seed, "target")
    return _parts_by_user(pair.target, both_U, holdout.cold_users, seed)


def joined(source: Parts, target: Parts, seed: int, cold_users: ColdPercent | None = None) -> Split:
    """Return the parts of both domains as one split."""
    (training_S, valid_S, test_S), (training_T, valid_T, test_T) = source, target
    search = SearchData(Training(training_S, training_T), valid_T, valid_S, cold_users)
    return Split(search, test=test_T, test_source=test_S, seed=seed)


def in_both_domains(pair: DomainPair) -> BoolArray:
    """Return which users have ratings in both domains, bool[U]."""
    both_U: BoolArray = (pair.source.user_counts > 0) & (pair.target.user_counts > 0)
    return both_U


def answered_users(training: Training, cold_users: ColdPercent | None) -> BoolArray | None:
    """Return which users a model predicts by itself even without target ratings, bool[U].

    In the cold-user task these are the users with source ratings. None in the warm task, where
    the cold policy predicts all users without target ratings.
    """
    return None if cold_users is None else training.source.user_counts > 0


def _parts(ratings: Ratings, both_U: BoolArray, train: int, seed: int, domain: str) -> Parts:
    """Return the training, validation and test ratings of the warm task."""
    eligible = np.flatnonzero(both_U[ratings.users])
    n_test = round(len(eligible) * (100 - train) / 100)
    n_valid = round((len(eligible) - n_test) / 10)
    if min(n_test, n_valid) < 1:
        message = f"{len(eligible)} {domain} ratings of users of both domains are too few"
        raise UserError(f"{message} to divide into training, validation and test; {MORE}")
    order = eligible[generator(seed, "split", domain).permutation(len(eligible))]
    test, valid, rest = order[:n_test], order[n_test : n_test + n_valid], order[n_test + n_valid :]
    always = np.flatnonzero(~both_U[ratings.users])
    training = ratings.take(np.concatenate([rest, always]))
    return training, ratings.take(valid), ratings.take(test)


def _parts_by_user(ratings: Ratings, both_U: BoolArray, cold_users: int, seed: int) -> Parts:
    """Return the target's training, validation and test ratings of the cold-user task."""
    eligible = np.flatnonzero(both_U)
    n_test = round(len(eligible) * cold_users / 100)
    n_valid = round((len(eligible) - n_test) * VALID_USERS)
    if min(n_test, n_valid) < 1:
        message = f"{len(eligible)} users of both domains are too few"
        raise UserError(f"{message} to divide into training, validation and test; {MORE}")
    order = generator(seed, "split", "cold users").permutation(eligible)
    part_U = np.zeros(len(both_U), np.int8)
    part_U[order[:n_test]], part_U[order[n_test : n_test + n_valid]] = 2, 1
    part_N = part_U[ratings.users]
    return ratings.take(part_N == 0), ratings.take(part_N == 1), ratings.take(part_N == 2)
