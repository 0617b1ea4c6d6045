import numpy as np
import pytest
from scipy import stats

from darec.report.analysis.effects import cold_user_errors
from darec.report.analysis.statistics import holm, paired_p, surely_best
from darec.report.matrix.cells import Budget, Cell
from darec.report.matrix.results import Results
from tests.report.made import scored


def test_holm_by_hand():
    """Of (0.01, 0.04, 0.03): 3 x 0.01, then 2 x 0.03, then the larger of 0.06 and 0.04."""
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0] and holm([]) == []


def test_a_paired_test_is_scipys_with_a_standard_error_for_splits_that_share_ratings():
    """Four splits at 90 %: a variance of (1/4 + 10/81) of one split's, not of 1/4."""
    first, second = [1.0, 1.1, 1.3, 0.9], [1.2, 1.15, 1.35, 1.0]
    gaps = np.subtract(first, second)
    t = gaps.mean() / (gaps.std(ddof=1) * np.sqrt(1 / 4 + 10 / 81))
    assert paired_p(first, second) == pytest.approx(2 * stats.t.sf(abs(t), 3))
    assert paired_p(first, second, 80) > paired_p(first, second)
    assert paired_p(first, second) > stats.ttest_rel(first, second).pvalue
    t = gaps.mean() / (gaps.std(ddof=1) * np.sqrt(1 / 4 + 50 / 40))
    assert paired_p(first, second, 90, 50) == pytest.approx(2 * stats.t.sf(abs(t), 3))


def test_equal_errors_differ_in_nothing():
    first = [1.0, 1.1, 1.3, 0.9]
    assert paired_p(first, first) == 1.0 and paired_p([1.0], [2.0]) == 1.0
    assert paired_p([0.5, 1.5], [1.0, 2.0]) == 0.0  # the same gap in every split
    barely = [value + 1e-6 for value in first]
    assert paired_p(barely, first) == 1.0  # alike in every digit that is printed


def test_widened_tests_find_a_difference_by_chance_as_often_as_they_say():
    """Gaps of n splits with the correlation of shared ratings, and no true difference."""
    draw, n, share = np.random.default_rng(1), 10, 10 / 81
    rho = share / (1 + share)
    rounds = 4000
    common = np.sqrt(rho) * draw.normal(size=(rounds, 1))
    gaps = common + np.sqrt(1 - rho) * draw.normal(size=(rounds, n))
    zero = np.zeros(n)
    ours = np.mean([paired_p(row, zero) < 0.05 for row in gaps])
    plain = np.mean(stats.ttest_1samp(gaps, 0, axis=1).pvalue < 0.05)
    assert ours == pytest.approx(0.05, abs=0.02) and plain > 0.1


def test_best_is_said_only_where_it_is_sure():
    draw = np.random.default_rng(0)
    base = draw.normal(1.0, 0.05, 6)  # splits differ more than models do
    errors = {"a": base, "b": base + draw.normal(0.02, 0.002, 6), "c": base + 0.1}
    assert surely_best(errors) == "a"
    assert surely_best({name: values[:4] for name, values in errors.items()}) is None
    close = {**errors, "d": base + np.array([1, -1, 2, -3, 1, -1]) / 100}
    assert surely_best(close) is None
    assert surely_best({"a": base}) is None


def test_cold_users_have_p_values_from_five_seeds_on(tmp_path):
    cell = Cell("toys_auto", 90, "u_darec", True, cold_users=20)
    scored(cell, tmp_path, [1.0, 1.1, 0.9, 1.05, 0.95])
    found = Results(tmp_path, Budget(8, 2, 3, seeds=5), {}).scores(cell)
    tested, untested = cold_user_errors(found), cold_user_errors(found[:4])
    assert tested.p_shuffled is not None and tested.p_hierarchical is not None
    assert untested.p_shuffled is None and untested.p_hierarchical is None
