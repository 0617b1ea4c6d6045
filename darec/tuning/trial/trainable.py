"""Any model as a Tune trainable. A step trains epochs for about a second, then reports them."""

import faulthandler
import math
import socket
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from ray import tune
from ray.tune.result import SHOULD_CHECKPOINT

from darec.core.cold import ColdRule
from darec.core.config import parse
from darec.core.fit import Fit
from darec.core.hierarchical import HierarchicalBiases, remember
from darec.core.objective import Metric, worst
from darec.core.recommender import Cache, DivergedError, Recommender, Run, TwoStage
from darec.core.threads import begin_to_train
from darec.data.split import SearchData
from darec.models import ModelKind
from darec.provenance import Build, difference, this_build
from darec.tuning.private import CHECKPOINT_FOLDER, forget_results, restart_clock, with_checkpoint
from darec.tuning.storage import listed
from darec.tuning.trial.checkpoint import DamagedError, load_state, save_state
from darec.tuning.trial.names import METRIC, ROWS, TIME, nest
from darec.tuning.trial.predictions import save_predictions

REPORT_S = 1.0
"""Seconds of training between reports: each report costs the driver some milliseconds."""
CHECKPOINT_S, CHECKPOINT_SHARE = 10.0, 1 / 20
"""Seconds between a trial's checkpoints, and the largest share of its time that they may take. A
killed worker loses the epochs since its last checkpoint."""
SNAPSHOT_S = 0.0004
"""Seconds that each trial adds to one of Tune's snapshots. Enough checkpoints of one trial force a
snapshot, so large searches write checkpoints less often."""
HANGS = 1.5
"""If a trial is silent for this many times its time limit, its process is ended."""


class OtherCodeError(RuntimeError):
    """A node that joined during a search runs other code or libraries than the driver."""


@dataclass(frozen=True)
class TrialTask:
    """What every trial of a study shares; sent to each process once."""

    kind: ModelKind
    """The model; it travels by value, so that it may be defined in a script or notebook."""
    data: SearchData
    seed: int
    cache: Cache
    """Where trials share trained first stages."""
    report_at: Container[int]
    """Epochs at which the scheduler decides, so that a trial reports them at once."""
    limit: float
    """Seconds of training after which a trial ends with its best epoch so far; inf: no limit."""
    n_trials: int
    driver: Build
    """The driver's code and libraries."""
    metric: Metric = "rmse"
    """What decides a trial's best epoch."""
    biases: HierarchicalBiases | None = None
    """Those of the training ratings, if the driver has them; each process would fit them again."""

    def check_node(self) -> None:
        """Raise `OtherCodeError` when this node runs other code or libraries than the driver."""
        if other := difference(self.driver, this_build()):
            raise OtherCodeError(f"node {socket.gethostname()} {other}")


