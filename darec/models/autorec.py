"""AutoRec (Eq. 1-2): one autoencoder of rating rows, stage 1 of DARec and a baseline of Fig. 3.

With ``activation="tanh"`` (ours) it is anchored: without biases and with g(0) = 0, an empty row
gets the prediction of the centre, and a row of few ratings stays close to it.

Shapes: R rows and M columns of the rating matrix along the axis, B rows of a batch, K hidden units,
n observed ratings of a batch. A leading 1 is the number of readings of the same ratings.
"""

from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from pydantic.dataclasses import dataclass
from torch import nn

from darec.core.adam import Adam, Decay
from darec.core.backend import Backend
from darec.core.batches import RowBatch, shuffled
from darec.core.center import CenterKind, fit_centers
from darec.core.config import STRICT, BatchSize, LearningRate, Size
from darec.core.cuda_graphs import CapturedStep
from darec.core.lazy_adam import LazyAdam
from darec.core.losses import squared_error, squared_norm
from darec.core.new_user import NewUser
from darec.core.numba_backend import squared_errors
from darec.core.rating_rows import RatingRows, most_columns, one_row
from darec.core.recommender import Run, check_domain
from darec.core.scoring import score_pairs
from darec.core.sparse_layers import decode, encode
from darec.core.tables import Tables, as_array
from darec.core.trained import Trained
from darec.data.ratings import Axis, Domain, FloatArray, IntArray, along
from darec.data.split import Training
from darec.seeds import derive

INIT_STD = 0.01
"""Standard deviation of initial weights (section 4.1)."""


Activation = Literal["sigmoid", "tanh"]


@dataclass(frozen=True, config=STRICT)
class AutoRecConfig:
    """Hyper-parameters of AutoRec (Eq. 1-2, section 4.1)."""

    axis: Axis
    """``user``: one row per user over items (U-AutoRec); ``item``: one row per item over users."""
    hidden: Size = 500
    """Width K of the embeddings. The paper searches 100 to 1500."""
    alpha: Annotated[float, Field(ge=0, le=1e6)] = 0.01
    """Weight of R, the squared norm of all weights and biases, which counts once a step. The paper
    searches 1e-5 to 0.1."""
    center: CenterKind = "hierarchical"
    """What is subtracted from ratings before the encoder and added to predictions; ours."""
    activation: Activation = "tanh"
    """The function g. ``sigmoid`` is the paper's; ``tanh`` has no biases beside it; ours."""
    trains_on: Literal["target", "both"] = "target"
    """``both``: the source's items are further rows of an item-based model, and further columns of
    a user-based one; ours."""
    learning_rate: LearningRate = 1e-3
    """Adam's step size; ours."""
    batch_size: BatchSize = 128
    """Rating rows of a mini-batch; ours."""
    decay: Decay = "coupled"
    """``coupled``: Adam sees the gradient of Eq. 2, R included; ``decoupled``: weights shrink as in
    AdamW; ours."""
    epochs: Annotated[int, Field(ge=0, le=10**6)] = 50
    """Epochs of training as stage 1 of DARec. A search takes the best epoch of its stage-1 study;
    ours."""


class AutoRecNet(nn.Module):
    """``y_hat = g(y W1 + b1) W2 + b2`` (Eq. 1). Both W are kept as [M, K].

    With the tanh both b stay 0.
    """

    def __init__(
        self,
        n_columns: int,
        hidden: int,
        activation: Activation,
        generator: torch.Generator,
        backend: Backend,
    ) -> None:
        super().__init__()
        self.is_anchored = activation == "tanh"
        self.encoder_MK = nn.Parameter(torch.empty(n_columns, hidden))
        has_biases = not self.is_anchored
        self.encoder_bias_K = nn.Parameter(torch.zeros(hidden), requires_grad=has_biases)
        self.decoder_MK = nn.Parameter(torch.empty(n_columns, hidden))
        self.decoder_bias_M = nn.Parameter(torch.zeros(n_columns), requires_grad=has_biases)
        self._backend = backend
        for weight in (self.encoder_MK, self.decoder_MK):
            nn.init.normal_(weight, std=INIT_STD, generator=generator)

    def embed(self, batch: RowBatch) -> torch.Tensor:
        """Return the embeddings f_r = g(y_r W1 + b1), [B, K]."""
        sums_BK = encode(batch, self.encoder_MK, self.encoder_bias_K, self._backend)
        return torch.tanh(sums_BK) if self.is_anchored else torch.sigmoid(sums_BK)

    def slope(self, hidden_BK: torch.Tensor) -> torch.Tensor:
        """Return the derivative of g, given its values."""
        squares_BK = hidden_BK.square()
        return 1 - squares_BK if self.is_anchored else hidden_BK - squares_BK

    def forward(self, batch: RowBatch) -> torch.Tensor:
        """Return the reconstructions of the batch's observed ratings, [n]."""
        hidden_BK = self.embed(batch)
        return decode(hidden_BK, self.decoder_MK, self.decoder_bias_M, batch, self._backend)


