"""What is held out has a name, words and options of its own."""

from itertools import product

import pytest

from darec.api.checks import holdout_of
from darec.data.holdout import Holdout

ALL = [
    *(Holdout(train, None, kind) for train in (90, 80) for kind in ("random", "temporal")),
    *(Holdout(train, None, "user-temporal") for train in (90, 80)),
    Holdout(split="file"),
    *(Holdout(cold_users=share) for share in (20, 50, 80)),
]


def test_labels_and_words():
    labels = [each.label("p") for each in ALL]
    assert labels == [
        "p-90",
        "p-90-temporal",
        "p-80",
        "p-80-temporal",
        "p-90-user-temporal",
        "p-80-user-temporal",
        "p-file",
        "p-cold20",
        "p-cold50",
        "p-cold80",
    ]
    words = [each.in_words for each in ALL]
    assert len(set(words)) == len(ALL) and words[2] == "80 % training"
    assert words[1] == "90 % training, tested on the last ratings"
    assert words[-2] == "50 % of the users cold"


@pytest.mark.parametrize("holdout", ALL, ids=[each.label("p") for each in ALL])
def test_the_options_of_a_split_ask_for_it(holdout):
    words = holdout.options.split()
    given = dict(zip(words[::2], words[1::2], strict=True))
    numbers = {name: int(given[f"--{name.replace('_', '-')}"]) for name in ("train", "cold_share")
               if f"--{name.replace('_', '-')}" in given}  # fmt: skip
    others = {name: given[f"--{name}"] for name in ("task", "split") if f"--{name}" in given}
    assert holdout_of(**numbers, **others) == holdout


def test_rules_that_exclude_each_other_are_refused():
    for cold, kind in product((20, 50), ("temporal", "user-temporal", "file")):
        with pytest.raises(ValueError, match="split must be random for cold users, but got"):
            Holdout(90, cold, kind)
    with pytest.raises(ValueError, match=r"split must be one of random, .*, but got 'time'"):
        Holdout(split="time")


def test_one_split_for_all_seeds():
    assert [each.label("p") for each in ALL if each.same_for_all_seeds] == [
        "p-90-temporal",
        "p-80-temporal",
        "p-90-user-temporal",
        "p-80-user-temporal",
        "p-file",
    ]
