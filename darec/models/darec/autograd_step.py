"""A training step on Eq. 3-7 as they are written, with gradients by autograd.

Shapes: D rows of a step, B rows of a batch, H extractor, n ratings of a batch. A leading L is the
number of times that a batch's ratings are read.
"""

from dataclasses import dataclass

import torch

from darec.core.adam import Adam
from darec.core.batches import RowBatch
from darec.core.losses import squared_error
from darec.data.ratings import Domain
from darec.models.darec.batches import DOMAINS, StepBatches, StepRows
from darec.models.darec.config import DARecConfig
from darec.models.darec.equations import (
    Objective,
    adversarial_objective,
    classifier_loss,
    joint_objective,
    reverse_gradient,
)
from darec.models.darec.network import DANN


@dataclass(frozen=True)
class StepLosses:
    """The parts of one step's loss, each a sum over the mini-batch (Eq. 3), before weights."""

    error: dict[Domain, torch.Tensor]
    """Squared errors of each domain's ratings."""
    domain: torch.Tensor
    """The classifier loss."""
    n_correct: torch.Tensor
    """The number of rows whose domain the classifier names correctly."""
    n_rows: torch.Tensor
    features_DH: torch.Tensor
    """The extractor's output."""

    def totals(self) -> torch.Tensor:
        """Return what an epoch adds up, [5].

        In this order: the squared errors of the source and of the target, the classifier loss, the
        rows that the classifier names correctly, and all rows that count.
        """
        error = self.error["source"], self.error["target"]
        return torch.stack([*error, self.domain, self.n_correct, self.n_rows]).detach()


def named_correctly(
    logit_D: torch.Tensor, label_D: torch.Tensor, counts_D: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return how many rows the classifier names correctly, and how many rows count.

    ``counts`` is 1 for rows with a training rating and 0 for others.
    """
    is_right_D = ((logit_D > 0) == (label_D > 0)).to(counts_D)
    return is_right_D @ counts_D, counts_D.sum()


def losses(net: DANN, config: DARecConfig, rows: StepRows) -> StepLosses:
    """Return the loss parts of one step."""
    features_DH = net.extractor(rows.embeddings_DK)
    to_classifier_DH = features_DH
    if config.reverses:
        to_classifier_DH = reverse_gradient(features_DH, config.mu)
    logit_D = net.classifier(to_classifier_DH)
    errors: dict[Domain, torch.Tensor] = {d: features_DH.new_zeros(()) for d in DOMAINS}
    for reading in rows.readings:
        predictor, batch = net.predictor(reading.predictor), reading.batch
        shape_LB = -1, len(batch.rows)
        features_LBH = features_DH[reading.rows].view(*shape_LB, features_DH.shape[1])
        counts_LB = rows.counts_D[reading.rows].view(shape_LB)
        for features_BH, counts_B in zip(features_LBH, counts_LB, strict=True):
            predicted_n = predictor(features_BH, batch)
            for domain in DOMAINS:
                is_its_B = reading.is_target_B if domain == "target" else 1 - reading.is_target_B
                counts_n = (counts_B * is_its_B)[batch.row_of]
                error = squared_error(predicted_n, batch.values, counts_n)
                errors[domain] = errors[domain] + error
    classified = logit_D, rows.label_D, rows.counts_D
    return StepLosses(
        errors, classifier_loss(*classified), *named_correctly(*classified), features_DH
    )


def objective(config: DARecConfig, parts: StepLosses) -> Objective:
    """Return what a step minimises, without the regulariser, which is left to Adam."""
    terms = parts.error["source"], parts.error["target"], parts.domain
    if config.reverses:
        return adversarial_objective(*terms, beta=config.beta)
    return joint_objective(*terms, beta=config.beta, mu=config.mu)


def gradient_norms(net: DANN, config: DARecConfig, rows: StepRows) -> dict[str, float]:
    """Return the norm of the gradient that each term sends to the extractor's output."""
    parts, norms = losses(net, config, rows), {}
    for name, term in objective(config, parts)._asdict().items():
        (grad_DH,) = torch.autograd.grad(term, parts.features_DH, retain_graph=True)
        norms[f"grad_norm_{name}"] = grad_DH.norm().item()
    return norms


class AutogradStep:
    """A step with gradients by autograd, for any device."""

    def __init__(
        self, net: DANN, config: DARecConfig, step_batches: StepBatches, adam: Adam
    ) -> None:
        self._net, self._config = net, config
        self._step_batches, self._adam = step_batches, adam

    def __call__(self, *batches: RowBatch) -> torch.Tensor:
        """Do a step and return its `StepLosses.totals`, [5]."""
        parts = losses(self._net, self._config, self._step_batches.rows(*batches))
        objective(self._config, parts).total.backward()
        self._adam.step(*batches)
        return parts.totals()
