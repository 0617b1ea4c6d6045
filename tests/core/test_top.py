import numpy as np
import pytest

from darec.core.top import highest


@pytest.mark.parametrize("n_items", [3, 10, 11, 200])
@pytest.mark.parametrize("decimals", [0, 1, 6])
def test_the_highest_are_those_of_a_stable_sort(n_items, decimals):
    """Rounded scores are often equal, as 0.0 and -0.0 are: then the first position is higher."""
    rng = np.random.default_rng(n_items)
    scores = np.round(rng.normal(size=(50, n_items)), decimals).astype(np.float32)
    scores[rng.random(scores.shape) < 0.3] = -np.inf
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    expected_scores = np.take_along_axis(scores, expected, 1)
    for given in (scores, scores.astype(np.float64)):
        picked, found = highest(given, 10)
        assert (found == expected_scores).all()
        assert (picked == np.where(expected_scores == -np.inf, -1, expected)).all()
