"""CF-RBM (Salakhutdinov, Mnih & Hinton, ICML 2007): an RBM for each row, with shared weights.

A visible unit is a softmax over the levels of ratings, one for each observed column of the row.
Hidden units are binary:
``p(v = l | h) = softmax_l(b_l + W_l . h)``, ``p(h | v) = sigmoid(c + sum W_v (+ sum D))``.
Shapes: B rows of a batch, M columns of the rating matrix, L levels, F hidden units, n ratings.
"""

from dataclasses import replace
from typing import Annotated, Any, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn

from darec.core.batches import RowBatch, shuffled
from darec.core.config import STRICT, BatchSize, Size
from darec.core.lazy_sgd import LazySGD
from darec.core.new_user import NewUser
from darec.core.rating_rows import RatingRows, most_columns, most_ratings, one_row
from darec.core.recommender import Run, check_domain
from darec.core.scoring import PAIRS_AT_ONCE, score_in_chunks
from darec.core.trained import Trained
from darec.data.ratings import Axis, Domain, FloatArray, IntArray, Ratings, along
from darec.data.split import Training
from darec.models.levels import (
    Levels,
    LevelTables,
    distinct,
    level_sums,
    log_frequencies,
)
from darec.seeds import derive

INIT_STD = 0.01
"""Standard deviation of initial weights."""
PHASE = 10
"""Epochs after which the momentum and the number of Gibbs steps are raised; ours."""
MOMENTUM = (0.6, 0.9)
"""Momentum in the first phase and after it, as in the RBM of AutoRec's authors."""


@dataclass(frozen=True, config=STRICT)
class RBMConfig:
    """Hyper-parameters of CF-RBM."""

    axis: Axis
    """``user``: one row per user over items (U-RBM); ``item``: one row per item over users."""
    hidden: Size = 100
    """Number F of binary hidden units."""
    learning_rate: Annotated[float, Field(ge=1e-12, le=100)] = 0.05
    """Step size of SGD on the mean over the rows of a mini-batch."""
    decay: Annotated[float, Field(ge=0, le=100)] = 1e-3
    """Weight decay of W and D."""
    cd_steps: Literal["1", "1-3", "1-3-5"] = "1-3"
    """Gibbs steps of contrastive divergence in the first, second and third `PHASE` of epochs."""
    conditional: bool = False
    """Whether hidden units also see which columns the row rates in training (weights D)."""
    batch_size: BatchSize = 128
    """Rows of a mini-batch."""


class RBMWeights(NamedTuple):
    """W, D and the biases, of all columns or of those of a batch."""

    weight_MLF: torch.Tensor
    bias_ML: torch.Tensor
    hidden_bias_F: torch.Tensor
    rated_MF: torch.Tensor | None = None

    def hidden_logits(self, batch: RowBatch, level_n: torch.Tensor) -> torch.Tensor:
        """Return the log-odds of the hidden units given visible levels, [B, F]."""
        sums_BF = level_sums(self.weight_MLF, batch, level_n)
        if self.rated_MF is not None:
            rated_MLF = self.rated_MF[:, None]
            sums_BF = sums_BF + level_sums(rated_MLF, batch, torch.zeros_like(level_n))
        return sums_BF + self.hidden_bias_F

    def visible_logits(
        self, hidden_BF: torch.Tensor, row_n: torch.Tensor, column_n: torch.Tensor
    ) -> torch.Tensor:
        """Return the logits of the levels of (row, column) pairs, given hidden units, [n, L]."""
        weight_nLF = self.weight_MLF.index_select(0, column_n)
        dots_nL1 = weight_nLF @ hidden_BF.index_select(0, row_n)[:, :, None]
        return dots_nL1[:, :, 0] + self.bias_ML.index_select(0, column_n)

    def free_energy(self, batch: RowBatch, level_n: torch.Tensor) -> torch.Tensor:
        """Return the free energy ``-log sum_h exp(-E(v, h))``, summed over the rows."""
        cell_n = batch.columns * self.bias_ML.shape[1] + level_n
        visible_n = self.bias_ML.flatten().index_select(0, cell_n)
        return -visible_n.sum() - F.softplus(self.hidden_logits(batch, level_n)).sum()


