"""Terms of Eq. 2 and 3 by hand."""

import torch

from darec.core.losses import squared_error, squared_norm


def test_squared_error_is_a_sum_over_observed_ratings():
    predicted, observed = torch.tensor([4.0, 2.0, 5.0]), torch.tensor([5.0, 2.0, 3.0])
    assert squared_error(predicted, observed) == 1 + 0 + 4
    assert squared_error(predicted, observed, torch.tensor([1.0, 1.0, 0.0])) == 1


def test_squared_norm_sums_all_weights_and_biases():
    parameters = [torch.tensor([[1.0, 2.0]]), torch.tensor([3.0])]
    torch.testing.assert_close(squared_norm(parameters), torch.tensor(14.0))
