"""CF-NADE-S (Zheng et al., ICML 2016): predicts each rating of a row from the ratings before it.

``h = tanh(c + sum_{t<d} sum_{k<=r_t} W^k_{o_t})``, ``s^k = sum_{j<=k} (b^j + V^j . h)``,
``p(k) = softmax_k(s)``. Levels share weights (the "S" of the name). The cost is ordinal.
Shapes: B rows of a batch, M columns of the rating matrix, L levels, H hidden units, n ratings.
"""

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn

from darec.core.backend import Backend
from darec.core.batches import RowBatch, shuffled
from darec.core.config import STRICT, BatchSize, LearningRate, Size
from darec.core.fold_in import NewUser
from darec.core.rating_rows import RatingRows, most_columns, one_row
from darec.core.recommender import Run, check_domain
from darec.core.scoring import score_in_chunks
from darec.core.sparse_layers import lookup
from darec.core.trained import Trained
from darec.data.ratings import Axis, Domain, FloatArray, IntArray, Ratings, along
from darec.data.split import Training
from darec.models.levels import (
    LEVEL_PAIRS_AT_ONCE,
    LEVELS,
    LevelTables,
    expected_stars,
    level_of,
    level_sums,
    log_frequencies,
)
from darec.seeds import derive


@dataclass(frozen=True, config=STRICT)
class NADEConfig:
    """Hyper-parameters of CF-NADE-S."""

    axis: Axis
    """``item``: one row per item over users (I-CF-NADE); ``user``: one row per user over items."""
    hidden: Size = 200
    """Number H of hidden units."""
    ordinal: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Share of the ordinal cost. The rest is the negative log-likelihood."""
    decay: Annotated[float, Field(ge=0, le=100)] = 0.01
    """Weight of the squared norm of all weights and biases. The cost is a mean over rows."""
    learning_rate: LearningRate = 1e-3
    """Adam's step size."""
    batch_size: BatchSize = 128
    """Rows of a mini-batch."""


class NADENet(nn.Module):
    """The weights W and V as [M, L * H], with a column's weights in one row, and the biases."""

    def __init__(
        self,
        log_shares_ML: torch.Tensor,
        hidden: int,
        generator: torch.Generator,
        backend: Backend,
    ) -> None:
        super().__init__()
        n_columns = len(log_shares_ML)
        self.hidden, self._backend = hidden, backend
        self.input_MW = nn.Parameter(torch.empty(n_columns, LEVELS * hidden))
        self.output_MW = nn.Parameter(torch.empty(n_columns, LEVELS * hidden))
        bound = (6 / (n_columns + hidden)) ** 0.5
        for weight in (self.input_MW, self.output_MW):
            nn.init.uniform_(weight, -bound, bound, generator=generator)
        self.bias_ML = nn.Parameter(torch.diff(log_shares_ML, dim=1, prepend=log_shares_ML[:, :1]))
        self.hidden_bias_H = nn.Parameter(torch.zeros(hidden))

    def hidden_units(self, batch: RowBatch, factor_n: torch.Tensor) -> torch.Tensor:
        """Return h of each row [B, H], given those of its ratings that have factor 1, not 0."""
        level_n1 = level_of(batch.values)[:, None]
        below_nL = torch.arange(LEVELS, device=level_n1.device) <= level_n1
        factor_nL = below_nL.to(factor_n) * factor_n[:, None]
        input_nLH = lookup(self.input_MW, batch, self._backend).view(-1, LEVELS, self.hidden)
        sums_nH = (factor_nL[:, None, :] @ input_nLH)[:, 0]
        sums_BH = sums_nH.new_zeros(len(batch.rows), self.hidden)
        return torch.tanh(sums_BH.index_add(0, batch.row_of, sums_nH) + self.hidden_bias_H)

    def given_all(self) -> Callable[[RowBatch], torch.Tensor]:
        """Return a function from a batch to h given all ratings of each row, [B, H].

        It needs no temporary of the shape [n, L, H].
        """
        below_MLH = torch.cumsum(self.input_MW.view(-1, LEVELS, self.hidden), 1)

        def hidden_of(batch: RowBatch) -> torch.Tensor:
            sums_BH = level_sums(below_MLH, batch, level_of(batch.values))
            return torch.tanh(sums_BH + self.hidden_bias_H)

        return hidden_of

    def target_logits(self, hidden_BH: torch.Tensor, batch: RowBatch) -> torch.Tensor:
        """Return s of the batch's ratings, [n, L], given h of each row."""
        hidden_nH = hidden_BH.index_select(0, batch.row_of)
        output_nW = lookup(self.output_MW, batch, self._backend)
        return self.logits(hidden_nH, output_nW, self.bias_ML.index_select(0, batch.columns))

    def logits(
        self, hidden_nH: torch.Tensor, output_nW: torch.Tensor, bias_nL: torch.Tensor
    ) -> torch.Tensor:
        """Return s of each rating [n, L], from h of its row and the weights of its column."""
        output_nLH = output_nW.view(-1, LEVELS, self.hidden)
        return torch.cumsum(bias_nL + (output_nLH @ hidden_nH[:, :, None])[:, :, 0], 1)


