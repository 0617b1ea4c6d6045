"""FM-CDCF (Loni et al., ECIR 2014): a factorisation machine with source ratings as features.

The features of a rating are its user, its target item, and the user's normalised training ratings
in the source: ``r = w0 + sum w_f x_f + sum_{f<g} v_f . v_g x_f x_g``. Its parameters are sampled by
Gibbs (myfm, as in libFM), and predictions are the mean over samples.
"""

from typing import Annotated

from pydantic import Field
from pydantic.dataclasses import dataclass
from scipy import sparse

from darec.core.center import CenterKind
from darec.core.config import STRICT
from darec.core.recommender import Run
from darec.data.split import Training
from darec.models.fm.features import Norm, source_ratings
from darec.models.fm.gaussian import GaussianFM, table_width
from darec.models.fm.model import InitStdev, Iterations, Rank
from darec.models.fm.samples import Chain
from darec.seeds import derive


@dataclass(frozen=True, config=STRICT)
class FMCDCFConfig:
    """Hyper-parameters of FM-CDCF. Gibbs sampling has no learning rate and no ridge."""

    rank: Rank = 8
    """Width K of the factors of each feature."""
    init_stdev: InitStdev = 0.1
    """Standard deviation of initial factors."""
    iterations: Iterations = 100
    """Gibbs sweeps of a fit."""
    norm: Norm = "sqrt_n"
    """How a source rating r of a user with n ratings becomes a feature. ``n``: r / 5 / n;
    ``sqrt_n``: r / 5 / sqrt(n); ``none``: r / 5; ``centred``: ((r - mean) / 4 + 1) / n, with the
    user's mean rating in the source."""
    max_aux: Annotated[int, Field(ge=0, le=10**9)] = 0
    """How many source ratings of each user count, those of the most rated items first. 0: all. The
    authors' code uses 5."""
    center: CenterKind = "none"
    """What is subtracted from target ratings first; ours. The authors subtract nothing."""


def build_fm_cdcf(config: FMCDCFConfig, training: Training, run: Run) -> GaussianFM:
    """Build FM-CDCF. It predicts the target, and runs on the CPU."""
    popularity_J = training.source.item_counts

    def of_users(ratings: Training) -> tuple[sparse.csr_matrix, ...]:
        return (source_ratings(ratings.source, config.norm, config.max_aux, popularity_J),)

    seed = derive(run.seed, "fm_cdcf") % 2**31
    chain = Chain(config.rank, config.init_stdev, config.iterations, seed)
    return GaussianFM(training, chain, config.center, of_users)


def n_weights_fm_cdcf(config: FMCDCFConfig, training: Training) -> int:
    """Return the number of entries of the tables of users, items and features."""
    n_rows = training.target.n_users + training.target.n_items + 1 + training.source.n_items
    return n_rows * table_width(Chain(config.rank, config.init_stdev, config.iterations, seed=0))
