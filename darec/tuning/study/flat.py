"""Ends a study once more trials can hardly lower the validation RMSE (``--stop-when-flat``).

After Makarova et al., Automatic Termination for Hyperparameter Optimization (AutoML 2022), as
Optuna has it: a Gaussian process on the best half of the trials bounds from above how much lower
the validation RMSE of any configuration can be. The study ends once the validation ratings cannot
tell such a difference: it is then less than the standard error of a difference between two trials.
"""

import warnings

import numpy as np
from optuna import Study, exceptions
from optuna.terminator import RegretBoundEvaluator
from optuna.trial import TrialState

from darec.core.cold import ColdRule
from darec.core.metrics import clip
from darec.data.split import SearchData

FEWEST, EVERY = 20, 5
"""The first bound is computed after `FEWEST` trials, the next after each `EVERY` further ones."""
TOP_SHARE, TOP_FEWEST = 0.5, 10
"""The bound rests on this share of the trials, the best ones, and on no fewer than `TOP_FEWEST`.
The others, many of which the scheduler stopped early, say little about the best configuration."""
PAIRED = 0.25
"""The standard error of a difference between the validation RMSEs of two trials, in standard errors
of one RMSE. It is small, because both are measured on the same ratings: 0.01 to 0.39 between the
best trial and others of 33 searches on four pairs, mostly below 0.25 (docs/performance.md)."""


class Flat:
    """Decides whether any configuration can still be much better than the best trial of a study.

    It is pickled with the study, so that a resumed study decides alike.
    """

    def __init__(self, tolerance: float, seed: int) -> None:
        self._tolerance, self._seed = tolerance, seed
        self._next = FEWEST
        self.bound: float | None = None
        """The last bound: by how much the validation RMSE can still fall."""

    @property
    def reached(self) -> bool:
        """Whether the study has ended for this reason."""
        return self.bound is not None and self.bound < self._tolerance

    def ending_line(self) -> str:
        """Return why the study has ended, as a line."""
        return (
            f"  flat       more trials can lower the validation RMSE by at most {self.bound:.4f}; "
            f"the standard error of a difference between two trials is {self._tolerance:.4f}"
        )

    def look(self, study: Study) -> bool:
        """Ask for the bound when it is due; return whether the study is to end."""
        known = study.get_trials(deepcopy=False, states=[TrialState.COMPLETE])
        if not self.reached and len(known) >= self._next:
            self._next = len(known) + EVERY
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", exceptions.ExperimentalWarning)
                evaluator = RegretBoundEvaluator(TOP_SHARE, TOP_FEWEST, self._seed)
            self.bound = float(evaluator.evaluate(known, study.direction))
        return self.reached


def tolerance(data: SearchData) -> float:
    """Return the standard error of a difference between two trials' validation RMSEs."""
    return PAIRED * standard_error(data)


def standard_error(data: SearchData) -> float:
    """Return the standard error of a validation RMSE, from the errors of the hierarchical biases.

    By the delta method it is sd(e^2) / (2 RMSE sqrt(n)) for n errors e, in the units of the
    ratings' scale.
    """
    valid = data.valid
    predicted = ColdRule(data.training, answered=data.answered_U).hierarchical.predict(
        valid.users, valid.items
    )
    squares = np.square(clip(predicted).astype(np.float64) - valid.values)
    return float(
        valid.scale.unit * squares.std() / (2 * np.sqrt(squares.mean()) * np.sqrt(len(squares)))
    )
