"""Pickles in which ids stand for trials, because Tune makes new trials when a search is resumed."""

import io
import pickle
from collections.abc import Mapping
from typing import Any

import ray
from ray.tune.experiment.trial import Trial


class _WithIds(ray.cloudpickle.CloudPickler):
    """Writes a trial's id where the trial stands."""

    def persistent_id(self, part: Any) -> str | None:
        return part.trial_id if isinstance(part, Trial) else None


class _WithTrials(pickle.Unpickler):
    """Puts trials in the places of their ids."""

    def __init__(self, state: bytes, trials: Mapping[str, Any]) -> None:
        super().__init__(io.BytesIO(state))
        self._trials = trials

    def persistent_load(self, trial_id: str) -> Any:
        return self._trials[trial_id]


def pickled_with_ids(part: Any) -> bytes:
    """Return a pickle in which ids stand for trials."""
    content = io.BytesIO()
    _WithIds(content).dump(part)
    return content.getvalue()


def unpickled_with_trials(state: bytes, trials: Mapping[str, Any]) -> Any:
    """Return what `pickled_with_ids` wrote; raises ``KeyError`` for the id of no known trial."""
    return _WithTrials(state, trials).load()
