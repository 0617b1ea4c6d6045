"""`LazySGD` moves weights as torch's dense SGD does."""

import pytest
import torch

from darec.core.lazy_sgd import LazySGD

SHAPES = {"table": (40, 5, 3), "bias": (40, 5), "unit": (6,)}
DECAYS = {"table": 0.03, "bias": 0.0, "unit": 0.0}
EPOCHS = ((7, 0.5), (1, 0.9), (11, 0.9))
"""The numbers of steps of three epochs, and their momenta."""


def made():
    generator = torch.Generator().manual_seed(1)
    return {
        name: torch.randn(*shape, generator=generator, dtype=torch.float64)
        for name, shape in SHAPES.items()
    }


def loss(rows, targets):
    return sum((rows[name] - targets[name]).pow(2).sum() for name in rows)


def epochs(seed):
    """Yield the momentum and the rows that each step reads, for one epoch after another."""
    generator = torch.Generator().manual_seed(seed)
    for n_steps, momentum in EPOCHS:
        yield (
            momentum,
            [
                {
                    "table": (rows := torch.randperm(40, generator=generator)[:5].sort().values),
                    "bias": rows,
                    "unit": torch.arange(6),
                }
                for _ in range(n_steps)
            ],
        )


def lazily(weights, targets, all_epochs, sgd):
    for momentum, steps in all_epochs:
        sgd.begin(len(steps), momentum)
        for rows in steps:
            loss(sgd.read(rows), {name: targets[name][rows[name]] for name in rows}).backward()
            sgd.step()
    return weights


def densely(weights, targets, all_epochs):
    parameters = {name: weight.requires_grad_() for name, weight in weights.items()}
    groups = [{"params": [parameters[name]], "weight_decay": DECAYS[name]} for name in parameters]
    sgd = torch.optim.SGD(groups, lr=0.05, momentum=0.5)
    for momentum, steps in all_epochs:
        for group in sgd.param_groups:
            group["momentum"] = momentum
        for rows in steps:
            sgd.zero_grad()
            read = {name: parameters[name][rows[name]] for name in rows}
            loss(read, {name: targets[name][rows[name]] for name in rows}).backward()
            sgd.step()
    return weights


def test_it_equals_dense_sgd_after_every_epoch():
    targets, lazy = made(), {name: 2 * weight for name, weight in made().items()}
    dense = {name: weight.clone() for name, weight in lazy.items()}
    lazy = lazily(lazy, targets, epochs(3), LazySGD(lazy, DECAYS, 0.05))
    dense = densely(dense, targets, epochs(3))
    for name, weight in dense.items():
        torch.testing.assert_close(lazy[name], weight.detach(), rtol=1e-12, atol=1e-12)


def test_it_continues_from_its_state():
    targets, whole = made(), {name: 2 * weight for name, weight in made().items()}
    part = {name: weight.clone() for name, weight in whole.items()}
    lazily(whole, targets, epochs(3), LazySGD(whole, DECAYS, 0.05))
    first, *others = epochs(3)
    before = LazySGD(part, DECAYS, 0.05)
    lazily(part, targets, [first], before)
    after = LazySGD(part, DECAYS, 0.05)
    after.load_state_dict({name: each.clone() for name, each in before.state_dict().items()})
    lazily(part, targets, others, after)
    for name, weight in whole.items():
        assert torch.equal(part[name], weight)


def test_an_epoch_must_be_whole_and_a_step_needs_a_gradient():
    weights = made()
    sgd = LazySGD(weights, DECAYS, 0.05)
    sgd.begin(2, 0.5)
    rows = {"table": torch.tensor([1]), "bias": torch.tensor([1]), "unit": torch.arange(6)}
    read = sgd.read(rows)
    with pytest.raises(AssertionError, match=r"needs a backward\(\)"):
        sgd.step()
    loss(read, {name: weights[name][rows[name]] + 1 for name in rows}).backward()
    sgd.step()
    with pytest.raises(AssertionError, match="must read rows"):
        sgd.step()
    with pytest.raises(AssertionError, match="must have had all of its steps"):
        sgd.begin(2, 0.5)
    sgd.load_state_dict(sgd.state_dict())  # an epoch that broke off is forgotten
    sgd.begin(2, 0.5)


@pytest.mark.parametrize("state", [{}, {**made(), "unit": torch.zeros(7)}, {"state": {}}])
def test_a_state_of_another_version_is_refused(state):
    with pytest.raises(ValueError, match="of another version or model"):
        LazySGD(made(), DECAYS, 0.05).load_state_dict(state)


def test_the_end_of_an_epoch_may_go_in_parts(monkeypatch):
    """The result does not depend on how many weights are brought up to date at once."""
    targets, whole = made(), {name: 2 * weight for name, weight in made().items()}
    parts = {name: weight.clone() for name, weight in whole.items()}
    lazily(whole, targets, epochs(3), LazySGD(whole, DECAYS, 0.05))
    monkeypatch.setattr("darec.core.lazy_sgd.AT_ONCE", 40)
    lazily(parts, targets, epochs(3), LazySGD(parts, DECAYS, 0.05))
    assert all(torch.equal(parts[name], whole[name]) for name in whole)
