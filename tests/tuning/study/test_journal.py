"""A study as an Optuna journal."""

from types import SimpleNamespace

import optuna
import pytest
import ray
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState

from darec.tuning.study.journal import NAME, Journal

SPACE = {
    "autorec/alpha": FloatDistribution(1e-5, 0.1, log=True),
    "center": CategoricalDistribution(["none", "bias"]),
}


def trial(name, best, best_epoch=2, alpha=0.01):
    config = {"autorec": {"alpha": alpha}, "center": "bias", "axis": "item"}
    last = {"objective": best, "best_epoch": best_epoch}
    return SimpleNamespace(trial_id=name, config=config, last_result=last)


def report(journal, of, *errors):
    rows = [{"epoch": n, "objective": error} for n, error in enumerate(errors, 1)]
    journal.on_trial_result(0, [], of, {"epochs": rows})


@pytest.fixture
def read(tmp_path):
    """Read the journal as optuna-dashboard does."""

    def trials():
        storage = JournalStorage(JournalFileBackend(str(tmp_path / NAME)))
        (name,) = optuna.get_all_study_names(storage)
        assert name == f"{tmp_path.parent.name}/{tmp_path.name}"
        return optuna.load_study(study_name=name, storage=storage)

    return trials


def test_trials_are_there_as_they_end_with_their_epochs(tmp_path, read):
    journal = Journal(tmp_path, SPACE)
    good, diverged, failed = trial("0000", 0.9), trial("0001", 5.0, 0), trial("0002", 0.8)
    report(journal, good, 1.0, 0.9)
    journal.on_trial_complete(0, [], good)
    assert len(read().trials) == 1
    again = Journal(tmp_path, SPACE)
    report(journal, failed, 0.8)
    again.set_state(journal.get_state())
    again.on_trial_complete(0, [], diverged)
    again.on_trial_error(0, [], failed)
    again.on_trial_complete(0, [], good)  # run again by a search that was killed
    third = ray.cloudpickle.loads(ray.cloudpickle.dumps(again))
    third.setup()
    report(third, failed, 0.8)
    third.on_trial_complete(0, [], failed)  # --resume repeats what failed
    study = read()
    *trials, repeated = study.trials
    assert (repeated.state, repeated.value) == (TrialState.COMPLETE, 0.8)
    assert [each.state for each in trials] == [
        TrialState.COMPLETE,
        TrialState.FAIL,
        TrialState.FAIL,
    ]
    first = study.trials[0]
    assert first.value == 0.9 and first.intermediate_values == {1: 1.0, 2: 0.9}
    assert first.params == {"autorec/alpha": 0.01, "center": "bias"}
    assert first.user_attrs == {"trial": "0000"} and study.best_trial == repeated
    assert study.trials[2].intermediate_values == {1: 0.8}


def test_a_journal_that_cannot_be_written_stops_no_search(tmp_path, caplog):
    caplog.set_level("DEBUG", "darec")
    Journal(tmp_path / "none", SPACE).on_trial_complete(0, [], trial("0000", 0.9))
    Journal(tmp_path, SPACE).on_trial_complete(0, [], trial("0001", 0.9, alpha=7.0))
    assert "trial 0000 is not in it" in caplog.text and "trial 0001 is not in it" in caplog.text
