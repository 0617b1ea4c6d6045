"""A search whose outcome does not depend on timing (``--reproducible``).

Trials are numbered in the order in which they are drawn. What is decided about a trial depends on
earlier numbers only, whichever of them happen to run faster:

- The sampler draws trial n knowing the outcomes of trials 0 to n - lag, in this order. It waits
  until these have ended.
- A rung compares a trial with all trials of lower numbers. The trial is paused until each of them
  has passed the rung or ended.
"""

from typing import Any

import numpy as np
from ray.tune.experiment.trial import Trial
from ray.tune.schedulers import TrialScheduler

from darec.tuning.study.searcher import SafeOptunaSearch
from darec.tuning.trial.names import METRIC, TIME

LAG = 3
"""The longest lag, as a multiple of the number of concurrent trials. With a shorter lag, processes
would often wait for one long trial. With a longer lag, the sampler would know fewer outcomes."""


def lag_for(at_once: int, trials: int) -> int:
    """Return the lag of a search of ``trials`` trials, ``at_once`` of which run at the same time.

    The lag is at most a third of the trials, so that most are drawn with outcomes known. But it is
    never so short that concurrent trials wait for each other.
    """
    return max(at_once, min(LAG * at_once, trials // 3))


class InOrderSearch(SafeOptunaSearch):
    """SafeOptunaSearch that hears outcomes in the order of the trials' numbers."""

    def __init__(self, lag: int, **options: Any) -> None:
        super().__init__(**options)
        self._lag = lag
        self._drawn: list[str] = []
        """The ids of all trials, in the order of their numbers."""
        self._outcomes: dict[str, tuple[dict[str, Any] | None, bool]] = {}
        """The result of each trial that has ended, and whether it failed."""
        self._told = 0
        """The number of trials whose outcomes Optuna knows."""

    def suggest(self, trial_id: str) -> Any:
        """Return a trial's config; None while the sampler must wait for an earlier outcome."""
        while self._told <= len(self._drawn) - self._lag:
            first = self._drawn[self._told]
            if first not in self._outcomes:
                return None
            super().on_trial_complete(first, *self._outcomes.pop(first))
            self._told += 1
        config = super().suggest(trial_id)
        if config != self.FINISHED:
            self._drawn.append(trial_id)
        return config

    def on_trial_complete(
        self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False
    ) -> None:
        """Store a trial's outcome. `suggest` tells Optuna the outcomes in order."""
        self._outcomes[trial_id] = (result, error)


class InOrderHalving(TrialScheduler):
    """Successive halving that compares a trial with those of lower numbers at each rung.

    A trial is stopped if its metric is above the lowest ``1 / reduction`` of theirs, as in Tune's
    ASHA. It keeps plain values only, so that it can be saved at any time.
    """

    def __init__(self, rungs: list[int], reduction: int) -> None:
        super().__init__()
        self._rungs, self._reduction = sorted(rungs), reduction
        self._number: dict[str, int] = {}
        self._over: set[int] = set()
        """The numbers of the trials that have ended."""
        self._metrics: dict[int, dict[int, float]] = {rung: {} for rung in self._rungs}
        """At each rung, the metrics of the trials that have reached it, by number."""

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        """Give a new trial the next number; a trial that starts again keeps its own."""
        self._number.setdefault(trial.trial_id, len(self._number))
        self._over.discard(self._number[trial.trial_id])

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        """Return whether a trial goes on, is stopped, or is paused until lower numbers follow."""
        rung = self._note(trial, result)
        return str(TrialScheduler.CONTINUE) if rung is None else self._decision(trial, rung)

    def _note(self, trial: Trial, result: dict[str, Any]) -> int | None:
        """Note a trial's metric if it has reached a rung, and return that rung."""
        number, rung = self._number[trial.trial_id], result[TIME]
        if rung not in self._metrics or number in self._metrics[rung]:
            return None
        self._metrics[rung][number] = float(result[METRIC])
        return int(rung)

    def _decision(self, trial: Trial, rung: int) -> str:
        number, known = self._number[trial.trial_id], self._metrics[rung]
        lower = range(number)
        if not all(each in known or each in self._over for each in lower):
            return str(TrialScheduler.PAUSE)
        theirs = [known[each] for each in lower if each in known]
        if not theirs or known[number] <= np.percentile(theirs, 100 / self._reduction):
            return str(TrialScheduler.CONTINUE)
        return str(TrialScheduler.STOP)

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        """Note the end of a trial."""
        self._note(trial, result)
        self._over.add(self._number[trial.trial_id])

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        """Note the end of a trial that was paused or had not begun."""
        self._over.add(self._number[trial.trial_id])

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        """Note the end of a trial that is given up."""
        self._over.add(self._number[trial.trial_id])

    def choose_trial_to_run(self, tune_controller: Any) -> Trial | None:
        """Return the lowest number that can go on or begin; stop paused trials that need not.

        Paused trials that must still wait do not count towards the number of trials at once.
        """
        limiter = tune_controller.search_alg.searcher
        live = [trial for trial in tune_controller.get_trials() if not trial.is_finished()]
        training = sum(trial.status != Trial.PAUSED for trial in live)
        chosen, limiter.waiting = None, 0
        for trial in sorted(live, key=lambda trial: self._number[trial.trial_id]):
            if trial.status == Trial.PENDING:
                chosen = chosen or trial
            elif trial.status == Trial.PAUSED:
                decision = self._decision(trial, self._paused_at(trial))
                if decision == TrialScheduler.STOP:
                    tune_controller.stop_trial(trial)
                elif decision == TrialScheduler.PAUSE:
                    limiter.waiting += 1
                elif training < limiter.max_concurrent:
                    chosen = chosen or trial
        return chosen

    def _paused_at(self, trial: Trial) -> int:
        number = self._number[trial.trial_id]
        return max(rung for rung, known in self._metrics.items() if number in known)

    def debug_string(self) -> str:
        """Return how many trials have reached each rung."""
        reached = {rung: len(known) for rung, known in self._metrics.items()}
        return f"in order: trials at each rung {reached}"
