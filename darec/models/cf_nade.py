"""CF-NADE-S (Zheng et al., ICML 2016): predicts each rating of a row from the ratings before it.

``h = tanh(c + sum_{t<d} sum_{k<=r_t} W^k_{o_t})``, ``s^k = sum_{j<=k} (b^j + V^j . h)``,
``p(k) = softmax_k(s)``. Levels share weights (the "S" of the name). The cost is ordinal.

With a centre (ours) the model is anchored: ``p(k) = softmax_k(s + a)``, with a the logits of levels
whose mean is the centre (`darec.models.tilt`). There are no biases b and c, and a rating counts by
what it says beyond the centre: in h, ``[k <= r_t]`` becomes ``[k <= r_t] - P(level >= k)`` under a.
So a row without ratings gets the prediction of the centre.

Shapes: B rows of a batch, M columns of the rating matrix, L levels, H hidden units, n ratings.
"""

from collections.abc import Callable
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass

from darec.core.adam import Decay
from darec.core.batches import RowBatch, shuffled
from darec.core.center import CenterKind, fit_centers
from darec.core.config import STRICT, BatchSize, LearningRate, Size
from darec.core.new_user import NewUser
from darec.core.rating_rows import RatingRows, most_columns, most_ratings, one_row
from darec.core.recommender import Run, check_domain
from darec.core.scoring import PAIRS_AT_ONCE, score_in_chunks
from darec.core.trained import Trained
from darec.data.ratings import Axis, Domain, FloatArray, IntArray, along
from darec.data.split import Training
from darec.models.levels import (
    Levels,
    LevelTables,
    distinct,
    log_frequencies,
)
from darec.models.nade_net import NADENet, costs
from darec.models.tilt import Tilt, reached
from darec.seeds import derive


@dataclass(frozen=True, config=STRICT)
class NADEConfig:
    """Hyper-parameters of CF-NADE-S."""

    axis: Axis
    """``item``: one row per item over users (I-CF-NADE); ``user``: one row per user over items."""
    hidden: Size = 100
    """Number H of hidden units."""
    center: CenterKind = "hierarchical"
    """The centre that anchors the model; ours. ``none`` is the model of Zheng et al."""
    ordinal: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Share of the ordinal cost. The rest is the negative log-likelihood."""
    decay: Annotated[float, Field(ge=0, le=100)] = 1e-3
    """Weight of the squared norm of all weights and biases. The cost is a mean over rows."""
    decay_kind: Decay = "coupled"
    """``coupled``: Adam sees the gradient of that norm; ``decoupled``: weights shrink as in AdamW;
    ours."""
    learning_rate: LearningRate = 1e-3
    """Adam's step size."""
    batch_size: BatchSize = 128
    """Rows of a mini-batch."""


