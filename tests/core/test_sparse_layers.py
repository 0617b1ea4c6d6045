"""Sparse layers equal the dense formula in float64, gradients included, on both backends."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from darec.core.backend import TORCH
from darec.core.numba_backend import NumbaBackend, squared_errors
from darec.core.rating_rows import RatingRows
from darec.core.sparse_layers import decode, encode, lookup
from darec.data.ratings import Ratings


@pytest.fixture(params=[NumbaBackend(), TORCH], ids=["numba", "torch"])
def backend(request):
    return request.param


@pytest.fixture
def case():
    """Four rows (one empty, one column unrated) of five columns, K = 3, all in float64."""
    users = np.array([0, 0, 1, 3, 3, 3], np.int32)
    items = np.array([1, 4, 1, 0, 1, 3], np.int32)
    ratings = Ratings(users, items, np.array([5, 2, 1, 4, 3, 5], np.float32), 4, 5)
    rows = RatingRows(ratings, "user", "cpu")
    (batch,) = rows.epoch(torch.tensor([3, 2, 0, 1]), 4).batches
    object.__setattr__(batch, "values", batch.values.double())
    dense_UI = torch.zeros(4, 5, dtype=torch.float64)
    dense_UI[users, items] = torch.from_numpy(ratings.values).double()
    generator = torch.Generator().manual_seed(0)

    def parameter(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True)

    return SimpleNamespace(
        batch=batch,
        dense_BM=dense_UI[batch.rows],
        rows_n=batch.row_of,
        weight_MK=parameter(5, 3),
        bias_K=parameter(3),
        bias_M=parameter(5),
        hidden_BK=parameter(4, 3),
    )


def test_encode_equals_the_dense_product_and_its_gradients(case, backend):
    sparse_BK = encode(case.batch, case.weight_MK, case.bias_K, backend)
    dense_BK = case.dense_BM @ case.weight_MK + case.bias_K
    torch.testing.assert_close(sparse_BK, dense_BK)
    seed_BK = torch.randn_like(dense_BK)
    inputs = (case.weight_MK, case.bias_K)
    ours = torch.autograd.grad(sparse_BK, inputs, seed_BK)
    for got, want in zip(ours, torch.autograd.grad(dense_BK, inputs, seed_BK), strict=True):
        torch.testing.assert_close(got.to_dense(), want)


def test_lookup_and_its_gradient_equal_indexing(case, backend):
    rows_nK = lookup(case.weight_MK, case.batch, backend)
    torch.testing.assert_close(rows_nK, case.weight_MK[case.batch.columns])
    seed_nK = torch.randn_like(rows_nK)
    (got,) = torch.autograd.grad(rows_nK, [case.weight_MK], seed_nK)
    (want,) = torch.autograd.grad(case.weight_MK[case.batch.columns], [case.weight_MK], seed_nK)
    torch.testing.assert_close(got.to_dense(), want)


def test_decode_equals_the_dense_product_at_observed_ratings_and_its_gradients(case, backend):
    sampled_n = decode(case.hidden_BK, case.weight_MK, case.bias_M, case.batch, backend)
    dense_BM = case.hidden_BK @ case.weight_MK.T + case.bias_M
    dense_n = dense_BM[case.rows_n, case.batch.columns]
    torch.testing.assert_close(sampled_n, dense_n)
    seed_n = torch.randn_like(dense_n)
    inputs = (case.hidden_BK, case.weight_MK, case.bias_M)
    ours = torch.autograd.grad(sampled_n, inputs, seed_n)
    for got, want in zip(ours, torch.autograd.grad(dense_n, inputs, seed_n), strict=True):
        torch.testing.assert_close(got.to_dense(), want)


def test_on_a_cpu_gradients_of_rating_sized_weights_have_the_touched_columns_only(case):
    total = encode(case.batch, case.weight_MK, case.bias_K, NumbaBackend()).sum()
    (grad,) = torch.autograd.grad(total, case.weight_MK)
    assert grad.is_sparse
    assert sorted(grad._indices()[0].tolist()) == case.batch.columns.unique().tolist()


def test_squared_errors_equal_decodes_and_its_gradients(case):
    weight_LB = torch.rand(2, 4, dtype=torch.float64)
    hidden_LBK = torch.stack([case.hidden_BK, 2 * case.hidden_BK]).detach().requires_grad_()
    case.bias_M.grad = torch.ones(5, dtype=torch.float64)
    error_LB, *slopes = squared_errors(
        case.batch, weight_LB, hidden_LBK, case.weight_MK, case.bias_M
    )
    predicted_Ln = torch.stack(
        [
            decode(hidden_BK, case.weight_MK, case.bias_M, case.batch, TORCH)
            for hidden_BK in hidden_LBK
        ]
    )
    square_Ln = (predicted_Ln - case.batch.values).square()
    sums_LB = torch.zeros_like(weight_LB).index_add(1, case.rows_n, square_Ln)
    torch.testing.assert_close(error_LB, sums_LB.detach())
    loss = (weight_LB * sums_LB).sum()
    wanted = torch.autograd.grad(loss, (predicted_Ln, hidden_LBK, case.bias_M))
    for got, want in zip((*slopes, case.bias_M.grad - 1), wanted, strict=True):
        torch.testing.assert_close(got, want)
