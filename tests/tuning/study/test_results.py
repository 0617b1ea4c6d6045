from darec.tuning.study.results import at_edge
from search_spaces import SPACES


def test_edges_are_named():
    space = dict(SPACES["i_darec"].space)
    config = {"extractor": 50, "beta": 0.01, "mu": 1e4, "lambda_": 1.0, "learning_rate": 0.00010001}
    assert at_edge(space, config) == ["extractor", "mu", "learning_rate"]
