"""``optuna.log``: a study as an Optuna journal, which optuna-dashboard opens, also during a search.

Each trial is added when it ends. Its intermediate values are the lowest errors up to each epoch.
"""

import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import TrialState, create_trial
from ray import tune

from darec.reporter import LOGGER
from darec.tuning.trial.names import METRIC, ROWS, TIME, flatten

NAME = "optuna.log"


class Journal(tune.Callback):
    """Writes a study's trials to its journal."""

    def __init__(self, folder: Path, space: Mapping[str, BaseDistribution]) -> None:
        self.folder, self._space = folder, dict(space)
        self._errors: dict[str, dict[int, float]] = {}
        """The lowest error up to each epoch, of trials that have not ended."""
        self._study: optuna.Study | None = None
        self._completed: set[str] = set()
        """The trials that are in the journal and did not fail."""

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the open journal, for Tune's pickles."""
        return {**self.__dict__, "_study": None}

    def setup(self, **info: Any) -> None:
        """Begin a run, which opens the journal when it needs it."""
        self._study = None

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Keep the epochs of a report."""
        own = self._errors.setdefault(trial.trial_id, {})
        own |= {int(row[TIME]): float(row[METRIC]) for row in result.get(ROWS, ())}

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Add a trial that came to its end."""
        self._add(trial, TrialState.COMPLETE)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Add a trial that was given up."""
        self._add(trial, TrialState.FAIL)

    def get_state(self) -> dict[str, Any]:
        """Return the epochs so far, for a snapshot."""
        return {"errors": {name: dict(own) for name, own in self._errors.items()}}

    def set_state(self, state: dict[str, Any]) -> None:
        """Go on from the epochs of a snapshot."""
        self._errors = {name: dict(own) for name, own in state["errors"].items()}

    def _add(self, trial: Any, state: TrialState) -> None:
        """Add a trial; one without a finite error has failed.

        On a full disk the trial is left out.
        """
        errors = self._errors.pop(trial.trial_id, {})
        value = float((trial.last_result or {}).get(METRIC, math.nan))
        config = flatten(trial.config)
        finite = math.isfinite(value) and bool((trial.last_result or {}).get("best_epoch"))
        state = state if finite else TrialState.FAIL
        try:
            study = self._opened()
            if trial.trial_id in self._completed:
                return  # a search that was killed wrote it, and runs it again
            study.add_trial(
                create_trial(
                    state=state,
                    value=value if state == TrialState.COMPLETE else None,
                    params={name: config[name] for name in self._space},
                    distributions=self._space,
                    intermediate_values=errors,
                    user_attrs={"trial": trial.trial_id},
                )
            )
            if state == TrialState.COMPLETE:
                self._completed.add(trial.trial_id)
        except (OSError, ValueError) as error:
            LOGGER.debug("%s: trial %s is not in it: %s", NAME, trial.trial_id, error)

    def _opened(self) -> optuna.Study:
        if self._study is None:
            self._study = open_journal(self.folder)
            self._completed = {
                each.user_attrs["trial"]
                for each in self._study.trials
                if each.state == TrialState.COMPLETE
            }
        return self._study


def open_journal(folder: Path) -> optuna.Study:
    """Return the Optuna study of a folder's journal; it is made if it is absent."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.WARNING)
    try:
        return optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(folder / NAME))),
            study_name=f"{folder.parent.name}/{folder.name}",
            direction="minimize",
            load_if_exists=True,
        )
    finally:
        optuna.logging.set_verbosity(before)
