"""The training step of CPUs, with the gradients of Eq. 3-7 written by hand.

It does what `autograd_step` does, without storing the gradients of rating-sized weights and without
autograd's cost per call. `tests/models/test_equations.py` compares both.

Shapes: D rows of a step, B rows of a batch, H extractor, P last hidden layer of a predictor,
n ratings of a batch. A leading L is the number of times that a batch's ratings are read.
"""

import torch

from darec.core.batches import RowBatch
from darec.core.lazy_adam import LazyAdam
from darec.core.numba_backend import squared_errors
from darec.models.darec.autograd_step import named_correctly
from darec.models.darec.backpropagation import backward, outputs
from darec.models.darec.batches import StepBatches
from darec.models.darec.config import DARecConfig
from darec.models.darec.equations import classifier_loss
from darec.models.darec.network import DANN


class CpuStep:
    """A step with gradients by hand. ``adam`` has a table for each predictor's output layer."""

    def __init__(
        self, net: DANN, config: DARecConfig, step_batches: StepBatches, adam: LazyAdam
    ) -> None:
        self._net, self._config = net, config
        self._step_batches, self._adam = step_batches, adam

    def __call__(self, *batches: RowBatch) -> torch.Tensor:
        """Do a step and return what `StepLosses.totals` does, [5]."""
        with torch.no_grad():
            return self._step(*batches)

    def _step(self, *batches: RowBatch) -> torch.Tensor:
        net, config, rows = self._net, self._config, self._step_batches.rows(*batches)
        extracted = outputs(net.extractor, rows.embeddings_DK)
        features_DH = extracted[-1]
        classified = outputs(net.classifier, features_DH)
        logit_D = classified[-1]
        bce_weight = 1.0 if config.reverses else config.mu
        slope_D = bce_weight * rows.counts_D * (torch.sigmoid(logit_D) - rows.label_D)
        slope_DH = backward(net.classifier, classified, slope_D)
        if config.reverses:
            slope_DH *= -config.mu
        error_S, error_T = logit_D.new_zeros(2)
        for table, reading in zip(self._adam.tables, rows.readings, strict=True):
            predictor, batch = net.predictor(reading.predictor), reading.batch
            hidden = outputs(predictor.hidden, features_DH[reading.rows])
            hidden_LBP = hidden[-1].view(-1, len(batch.rows), hidden[-1].shape[1])
            counts_LB = rows.counts_D[reading.rows].view(hidden_LBP.shape[:2])
            error_LB, slope_Ln, slope_LBP = squared_errors(
                batch,
                counts_LB * (1 + (config.beta - 1) * reading.is_target_B),
                hidden_LBP,
                predictor.weight_MP,
                predictor.bias_M,
            )
            slope_DH[reading.rows] += backward(predictor.hidden, hidden, slope_LBP.flatten(0, 1))
            table.step_sums(batch, slope_Ln, hidden_LBP)
            error_B = (error_LB * counts_LB).sum(0)
            error_S += error_B @ (1 - reading.is_target_B)
            error_T += error_B @ reading.is_target_B
        backward(net.extractor, extracted, slope_DH, to_input=False)
        self._adam.step_others()
        named = logit_D, rows.label_D, rows.counts_D
        return torch.stack([error_S, error_T, classifier_loss(*named), *named_correctly(*named)])
