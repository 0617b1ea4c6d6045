"""Any model as a Tune trainable: one epoch a step, so that a rung is an epoch of the model."""

from pathlib import Path
from typing import Any

import torch
from ray import tune

from darec.core.config import parse
from darec.core.fit import Fit
from darec.core.metrics import rmse
from darec.core.recommender import Cache, ColdRule, DivergedError, Recommender, Run, TwoStage
from darec.data.ratings import HIGHEST, LOWEST
from darec.data.split import SearchData
from darec.models import MODELS
from darec.tuning.names import nest

WORST_RMSE = HIGHEST - LOWEST
"""Reported by a trial that diverged before any finite epoch: finite, and never the best."""
METRIC = "best_valid_rmse"
"""The running minimum of ``valid_rmse``: what searches minimise, so that the best row wins."""


class RecommenderTrainable(tune.Trainable):
    """Builds the configured model in ``setup`` (stage 1 included) and trains one epoch a step."""

    def setup(
        self,
        config: dict[str, Any],
        model: str = "",
        data: SearchData | None = None,
        seed: int = 0,
        cache: Cache | None = None,
    ) -> None:
        """Build a model from flat hyper-parameters; ``step`` tells whether stage 1 diverged."""
        assert data is not None and cache is not None
        resources = self.trial_resources.required_resources
        torch.set_num_threads(max(1, int(resources.get("CPU", 1))))
        device = "cuda" if resources.get("GPU", 0) else "cpu"
        self._fit: Fit | None = None
        self._stage1: dict[str, float] = {}
        try:
            kind = MODELS[model]
            run = Run(seed, device, cache)
            built = kind.build(parse(kind.config, nest(config)), data.training, run)
            self._stage1 = stage1_scores(built, data)
            self._fit = Fit(built, data)
        except DivergedError as error:
            self._reason = f"diverged: {error}"

    def step(self) -> dict[str, Any]:
        """Train and validate one epoch; a non-finite or `stalled` one ends the trial."""
        if self._fit is None:
            return self._ended(self._reason, WORST_RMSE, 0)
        try:
            row: dict[str, Any] = {**self._fit.step(), **self._stage1}
        except DivergedError as error:
            best = min(self._fit.best_rmse, WORST_RMSE)
            return self._ended(f"diverged: {error}", best, self._fit.best_epoch)
        stalled = self._fit.stalled
        return {**row, "reason": "stalled" if stalled else "", "done": stalled}

    def _ended(self, reason: str, best_rmse: float, best_epoch: int) -> dict[str, Any]:
        best = {METRIC: best_rmse, "best_epoch": float(best_epoch)}
        return {"valid_rmse": WORST_RMSE, **best, **self._stage1, "reason": reason, "done": True}

    def save_checkpoint(self, checkpoint_dir: str) -> None:
        """Write the model's and the best epoch's state to ``state.pt``."""
        state = self._fit.state_dict() if self._fit else {}
        torch.save(state, Path(checkpoint_dir) / "state.pt")

    def load_checkpoint(self, checkpoint: Any) -> None:
        """Continue from ``state.pt``."""
        state = load_state(Path(checkpoint))
        if self._fit is not None and state:
            self._fit.load_state_dict(state)

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        """Become another trial in the same process."""
        self.config = new_config
        self.setup(new_config)
        return True


def load_state(folder: Path) -> dict[str, Any]:
    """Read a trial's state from a checkpoint folder, onto the CPU."""
    state: dict[str, Any] = torch.load(folder / "state.pt", weights_only=True, map_location="cpu")
    return state


def stage1_scores(model: Recommender, data: SearchData) -> dict[str, float]:
    """Return the target validation RMSE of a two-stage model's own stage 1, shown beside it."""
    if not isinstance(model, TwoStage):
        return {}
    valid, cold = data.valid, ColdRule(data.training.target)
    raw = model.stage1["target"].predict(valid.users, valid.items)
    return {"stage1_valid_rmse": rmse(cold.apply(raw, valid.users, valid.items), valid.values)}
