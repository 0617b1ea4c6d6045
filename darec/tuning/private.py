"""The only place that uses what Ray Tune and Optuna keep private.

Ray Tune's public interface does not say which callbacks a restored search has, where its snapshots
are written, or why a trial failed. Everything of that kind stands here, as small functions with
plain names. Each was seen in Ray 2.52.0 to 2.60.0 and Optuna 4.7.0 to 5.0.0, unless its docstring
says otherwise. `tests/tuning/test_private.py` checks every assumption against the installed
releases. When a new release breaks one, that test names the function to mend, and a running search
raises `PrivateInterfaceError`.
"""

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from importlib import import_module
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any, ParamSpec, TypeVar
from unittest.mock import patch

import ray
from optuna import Study
from optuna.trial import TrialState
from pyarrow.fs import FileSystem
from ray import tune
from ray.tune.experiment.trial import Trial
from ray.tune.search.optuna import OptunaSearch

from darec.reporter import LOGGER

P = ParamSpec("P")
R = TypeVar("R")

CALLBACK_STATES = "callback-states-{}.pkl"
"""The last of a snapshot's files that Tune writes."""
SNAPSHOT_FILES = (
    "experiment_state-{}.json",
    "search_gen_state-{}.json",
    "searcher-state-{}.pkl",
    CALLBACK_STATES,
)
"""The files of one snapshot of a search; ``{}`` is the time at which that run began."""
GENERATOR = SNAPSHOT_FILES[1]
"""The file that names the folder in which Tune will store the trials that it has yet to draw."""
CHECKPOINT_FOLDER = "checkpoint_"
"""The names of a trial's checkpoint folders begin so."""
LIMIT_KEY = "max_concurrent"
"""The entry of a ``ConcurrencyLimiter``'s state that holds its limit."""
TUNER_FILE = "tuner.pkl"
"""Tune pickles the whole search into this file when it begins."""
ERROR_PICKLE = "error.pkl"
"""Tune pickles a failed trial's exception into this file of the trial's folder."""


class PrivateInterfaceError(RuntimeError):
    """A release of Ray or Optuna no longer has something that this file relies on."""


def _private(function: Callable[P, R]) -> Callable[P, R]:
    """Turn a missing private attribute into an error that names this file and the releases."""

    @wraps(function)
    def checked(*arguments: P.args, **options: P.kwargs) -> R:
        try:
            return function(*arguments, **options)
        except AttributeError as error:
            releases = f"Ray {version('ray')} and Optuna {version('optuna')}"
            place = f"darec/tuning/private.py, {function.__name__}"
            raise PrivateInterfaceError(
                f"{place}: not as expected in {releases}: {error}"
            ) from error

    return checked


@_private
def callbacks_of(tuner: tune.Tuner) -> list[tune.Callback]:
    """Return a search's callbacks; after ``Tuner.restore`` these are the unpickled ones."""
    found: list[tune.Callback] = tuner._local_tuner.get_run_config().callbacks
    return found


@_private
def search_algorithm_of(tuner: tune.Tuner) -> Any:
    """Return a search's search algorithm; after ``Tuner.restore`` it is the unpickled one."""
    return tuner._local_tuner._tune_config.search_alg


@_private
def progress_reporter_of(tuner: tune.Tuner) -> Any:
    """Return what shows a search's progress; after ``Tuner.restore`` it is the unpickled one."""
    return tuner._local_tuner.get_run_config().progress_reporter


@_private
def configs_of(grid: tune.ResultGrid) -> list[dict[str, Any]]:
    """Return every trial's nested config, in the order of the grid.

    A ``Result`` has a config only once its trial has reported a metric.
    """
    return [trial.config for trial in grid._experiment_analysis.trials]


@_private
def snapshot_place(trial: Any) -> tuple[Path, FileSystem, str]:
    """Return where the driver writes snapshots, and the storage that Tune copies them to."""
    storage = trial.storage
    staging = Path(storage.experiment_driver_staging_path)
    return staging, storage.storage_filesystem, storage.experiment_fs_path


@_private
def callback_states_in(content: bytes) -> list[dict[str, Any]]:
    """Return the states of a search's callbacks, from the content of `CALLBACK_STATES`."""
    states: dict[int, dict[str, Any] | None] = ray.cloudpickle.loads(content)
    return [state for state in states.values() if state]


@_private
def continued(generator: bytes, files: FileSystem, folder: str, trials: int) -> bytes:
    """Return the content of `GENERATOR`, changed for this folder and this number of trials.

    On resume, Tune moves only the trials that it has already drawn. Without this change, later
    trials would be stored in the original folder, and Tune would draw the original number of them.
    """
    state = ray.cloudpickle.loads(generator)
    storage, here = state["experiment"].spec["storage"], PurePosixPath(folder)
    same_place = storage.experiment_fs_path == str(here) and storage.storage_filesystem.equals(
        files
    )
    if same_place and state["total_samples"] == trials:
        return generator
    if state["total_samples"] != trials:
        state["total_samples"] = state["experiment"].spec["num_samples"] = trials
        state["finished"] = False
    storage.storage_filesystem = files
    storage.storage_fs_path, storage.experiment_dir_name = str(here.parent), here.name
    content: bytes = ray.cloudpickle.dumps(state)
    return content


@_private
def share_of(trial: Any) -> dict[str, float]:
    """Return the CPUs, GPUs and bytes of memory that each process of a trial is given."""
    return dict(trial.placement_group_factory.required_resources)


