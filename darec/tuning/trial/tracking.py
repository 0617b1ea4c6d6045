"""Reports trials to an experiment tracker, and continues without it if it fails."""

from typing import Any

from ray.tune.callback import Callback

from darec.reporter import LOGGER
from darec.tuning.trial.names import Tracker


class Tracking(Callback):
    """Passes Tune's events on to the callback of a tracker, if one was asked for.

    That callback is made anew in each run, so that a resumed search may ask for another one.
    """

    def __init__(self, study: str, tracker: Tracker | None = None) -> None:
        self.tracker = tracker
        self._study = study
        self._logger: Any = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_logger": None}

    def setup(self, **info: Any) -> None:
        """Begin a run."""
        self._logger = None
        if self.tracker is None:
            return
        try:
            from darec.tuning.trial.trackers import tracker_of  # imports a library

            self._logger = tracker_of(self.tracker, self._study)
            self._logger.setup(**info)
        except Exception as error:
            self._give_up(error)

    def on_trial_start(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """Begin the run of a trial."""
        self._tell("on_trial_start", iteration, trials, trial, **info)

    def on_trial_result(
        self, iteration: int, trials: list[Any], trial: Any, result: dict[str, Any], **info: Any
    ) -> None:
        """Log a report."""
        self._tell("on_trial_result", iteration, trials, trial, result, **info)

    def on_trial_complete(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """End the run of a trial."""
        self._tell("on_trial_complete", iteration, trials, trial, **info)

    def on_trial_error(self, iteration: int, trials: list[Any], trial: Any, **info: Any) -> None:
        """End the run of a trial that has failed."""
        self._tell("on_trial_error", iteration, trials, trial, **info)

    def on_experiment_end(self, trials: list[Any], **info: Any) -> None:
        """End the search."""
        self._tell("on_experiment_end", trials, **info)

    def _tell(self, event: str, *arguments: Any, **info: Any) -> None:
        if self._logger is not None:
            try:
                getattr(self._logger, event)(*arguments, **info)
            except Exception as error:  # whatever its library or its server raises
                self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        message = "the search goes on and is no longer logged there"
        LOGGER.warning("--tracker %s: %s; %s", self.tracker, error, message)
        self._logger = None
