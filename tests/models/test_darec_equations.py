"""The functions of Eq. 3-7 by hand; the gradient reversal against finite differences."""

import math

import pytest
import torch

from darec.models.darec.equations import (
    SOURCE,
    TARGET,
    adversarial_objective,
    classifier_loss,
    joint_objective,
    regulariser,
    reverse_gradient,
)


def test_the_classifier_loss_labels_source_0_and_target_1():
    logits, all_rows = torch.tensor([0.0, math.log(3.0)]), torch.ones(2)
    source = -math.log(1 / 2) - math.log(1 / 4)
    target = -math.log(1 / 2) - math.log(3 / 4)
    sources, targets = torch.full((2,), SOURCE), torch.full((2,), TARGET)
    torch.testing.assert_close(classifier_loss(logits, sources, all_rows).item(), source)
    torch.testing.assert_close(classifier_loss(logits, targets, all_rows).item(), target)
    one_row = torch.tensor([1.0, 0.0])
    torch.testing.assert_close(classifier_loss(logits, targets, one_row).item(), math.log(2))


def test_reversal_is_the_identity_forward_and_minus_mu_times_the_slope_backward():
    mu, eps = 2.5, 1e-6
    features = torch.tensor([0.4, -1.2], dtype=torch.float64, requires_grad=True)

    def head(values):
        return (values**3).sum()

    reversed_ = reverse_gradient(features, mu)
    torch.testing.assert_close(reversed_, features)
    (grad,) = torch.autograd.grad(head(reversed_), features)
    for k in range(2):
        shift = torch.zeros(2, dtype=torch.float64)
        shift[k] = eps
        with torch.no_grad():
            slope = (head(features + shift) - head(features - shift)) / (2 * eps)
        torch.testing.assert_close(grad[k], -mu * slope, rtol=1e-6, atol=1e-8)


def test_both_objectives_by_hand():
    """5 + 0.1 * 20 = 7 is the prediction loss; the classifier loss is 3."""
    parts = torch.tensor(5.0), torch.tensor(20.0), torch.tensor(3.0)
    adversarial = adversarial_objective(*parts, beta=0.1)
    joint = joint_objective(*parts, beta=0.1, mu=2.0)
    assert adversarial.prediction_loss.item() == joint.prediction_loss.item() == 7
    assert adversarial.total.item() == 7 + 3
    assert joint.total.item() == 7 + 2 * 3


def test_the_regulariser_by_hand():
    parameters = [torch.tensor([[1.0, 2.0]]), torch.tensor([3.0])]
    assert regulariser(parameters, 0.5).item() == pytest.approx(7.0)