@_private
def give_gpus(trial: Any, gpus: float) -> None:
    """Change what a trial is given of a GPU; it holds from the trial's next start."""
    trial.update_resources({**trial.placement_group_factory.required_resources, "GPU": gpus})


@_private
def failures_counted(trial: Any) -> int:
    """Return how many failures Tune holds against a trial."""
    count: int = trial.run_metadata.num_failures
    return count


@_private
def set_failure_count(trial: Any, count: int) -> None:
    """Set Tune's failure count of a trial. Tune gives the trial up after ``max_failures``."""
    trial.run_metadata.num_failures = count


@_private
def failures_of(trial: Any) -> str:
    """Return the texts of all failures of a trial; empty if none was recorded."""
    path = Path(trial.error_file) if trial.error_file else None
    return path.read_text() if path and path.is_file() else ""


@_private
def with_checkpoint(training_result: Any, checkpoint: tune.Checkpoint | None = None) -> Any:
    """Return what ``Trainable.restore`` takes, with another checkpoint if one is given."""
    changed = copy.copy(training_result)
    changed.checkpoint = checkpoint or training_result.checkpoint
    return changed


@_private
def limit_concurrency(limiter: Any, concurrent: int) -> None:
    """Set how many trials of a restored search run at once, from its search algorithm."""
    if not hasattr(limiter, LIMIT_KEY):
        raise AttributeError(f"{type(limiter).__name__} has no {LIMIT_KEY}")
    limiter.max_concurrent = concurrent


@_private
def pickled(part: Any) -> bytes:
    """Return the whole state of a search algorithm."""
    state: bytes = ray.cloudpickle.dumps(part.__dict__.copy())
    return state


@_private
def unpickle_into(part: Any, state: bytes) -> None:
    """Put a state of `pickled` back; it is a pickle, as Tune's own files are."""
    part.__dict__.update(ray.cloudpickle.loads(state))


@_private
def set_status(controller: Any, trial: Any, status: str) -> None:
    """Change a trial's status; schedulers are given the controller for that."""
    controller._set_trial_status(trial, status)


@_private
def forget_results(trainable: tune.Trainable, *names: str) -> None:
    """Remove entries from the last result, which Tune would write beside each checkpoint."""
    for name in names:
        (trainable._last_result or {}).pop(name, None)


@_private
def restart_clock(trainable: tune.Trainable) -> None:
    """Set a trial's training time back to zero: it has lost all of its epochs."""
    if not hasattr(trainable, "_time_total"):
        raise AttributeError("Trainable has no _time_total")
    trainable._time_total = 0.0


@_private
def optuna_study_of(search: OptunaSearch) -> Study:
    """Return the Optuna study behind a search algorithm."""
    study: Study = search._ot_study
    return study


@_private
def is_open(search: OptunaSearch, trial_id: str) -> bool:
    """Return whether Optuna knows a trial and still waits for its outcome."""
    return trial_id in search._ot_trials and trial_id not in search._completed_trials


@_private
def tell_failed(search: OptunaSearch, trial_id: str) -> None:
    """Tell Optuna that a trial failed, so that the sampler does not wait for its value."""
    search._ot_study.tell(search._ot_trials[trial_id], state=TrialState.FAIL)
    search._completed_trials.add(trial_id)


@contextmanager
def numbered_trials(search: Any) -> Iterator[None]:
    """Let the id of each new trial be its number, from 0000 on, instead of a random one.

    ``search`` is a limiter around the search algorithm that draws the trials.
    """
    with patch.object(Trial, "generate_id", staticmethod(lambda: f"{n_drawn(search.searcher):04}")):
        yield


@_private
def n_drawn(search: OptunaSearch) -> int:
    """Return how many trials Optuna has drawn."""
    return len(search._ot_trials)


@_private
def read_authentication_again() -> None:
    """Let Ray read RAY_AUTH_MODE and the token again; otherwise it reads them when imported."""
    ray._raylet.Config.initialize("")
    ray._raylet.AuthenticationTokenLoader.instance().reset_cache()


@_private
def resolved(address: str) -> str:
    """Return as HOST:PORT what ``ray.init`` would join; raises what it would raise."""
    found: str | None = ray._private.services.canonicalize_bootstrap_address(address)
    if found is None:
        raise ConnectionError("no cluster is named")
    return found


@contextmanager
def on_loopback() -> Iterator[None]:
    """Make Ray use 127.0.0.1 as this machine's address, so that it listens nowhere else.

    On macOS and Windows it does so anyway, unless RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER is set.
    """
    with patch.object(ray._private.ray_constants, "ENABLE_RAY_CLUSTER", False):
        yield


@_private
def serve_on_loopback() -> None:
    """Let this replica of Ray Serve take the calls of Serve's own processes on 127.0.0.1 alone.

    Its port asks for the token, but would be open to the network even where `on_loopback` holds.
    Seen in Ray 2.58.0 to 2.60.0; releases before 2.58 do not ask for the token there.
    """
    replica: Any = import_module("ray.serve._private.replica")
    listen = replica.add_port_to_grpc_server
    replica.add_port_to_grpc_server = lambda server, _: listen(server, "127.0.0.1:0")


@_private
def close_events(writer: Any) -> None:
    """Close a writer of TensorBoard's events; without room, its last events are lost.

    Otherwise tensorboardX would try again when the process ends, and print a traceback.
    """
    events = writer.file_writer.event_writer
    try:
        writer.close()
    except OSError as error:
        LOGGER.debug("TensorBoard events: %s", error)
        events._closed = True