class RBMNet(nn.Module):
    """The parameters: W, the biases and, if hidden units see what a row rates, D."""

    def __init__(
        self, bias_ML: torch.Tensor, config: RBMConfig, generator: torch.Generator
    ) -> None:
        super().__init__()
        (n_columns, n_levels), hidden = bias_ML.shape, config.hidden
        weight = torch.randn(n_columns, n_levels, hidden, generator=generator)
        self.weight_MLF = nn.Parameter(INIT_STD * weight)
        self.bias_ML = nn.Parameter(bias_ML.clone())
        self.hidden_bias_F = nn.Parameter(torch.zeros(hidden))
        rated = torch.zeros(n_columns, hidden) if config.conditional else None
        self.rated_MF = nn.Parameter(rated) if rated is not None else None

    def whole(self) -> RBMWeights:
        """Return the weights of all columns."""
        return RBMWeights(self.weight_MLF, self.bias_ML, self.hidden_bias_F, self.rated_MF)


class RBM(Trained):
    """CF-RBM trained by contrastive divergence; predictions are expectations, without sampling."""

    domains: tuple[Domain, ...] = ("target",)

    def __init__(self, config: RBMConfig, ratings: Ratings, run: Run) -> None:
        self._config, self._epoch = config, 0
        self._rows = RatingRows(ratings, config.axis, run.device)
        self._rated = self._rows.is_rated.nonzero()[:, 0]
        self._generator = torch.Generator().manual_seed(derive(run.seed, "rbm", config.axis))
        self._levels, bias_ML = Levels(ratings), log_frequencies(ratings, config.axis)
        self._net = RBMNet(bias_ML, config, self._generator).to(run.device)
        parameters = dict(self._net.named_parameters())
        decayed = ("weight_MLF", "rated_MF")
        decays = {name: config.decay if name in decayed else 0.0 for name in parameters}
        self._sgd = LazySGD(parameters, decays, config.learning_rate)
        super().__init__(self._net, self._sgd, self._generator)

    def train_epoch(self) -> dict[str, float]:
        """Visit every rated row once; return the sum of squared errors of the reconstructions."""
        phase = self._epoch // PHASE
        schedule = [int(steps) for steps in self._config.cd_steps.split("-")]
        n_steps = schedule[min(phase, len(schedule) - 1)]
        order = shuffled(self._rated, self._generator)
        epoch = self._rows.epoch(order, self._config.batch_size)
        self._sgd.begin(len(epoch.batches), MOMENTUM[min(phase, 1)])
        total = sum((self._step(batch, n_steps) for batch in epoch.batches), torch.zeros(()))
        self._epoch += 1
        return {"loss_rating_target": float(total)}

    def _step(self, batch: RowBatch, n_steps: int) -> torch.Tensor:
        """Descend ``F(v_0) - F(v_T)``, whose gradient is ``<v h>_T - <v h>_0`` (CD-T)."""
        own, batch = self._own_weights(batch)
        observed_n = self._levels.of(batch.values)
        with torch.no_grad():
            level_n, error = observed_n, torch.zeros(())
            for step in range(n_steps):
                p_BF = torch.sigmoid(own.hidden_logits(batch, level_n))
                h_BF = (self._uniform(p_BF) < p_BF).to(p_BF)
                logits_nL = own.visible_logits(h_BF, batch.row_of, batch.columns)
                if step == 0:
                    error = (self._levels.expected(logits_nL) - batch.values).square().sum()
                gumbel_nL = -torch.log(-torch.log(self._uniform(logits_nL)))
                level_n = (logits_nL + gumbel_nL).argmax(1)
        gap = own.free_energy(batch, observed_n) - own.free_energy(batch, level_n)
        (gap / len(batch.rows)).backward()
        self._sgd.step()
        return error

    def _own_weights(self, batch: RowBatch) -> tuple[RBMWeights, RowBatch]:
        """Return the weights of a batch's columns, and the batch with positions among them."""
        columns_T, position_n = torch.unique(batch.columns, return_inverse=True)
        units_F = torch.arange(self._config.hidden, device=columns_T.device)
        own = self._sgd.read(
            {
                name: units_F if name == "hidden_bias_F" else columns_T
                for name, _ in self._net.named_parameters()
            }
        )
        return RBMWeights(**own), replace(batch, columns=position_n, touched_columns=None)

    def _uniform(self, like: torch.Tensor) -> torch.Tensor:
        return torch.rand(like.shape, generator=self._generator).to(like.device)

    def predict(self, users: IntArray, items: IntArray, domain: Domain = "target") -> FloatArray:
        """Return the expected stars f32[N] given a row's training ratings, by mean field."""
        check_domain(self.domains, domain)
        weights, rows = self._net.whole(), self._rows

        def score(
            hidden_BF: torch.Tensor, row_n: torch.Tensor, column_n: torch.Tensor
        ) -> torch.Tensor:
            return self._levels.expected(weights.visible_logits(hidden_BF, row_n, column_n))

        pairs = along(self._config.axis, users, items)
        return score_in_chunks(
            *pairs,
            rows.device,
            lambda distinct: self._hidden(rows.gather(distinct)),
            score,
            PAIRS_AT_ONCE // len(self._levels),
        )

    def tables(self, domain: Domain = "target") -> LevelTables:
        """Return the tables of all rows' hidden units and of the visible units' weights."""
        check_domain(self.domains, domain)
        every = torch.arange(self._rows.n_rows, device=self._rows.device)
        with torch.no_grad():
            return self._level_tables(self._hidden(self._rows.gather(every)))

    def fold_in(self, user: NewUser) -> FloatArray | None:
        """Return the expected stars of all items f32[I] given a new user's target ratings.

        On the item axis the user is no row, and the result is None.
        """
        if self._config.axis == "item":
            return None
        own = user["target"]
        with torch.no_grad():
            hidden_1F = self._hidden(one_row(own.items, own.values, self._rows.device))
            tables = self._level_tables(hidden_1F)
            scores_I: FloatArray = tables.of_hidden(hidden_1F)[0]
        return scores_I

    def _level_tables(self, hidden_RF: torch.Tensor) -> LevelTables:
        net, axis = self._net, self._config.axis
        return LevelTables(self._levels, axis, hidden_RF, net.weight_MLF, net.bias_ML)

    def _hidden(self, batch: RowBatch) -> torch.Tensor:
        """Return the hidden units of some rows by mean field, [B, F]."""
        return torch.sigmoid(self._net.whole().hidden_logits(batch, self._levels.of(batch.values)))

    def state_dict(self) -> dict[str, Any]:
        """Return the state, with the number of epochs done, which decides the schedules."""
        return {**super().state_dict(), "epoch": self._epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state."""
        super().load_state_dict(state)
        self._epoch = state["epoch"]


def build_rbm(config: RBMConfig, training: Training, run: Run) -> RBM:
    """Build CF-RBM on the target's training ratings."""
    return RBM(config, training.target, run)


def n_weights_rbm(config: RBMConfig, training: Training) -> int:
    """Return the number of weights and biases, on the domain with more columns."""
    n_columns = most_columns(training, config.axis)
    n_levels = len(distinct(training.target))
    per_unit = n_levels + (1 if config.conditional else 0)
    return n_columns * (per_unit * config.hidden + n_levels) + config.hidden


def n_temporary_rbm(config: RBMConfig, training: Training) -> int:
    """Return the numbers of the weights of a batch's ratings [n, L, F], read twice and moved."""
    n_ratings = most_ratings(training.target, config.axis, config.batch_size)
    return 4 * n_ratings * len(distinct(training.target)) * config.hidden
