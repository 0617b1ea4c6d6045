"""The training mean of each domain: the least that every model must beat."""

from pydantic.dataclasses import dataclass

from darec.core.config import STRICT
from darec.core.recommender import Run
from darec.data.split import Training
from darec.models.bias import BiasConfig, BiasRecommender


@dataclass(frozen=True, config=STRICT)
class MeanConfig:
    """The mean has no hyper-parameters."""


class Mean(BiasRecommender):
    """Biases that stay zero."""

    def train_epoch(self) -> dict[str, float]:
        """Train nothing; return the squared training errors, summed."""
        return self._losses()


def build_mean(config: MeanConfig, training: Training, run: Run) -> Mean:
    """Build the mean; neither ``config`` nor ``run`` changes it."""
    return Mean(BiasConfig(), training)
