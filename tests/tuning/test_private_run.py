"""Assumptions of `darec.tuning.private` that only a run of Tune shows."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import ray
from optuna.distributions import FloatDistribution
from pyarrow.fs import LocalFileSystem
from ray import tune
from ray.tune.schedulers import ASHAScheduler
from ray.tune.search.optuna import OptunaSearch

from darec.tuning import private
from darec.tuning.durability.scheduler_state import Resumable, SchedulerState
from darec.tuning.failures import last_error_of
from darec.tuning.study.progress import StudyProgress
from darec.tuning.study.searcher import Limiter
from darec.tuning.trial.names import TIME
from tests.tuning.assumptions import Tiny, relied_on_by


class WithEpochs(Tiny):
    """Reports what `Resumable` takes as a trial's time."""

    def step(self):
        return {**super().step(), TIME: self.iteration + 1}


class Looks(tune.Callback):
    """Notes what private.py reads of running trials; of the class, since Tune pickles callbacks."""

    places, shares, errors, counts = [], [], [], []

    def on_trial_result(self, iteration, trials, trial, result, **info):
        self.places.append(private.snapshot_place(trial))
        self.shares.append(private.share_of(trial))

    def on_trial_error(self, iteration, trials, trial, **info):
        self.errors.append(last_error_of(trial))
        self.counts.append(private.failures_counted(trial))


@pytest.fixture(scope="module")
def ran(cluster, tmp_path_factory):
    """A search of four tiny trials, of which one fails: its folder, its trials and its callback."""
    folder, looks = tmp_path_factory.mktemp("out"), Looks()
    scheduler = Resumable(ASHAScheduler(grace_period=10))  # it stops no trial of two steps
    points = [{"x": x} for x in (0.5, -1.0, 0.25, 0.75)]
    space = {"x": FloatDistribution(-1, 1)}
    search = OptunaSearch(space, metric="loss", mode="min", points_to_evaluate=points)
    tuner = tune.Tuner(
        tune.with_resources(WithEpochs, {"cpu": 1}),
        tune_config=tune.TuneConfig(
            metric="loss",
            mode="min",
            search_alg=Limiter(search, 1),
            scheduler=scheduler,
            num_samples=4,
        ),
        run_config=tune.RunConfig(
            name="tune",
            storage_path=str(folder),
            verbose=1,
            callbacks=[looks, SchedulerState(scheduler)],
            progress_reporter=StudyProgress("x", ["x"], 4),
        ),
    )
    return SimpleNamespace(folder=folder / "tune", grid=tuner.fit(), looks=looks)


def test_configs_come_in_the_order_of_the_results_failed_trials_included(ran):
    with relied_on_by("configs_of"):
        configs = private.configs_of(ran.grid)
        assert sorted(config["x"] for config in configs) == [-1.0, 0.25, 0.5, 0.75]
        for result, config in zip(ran.grid, configs, strict=True):
            assert (result.error is None) == (config["x"] > 0)
            assert result.error or result.metrics["loss"] == config["x"]


def test_a_snapshot_is_written_to_these_files(ran):
    with relied_on_by("snapshot_place"):
        staging, files, folder = ran.looks.places[0]
        assert all(place == (staging, files, folder) for place in ran.looks.places)
        assert folder == str(ran.folder) and files.get_file_info(folder).base_name == "tune"
    with relied_on_by("SNAPSHOT_FILES"):
        for place in (staging, ran.folder):
            for name in private.SNAPSHOT_FILES:
                assert len(list(place.glob(name.format("*")))) == 1, (place, name)
    with relied_on_by("callback_states_in"):
        (path,) = ran.folder.glob(private.CALLBACK_STATES.format("*"))
        (state,) = private.callback_states_in(path.read_bytes())
        assert state.keys() == {"scheduler"}
    with relied_on_by("TUNER_FILE"):
        assert (ran.folder / private.TUNER_FILE).stat().st_size
    with relied_on_by("ERROR_PICKLE"):
        (pickled,) = ran.folder.rglob(private.ERROR_PICKLE)
        assert pickled.parent.name in {Path(each.path).name for each in ran.grid if each.error}


def test_the_trials_still_to_be_drawn_can_be_more_and_stored_elsewhere(ran):
    with relied_on_by("continued"):
        (path,) = ran.folder.glob(private.GENERATOR.format("*"))
        content, files = path.read_bytes(), LocalFileSystem()
        before = ray.cloudpickle.loads(content)
        trials = before["total_samples"]
        assert private.continued(content, files, str(ran.folder), trials) == content
        more = private.continued(content, files, str(ran.folder), trials + 3)
        assert ray.cloudpickle.loads(more)["total_samples"] == trials + 3
        assert before["finished"] or before["counter"] == trials
        assert not ray.cloudpickle.loads(more)["finished"]
        moved = private.continued(content, files, "/elsewhere/tune", trials)
        elsewhere = ray.cloudpickle.loads(moved)
        assert elsewhere["experiment"].storage.experiment_fs_path == "/elsewhere/tune"
        # what Tune makes each new trial from
        assert elsewhere["experiment"].spec["storage"] is elsewhere["experiment"].storage


def test_a_running_trial_tells_its_share_and_a_failed_one_its_error(ran):
    with relied_on_by("share_of"):
        assert len(ran.looks.shares) == 6 and all(share["CPU"] == 1 for share in ran.looks.shares)
    with relied_on_by("failures_of"):
        assert ran.looks.errors == ["ValueError: x is negative"]
    with relied_on_by("failures_counted"):
        assert ran.looks.counts == [1]


def test_a_restored_search_has_its_own_parts_again(ran):
    tuner = tune.Tuner.restore(str(ran.folder), WithEpochs)
    with relied_on_by("callbacks_of"):
        looks, state = private.callbacks_of(tuner)
        assert isinstance(looks, Looks) and looks is not ran.looks
        assert isinstance(state, SchedulerState)
        # Tune pickles both together: the callback's scheduler is the one that Tune uses.
        assert state.scheduler is tuner._local_tuner._tune_config.scheduler
    with relied_on_by("search_algorithm_of"):
        assert isinstance(private.search_algorithm_of(tuner), Limiter)
    with relied_on_by("progress_reporter_of"):
        assert isinstance(private.progress_reporter_of(tuner), StudyProgress)
