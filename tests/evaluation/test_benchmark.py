import pytest

from darec.core.recommender import Run
from darec.evaluation.benchmark import DenseAutoRec, autorec_epoch
from darec.models.autorec import AutoRec, AutoRecConfig


@pytest.mark.parametrize("axis", ["user", "item"])
def test_the_timed_reference_trains_exactly_what_the_sparse_core_trains(tiny_pair, axis):
    config = AutoRecConfig(axis, hidden=20, alpha=0.05, learning_rate=0.01, batch_size=32)
    sparse = AutoRec(config, tiny_pair.target, Run())
    dense = DenseAutoRec(sparse, tiny_pair.target)
    for _ in range(10):
        ours, theirs = sparse.train_epoch()["loss_rating_target"], dense.train_epoch()
        assert ours == pytest.approx(theirs, rel=1e-3)


def test_a_figure_is_a_ratio_of_one_run(tiny_pair):
    figure = autorec_epoch(tiny_pair.target, "item", repeats=1)
    assert figure.name == "autorec_epoch_item" and figure.unit == "s"
    assert figure.ratio == pytest.approx(figure.reference / figure.value)
