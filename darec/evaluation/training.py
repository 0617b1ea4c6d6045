"""Train a search's winner again, as long as the search trained its trials."""

from darec.core.config import parse
from darec.core.fit import Fit
from darec.core.recommender import Run
from darec.data.split import SearchData
from darec.models import ModelKind
from darec.models.best import Best


def train_again(kind: ModelKind, best: Best, data: SearchData, run: Run) -> Fit:
    """Return a fresh training run of a winner's configuration, with its best epoch's weights.

    It stops as a trial does: after the search's epoch budget, or when the validation RMSE has
    stalled. The weights are those of the epoch with the lowest validation RMSE
    (docs/paper.md, reading 8).
    Raises `DivergedError` when a loss or a prediction is not finite.
    """
    fit = Fit(kind.build(parse(kind.config, best.config), data.training, run), data)
    for _ in range(best.max_epochs):
        fit.step()
        if fit.stalled:
            break
    fit.model.load_weights(fit.best_weights)
    return fit
