"""The lazy Adam against torch's dense Adam."""

import pytest
import torch
from torch import nn

from darec.core.lazy_adam import LazyAdam
from darec.core.numba_backend import NumbaBackend
from darec.core.rating_rows import RatingRows
from darec.core.recommender import DivergedError
from darec.core.torch_backend import TorchBackend

K, L, EPOCHS, BATCH = 5, 2, 4, 3
REFERENCE = {"coupled": torch.optim.Adam, "decoupled": torch.optim.AdamW}


@pytest.fixture
def rows(tiny_pair):
    """Users over items, most of which a batch of three users does not rate."""
    return RatingRows(tiny_pair.target, "user", "cpu")


def parameters(rows, dtype):
    generator = torch.Generator().manual_seed(0)
    shapes = [(rows.n_columns, K), (rows.n_columns, K), (K,)]
    return [nn.Parameter(torch.randn(s, generator=generator).to(dtype)) for s in shapes]


def epochs(rows, begin=0, end=EPOCHS):
    for seed in range(begin, end):
        order = torch.randperm(rows.n_rows, generator=torch.Generator().manual_seed(seed))
        yield rows.epoch(order[:24], BATCH)


def loss_of(tables_TK, bias_K, batch):
    """A loss that is not quadratic and reads the touched columns only."""
    generator = torch.Generator().manual_seed(int(batch.rows[0]))
    shape = tables_TK[0].shape
    factors_TK = torch.randn(shape, generator=generator, dtype=torch.float64).to(bias_K)
    return sum(((table_TK + bias_K) * factors_TK).sin().sum() for table_TK in tables_TK)


def train(adam, weights, epochs):
    """Train with sparse gradients."""
    *tables, bias_K = weights
    for epoch in epochs:
        adam.begin(epoch, epoch)
        for batch in epoch.batches:
            columns_T = batch.touched.columns
            leaves = [table.detach()[columns_T].requires_grad_() for table in tables]
            loss_of(leaves, bias_K, batch).backward()
            for table, leaf in zip(tables, leaves, strict=True):
                table.grad = torch.sparse_coo_tensor(
                    columns_T[None], leaf.grad, table.shape, check_invariants=False
                )
            adam.step(batch, batch)


def ours(rows, decay, dtype, l2):
    *tables, bias_K = weights = parameters(rows, dtype)
    adam = LazyAdam(tables, [bias_K], 0.05, l2, decay)
    train(adam, weights, epochs(rows))
    return weights


def dense(rows, decay, dtype, l2):
    *tables, bias_K = weights = parameters(rows, dtype)
    adam = REFERENCE[decay](weights, lr=0.05, weight_decay=2 * l2)
    for epoch in epochs(rows):
        for batch in epoch.batches:
            adam.zero_grad(set_to_none=False)
            loss_of([table[batch.touched.columns] for table in tables], bias_K, batch).backward()
            adam.step()
    return weights


@pytest.mark.parametrize("l2", [0.0, 1e-3, 0.3])
@pytest.mark.parametrize("decay", REFERENCE)
def test_it_equals_dense_adam(rows, decay, l2):
    """Without the gradient of L2, ``eps`` is taken as at the first of the steps done at once."""
    tolerance = 1e-10 if decay == "coupled" and l2 else 1e-6
    reference = dense(rows, decay, torch.float64, l2)
    for got, want in zip(ours(rows, decay, torch.float64, l2), reference, strict=True):
        torch.testing.assert_close(got, want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("decay", REFERENCE)
def test_it_equals_dense_adam_in_single_precision(rows, decay):
    reference = dense(rows, decay, torch.float32, 0.01)
    for got, want in zip(ours(rows, decay, torch.float32, 0.01), reference, strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("decay", REFERENCE)
def test_resuming_equals_never_stopping(rows, decay):
    *tables, bias_K = weights = parameters(rows, torch.float32)
    first = LazyAdam(tables, [bias_K], 0.05, 0.01, decay)
    train(first, weights, epochs(rows, end=2))
    second = LazyAdam(tables, [bias_K], 0.05, 0.01, decay)
    second.load_state_dict(first.state_dict())
    train(second, weights, epochs(rows, begin=2))
    for got, want in zip(weights, ours(rows, decay, torch.float32, 0.01), strict=True):
        assert torch.equal(got, want)


def test_a_column_sum_is_the_gradient_that_it_stands_for(rows):
    (epoch,) = epochs(rows, end=1)
    batch = epoch.batches[0]
    generator = torch.Generator().manual_seed(0)
    rows_LBK = torch.randn(L, len(batch.rows), K, generator=generator, dtype=torch.float64)
    factor_Ln = torch.randn(L, len(batch.columns), generator=generator, dtype=torch.float64)
    summed, stored = (parameters(rows, torch.float64)[0] for _ in range(2))
    for table in (summed, stored):
        adam = LazyAdam([table], [nn.Parameter(torch.zeros(1))], 0.05, 0.1, "coupled")
        adam.begin(epoch)
        if table is summed:
            adam.tables[0].step_sums(batch, factor_Ln, rows_LBK)
            continue
        terms_nK = (factor_Ln[:, :, None] * rows_LBK[:, batch.row_of]).sum(0)
        grad_MK = torch.zeros_like(table).index_add(0, batch.columns, terms_nK)
        columns_T = batch.touched.columns
        table.grad = torch.sparse_coo_tensor(
            columns_T[None], grad_MK[columns_T], table.shape, check_invariants=False
        )
        adam.step(batch)
    torch.testing.assert_close(summed, stored)


def test_an_epoch_cannot_begin_before_the_last_one_has_done_every_step(rows):
    table = parameters(rows, torch.float32)[0]
    adam = LazyAdam([table], [nn.Parameter(torch.zeros(1))], 0.05, 0.1, "coupled")
    first, second = epochs(rows, end=2)
    adam.begin(first)
    with pytest.raises(AssertionError, match="the last epoch must have had all of its steps"):
        adam.begin(second)


def test_frozen_parameters_are_not_trained(rows):
    *tables, bias_K = parameters(rows, torch.float32)
    frozen_K = nn.Parameter(torch.ones(K), requires_grad=False)
    adam = LazyAdam(tables, [bias_K, frozen_K], 0.05, 0.1, "coupled")
    before_K = bias_K.detach().clone()
    train(adam, [*tables, bias_K], epochs(rows, end=1))
    assert torch.equal(frozen_K, torch.ones(K)) and frozen_K.grad is None
    assert not torch.equal(bias_K, before_K)


@pytest.mark.parametrize("backend", [NumbaBackend(), TorchBackend()])
def test_decoupled_decay_that_makes_weights_vanish_is_refused(rows, backend):
    *tables, bias_K = parameters(rows, torch.float32)
    backend.adam(tables, [bias_K], 0.25, 0.1, "decoupled")
    backend.adam(tables, [bias_K], 0.26, 0.1, "coupled")
    with pytest.raises(DivergedError, match=r"must be at most 0.025, not 0.1 \* 0.26"):
        backend.adam(tables, [bias_K], 0.26, 0.1, "decoupled")


def test_the_state_of_another_version_is_refused(rows):
    *tables, bias_K = parameters(rows, torch.float32)
    adam = LazyAdam(tables, [bias_K], 0.05, 0.1, "coupled")
    state = adam.state_dict()
    for moments in ([torch.zeros(rows.n_columns, K)] * 2, torch.zeros(rows.n_columns, 2, K + 1)):
        other = {"tables": [{"steps": 1, "moments": moments}, *state["tables"][1:]]}
        with pytest.raises(ValueError, match="of another version or model"):
            adam.load_state_dict(other)
