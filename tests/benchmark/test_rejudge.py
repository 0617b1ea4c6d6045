"""The winner of a search is chosen in several ways and scored on the test ratings."""

import pytest

from darec.benchmark.rejudge import FIRST, WAYS, Searched, Way, rejudge
from darec.benchmark.sequential import Sequential, Trial
from darec.core.bias import Bias
from darec.core.cold import ColdRule
from darec.data.split import split
from darec.evaluation.evaluate import rmse_on_test
from search_spaces import SPACES


def searched(pair, rmses):
    """Return a made search whose configurations are numbers."""
    task = Sequential("bias", SPACES["bias"], split(pair).search, epochs=1)
    trials = [Trial({"user_reg": n}, rmse, 1.0) for n, rmse in enumerate(rmses)]
    return Searched(task, pair, 0, trials)


def test_the_best_of_the_first_judgement_are_judged_again(tiny_pair, monkeypatch):
    again = {0: [0.5, 3.0], 1: [1.0, 1.1], 2: [0.1, 0.1], 3: [1.0, 1.0]}
    divisions = []

    def train(task, drawn):
        if task.data not in divisions:
            divisions.append(task.data)
        return Trial(drawn, again[drawn["user_reg"]][divisions.index(task.data)], 1.0)

    monkeypatch.setattr(Sequential, "train", train)
    each = searched(tiny_pair, [1.0, 1.2, 1.5, 1.3, 0.9])
    chosen = [
        each._winner(way, trials).drawn["user_reg"]
        for way, trials in (
            (FIRST, 4),
            (FIRST, 5),
            (Way("one division", configs=3, divisions=1), 4),
            (Way("two divisions", configs=3, divisions=2), 4),
        )
    ]
    assert chosen == [0, 4, 0, 3]
    ours = each.task.data
    assert len(divisions) == 2
    for data in divisions:
        assert len(data.valid) == len(ours.valid)
        assert sorted(data.training.target.join(data.valid).values) == sorted(
            ours.training.target.join(ours.valid).values
        )


def test_the_test_rmse_is_that_of_the_cold_policy(tiny_pair):
    parts = split(tiny_pair)
    training, test = parts.search.training, parts.test
    bias = Bias.fit(training.target)

    class Biases:
        predict = staticmethod(bias.predict)

    expected = ColdRule(training).rmse(bias.predict(test.users, test.items), test, "hierarchical")
    assert rmse_on_test(Biases, parts) == expected


def test_a_gap_is_to_the_lowest_test_rmse_of_all_ways(tiny_pair, monkeypatch):
    scores = {way.name: [1.0, 1.5] for way in WAYS}
    scores["best_5_on_4"], scores[FIRST.name] = [0.9, 1.5], [1.1, 1.6]
    monkeypatch.setattr(Searched, "test_rmse", lambda own, way, _: scores[way.name][own.seed])
    figures = {f.name: f for f in rejudge("bias", SPACES["bias"], tiny_pair, 2, 2, 1)}
    assert len(figures) == 2 * len(WAYS)
    assert figures["bias_first"].value == pytest.approx(0.15)
    assert figures["bias_8_more"].value == pytest.approx(0.05)
    assert figures["bias_8_more"].reference == pytest.approx(0.15)
    assert figures["bias_8_more"].ratio == pytest.approx(3)
    assert figures["bias_best_5_on_4"].value == 0
    assert figures["bias_first_sd"].value == pytest.approx(0.05 * 2**0.5)
    assert figures["bias_8_more_sd"].value == pytest.approx(0.05 * 2**0.5)
    assert figures["bias_best_5_on_4_sd"].value == 0


def test_a_second_judgement_is_compared_with_as_many_more_trials():
    judged_again = {way.configs * way.divisions for way in WAYS if way.divisions}
    assert judged_again == {way.more_trials for way in WAYS if way.more_trials}
