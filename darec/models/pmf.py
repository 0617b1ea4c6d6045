"""PMF (Salakhutdinov & Mnih, NIPS 2007) as the paper runs it: Surprise's SVD without biases.

SGD minimises the sum over training ratings of ``(r - p_u . q_i)^2 + reg (|p_u|^2 + |q_i|^2)``. So
the ridge of a user grows with the number of ratings. Shapes: U users, I items, K factors.
"""

from typing import Annotated

import pandas as pd
from pydantic import Field
from pydantic.dataclasses import dataclass

from darec.core.center import CenterKind
from darec.core.config import STRICT, LearningRate
from darec.core.recommender import Run
from darec.data.ratings import HIGHEST, LOWEST
from darec.data.split import Training
from darec.models.factors import Factors
from darec.models.libraries import library
from darec.seeds import derive


@dataclass(frozen=True, config=STRICT)
class PMFConfig:
    """Hyper-parameters of ``surprise.SVD(biased=False)``."""

    factors: Annotated[int, Field(ge=1, le=10**4)] = 50
    """Width K of user and item factors."""
    reg: Annotated[float, Field(ge=0, le=1e3)] = 0.05
    """Ridge of each rating."""
    learning_rate: LearningRate = 5e-3
    """Step size of SGD."""
    epochs: Annotated[int, Field(ge=1, le=10**5)] = 30
    """Passes over the ratings in a fit. The library does not report on single ones."""
    center: CenterKind = "none"
    """What is subtracted from the ratings first; ours. The library subtracts nothing."""


class PMF(Factors):
    """PMF on the target. An epoch is a whole fit."""

    def __init__(self, config: PMFConfig, training: Training, run: Run) -> None:
        self._config, self._seed = config, derive(run.seed, "pmf") % 2**32
        super().__init__(training, config.factors, config.center)

    @property
    def reads_source(self) -> bool:
        """Whether source ratings change what it predicts for a user."""
        return self._config.center == "hierarchical"

    def train_epoch(self) -> dict[str, float]:
        """Fit from the start; return the sum of squared training errors."""
        surprise = library("surprise", "scikit-surprise")
        config, ratings = self._config, self.ratings["target"]
        columns = {"user": ratings.users, "item": ratings.items, "r": self.residuals("target")}
        reader = surprise.Reader(rating_scale=(LOWEST, HIGHEST))
        data = surprise.Dataset.load_from_df(pd.DataFrame(columns), reader).build_full_trainset()
        svd = surprise.SVD(
            n_factors=config.factors,
            n_epochs=config.epochs,
            biased=False,
            lr_all=config.learning_rate,
            reg_all=config.reg,
            random_state=self._seed,
        ).fit(data)
        users = [data.to_raw_uid(inner) for inner in range(data.n_users)]
        items = [data.to_raw_iid(inner) for inner in range(data.n_items)]
        self.user_UK["target"][users], self.item_IK["target"][items] = svd.pu, svd.qi
        return self.losses()


def build_pmf(config: PMFConfig, training: Training, run: Run) -> PMF:
    """Build PMF on the training ratings of the target. It runs on the CPU."""
    return PMF(config, training, run)


def n_weights_pmf(config: PMFConfig, training: Training) -> int:
    """Return the number of factors."""
    return config.factors * (training.target.n_users + training.target.n_items)