class AutogradStep:
    """A step on Eq. 2 as the paper writes it, with gradients by autograd, for any device."""

    def __init__(self, net: AutoRecNet, adam: Adam) -> None:
        self._net, self._adam = net, adam

    def __call__(self, batch: RowBatch) -> torch.Tensor:
        """Do a step and return its squared error."""
        loss = squared_error(self._net(batch), batch.values)
        loss.backward()
        self._adam.step(batch, batch)
        return loss.detach()


class CpuStep:
    """The same step on a CPU with gradients by hand. Those of W1 and W2 are never stored."""

    def __init__(self, net: AutoRecNet, adam: LazyAdam) -> None:
        self._net, self._adam = net, adam

    def __call__(self, batch: RowBatch) -> torch.Tensor:
        """Do a step and return its squared error."""
        net, (encoder, decoder) = self._net, self._adam.tables
        with torch.no_grad():
            hidden_1BK = net.embed(batch)[None]
            weight_1B = hidden_1BK.new_ones(1, len(batch.rows))
            error_1B, slope_1n, slope_1BK = squared_errors(
                batch, weight_1B, hidden_1BK, net.decoder_MK, net.decoder_bias_M
            )
            slope_1BK *= net.slope(hidden_1BK)
            if net.encoder_bias_K.grad is not None:
                net.encoder_bias_K.grad += slope_1BK.sum((0, 1))
            encoder.step_sums(batch, batch.values[None], slope_1BK)
            decoder.step_sums(batch, slope_1n, hidden_1BK)
            self._adam.step_others()
        return error_1B.sum()


