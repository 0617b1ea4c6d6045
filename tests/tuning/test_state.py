from types import SimpleNamespace

from ray.tune.experiment.trial import Trial
from ray.tune.schedulers import FIFOScheduler

from darec.tuning.state import StudyState


def failed(error, tmp_path, **share):
    """A trial that Tune is about to start again."""
    told = SimpleNamespace(trial_id="a", error_file=str(tmp_path / "error.txt"), shares=[])
    (tmp_path / "error.txt").write_text(f"Failure # 1\nTraceback:\n  in a line\n{error}\n")
    told.placement_group_factory = SimpleNamespace(required_resources=share)
    told.update_resources = told.shares.append
    return told


def test_a_trial_that_ran_out_of_gpu_memory_gets_twice_the_share(tmp_path):
    assert callable(Trial.update_resources)
    state = StudyState(FIFOScheduler())
    error = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB."
    for share, wanted in ((0.25, 0.5), (0.6, 1.0)):
        trial = failed(error, tmp_path, CPU=1.0, GPU=share)
        state.on_trial_recover(0, [], trial)
        assert trial.shares == [{"cpu": 1.0, "gpu": wanted}]
    assert state.failures["a"] == [error] * 2


def test_other_failures_and_whole_gpus_change_no_share(tmp_path):
    state = StudyState(FIFOScheduler())
    for error, share in (("ValueError: no", 0.25), ("torch.OutOfMemoryError: CUDA", 1.0)):
        trial = failed(error, tmp_path, CPU=1.0, GPU=share)
        state.on_trial_recover(0, [], trial)
        assert not trial.shares
    again = StudyState(FIFOScheduler())
    again.set_state(state.get_state())
    assert again.failures == {"a": ["ValueError: no", "torch.OutOfMemoryError: CUDA"]}
