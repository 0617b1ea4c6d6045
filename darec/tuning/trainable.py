"""Any model as a Tune trainable: epochs of about a second a step; a rung is an epoch."""

import copy
import faulthandler
import math
import socket
import time
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from pyarrow.fs import FileSelector
from ray import tune
from ray.tune.result import SHOULD_CHECKPOINT

from darec.core.config import parse
from darec.core.fit import Fit
from darec.core.recommender import Cache, ColdRule, DivergedError, Recommender, Run, TwoStage
from darec.data.ratings import HIGHEST, LOWEST
from darec.data.split import SearchData
from darec.models import MODELS
from darec.provenance import difference
from darec.tuning.checkpoint import DamagedError, load_state, save_state
from darec.tuning.names import nest

WORST_RMSE = HIGHEST - LOWEST
"""Reported by a trial that diverged before any finite epoch: finite, and never the best."""
METRIC = "best_valid_rmse"
"""The running minimum of ``valid_rmse``: what searches minimise, so that the best row wins."""
TIME = "epoch"
"""What schedulers count."""
ROWS = "epochs"
"""Every epoch since the last report, one row each; `darec.tuning.loggers` writes them."""
REPORT_S = 1.0
"""Seconds of training between reports: each costs the driver some milliseconds of a CPU."""
CHECKPOINT_S, CHECKPOINT_SHARE = 10.0, 1 / 20
"""Seconds between a trial's checkpoints, or more where writing one would take a larger share: what
a killed worker loses at most, but for the epoch that it was in."""
SNAPSHOT_S = 0.0004
"""What a trial adds to each of Tune's snapshots. So many checkpoints of a trial as are kept force
the next one, so that they are rarer in large searches: snapshots keep to the share, too."""
HANGS = 1.5
"""A trial that is silent after so many times its limit hangs: its process is ended."""


class OtherCodeError(RuntimeError):
    """A node that came in the middle of a search runs other code or libraries than the driver."""


