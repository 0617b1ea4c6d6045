"""Adam that skips columns and replays them, against torch's dense Adam."""

import pytest
import torch
from torch import nn

from darec.core.adam import Adam
from darec.core.batches import RowBatch

M, K, STEPS = 7, 5, 40
REFERENCE = {"coupled": torch.optim.Adam, "decoupled": torch.optim.AdamW}


def parameters(dtype):
    generator = torch.Generator().manual_seed(0)
    shapes = [(M, K), (M, K), (K,)]
    return [nn.Parameter(torch.randn(s, generator=generator).to(dtype)) for s in shapes]


def batch_of(columns_T):
    nothing = torch.zeros(0)
    return RowBatch(nothing, nothing, columns_T, nothing, nothing)


def draws(steps):
    """Yield which columns a step touches (step 3: none; column 6: never), and a seed."""
    generator = torch.Generator().manual_seed(1)
    for step in range(steps):
        touched = torch.rand(M - 1, generator=generator) < 0.3
        yield touched.nonzero()[:, 0] if step != 3 else torch.zeros(0, dtype=torch.long), step


def loss_of(tables, bias_K, columns_T, seed):
    """A loss that is not quadratic and reads the touched columns only."""
    generator = torch.Generator().manual_seed(seed)
    factors_TK = torch.randn(len(columns_T), K, generator=generator).to(bias_K)
    return sum(((table + bias_K) * factors_TK).sin().sum() for table in tables)


def ours(decay, dtype, steps, l2, epoch=10, adam=None, weights=None):
    """Train with sparse gradients; ``epoch`` steps lie between two flushes."""
    *tables, bias_K = weights or parameters(dtype)
    adam = adam or Adam([bias_K], tables, 0.05, l2, decay)
    for columns_T, seed in steps:
        for table in tables:
            adam.catch_up(table, batch_of(columns_T))
        adam.zero_grad()
        leaves = [table.detach()[columns_T].requires_grad_() for table in tables]
        loss_of(leaves, bias_K, columns_T, seed).backward()
        for table, leaf in zip(tables, leaves, strict=True):
            table.grad = torch.sparse_coo_tensor(
                columns_T[None], leaf.grad, (M, K), check_invariants=True
            )
        adam.step()
        if (seed + 1) % epoch == 0:
            adam.flush()
    adam.flush()
    return adam, [*tables, bias_K]


def dense(decay, dtype, l2):
    weights = parameters(dtype)
    adam = REFERENCE[decay](weights, lr=0.05, weight_decay=2 * l2)
    *tables, bias_K = weights
    for columns_T, seed in draws(STEPS):
        adam.zero_grad(set_to_none=False)
        loss_of([table[columns_T] for table in tables], bias_K, columns_T, seed).backward()
        adam.step()
    return weights


@pytest.mark.parametrize("l2", [0.0, 1e-3, 0.3])
@pytest.mark.parametrize("decay", REFERENCE)
def test_replay_equals_dense_adam(decay, l2):
    tolerance = 1e-10 if decay == "coupled" else 1e-6  # decoupled: eps of the first skipped step
    _, weights = ours(decay, torch.float64, draws(STEPS), l2)
    for got, want in zip(weights, dense(decay, torch.float64, l2), strict=True):
        torch.testing.assert_close(got, want, rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize("decay", REFERENCE)
def test_replay_equals_dense_adam_in_single_precision(decay):
    _, weights = ours(decay, torch.float32, draws(STEPS), 0.01)
    for got, want in zip(weights, dense(decay, torch.float32, 0.01), strict=True):
        torch.testing.assert_close(got, want, rtol=2e-5, atol=2e-6)


def test_when_skipped_steps_are_done_changes_nothing_with_coupled_decay():
    _, once = ours("coupled", torch.float32, draws(STEPS), 0.01, epoch=STEPS)
    _, often = ours("coupled", torch.float32, draws(STEPS), 0.01, epoch=1)
    for got, want in zip(once, often, strict=True):
        assert torch.equal(got, want)


@pytest.mark.parametrize("decay", REFERENCE)
def test_resuming_equals_never_stopping(decay):
    _, straight = ours(decay, torch.float32, draws(STEPS), 0.01)
    steps = list(draws(STEPS))
    first, weights = ours(decay, torch.float32, steps[:20], 0.01)
    *tables, bias_K = weights
    second = Adam([bias_K], tables, 0.05, 0.01, decay)
    second.load_state_dict(first.state_dict())
    _, resumed = ours(decay, torch.float32, steps[20:], 0.01, adam=second, weights=weights)
    for got, want in zip(resumed, straight, strict=True):
        assert torch.equal(got, want)


def test_a_sum_of_sparse_gradients_is_one_gradient():
    weights = parameters(torch.float64)[:1]
    twice, once = (nn.Parameter(weights[0].detach().clone()) for _ in range(2))
    columns_T, values_TK = torch.tensor([1, 4]), torch.ones(2, K, dtype=torch.float64)
    for table, repeats in ((twice, 2), (once, 1)):
        adam = Adam([nn.Parameter(torch.zeros(1))], [table], 0.05, 0.1, "coupled")
        adam.catch_up(table, batch_of(columns_T))
        table.grad = torch.sparse_coo_tensor(
            columns_T.repeat(repeats)[None],
            values_TK.repeat(repeats, 1) / repeats,
            (M, K),
            check_invariants=True,
        )
        adam.step()
        adam.flush()
    torch.testing.assert_close(twice, once)


def test_reading_a_column_before_its_skipped_steps_are_done_is_refused():
    (table,) = parameters(torch.float32)[:1]
    adam = Adam([nn.Parameter(torch.zeros(1))], [table], 0.05, 0.1, "coupled")
    adam.step()
    table.grad = torch.sparse_coo_tensor(
        torch.tensor([[2]]), torch.ones(1, K), (M, K), check_invariants=True
    )
    with pytest.raises(RuntimeError, match="before catch_up"):
        adam.step()
