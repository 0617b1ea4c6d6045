"""Every assumption of `darec.tuning.private` about the installed Ray and Optuna.

A test that fails here names the function of darec/tuning/private.py that a new release has broken.
"""

import ast
import inspect
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
from optuna.distributions import FloatDistribution
from optuna.trial import TrialState
from ray import tune
from ray.tune.execution.tune_controller import TuneController
from ray.tune.experiment.trial import Trial
from ray.tune.search.optuna import OptunaSearch
from tensorboardX import SummaryWriter

from darec.tuning import private
from darec.tuning.private import PrivateInterfaceError
from darec.tuning.study.progress import StudyProgress
from darec.tuning.study.searcher import Limiter
from tests.tuning.assumptions import RELEASES, Tiny, relied_on_by

SOURCES = Path(private.__file__).parent
FUNCTIONS = [  # the last five have no object to break
    name
    for name, each in vars(private).items()
    if inspect.isfunction(each)
    and each.__module__ == private.__name__
    and name[0] != "_"
    and name not in ("callback_states_in", "continued")  # they take bytes
    and name not in ("read_authentication_again", "resolved", "on_loopback", "serve_on_loopback")
    and name != "numbered_trials"
]


def test_a_failed_check_names_the_place_to_mend():
    with pytest.raises(AssertionError, match=r"mend share_of in darec/tuning/private\.py for Ray"):
        with relied_on_by("share_of"):
            assert SimpleNamespace(a=1).b


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_missing_attribute_is_an_error_that_names_function_and_releases(name):
    function = getattr(private, name)
    parameters = inspect.signature(function).parameters.values()
    if any(each.kind == inspect.Parameter.VAR_POSITIONAL for each in parameters):
        arguments = [object(), "rows"]
    else:
        arguments = [object() for _ in parameters]
    words = f"darec/tuning/private.py, {name}: not as expected in {RELEASES}: "
    with pytest.raises(PrivateInterfaceError) as raised:
        function(*arguments)
    assert str(raised.value).startswith(words) and "has no" in str(raised.value)


def test_only_this_adapter_uses_what_others_keep_private():
    """Elsewhere in darec/tuning a name with ``_`` belongs to darec: to ``self`` or the module."""
    foreign = []
    for path in SOURCES.rglob("*.py"):
        tree = ast.parse(path.read_text())
        own = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and is_private(node.attr):
                owner = node.value.id if isinstance(node.value, ast.Name) else ""
                if owner not in {"self", "cls", *own}:
                    foreign.append((path, node.attr))
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in getattr(node, "names", []) if hasattr(alias, "name")]
            if isinstance(node, ast.Import | ast.ImportFrom):
                foreign += [(path, name) for name in names if any(map(is_private, name.split(".")))]
    assert {path for path, _ in foreign} == {Path(private.__file__)}, foreign


def is_private(name):
    return name.startswith("_") and not name.startswith("__")


def test_a_tuner_has_its_callbacks_search_algorithm_and_progress_reporter():
    callback, reporter = tune.Callback(), StudyProgress("x", [], 1)
    algorithm = Limiter(OptunaSearch(), 1)
    tuner = tune.Tuner(
        Tiny,
        tune_config=tune.TuneConfig(search_alg=algorithm),
        run_config=tune.RunConfig(callbacks=[callback], progress_reporter=reporter),
    )
    with relied_on_by("callbacks_of"):
        assert private.callbacks_of(tuner) == [callback]
    with relied_on_by("search_algorithm_of"):
        assert private.search_algorithm_of(tuner) is algorithm
    with relied_on_by("progress_reporter_of"):
        assert private.progress_reporter_of(tuner) is reporter


def test_a_trials_share_can_be_changed():
    trial = Trial("any", stub=True)
    trial.update_resources({"cpu": 2.0, "gpu": 0.125, "memory": 1e9})
    with relied_on_by("give_gpus"):
        private.give_gpus(trial, 0.25)
    with relied_on_by("share_of"):
        assert private.share_of(trial) == {"CPU": 2.0, "GPU": 0.25, "memory": 1e9}