class NADE(Trained):
    """CF-NADE-S. Each step splits the ratings of each row at random into inputs and targets."""

    domains: tuple[Domain, ...] = ("target",)

    def __init__(self, config: NADEConfig, training: Training, run: Run) -> None:
        self._config, ratings = config, training.target
        self._n_items = ratings.n_items
        self._rows = rows = RatingRows(ratings, config.axis, run.device)
        self._rated = rows.is_rated.nonzero()[:, 0]
        self._center = fit_centers(config.center, training)["target"]
        centers_N = self._center.predict(ratings.users, ratings.items)
        self._centers = RatingRows(ratings, config.axis, run.device, centers_N)
        """The centre of each rating, as rows."""
        self._tilt = None if config.center == "none" else Tilt(ratings, centers_N, rows.device)
        self._generator = torch.Generator().manual_seed(derive(run.seed, "cf_nade", config.axis))
        shares_ML, is_anchored = log_frequencies(ratings, config.axis), self._tilt is not None
        self._levels = Levels(ratings)
        net = NADENet(
            self._levels,
            shares_ML,
            config.hidden,
            is_anchored,
            self._generator,
            rows.backend,
        )
        self._net = net.to(run.device)
        self._adam = rows.backend.adam(
            [net.input_MW, net.output_MW],
            [net.bias_ML, net.hidden_bias_H],
            config.learning_rate,
            config.decay,
            config.decay_kind,
        )
        super().__init__(net, self._adam, self._generator)

    @property
    def reads_source(self) -> bool:
        """Whether source ratings change what it predicts for a user."""
        return self._config.center == "hierarchical"

    def train_epoch(self) -> dict[str, float]:
        """Visit every rated row once; return the cost, summed over rows."""
        order = shuffled(self._rated, self._generator)
        epoch = self._rows.epoch(order, self._config.batch_size)
        sizes = [len(batch.columns) for batch in epoch.batches]
        centers = self._centers.gather(order).values.split(sizes)
        self._adam.begin(epoch, epoch)
        steps = zip(epoch.batches, centers, strict=True)
        total = sum((self._step(batch, center_n) for batch, center_n in steps), torch.zeros(()))
        return {"loss_target": float(total)}

    def _step(self, batch: RowBatch, center_n: torch.Tensor) -> torch.Tensor:
        """Do a step: predict the targets of each row from its inputs."""
        is_input_n, weight_n = self._divided(batch)
        level_n, expected_nL = self._levels.of(batch.values), self._expected(center_n)
        seen_nL = reached(level_n, len(self._levels), expected_nL) * is_input_n[:, None]
        logits_nL = self._net.target_logits(self._net.hidden_units(batch, seen_nL), batch)
        if expected_nL is not None:
            logits_nL = logits_nL + expected_nL
        loss = costs(logits_nL, level_n, self._config.ordinal) @ weight_n
        (loss / len(batch.rows)).backward()
        self._adam.step(batch, batch)
        return loss.detach()

    def _expected(self, center: torch.Tensor) -> torch.Tensor | None:
        """Return the logits that the centre [...] gives the levels [..., L]; None without one."""
        return None if self._tilt is None else self._tilt.logits(center)

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
        net, device = self._net, self._rows.device
        rows, columns = along(self._config.axis, users, items)
        column_N = torch.from_numpy(columns.astype(np.int64)).to(device)
        center_N = torch.from_numpy(self._center.predict(users, items)).to(device)

        def score(
            hidden_BH: torch.Tensor, row_n: torch.Tensor, pair_n: torch.Tensor
        ) -> torch.Tensor:
            column_n, expected_nL = column_N[pair_n], self._expected(center_N[pair_n])
            logits_nL = net.logits(hidden_BH[row_n], net.output_MW[column_n], net.bias_ML[column_n])
            return self._levels.expected(logits_nL, expected_nL)

        at_once = PAIRS_AT_ONCE // len(self._levels)  # each pair reads weights for each level
        pairs, hidden_of = np.arange(len(rows), dtype=np.int32), self._hidden_of()
        return score_in_chunks(rows, pairs, device, hidden_of, score, at_once)

    def _hidden_of(self) -> Callable[[torch.Tensor], torch.Tensor]:
        """Return a function from rows i64[B] to h given all of their ratings, [B, H]."""
        given_all = self._given_all()
        return lambda rows: given_all(self._rows.gather(rows), self._centers.gather(rows).values)

    def _given_all(self) -> Callable[[RowBatch, torch.Tensor], torch.Tensor]:
        """Return a function from a batch and the centres of its ratings [n] to h, [B, H]."""
        net, levels = self._net, self._levels
        if self._tilt is None:
            with torch.no_grad():
                uncentred = net.given_all()
            return lambda batch, center_n: uncentred(batch)
        return lambda batch, center_n: net.given_seen(
            batch, reached(levels.of(batch.values), len(levels), self._expected(center_n))
        )

    def tables(self, domain: Domain = "target") -> LevelTables:
        """Return the tables of all rows' hidden units and of the output weights."""
        check_domain(self.domains, domain)
        every = torch.arange(self._rows.n_rows, device=self._rows.device)
        with torch.no_grad():
            return self._level_tables(self._hidden_of()(every))

    def fold_in(self, user: NewUser) -> FloatArray | None:
        """Return the expected stars of all items f32[I] given a new user's target ratings.

        On the item axis the user is no row, and the result is None.
        """
        if self._config.axis == "item":
            return None
        own, device, center_I = user["target"], self._rows.device, self._center.of_new_user(user)
        with torch.no_grad():
            batch = one_row(own.items, own.values, device)
            centers = one_row(own.items, center_I[own.items], device).values
            hidden_1H = self._given_all()(batch, centers)
            expected_1IL = self._expected(torch.from_numpy(center_I[None]).to(device))
            tables = self._level_tables(hidden_1H)
            scores_I: FloatArray = tables.of_hidden(hidden_1H, expected_1IL)[0]
        return scores_I

    def _level_tables(self, hidden_RH: torch.Tensor) -> LevelTables:
        """Return tables in which the sums over levels are done: ``s^k = sum_{j<=k} ...``."""
        net, axis = self._net, self._config.axis
        sums = net.output_sums(), torch.cumsum(net.bias_ML, 1)
        return LevelTables(self._levels, axis, hidden_RH, *sums, self._expected_of)

    def _expected_of(self, users: IntArray) -> torch.Tensor | None:
        """Return the logits that the centre gives the levels of all items, [B, I, L]."""
        items = np.arange(self._n_items, dtype=np.int32)
        center_BI = self._center.predict(users[:, None], items)
        return self._expected(torch.from_numpy(center_BI).to(self._rows.device))


def build_cf_nade(config: NADEConfig, training: Training, run: Run) -> NADE:
    """Build CF-NADE-S on the target's training ratings; its centre may read both domains'."""
    return NADE(config, training, run)


def n_weights_cf_nade(config: NADEConfig, training: Training) -> int:
    """Return the number of weights and biases, on the domain with more columns."""
    n_columns = most_columns(training, config.axis)
    n_levels = len(distinct(training.target))
    return n_columns * n_levels * (2 * config.hidden + 1) + config.hidden


def n_temporary_cf_nade(config: NADEConfig, training: Training) -> int:
    """Return the numbers of both weights of a batch's ratings [n, L, H], and of their gradients."""
    n_ratings = most_ratings(training.target, config.axis, config.batch_size)
    return 4 * n_ratings * len(distinct(training.target)) * config.hidden
