"""When a trial ends, and when a study does."""

import math
import time
from typing import Any

from ray import tune

from darec.tuning.trial.names import METRIC, TIME


class Ends(tune.Stopper):
    """Ends each trial after its last epoch, and a study when its time is used up.

    Tune pickles it with each snapshot, so that a resumed study has the time that was left.
    """

    def __init__(self, epochs: int, seconds: float, waits: bool = False) -> None:
        """``waits``: the study goes on until a trial has an epoch, even if its time is over."""
        self._epochs, self._left_s, self._waits = epochs, seconds, waits
        self._looked_at: float | None = None

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        """Return whether a trial has had its last epoch."""
        self._waits = self._waits and not math.isfinite(result[METRIC])
        return bool(result[TIME] >= self._epochs)

    def stop_all(self) -> bool:
        """Return whether the time of the study is used up; it counts from the first call on."""
        now = time.monotonic()
        self._left_s -= 0.0 if self._looked_at is None else now - self._looked_at
        self._looked_at = now
        return self._left_s <= 0 and not self._waits

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the moment of the last look: time between two runs does not count."""
        return {**self.__dict__, "_looked_at": None}
