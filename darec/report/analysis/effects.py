"""What DARec's parts and the source are worth: paired differences over seeds."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import get_args

import numpy as np

from darec.core.cold import ColdPolicy
from darec.evaluation.scores import Score
from darec.report.analysis.numbers import cold_share, errors
from darec.report.analysis.statistics import LEAST_SPLITS, holm, paired_p
from darec.report.matrix.request import Request
from darec.report.matrix.results import Results


@dataclass(frozen=True)
class PartEffect:
    """How much a change of one part raises DARec's RMSE."""

    gaps: list[float]
    """RMSE with the change minus the whole model's, by seed."""
    p: float | None
    """Holm-corrected over the model's changes; None for fewer seeds than `LEAST_SPLITS`."""

    @property
    def mean(self) -> float:
        """The mean difference over seeds."""
        return float(np.mean(self.gaps))


def part_effects(
    request: Request, results: Results, pair: str, model: str
) -> dict[str, PartEffect]:
    """Return the effect of each scored change of a model on a pair, by the change's label."""
    whole = [
        error
        for cell in request.whole_models(pair, 90)
        if cell.row == model
        for error in errors(results, cell)
    ]
    gaps = {
        label: [a - b for a, b in zip(changed, whole, strict=True)]
        for (name, label), cell in request.parts(pair).items()
        if name == model and whole and (changed := errors(results, cell))
    }
    tested = [label for label, gap in gaps.items() if len(gap) >= LEAST_SPLITS]
    p_values = holm([paired_p(gaps[label], [0.0] * len(gaps[label])) for label in tested])
    p_of = dict(zip(tested, p_values, strict=True))
    return {label: PartEffect(gap, p_of.get(label)) for label, gap in gaps.items()}


@dataclass(frozen=True)
class ColdUserErrors:
    """A model's errors on cold users by seed, and what they are compared with."""

    model: list[float]
    """RMSE, as all the others but ``mae``."""
    mae: list[float]
    shuffled: list[float]
    """The same model trained with shuffled source users."""
    hierarchical: list[float]
    """The hierarchical biases of both domains, which know the users' levels in the source."""
    bias: list[float]
    """The untuned bias baseline, which knows only the items."""
    p_shuffled: float | None
    p_hierarchical: float | None
    """The two p-values are Holm-corrected for each other; None for too few seeds."""

    @property
    def gaps(self) -> list[float]:
        """The model's RMSE minus that of the hierarchical biases, by seed."""
        return [a - b for a, b in zip(self.model, self.hierarchical, strict=True)]


def cold_user_errors(scores: Sequence[Score]) -> ColdUserErrors:
    """Return a winner's errors on cold users over all seeds."""
    names = ("test_rmse", "test_mae", "shuffled_rmse", "hierarchical_rmse", "bias_rmse")
    model, mae, shuffled, hierarchical, bias = (
        [getattr(score, name) for score in scores] for name in names
    )
    task = scores[0].train, scores[0].cold_users
    p_values: Sequence[float | None] = (None, None)
    if len(model) >= LEAST_SPLITS:
        p_values = holm([paired_p(model, other, *task) for other in (shuffled, hierarchical)])
    return ColdUserErrors(model, mae, shuffled, hierarchical, bias, *p_values)


@dataclass(frozen=True)
class ColdItemLevels:
    """A model's mean RMSE on one pair under each cold policy, and how much of it is cold."""

    cold_share: float
    hierarchical: float
    fallback: float
    floor: float


def cold_item_levels(
    request: Request, results: Results, models: Sequence[str]
) -> dict[str, dict[str, ColdItemLevels]]:
    """Return the levels of these models at 90 % training, by model and by the pair's label."""
    found: dict[str, dict[str, ColdItemLevels]] = {model: {} for model in models}
    for pair in request.pairs:
        cells = [cell for cell in request.whole_models(pair, 90) if cell.row in models]
        share = cold_share(results, cells)
        for cell in cells:
            levels = [errors(results, cell, policy) for policy in get_args(ColdPolicy)]
            if share is not None and all(levels):
                means = (float(np.mean(level)) for level in levels)
                found[cell.row][request.label(pair)] = ColdItemLevels(share, *means)
    return {model: by_pair for model, by_pair in found.items() if by_pair}
