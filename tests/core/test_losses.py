"""Eq. 2-3's terms by hand, and reversal against finite differences."""

import math

import torch

from darec.core.losses import SOURCE, TARGET, domain_loss, squared_error, squared_norm
from darec.core.reversal import reverse_gradient


def test_squared_error_is_a_sum_over_observed_ratings():
    predicted, observed = torch.tensor([4.0, 2.0, 5.0]), torch.tensor([5.0, 2.0, 3.0])
    assert squared_error(predicted, observed) == 1 + 0 + 4
    assert squared_error(predicted, observed, torch.tensor([1.0, 1.0, 0.0])) == 1


def test_domain_loss_labels_source_0_and_target_1():
    logits, all_rows = torch.tensor([0.0, math.log(3.0)]), torch.ones(2)
    source = -math.log(1 / 2) - math.log(1 / 4)
    target = -math.log(1 / 2) - math.log(3 / 4)
    sources, targets = torch.full((2,), SOURCE), torch.full((2,), TARGET)
    torch.testing.assert_close(domain_loss(logits, sources, all_rows).item(), source)
    torch.testing.assert_close(domain_loss(logits, targets, all_rows).item(), target)
    one_row = torch.tensor([1.0, 0.0])
    torch.testing.assert_close(domain_loss(logits, targets, one_row).item(), math.log(2))


def test_squared_norm_sums_all_weights_and_biases():
    parameters = [torch.tensor([[1.0, 2.0]]), torch.tensor([3.0])]
    torch.testing.assert_close(squared_norm(parameters), torch.tensor(14.0))


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
