from darec.tuning.cluster.gpu_memory import EPOCHS
from darec.tuning.study.request import largest_trial, middle_trial
from tests.tuning.common import request_for


def test_darecs_largest_trial_trains_the_largest_stage_1(tiny_pair, tmp_path):
    values = largest_trial(request_for("u_darec", tiny_pair, tmp_path), EPOCHS)
    assert values["autorec"]["hidden"] == 24 and values["autorec"]["epochs"] == EPOCHS
    assert (values["extractor"], values["pyramid"], values["batch_size"]) == (500, 2.0, 256)
    assert (values["learning_rate"], values["mu"]) == (1e-5, 1e-4)


def test_a_typical_trial_trains_no_first_stage(tiny_pair, tmp_path):
    values = middle_trial(request_for("u_darec", tiny_pair, tmp_path))
    assert values["autorec"]["hidden"] == 20 and values["autorec"]["epochs"] == 0
