"""Training epoch by epoch, with a validation after each; the weights of the best epoch are kept."""

import math
from typing import Any

import numpy as np
import torch

from darec.core.cold import ColdRule
from darec.core.objective import Metric, Objective
from darec.core.recommender import DivergedError, Recommender
from darec.data.ratings import Domain, FloatArray, Ratings
from darec.data.split import SearchData

PATIENCE = 20
"""Training has stalled after this many epochs without a lower validation error; ours."""
TOLERANCE = 1e-4
"""How much lower, in stars or in NDCG, a validation error must be to count as lower here; ours."""


class Fit:
    """Trains one `Recommender` and validates it after each epoch.

    Searches, evaluations and tests all train through it. ``best_epoch``, ``best_rmse`` and
    ``best_weights`` are those of the epoch with the lowest validation RMSE on the target, with cold
    items and users predicted by the hierarchical biases (docs/paper.md, the cold policy); or with
    the lowest ``best_objective``, if another ``metric`` is asked for.
    ``best_predictions f32[N]`` are the model's own of the target's validation ratings at that
    epoch. RMSEs are in the units of their domain's scale, losses and predictions in stars.
    """

    def __init__(self, model: Recommender, data: SearchData, metric: Metric = "rmse") -> None:
        self.model = model
        self.epoch = 0
        self.best_epoch = 0
        self.best_rmse = math.inf
        self.best_objective = math.inf
        self.best_weights = model.weights()
        self.best_predictions: FloatArray = np.zeros(0, np.float32)
        self._level_epoch, self._level = 0, math.inf
        self._valid: dict[Domain, Ratings] = {"target": data.valid, "source": data.valid_source}
        answered = {"target": data.answered_U, "source": None}
        self._cold = {d: ColdRule(data.training, d, answered[d]) for d in model.domains}
        self._objective = Objective(metric, data, self._cold["target"])

    def step(self) -> dict[str, float]:
        """Train one epoch and validate; return its losses and RMSEs, for the log.

        ``valid_rmse`` is the target's, ``valid_rmse_source`` the source's, ``best_valid_rmse`` that
        of the best epoch so far, and ``objective`` that epoch's value of the metric.
        Raises `DivergedError` when a loss or a prediction is not finite.
        """
        losses = self.model.train_epoch()
        self.epoch += 1
        for name, value in losses.items():
            if not math.isfinite(value):
                raise DivergedError(f"{name} is {value} in epoch {self.epoch}")
        raw = {domain: self._predict(domain) for domain in self.model.domains}
        scores = {f"valid_rmse_{name}": self._rmse(raw[name], name) for name in raw}
        valid_rmse = scores.pop("valid_rmse_target")
        objective = self._objective(self.model, raw["target"], valid_rmse)
        if objective < self.best_objective:
            self.best_objective, self.best_rmse = objective, valid_rmse
            self.best_epoch = self.epoch
            self.best_predictions = raw["target"]
            self.best_weights = {k: v.detach().clone() for k, v in self.model.weights().items()}
        if objective < self._level - TOLERANCE * self._objective.unit:
            self._level_epoch, self._level = self.epoch, objective
        best = {"best_valid_rmse": self.best_rmse, "best_epoch": float(self.best_epoch)}
        best["objective"] = self.best_objective
        return {**losses, **scores, "valid_rmse": valid_rmse, **best}

    @property
    def stalled(self) -> bool:
        """Whether the last `PATIENCE` epochs did not lower the validation error by `TOLERANCE`."""
        return self.epoch - self._level_epoch >= PATIENCE

    def validate(self, domain: Domain = "target") -> float:
        """Return the present validation RMSE of a domain."""
        return self._rmse(self._predict(domain), domain)

    def _predict(self, domain: Domain) -> FloatArray:
        valid = self._valid[domain]
        return self.model.predict(valid.users, valid.items, domain)

    def _rmse(self, raw: FloatArray, domain: Domain) -> float:
        try:
            return self._cold[domain].rmse(raw, self._valid[domain])
        except ValueError as error:
            raise DivergedError(f"{domain} validation, epoch {self.epoch}: {error}") from error

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the model, and the best epoch with its weights.

        If the last epoch is the best, these are the model's own tensors, which are saved once.
        """
        is_best = self.best_epoch == self.epoch
        weights = self.model.weights() if is_best else self.best_weights
        best = {"epoch": self.best_epoch, "rmse": self.best_rmse, "weights": weights}
        best["objective"] = self.best_objective
        best["predictions"] = torch.from_numpy(self.best_predictions)
        level = {"epoch": self._level_epoch, "objective": self._level}
        model = self.model.state_dict()
        return {"epoch": self.epoch, "model": model, "best": best, "level": level}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        self.epoch, best = state["epoch"], state["best"]
        self.best_epoch, self.best_rmse = best["epoch"], best["rmse"]
        self.best_objective = best["objective"]
        self.best_weights = best["weights"]
        self.best_predictions = best["predictions"].numpy()
        self._level_epoch, self._level = state["level"]["epoch"], state["level"]["objective"]
        self.model.load_state_dict(state["model"])


def trained(model: Recommender, data: SearchData, max_epochs: int, metric: Metric = "rmse") -> Fit:
    """Train a model as long as a trial is trained: to its last epoch, or until it has stalled.

    Raises `DivergedError` when a loss or a prediction is not finite.
    """
    fit = Fit(model, data, metric)
    for _ in range(max_epochs):
        fit.step()
        if fit.stalled:
            break
    return fit
