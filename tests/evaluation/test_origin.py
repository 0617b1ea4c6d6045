from dataclasses import replace

import pytest

from darec.evaluation import origin as module
from darec.evaluation.origin import by_origin, mixture, this_origin
from darec.evaluation.summary import mixed, title
from darec.models import MODELS
from darec.provenance import code_digest, revision, versions
from tests.evaluation.made import HERE, ON_A_GPU, OTHER_CODE, OTHER_LIBRARY, run_of, score_of


def test_an_origin_is_what_this_process_runs():
    here = this_origin(MODELS["i_darec"], "cpu")
    assert (here.revision, here.code_digest) == (revision(), code_digest())
    assert here.versions == versions() and here.device == "cpu"


def test_the_gpu_is_named_unless_the_model_never_uses_it(monkeypatch):
    monkeypatch.setattr(module.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(module.torch.cuda, "get_device_name", lambda: "NVIDIA H100")
    assert this_origin(MODELS["i_darec"], "cuda").device == "cuda (NVIDIA H100)"
    assert this_origin(MODELS["bias"], "cuda").device == "cpu"


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (replace(HERE, revision="another"), []),
        (replace(HERE, versions={**HERE.versions, "more": "1"}), []),
        (OTHER_CODE, ["other code"]),
        (OTHER_LIBRARY, [f"numpy 1.0 instead of {versions()['numpy']}"]),
        (ON_A_GPU, ["cuda (NVIDIA H100) instead of cpu"]),
    ],
)
def test_what_can_change_a_number_is_a_difference(other, words):
    assert other.differences(HERE) == words


def test_one_gpu_counts_as_another():
    assert replace(HERE, device="cuda").differences(ON_A_GPU) == []


def test_scores_of_one_origin_are_no_mixture():
    scores = [*run_of(0), *run_of(1, origin=replace(HERE, revision="another"))]
    assert len(by_origin(scores)) == 1 and mixture(scores) == mixed(scores) == ""
    assert title(scores) == "bias on tiny, 90 % training, 2 seeds"


@pytest.mark.parametrize("other", [OTHER_CODE, OTHER_LIBRARY, ON_A_GPU])
def test_a_mean_over_scores_of_several_origins_says_so(other):
    scores = [*run_of(0, origin=other), *run_of(1), *run_of(2)]
    assert title(scores).endswith(", 3 seeds (MIXED: scores of 2 origins)")
    told = mixture(scores)
    assert told.startswith("9 scores mix different code, libraries or devices: 3 (revision ")
    assert f"6 ({HERE.shown()})" in told and "\n" not in told
    if other is OTHER_LIBRARY:
        assert f"numpy 1.0 instead of {versions()['numpy']}" in told


def test_an_origin_lacks_no_library():
    with pytest.raises(ValueError, match="versions must have a release of numba, but has none"):
        score_of(origin=replace(HERE, versions={"python": "3.11"}))
