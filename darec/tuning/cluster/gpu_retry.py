"""Gives a trial that ran out of GPU memory a larger share of a GPU before it starts again."""

from typing import Any

from ray import tune

from darec.tuning.failures import GPU_OUT_OF_MEMORY, error_of
from darec.tuning.private import give_gpus, share_of


class MoreGPUMemory(tune.Callback):
    """Doubles a trial's share of a GPU, up to a whole one, after it ran out of GPU memory."""

    def on_trial_recover(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Look at the error of an attempt that Tune repeats."""
        gpus = share_of(trial).get("GPU", 0.0)
        if GPU_OUT_OF_MEMORY.search(error_of(trial)) and 0 < gpus < 1:
            give_gpus(trial, min(1.0, 2 * gpus))
