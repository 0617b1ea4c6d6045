"""Eq. 1-7 as most code computes them: dense rating matrices, masked errors and dense Adam.

Shapes: R rows and M columns of a rating matrix, B rows of a batch, K embedding, H extractor.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F

from darec.core.adam import BETAS, EPS, Decay
from darec.core.backend import TORCH
from darec.core.batches import paired, shuffled
from darec.core.center import Center
from darec.data.ratings import Axis, Domain, Ratings
from darec.data.split import Training
from darec.models.autorec import AutoRec
from darec.models.darec import DARec
from darec.models.darec.equations import LABEL, reverse_gradient
from darec.models.darec.model import network
from darec.models.darec.network import RatingPredictor


class DenseRatings:
    """One domain's dense rating matrix, minus its centre, and the mask of its observed ratings."""

    def __init__(self, ratings: Ratings, axis: Axis, center: Center, device: torch.device) -> None:
        rows, columns = ratings.users, ratings.items
        if axis == "item":
            rows, columns = columns, rows
        cells = tuple(torch.from_numpy(index).long().to(device) for index in (rows, columns))
        centred = ratings.values - center.predict(ratings.users, ratings.items)
        self.values_RM = torch.zeros(ratings.shape(axis), device=device)
        self.values_RM[cells] = torch.from_numpy(centred).to(device)
        self.mask_RM = torch.zeros_like(self.values_RM)
        self.mask_RM[cells] = 1.0
        self.is_rated = self.mask_RM.any(1)
        self.rated = self.is_rated.nonzero()[:, 0]


class DenseAutoRec:
    """Eq. 1-2, starting with the weights, centre and generator of an untrained `AutoRec`."""

    def __init__(self, autorec: AutoRec, ratings: Ratings) -> None:
        self._config, weights = autorec.config, autorec.weights()
        device = autorec.rows.device
        self._ratings = DenseRatings(ratings, autorec.config.axis, autorec.center, device)
        self._w1 = weights["encoder_MK"].clone().requires_grad_()
        self._b1 = weights["encoder_bias_K"].clone().requires_grad_()
        self._w2 = weights["decoder_MK"].T.clone().requires_grad_()
        self._b2 = weights["decoder_bias_M"].clone().requires_grad_()
        self._activation = getattr(torch, self._config.activation)
        parameters = [self._w1, self._w2]
        if self._config.activation == "sigmoid":  # the tanh has no biases
            parameters = [self._w1, self._b1, self._w2, self._b2]
        self._adam = dense_adam(
            parameters, self._config.learning_rate, self._config.alpha, self._config.decay
        )
        self._generator = torch.Generator()
        self._generator.set_state(autorec.state_dict()["generator"])

    def train_epoch(self) -> float:
        """Train one epoch over the rated rows; return the sum of squared errors."""
        total = 0.0
        order = shuffled(self._ratings.rated, self._generator)
        for rows in torch.split(order, self._config.batch_size):
            ratings_BM, mask_BM = self._ratings.values_RM[rows], self._ratings.mask_RM[rows]
            hidden_BK = self._activation(ratings_BM @ self._w1 + self._b1)
            errors_BM = (hidden_BK @ self._w2 + self._b2 - ratings_BM) * mask_BM
            loss = errors_BM.square().sum()
            self._adam.zero_grad()
            loss.backward()
            self._adam.step()
            total += loss.item()
        return total

    def weights(self) -> list[torch.Tensor]:
        """Return W1, b1, W2, b2 as `AutoRec.weights` does."""
        return [w.detach() for w in (self._w1, self._b1, self._w2.T, self._b2)]


class DenseDARec:
    """Eq. 3-7, starting with the weights and generator of an untrained `DARec`."""

    def __init__(self, darec: DARec, training: Training) -> None:
        self._config, axis = darec.config, darec.config.autorec.axis
        sources: dict[Domain, Ratings] = {"source": training.source, "target": training.target}
        self._embeddings_RK = {name: darec.stage1[name].embeddings() for name in sources}
        self._ratings = {
            name: DenseRatings(ratings, axis, (of := darec.stage1[name]).center, of.rows.device)
            for name, ratings in sources.items()
        }
        self.net = network(self._config, training, TORCH)
        self.net.to(darec.stage1["target"].rows.device).load_state_dict(darec.weights())
        self._adam = dense_adam(
            list(self.net.parameters()),
            self._config.learning_rate,
            self._config.lambda_,
            self._config.decay,
        )
        self._generator = torch.Generator()
        self._generator.set_state(darec.state_dict()["generator"])

    def train_epoch(self) -> dict[Domain, float]:
        """Train one epoch; return the sum of squared errors of each domain."""
        size = self._config.batch_size
        totals: dict[Domain, float] = {"source": 0.0, "target": 0.0}
        for rows_S, rows_T in zip(*(torch.split(o, size) for o in self._orders()), strict=True):
            rows: dict[Domain, torch.Tensor] = {"source": rows_S, "target": rows_T}
            features = {n: self.net.extractor(self._embeddings_RK[n][r]) for n, r in rows.items()}
            kept = {n: self._ratings[n].is_rated[r].float() for n, r in rows.items()}
            errors: dict[Domain, torch.Tensor] = {}
            domain_bce = torch.zeros(())
            for name, rows_B in rows.items():
                ratings = self._ratings[name]
                errors[name] = torch.zeros(())
                for reader in rows if self._config.both_heads else [name]:
                    errors[name] = errors[name] + _masked_error(
                        self.net.predictor(name),
                        features[reader],
                        ratings.values_RM[rows_B],
                        ratings.mask_RM[rows_B] * kept[reader][:, None],
                    )
                features_BH = features[name]
                if self._config.reverses:
                    features_BH = reverse_gradient(features_BH, self._config.mu)
                logit_B = self.net.classifier(features_BH)
                label_B = torch.full_like(logit_B, LABEL[name])
                domain_bce = domain_bce + F.binary_cross_entropy_with_logits(
                    logit_B, label_B, kept[name], reduction="sum"
                )
            bce_weight = 1.0 if self._config.reverses else self._config.mu
            loss = errors["source"] + self._config.beta * errors["target"]
            self._adam.zero_grad()
            (loss + bce_weight * domain_bce).backward()
            self._adam.step()
            for name, error in errors.items():
                totals[name] += error.item()
        return totals

    def _orders(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the order of each domain's rows in an epoch, as `DARec` draws it."""
        source, target = self._ratings["source"], self._ratings["target"]
        if not self._config.both_heads:
            return paired(source.rated, target.rated, self._generator)
        either = (source.is_rated | target.is_rated).nonzero()[:, 0]
        order = shuffled(either, self._generator)
        return order, order


def _masked_error(
    predictor: RatingPredictor,
    features_BH: torch.Tensor,
    ratings_BM: torch.Tensor,
    mask_BM: torch.Tensor,
) -> torch.Tensor:
    predicted_BM = predictor.hidden(features_BH) @ predictor.weight_MP.T + predictor.bias_M
    errors_BM: torch.Tensor = (predicted_BM - ratings_BM) * mask_BM
    return errors_BM.square().sum()


def dense_adam(
    parameters: Sequence[torch.Tensor], learning_rate: float, l2: float, decay: Decay
) -> torch.optim.Adam:
    """Return torch's fused Adam or AdamW with the constants of `darec.core.adam`."""
    kind = torch.optim.Adam if decay == "coupled" else torch.optim.AdamW
    torch.set_flush_denormal(True)
    return kind(
        list(parameters),
        lr=learning_rate,
        betas=BETAS,
        eps=EPS,
        weight_decay=2 * l2,
        fused=True,
    )