def costs(logits_nL: torch.Tensor, level_n: torch.Tensor, ordinal: float) -> torch.Tensor:
    """Return ``(1 - ordinal) NLL + ordinal C_ord`` of each rating, [n].

    C_ord is the negative log-likelihood of two rankings of the levels by distance from the true
    level r: r, r-1, r-2, ... and r, r+1, r+2, ... (Eq. 12-13 of Zheng et al.).
    """
    index_n1 = level_n[:, None]
    nll_n = -torch.log_softmax(logits_nL, 1).gather(1, index_n1)[:, 0]
    up_nL = torch.logcumsumexp(logits_nL, 1) - logits_nL
    down_nL = torch.logcumsumexp(logits_nL.flip(1), 1).flip(1) - logits_nL
    levels_L = torch.arange(LEVELS, device=logits_nL.device)
    ranks_n = (up_nL * (levels_L <= index_n1)).sum(1) + (down_nL * (levels_L >= index_n1)).sum(1)
    return (1 - ordinal) * nll_n + ordinal * ranks_n


class NADE(Trained):
    """CF-NADE-S. Each step splits the ratings of each row at random into inputs and targets."""

    domains: tuple[Domain, ...] = ("target",)

    def __init__(self, config: NADEConfig, ratings: Ratings, run: Run) -> None:
        self._config = config
        self._rows = RatingRows(ratings, config.axis, run.device)
        self._rated = self._rows.is_rated.nonzero()[:, 0]
        self._generator = torch.Generator().manual_seed(derive(run.seed, "cf_nade", config.axis))
        log_shares_ML = log_frequencies(ratings, config.axis)
        backend = self._rows.backend
        net = NADENet(log_shares_ML, config.hidden, self._generator, backend).to(run.device)
        self._net = net
        self._adam = backend.adam(
            [net.input_MW, net.output_MW],
            [net.bias_ML, net.hidden_bias_H],
            config.learning_rate,
            config.decay,
            "coupled",
        )
        super().__init__(net, self._adam, self._generator)

    def train_epoch(self) -> dict[str, float]:
        """Visit every rated row once; return the cost, summed over rows."""
        order = shuffled(self._rated, self._generator)
        epoch = self._rows.epoch(order, self._config.batch_size)
        self._adam.begin(epoch, epoch)
        total = sum((self._step(batch) for batch in epoch.batches), torch.zeros(()))
        return {"loss_target": float(total)}

    def _step(self, batch: RowBatch) -> torch.Tensor:
        """Do a step: predict the targets of each row from its inputs."""
        is_input_n, weight_n = self._divided(batch)
        hidden_BH = self._net.hidden_units(batch, is_input_n)
        logits_nL = self._net.target_logits(hidden_BH, batch)
        loss = costs(logits_nL, level_of(batch.values), self._config.ordinal) @ weight_n
        (loss / len(batch.rows)).backward()
        self._adam.step(batch, batch)
        return loss.detach()

    def _divided(self, batch: RowBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return which ratings are inputs, as 0 or 1 [n], and the weight of each as a target [n].

        Of the D ratings of a row, d random ones are inputs, with d uniform on 0 to D - 1. Each of
        the others is a target with the weight D / (D - d).
        """
        count_B = torch.diff(batch.starts)
        draws = torch.rand(len(batch.columns) + len(batch.rows), generator=self._generator)
        draws = draws.to(batch.values.device, torch.float64)
        key_n, share_B = draws[: len(batch.columns)], draws[len(batch.columns) :]
        first_B = (share_B * count_B).long()
        order = torch.argsort(batch.row_of + key_n)
        position_n = torch.empty_like(order)
        position_n[order] = torch.arange(len(order), device=order.device)
        position_n -= batch.starts[:-1][batch.row_of]
        is_input_n = position_n < first_B[batch.row_of]
        scale_B = count_B / (count_B - first_B).clamp(min=1)
        weight_n = scale_B[batch.row_of] * ~is_input_n
        return is_input_n.to(batch.values), weight_n.to(batch.values)

    def predict(self, users: IntArray, items: IntArray, domain: Domain = "target") -> FloatArray:
        """Return the expected stars given all training ratings of the row, f32[N]."""
        check_domain(self.domains, domain)
        net, rows = self._net, self._rows
        with torch.no_grad():
            given_all = net.given_all()

        def score(
            hidden_BH: torch.Tensor, row_n: torch.Tensor, column_n: torch.Tensor
        ) -> torch.Tensor:
            logits_nL = net.logits(hidden_BH[row_n], net.output_MW[column_n], net.bias_ML[column_n])
            return expected_stars(logits_nL)

        pairs = along(self._config.axis, users, items)
        return score_in_chunks(
            *pairs,
            rows.device,
            lambda distinct: given_all(rows.gather(distinct)),
            score,
            LEVEL_PAIRS_AT_ONCE,
        )

    def tables(self, domain: Domain = "target") -> LevelTables:
        """Return the tables of all rows' hidden units and of the output weights."""
        check_domain(self.domains, domain)
        every = torch.arange(self._rows.n_rows, device=self._rows.device)
        with torch.no_grad():
            return self._level_tables(self._net.given_all()(self._rows.gather(every)))

    def fold_in(self, user: NewUser) -> FloatArray | None:
        """Return the expected stars of all items f32[I] given a new user's target ratings.

        On the item axis the user is no row, and the result is None.
        """
        if self._config.axis == "item":
            return None
        own = user["target"]
        with torch.no_grad():
            batch = one_row(own.items, own.values, self._rows.device)
            hidden_1H = self._net.given_all()(batch)
            scores_I: FloatArray = self._level_tables(hidden_1H).of_hidden(hidden_1H)[0]
        return scores_I

    def _level_tables(self, hidden_RH: torch.Tensor) -> LevelTables:
        """Return tables in which the sums over levels are done: ``s^k = sum_{j<=k} ...``."""
        net = self._net
        weight_MLH = torch.cumsum(net.output_MW.view(-1, LEVELS, net.hidden), 1)
        return LevelTables(self._config.axis, hidden_RH, weight_MLH, torch.cumsum(net.bias_ML, 1))


def build_cf_nade(config: NADEConfig, training: Training, run: Run) -> NADE:
    """Build CF-NADE-S on the target's training ratings."""
    return NADE(config, training.target, run)


def n_weights_cf_nade(config: NADEConfig, training: Training) -> int:
    """Return the number of weights and biases, on the domain with more columns."""
    n_columns = most_columns(training, config.axis)
    return n_columns * LEVELS * (2 * config.hidden + 1) + config.hidden
