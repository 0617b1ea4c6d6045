"""Small searches with one fault each: ``python -m tests.tuning.durability.faults DIR KIND...``.

They run one after the other on one cluster. Prints a line of JSON for each: each trial's config,
best validation RMSE, end and failures, and how many epochs were trained more than once.
"""

import json
import os
import signal
import sys
import time
from collections import Counter
from pathlib import Path

import ray
from ray import tune
from ray.cluster_utils import Cluster
from ray.util.state import list_actors

from darec.core.fit import Fit
from darec.data.split import split
from darec.data.synthetic import planted_pair
from darec.models import MODELS
from darec.paper import Counts
from darec.tuning.cluster.shares import Slots
from darec.tuning.study import tuner as running
from darec.tuning.study.run import run_study
from darec.tuning.study.study import Settings, Study
from darec.tuning.trial import trainable
from darec.tuning.trial.names import ROWS
from darec.tuning.trial.stage1_cache import ClusterCache
from search_spaces import SPACES

LOGGERS = running.loggers
EPOCHS, TRIALS = 40, 4
EPOCH_S = 0.05
"""Each epoch waits so long, for a fault to come in the middle of a trial."""
QUICK = {"health_check_period_ms": 500, "health_check_failure_threshold": 4}
"""Ray notices a dead node within two seconds."""


HANG = "DAREC_TEST_HANG"
"""Names the file that marks that one trial has hung."""


def hurry():
    """Let a worker report and checkpoint often, train slowly, and hang once if `HANG` is set."""
    trainable.REPORT_S, trainable.CHECKPOINT_S, trainable.HANGS = 0.1, 0.2, 0.1
    step, mark = Fit.step, Path(os.environ.get(HANG, "/"))

    def hangs(fit):
        if fit.epoch == EPOCHS // 2 and not mark.exists():
            mark.touch()
            time.sleep(600)
        time.sleep(EPOCH_S)
        return step(fit)

    Fit.step = hangs


class Fault(tune.Callback):
    """Kills a process or node once, and counts how often each epoch is trained."""

    kind, strike = "", None
    """Attributes of the class, because Tune pickles its callbacks."""

    def __init__(self):
        self.epochs, self.at, self.starts, self.counted = Counter(), None, 0, 0

    def on_trial_start(self, iteration, trials, trial, **info):
        self.starts += 1
        if (
            Fault.kind == "start" and self.starts == TRIALS - 1
        ):  # its process ran another trial before
            self.at = trial.trial_id
            actor_id = trial.temporary_state.ray_actor._actor_id.hex()
            (pid,) = (actor.pid for actor in list_actors() if actor.actor_id == actor_id)
            os.kill(pid, signal.SIGKILL)

    def on_trial_complete(self, iteration, trials, trial, **info):
        self.counted += trial.num_failures
        if Fault.kind == "reset" and self.at is None:  # another trial is about to get its process
            self.at = trial.trial_id
            os.kill(trial.last_result["pid"], signal.SIGKILL)

    def on_trial_result(self, iteration, trials, trial, result, **info):
        for row in result[ROWS]:
            self.epochs[trial.trial_id, row["epoch"]] += 1
        unstruck = self.at is None and Fault.kind in ("worker-hang", "node")
        if unstruck and trial.checkpoint and 10 <= result["epoch"] < EPOCHS - 10:
            self.at = trial.trial_id
            Fault.strike(result)


def node_of(pid):
    """Return the node on which an actor's process runs."""
    return next(actor.node_id for actor in list_actors() if actor.pid == pid)


def main(folder, kinds):
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 0, "_system_config": QUICK})
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    data = split(planted_pair("tiny", Counts(120, 60, 50, 2400, 1800))).search
    for kind in kinds:
        print("FAULT", json.dumps(searched(cluster, nodes, data, kind, folder / kind)), flush=True)
    cluster.shutdown()


def searched(cluster, nodes, data, kind, folder):
    """Run the search with a fault of this kind and return what it says."""
    mark = folder.with_suffix(".hung")
    hang = {HANG: str(mark)} if "hang" in kind else {}
    ray.init(
        address=cluster.address,
        log_to_driver=False,
        runtime_env={"worker_process_setup_hook": hurry, "env_vars": hang},
    )

    def strike(result):
        if kind == "worker-hang":
            os.kill(result["pid"], signal.SIGKILL)
        if kind == "node":
            (node,) = (node for node in nodes if node.node_id == node_of(result["pid"]))
            cluster.remove_node(node, allow_graceful=False)
            nodes.remove(node)
            nodes.append(cluster.add_node(num_cpus=1))

    fault, Fault.kind, Fault.strike = Fault(), kind, staticmethod(strike)
    running.loggers = lambda *study: [fault, *LOGGERS(*study)]
    space = SPACES["i_autorec"].fix({"hidden": 20})
    study = Study(
        model="i_autorec",
        kind=MODELS["i_autorec"],
        data=data,
        space=dict(space.space),
        fixed=dict(space.fixed),
        trials=TRIALS,
        folder=folder,
        storage=str(folder),
    )
    slots = Slots(1.0, 0.0, 2)
    settings = Settings("random", "none", EPOCHS, slots, 0, ClusterCache(), trial_limit=150.0)
    rows = run_study(study, settings, resume=False)
    ray.shutdown()
    told = [
        {
            "config": row.config,
            "best_valid_rmse": row.best_valid_rmse,
            "best_epoch": row.best_epoch,
            "ended": row.ended,
            "failures": row.failures,
        }
        for row in rows
    ]
    struck = fault.at is not None and mark.exists() == ("hang" in kind)
    again = sum(count - 1 for count in fault.epochs.values())
    return {"rows": told, "struck": struck, "again": again, "counted": fault.counted}


if __name__ == "__main__":
    from tests.tuning.durability import (
        faults,
    )  # by its name, so that workers find what Tune pickles

    faults.main(Path(sys.argv[1]).resolve(), sys.argv[2:])