def test_a_trials_status_is_changed_by_the_controller():
    trial = Trial("any", stub=True)
    with relied_on_by("set_status"):
        assert inspect.getfullargspec(TuneController._set_trial_status).args[1:] == [
            "trial",
            "status",
        ]
        changed = SimpleNamespace(_set_trial_status=lambda trial, status: trial.set_status(status))
        private.set_status(changed, trial, Trial.PAUSED)
        assert trial.status == Trial.PAUSED


def test_tune_gives_a_trial_up_by_the_count_of_failures_that_we_set():
    trial = Trial("any", stub=True, max_failures=3)
    for count in (2, 3, 4):
        with relied_on_by("set_failure_count"):
            private.set_failure_count(trial, count)
            assert trial.num_failures == count and trial.should_recover() == (count <= 3)
        with relied_on_by("failures_counted"):
            assert private.failures_counted(trial) == count


def test_a_trainables_last_result_and_time_can_be_changed(tmp_path):
    trainable = Tiny({"x": 1.0})
    private.forget_results(trainable, "rows")  # nothing was reported yet
    trainable.train()
    with relied_on_by("forget_results"):
        assert trainable.get_auto_filled_metrics()["time_total_s"] > 0
        private.forget_results(trainable, "rows", "unknown")
        saved = trainable.save(str(tmp_path))
        assert saved.metrics["loss"] == 1.0 and "rows" not in saved.metrics
    with relied_on_by("restart_clock"):
        private.restart_clock(trainable)
        assert trainable.get_auto_filled_metrics()["time_total_s"] == 0.0


def test_all_of_a_search_algorithms_state_is_in_its_attributes():
    space = {"x": FloatDistribution(0, 1)}
    search, again = (
        OptunaSearch(space, metric="loss", mode="min", sampler=optuna.samplers.RandomSampler(0))
        for _ in range(2)
    )
    search.suggest("a")
    with relied_on_by("pickled"):
        state = private.pickled(search)
        assert isinstance(state, bytes)
    with relied_on_by("unpickle_into"):
        private.unpickle_into(again, state)
        assert again.suggest("b") == search.suggest("b")


def test_optuna_search_knows_which_trials_are_open():
    space = {"x": FloatDistribution(0, 1)}
    search = OptunaSearch(space, metric="loss", mode="min")
    assert not private.is_open(search, "a")
    for name in ("a", "b"):
        search.suggest(name)
    with relied_on_by("is_open"):
        assert private.is_open(search, "a") and private.is_open(search, "b")
        search.on_trial_complete("a", {"loss": 1.0, "training_iteration": 1})
        assert not private.is_open(search, "a") and private.is_open(search, "b")
    with relied_on_by("tell_failed"):
        private.tell_failed(search, "b")
        assert not private.is_open(search, "b")
        search.on_trial_complete("b", {"loss": 1.0, "training_iteration": 1})  # told once
    with relied_on_by("optuna_study_of"):
        study = private.optuna_study_of(search)
    with relied_on_by("tell_failed"):
        assert isinstance(study, optuna.Study)
        assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.FAIL]


def test_events_are_closed_even_without_room(tmp_path, monkeypatch):
    writer = SummaryWriter(str(tmp_path))
    events = writer.file_writer.event_writer

    def full():
        raise OSError(28, "No space left on device")

    with relied_on_by("close_events"), monkeypatch.context() as patch:
        patch.setattr(events, "flush", full)
        private.close_events(writer)
        events.close()  # as tensorboardX does when the process ends


def test_a_replica_of_ray_serve_can_be_kept_to_this_machine(monkeypatch):
    replica, heard = import_module("ray.serve._private.replica"), []
    monkeypatch.setattr(
        replica, "add_port_to_grpc_server", lambda server, address: heard.append(address)
    )
    private.serve_on_loopback()
    replica.add_port_to_grpc_server(None, "[::]:0")
    assert heard == ["127.0.0.1:0"]