class AutoRec(Trained):
    """AutoRec of the target's ratings, or of both domains' ratings as one matrix."""

    domains: tuple[Domain, ...] = ("target",)

    def __init__(self, config: AutoRecConfig, training: Training, run: Run) -> None:
        self.config, self._ratings = config, training.target
        self._centers = fit_centers(config.center, training)
        self.center = self._centers["target"]
        """What was subtracted from the target's ratings. Stage 2 subtracts the same."""
        target_rest = self.center.residuals(training.target)
        self.rows = RatingRows(training.target, config.axis, run.device, target_rest)
        """The target's ratings minus their centre. Stage 2 reconstructs the same rows."""
        self._inputs = self.rows
        if config.trains_on == "both":
            rest = np.concatenate([target_rest, self._centers["source"].residuals(training.source)])
            self._inputs = RatingRows(training.as_one(), config.axis, run.device, rest)
        self._rated = self._inputs.is_rated.nonzero()[:, 0]
        self._generator = torch.Generator().manual_seed(derive(run.seed, "autorec", config.axis))
        backend, n_columns = self.rows.backend, self._inputs.n_columns
        net = AutoRecNet(n_columns, config.hidden, config.activation, self._generator, backend)
        self._net = net.to(run.device)
        weights, biases = [net.encoder_MK, net.decoder_MK], [net.encoder_bias_K, net.decoder_bias_M]
        adam = backend.adam(weights, biases, config.learning_rate, config.alpha, config.decay)
        self._adam = adam
        step = CpuStep(net, adam) if isinstance(adam, LazyAdam) else AutogradStep(net, adam)
        self._step = CapturedStep(step, net, self.rows.device)
        super().__init__(net, adam, self._generator)

    @property
    def reads_source(self) -> bool:
        """Whether source ratings change what it predicts for a user."""
        return self.config.trains_on == "both" or self.config.center == "hierarchical"

    def train_epoch(self) -> dict[str, float]:
        """Minimise Eq. 2 over every rated row once, in a new random order."""
        order = shuffled(self._rated, self._generator)
        epoch = self._inputs.epoch(order, self.config.batch_size)
        self._adam.begin(epoch, epoch)
        total = sum((self._step(batch) for batch in epoch.batches), start=torch.zeros(()))
        norm = self.config.alpha * squared_norm(self._net.parameters())
        name = "loss_rating" if self.config.trains_on == "both" else "loss_rating_target"
        return {name: float(total), "loss_regulariser": norm.item()}

    def unexplained(self) -> RatingRows:
        """Return the target's ratings minus their predictions, along the axis."""
        ratings = self._ratings
        rest = ratings.values - self.predict(ratings.users, ratings.items)
        return RatingRows(ratings, self.config.axis, str(self.rows.device), rest)

    def embeddings(self) -> torch.Tensor:
        """Return the embedding of each of the target's rows [R, K]."""
        rows = torch.arange(self.rows.n_rows, device=self.rows.device)
        with torch.no_grad():
            return self._net.embed(self._inputs.gather(rows))

    def predict(self, users: IntArray, items: IntArray, domain: Domain = "target") -> FloatArray:
        """Return predictions f32[N]; raises ``ValueError`` for a domain that it cannot predict."""
        check_domain(self.domains, domain)
        rows, columns = along(self.config.axis, users, items)
        net = self._net
        scores = score_pairs(
            rows,
            columns,
            lambda distinct: net.embed(self._inputs.gather(distinct)),
            net.decoder_MK,
            net.decoder_bias_M,
            self.rows.backend,
        )
        return scores + self.center.predict(users, items)

    def tables(self, domain: Domain = "target") -> Tables:
        """Return the tables of all embeddings and of the decoder."""
        check_domain(self.domains, domain)
        n_columns = self.rows.n_columns
        columns_MK = as_array(self._net.decoder_MK)[:n_columns]
        bias_M = as_array(self._net.decoder_bias_M)[:n_columns]
        embeddings_RK = as_array(self.embeddings())
        return self.center.tables().plus_rows(self.config.axis, embeddings_RK, columns_MK, bias_M)

    def fold_in(self, user: NewUser) -> FloatArray | None:
        """Return predictions of all items f32[I], given the embedding of a new user's row.

        On the item axis the user is no row, and the result is None.
        """
        if self.config.axis == "item":
            return None
        hidden_K = as_array(self.embed_new(user))[0]
        scores_I: FloatArray = as_array(self._net.decoder_MK)[: self._ratings.n_items] @ hidden_K
        scores_I += as_array(self._net.decoder_bias_M)[: self._ratings.n_items]
        return self.center.of_new_user(user) + scores_I

    def embed_new(self, user: NewUser) -> torch.Tensor:
        """Return the embedding [1, K] of a new user's row."""
        domains: tuple[Domain, ...] = ("target", "source")
        read = domains if self.config.trains_on == "both" else domains[:1]
        columns = [user[d].items + (0 if d == "target" else self._ratings.n_items) for d in read]
        rests = [user[d].values - self._centers[d].of_new_user(user)[user[d].items] for d in read]
        batch = one_row(np.concatenate(columns), np.concatenate(rests), self.rows.device)
        with torch.no_grad():
            return self._net.embed(batch)

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue from a saved state, whose tensors replace those of the optimizer."""
        super().load_state_dict(state)
        self._step.discard()


def build_autorec(config: AutoRecConfig, training: Training, run: Run) -> AutoRec:
    """Build AutoRec on the target's training ratings, or on those of both domains."""
    return AutoRec(config, training, run)


def n_weights_autorec(config: AutoRecConfig, training: Training) -> int:
    """Return the number of weights and biases, of either domain's model at most."""
    n_columns = most_columns(training, config.axis)
    if config.trains_on == "both" and config.axis == "user":
        n_columns = training.source.n_items + training.target.n_items
    return 2 * n_columns * config.hidden + config.hidden + n_columns
