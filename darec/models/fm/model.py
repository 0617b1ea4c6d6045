"""A factorisation machine by Gibbs sampling, whose likelihood and features are searched; ours.

A rating's features are its user and its item. The search may add the items that the user rated in
either domain, the users who rated the item, and the user's source ratings (docs/paper.md).
``fm_cdcf`` is the factorisation machine of the paper.
"""

from functools import partial
from typing import Annotated, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass
from scipy import sparse

from darec.core.center import CenterKind
from darec.core.config import STRICT
from darec.core.recommender import Run
from darec.data.split import Training
from darec.models.fm.features import sets, source_ratings
from darec.models.fm.gaussian import GaussianFM, table_width
from darec.models.fm.probit import ProbitFM
from darec.models.fm.samples import Chain
from darec.seeds import derive

Rank = Annotated[int, Field(ge=1, le=1000)]
InitStdev = Annotated[float, Field(ge=1e-9, le=10)]
Iterations = Annotated[int, Field(ge=2, le=10**5)]


@dataclass(frozen=True, config=STRICT)
class FMConfig:
    """Hyper-parameters of the machine. Gibbs sampling has no learning rate and no ridge."""

    output: Literal["stars", "residuals", "levels"] = "residuals"
    """What is predicted. ``stars``: the ratings, with Gaussian noise. ``residuals``: what the
    hierarchical biases leave of them, with Gaussian noise. ``levels``: the ratings as levels of an
    ordered probit, whose expected stars are the prediction."""
    sets: bool = True
    """Whether the items that a user rated, and the users that rated an item, are features."""
    source_sets: bool = True
    """Whether the source items that a user rated are features."""
    source_ratings: bool = False
    """Whether a user's source ratings are features, as in ``fm_cdcf``."""
    rank: Rank = 8
    """Width K of the factors of each feature."""
    init_stdev: InitStdev = 0.1
    """Standard deviation of initial factors."""
    iterations: Iterations = 200
    """Gibbs sweeps of a fit."""


def user_blocks(config: FMConfig, ratings: Training) -> tuple[sparse.csr_matrix, ...]:
    """Return the features of the users of these ratings."""
    blocks = []
    if config.sets:
        blocks.append(sets(ratings.target, "user"))
    if config.source_sets:
        blocks.append(sets(ratings.source, "user"))
    if config.source_ratings:
        blocks.append(source_ratings(ratings.source, "sqrt_n", max_aux=0))
    return tuple(blocks)


def build_fm(config: FMConfig, training: Training, run: Run) -> GaussianFM | ProbitFM:
    """Build the machine. It predicts the target, and runs on the CPU."""
    seed = derive(run.seed, "fm") % 2**31
    chain = Chain(config.rank, config.init_stdev, config.iterations, seed)
    of_users = partial(user_blocks, config)
    of_items = (sets(training.target, "item"),) if config.sets else ()
    if config.output == "levels":
        return ProbitFM(training, chain, of_users, of_items)
    center: CenterKind = "none" if config.output == "stars" else "hierarchical"
    return GaussianFM(training, chain, center, of_users, of_items)


def n_weights_fm(config: FMConfig, training: Training) -> int:
    """Return an upper bound of the entries of the tables of users, items and features."""
    chain = Chain(config.rank, config.init_stdev, config.iterations, seed=0)
    target, n_source = training.target, training.source.n_items
    n_features = 1 + config.sets * target.n_items
    n_features += (config.source_sets + config.source_ratings) * n_source
    n_rows = target.n_users + target.n_items + n_features
    if config.output == "levels":
        return chain.n_samples * (n_rows * (config.rank + 1) + 10)
    return n_rows * table_width(chain)
