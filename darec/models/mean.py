"""The training mean of each domain, which every model must beat."""

from pydantic.dataclasses import dataclass

from darec.core.config import STRICT
from darec.core.new_user import NewUser
from darec.core.recommender import Run
from darec.data.ratings import FloatArray
from darec.data.split import Training
from darec.models.bias import BiasConfig, BiasRecommender


@dataclass(frozen=True, config=STRICT)
class MeanConfig:
    """The mean has no hyper-parameters."""


class Mean(BiasRecommender):
    """The bias baseline with all biases at 0."""

    def train_epoch(self) -> dict[str, float]:
        """Train nothing; return the sums of squared training errors."""
        return self._losses()

    def fold_in(self, user: NewUser) -> FloatArray:
        """Return the mean for all target items."""
        return self._bias["target"].of_all_items()


def build_mean(config: MeanConfig, training: Training, run: Run) -> Mean:
    """Build the mean. Neither ``config`` nor ``run`` has an effect."""
    return Mean(BiasConfig(), training)