class RecommenderTrainable(tune.Trainable):
    """Builds the configured model, stage 1 included, at the first ``step`` and trains it there.

    Not in ``setup``: Tune gives a trial up, without another attempt, that fails in a reused actor
    before it runs.
    """

    def setup(
        self,
        config: dict[str, Any],
        model: str = "",
        data: SearchData | None = None,
        seed: int = 0,
        cache: Cache | None = None,
        report_at: Container[int] = (),
        limit: float = math.inf,
        code: str = "",
        libraries: dict[str, str] | None = None,
        n_trials: int = 1,
    ) -> None:
        """Note what is to be trained, from flat hyper-parameters; raises `OtherCodeError`.

        Epochs in ``report_at`` are reported at once: a scheduler decides there. After ``limit``
        seconds of training a trial ends with its best epoch so far; `HANGS` says when it hangs.
        ``code`` and ``libraries`` are the driver's (`darec.provenance`), ``n_trials`` the study's.
        """
        assert data is not None and cache is not None and libraries is not None
        if other := difference(code, libraries):
            raise OtherCodeError(f"the driver and node {socket.gethostname()} differ: {other}")
        resources = self.trial_resources.required_resources
        torch.set_num_threads(max(1, int(resources.get("CPU", 1))))
        device = "cuda" if resources.get("GPU", 0) else "cpu"
        self._model, self._data, self._run = model, data, Run(seed, device, cache)
        self._report_at, self._limit, self._note = report_at, limit, ""
        self._saved_at, self._saving_s, self._n_trials = time.monotonic(), 0.0, n_trials
        self._fit: Fit | None = None
        self._stage1: dict[str, float] = {}
        self._reason, self._trained_s = "", 0.0

    def _built(self) -> Fit | None:
        """Return the fit, built at the first call; None, and the reason, where stage 1 diverged."""
        if self._fit is None and not self._reason:
            kind = MODELS[self._model]
            try:
                config = parse(kind.config, nest(self.config))
                built = kind.build(config, self._data.training, self._run)
            except DivergedError as error:
                self._reason = f"diverged: {error}"
                return None
            self._stage1 = stage1_scores(built, self._data)
            self._fit = Fit(built, self._data)
        return self._fit

    def step(self) -> dict[str, Any]:
        """Train epochs until `REPORT_S` have passed, a decision is due or the trial ends."""
        with ended_if_silent(HANGS * self._limit):
            self._built()
        begin, left = time.monotonic(), self._limit - self._trained_s
        with ended_if_silent(HANGS * self._limit):
            rows = [self._epoch()]
            while not (
                rows[-1]["done"]
                or rows[-1][TIME] in self._report_at
                or time.monotonic() - begin >= min(REPORT_S, left)
            ):
                rows.append(self._epoch())
        self._trained_s += (spent := time.monotonic() - begin)
        if spent >= left and not rows[-1]["done"]:
            rows[-1] |= self._at(f"over its limit of {self._limit:g} s")
        unsaved = time.monotonic() - self._saved_at
        costs = max(self._saving_s, self._n_trials * SNAPSHOT_S)
        due = unsaved >= max(CHECKPOINT_S, costs / CHECKPOINT_SHARE)
        return {**rows[-1], ROWS: rows, SHOULD_CHECKPOINT: due}

    def _epoch(self) -> dict[str, Any]:
        """Train and validate one epoch; a non-finite or `stalled` one is the last."""
        if self._fit is None:
            return self._ended(self._reason, WORST_RMSE)
        try:
            row = self._fit.step()
        except DivergedError as error:
            return self._ended(f"diverged: {error}", min(self._fit.best_rmse, WORST_RMSE))
        reason = "stalled" if self._fit.stalled else ""
        return {**row, **self._at(reason)}

    def _ended(self, reason: str, best_rmse: float) -> dict[str, Any]:
        best_epoch = self._fit.best_epoch if self._fit else 0
        best = {METRIC: best_rmse, "best_epoch": float(best_epoch)}
        return {"valid_rmse": WORST_RMSE, **best, **self._at(reason)}

    def _at(self, reason: str) -> dict[str, Any]:
        epoch = self._fit.epoch if self._fit else 0
        ending = {"reason": reason, "done": bool(reason), "note": self._note}
        return {**self._stage1, TIME: epoch, **ending}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write the model's and the best epoch's state."""
        if self._last_result:
            self._last_result.pop(ROWS, None)  # Tune keeps it with the checkpoint
        fit = self._fit.state_dict() if self._fit else {}
        state = {"fit": fit, "note": self._note, "trained_s": self._trained_s}
        save_state(state, Path(checkpoint_dir))

    def save(self, checkpoint_dir: str | None = None) -> Any:
        """Write a checkpoint and copy it to where results go; note how long both took."""
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
        """Continue from a checkpoint; where it is damaged or gone, from another or the start."""
        asked, told = checkpoint_path.checkpoint, ""
        for checkpoint in (asked, *others_beside(asked)):
            result = copy.copy(checkpoint_path)
            result.checkpoint = checkpoint
            try:
                super().restore(result)
            except (DamagedError, ValueError) as error:  # ValueError: Tune's, for one that is gone
                told = told or str(error)
                continue
            if told:
                self._note = f"went on from {Path(checkpoint.path).name}: {told}"
            return
        self._note, self._time_total, self._trained_s = f"started again: {told}", 0.0, 0.0

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Become another trial in the same process."""
        self.config = new_config
        self._fit = None
        if torch.cuda.is_available():
            torch.cuda.empty_cache()  # what the last trial held is not this one's share
        self.setup(new_config)
        return True


def others_beside(checkpoint: tune.Checkpoint) -> list[tune.Checkpoint]:
    """Return a trial's other checkpoints, the newest first."""
    files, path = checkpoint.filesystem, Path(checkpoint.path)
    found = files.get_file_info(FileSelector(str(path.parent), allow_not_found=True))
    names = sorted((info.path for info in found), reverse=True)
    return [
        tune.Checkpoint(name, files)
        for name in names
        if Path(name).name.startswith("checkpoint_") and Path(name).name != path.name
    ]


@contextmanager
def ended_if_silent(seconds: float) -> Iterator[None]:
    """End this process unless the body ends within so many seconds: nothing else ends a hung one.

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
    """Return the target validation RMSE of a two-stage model's own stage 1, shown beside it."""
    if not isinstance(model, TwoStage):
        return {}
    raw = model.stage1["target"].predict(data.valid.users, data.valid.items)
    return {"stage1_valid_rmse": ColdRule(data.training.target).rmse(raw, data.valid)}