class RecommenderTrainable(tune.Trainable):
    """Builds a model, first stage included, in its first ``step`` and trains it there.

    Nothing is built in ``setup``: if a reused process fails there, Tune gives the trial up without
    another attempt.
    """

    def setup(self, config: dict[str, Any], task: TrialTask | None = None) -> None:
        """Prepare to train a trial, but build no model yet; raises `OtherCodeError`."""
        assert task is not None
        task.check_node()
        share = self.trial_resources.required_resources
        begin_to_train(max(1, int(share.get("CPU", 1))))
        if task.biases is not None:
            remember(task.data.training, task.biases)
        self._task = task
        self._run = Run(task.seed, "cuda" if share.get("GPU", 0) else "cpu", task.cache)
        self._saved_at, self._saving_s = time.monotonic(), 0.0
        self._fit: Fit | None = None
        self._stage1: dict[str, float] = {}
        self._trained_s, self._reason, self._note = 0.0, "", ""

    def _built(self) -> Fit | None:
        """Return the fit, built at the first call; None, with the reason, if stage 1 diverged."""
        if self._fit is None and not self._reason:
            kind, data = self._task.kind, self._task.data
            try:
                config = parse(kind.config, nest(self.config))
                model = kind.build(config, data.training, self._run)
            except DivergedError as error:
                self._reason = f"diverged: {error}"
                return None
            self._stage1 = stage1_scores(model, data)
            self._fit = Fit(model, data, self._task.metric)
        return self._fit

    def step(self) -> dict[str, Any]:
        """Train epochs until `REPORT_S` have passed, a decision is due or the trial ends."""
        limit = self._task.limit
        with ended_if_silent(HANGS * limit):
            self._built()
        begin, left = time.monotonic(), limit - self._trained_s
        with ended_if_silent(HANGS * limit):
            rows = [self._epoch()]
            while not (
                rows[-1]["done"]
                or rows[-1][TIME] in self._task.report_at
                or time.monotonic() - begin >= min(REPORT_S, left)
            ):
                rows.append(self._epoch())
        self._trained_s += (spent := time.monotonic() - begin)
        if spent >= left and not rows[-1]["done"]:
            rows[-1] |= self._status(f"over its limit of {limit:g} s")
        return {**rows[-1], ROWS: rows, SHOULD_CHECKPOINT: self._checkpoint_is_due()}

    def _checkpoint_is_due(self) -> bool:
        cost = max(self._saving_s, self._task.n_trials * SNAPSHOT_S)
        return time.monotonic() - self._saved_at >= max(CHECKPOINT_S, cost / CHECKPOINT_SHARE)

    def _epoch(self) -> dict[str, Any]:
        """Train and validate one epoch; a non-finite or stalled one is the last."""
        if self._fit is None:
            return self._diverged(self._reason)
        try:
            row = self._fit.step()
        except DivergedError as error:
            return self._diverged(f"diverged: {error}")
        return {**row, **self._status("stalled" if self._fit.stalled else "")}

    def _diverged(self, reason: str) -> dict[str, Any]:
        """Return the last row of a trial; its errors are the worst if it had no finite epoch."""
        fit, data = self._fit, self._task.data
        worst_rmse, worst_objective = worst("rmse", data), worst(self._task.metric, data)
        best = {
            "best_valid_rmse": min(fit.best_rmse, worst_rmse) if fit else worst_rmse,
            METRIC: min(fit.best_objective, worst_objective) if fit else worst_objective,
            "best_epoch": float(fit.best_epoch if fit else 0),
        }
        return {"valid_rmse": worst_rmse, **best, **self._status(reason)}

    def _status(self, reason: str) -> dict[str, Any]:
        """Return a row's entries on the trial itself; a reason ends it."""
        epoch = self._fit.epoch if self._fit else 0
        ending = {"reason": reason, "done": bool(reason), "note": self._note}
        return {**self._stage1, TIME: epoch, **ending}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write the model's state, and the best epoch's weights and validation predictions."""
        forget_results(self, ROWS)
        fit = self._fit.state_dict() if self._fit else {}
        state = {"fit": fit, "note": self._note, "trained_s": self._trained_s}
        save_state(state, Path(checkpoint_dir))
        if self._fit:
            save_predictions(self._fit.best_predictions, Path(checkpoint_dir))

    def save(self, checkpoint_dir: str | None = None) -> Any:
        """Write a checkpoint, copy it to where results go, and note how long both took."""
        begin = time.monotonic()
        saved = super().save(checkpoint_dir)
        self._saved_at = time.monotonic()
        self._saving_s = self._saved_at - begin
        return saved

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Continue from a checkpoint; raises `DamagedError`."""
        state, fit = load_state(Path(checkpoint)), self._built()
        self._note, self._trained_s = state["note"], state["trained_s"]
        if fit is not None and state["fit"]:
            fit.load_state_dict(state["fit"])

    def restore(self, checkpoint_path: Any) -> None:
        """Continue from a checkpoint. If it is damaged, use another one or start again."""
        asked, problem = with_checkpoint(checkpoint_path).checkpoint, ""
        for checkpoint in (asked, *others_beside(asked)):
            try:
                super().restore(with_checkpoint(checkpoint_path, checkpoint))
            except (DamagedError, ValueError) as error:  # ValueError: Tune's, for a missing one
                problem = problem or str(error)
                self._fit = None  # it may have a part of the state
                continue
            if problem:
                self._note = f"went on from {Path(checkpoint.path).name}: {problem}"
            return
        self._note, self._trained_s = f"started again: {problem}", 0.0
        restart_clock(self)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Become another trial in the same process."""
        self.config = new_config
        self._fit = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()  # the last trial's memory is not in this trial's share
        self.setup(new_config)
        return True


def others_beside(checkpoint: tune.Checkpoint) -> list[tune.Checkpoint]:
    """Return a trial's other checkpoints, newest first."""
    files, path = checkpoint.filesystem, Path(checkpoint.path)
    found = sorted((info.path for info in listed(files, str(path.parent))), reverse=True)
    return [
        tune.Checkpoint(name, files)
        for name in found
        if Path(name).name.startswith(CHECKPOINT_FOLDER) and Path(name).name != path.name
    ]


@contextmanager
def ended_if_silent(seconds: float) -> Iterator[None]:
    """End this process unless the block ends within this many seconds.

    Its stack goes to the worker's log. Tune then starts the trial elsewhere from its last
    checkpoint, or gives it up.
    """
    if seconds == math.inf:
        yield
        return
    faulthandler.dump_traceback_later(seconds, exit=True)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()


def stage1_scores(model: Recommender, data: SearchData) -> dict[str, float]:
    """Return the target validation RMSE of a two-stage model's own first stage."""
    if not isinstance(model, TwoStage):
        return {}
    raw = model.stage1["target"].predict(data.valid.users, data.valid.items)
    rule = ColdRule(data.training, answered=data.answered_U)
    return {"stage1_valid_rmse": rule.rmse(raw, data.valid)}
