"""The lazy Adam of embedding tables moves them as torch's dense Adam does."""

import copy
import importlib

import numpy as np
import pytest
import torch
from torch import nn

from darec.core import embedding_adam as module
from darec.core.config import parse
from darec.core.embedding_adam import DenseEmbeddingAdam, LazyEmbeddingAdam, embedding_adam
from darec.core.recommender import Run
from darec.data.split import split
from darec.models import MODELS

ROWS, COLUMNS, LEARNING_RATE = {"user": 40, "item": 60}, 3, 0.05
STEPS = (7, 1, 30)
"""The numbers of steps of three epochs."""
TRAINED_BY_IT = {
    "cmf": {"factors": 4},
    "conet": {"embedding": 8},
    "emcdr": {"factors": 4},
    "ptupcdr": {"factors": 4},
}
MODULES = {name: f"darec.models.{name}" for name in ("cmf", "conet")} | dict.fromkeys(
    ("emcdr", "ptupcdr"), "darec.models.mapped_mf"
)
"""Where each of these models chooses its Adam."""


def tables(dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    return {
        name: nn.Parameter(torch.randn(size, COLUMNS, generator=generator, dtype=dtype))
        for name, size in ROWS.items()
    }


def train(adam, n_steps, seed):
    """Train an epoch whose steps read few rows, some of them twice, in two readings."""
    generator = torch.Generator().manual_seed(seed)
    adam.begin(n_steps)
    for _ in range(n_steps):
        rows = {n: torch.randint(size, (5,), generator=generator) for n, size in ROWS.items()}
        first, second = adam.read(rows, {"user": rows["user"][:2]})
        assert list(first) == list(rows) and list(second) == ["user"]
        loss = (first["user"] * first["item"]).sum(1).sin().sum() + second["user"].cos().sum()
        loss.backward()
        adam.step()


@pytest.mark.parametrize("dtype, within", [(torch.float64, 1e-6), (torch.float32, 2e-5)])
def test_it_equals_dense_adam(dtype, within):
    lazily, densely = tables(dtype), tables(dtype)
    lazy = LazyEmbeddingAdam(lazily, LEARNING_RATE)
    dense = DenseEmbeddingAdam(densely, LEARNING_RATE)
    for seed, n_steps in enumerate(STEPS):
        train(lazy, n_steps, seed)
        train(dense, n_steps, seed)
        for name, table in densely.items():
            torch.testing.assert_close(lazily[name], table, rtol=within, atol=within)
    assert not torch.equal(lazily["user"], tables(dtype)["user"])


def test_a_resumed_training_equals_an_uninterrupted_one():
    whole, resumed = tables(), tables()
    adam, first = (LazyEmbeddingAdam(each, LEARNING_RATE) for each in (whole, resumed))
    for seed, n_steps in enumerate(STEPS):
        train(adam, n_steps, seed)
    train(first, STEPS[0], 0)
    state = copy.deepcopy(first.state_dict())
    again = {name: nn.Parameter(table.detach().clone()) for name, table in resumed.items()}
    second = LazyEmbeddingAdam(again, LEARNING_RATE)
    second.load_state_dict(state)
    for seed, n_steps in list(enumerate(STEPS))[1:]:
        train(second, n_steps, seed)
    assert all(torch.equal(again[name], whole[name]) for name in ROWS)


def test_a_state_of_other_tables_is_refused():
    adam = LazyEmbeddingAdam(tables(), LEARNING_RATE)
    with pytest.raises(ValueError, match="another version or model"):
        adam.load_state_dict({"user": {}})


def test_neither_adam_takes_the_state_of_the_other():
    lazy, dense = (
        each(tables(), LEARNING_RATE) for each in (LazyEmbeddingAdam, DenseEmbeddingAdam)
    )
    for adam, other in ((lazy, dense), (dense, lazy)):
        with pytest.raises(ValueError, match="another version or model"):
            adam.load_state_dict(other.state_dict())


def test_an_interrupted_step_leaves_no_trace_in_the_next_epoch():
    whole, resumed = tables(), tables()
    adam, interrupted = (LazyEmbeddingAdam(each, LEARNING_RATE) for each in (whole, resumed))
    before = copy.deepcopy(interrupted.state_dict())
    interrupted.begin(2)
    interrupted.read({"user": torch.tensor([0, 1]), "item": torch.tensor([5, 0])})
    interrupted.load_state_dict(before)
    train(adam, STEPS[0], 0)
    train(interrupted, STEPS[0], 0)
    assert all(torch.equal(resumed[name], whole[name]) for name in ROWS)


def test_more_steps_than_an_epoch_began_with_are_refused():
    adam = LazyEmbeddingAdam(tables(), LEARNING_RATE)
    train(adam, 1, 0)
    with pytest.raises(AssertionError, match="more steps"):
        adam.read({"user": torch.tensor([0]), "item": torch.tensor([0])})


def test_it_is_used_where_a_step_reads_few_rows():
    assert isinstance(embedding_adam(tables(), 0.1, n_read=3), LazyEmbeddingAdam)
    assert isinstance(embedding_adam(tables(), 0.1, n_read=4), DenseEmbeddingAdam)


@pytest.mark.parametrize("model", TRAINED_BY_IT)
def test_models_say_how_many_rows_a_step_reads(model, tiny_pair, monkeypatch):
    said, read = [], []

    class Seen(DenseEmbeddingAdam):
        def read(self, *indices):
            read.append(sum(len(index_B) for index in indices for index_B in index.values()))
            return super().read(*indices)

    def made(tables, learning_rate, n_read):
        said.append(n_read)
        return Seen(tables, learning_rate)

    training = split(tiny_pair, seed=0).search.training
    monkeypatch.setattr(importlib.import_module(MODULES[model]), "embedding_adam", made)
    config = parse(MODELS[model].config, {**TRAINED_BY_IT[model], "batch_size": 16})
    MODELS[model].build(config, training, Run()).train_epoch()
    assert set(said) == {max(read)}


@pytest.mark.parametrize("model", TRAINED_BY_IT)
def test_models_train_the_same_by_either_adam(model, tiny_pair, monkeypatch):
    data = split(tiny_pair, seed=0).search

    def trained(adam):
        """Train two epochs, load the state into a new model, and train a third one."""
        monkeypatch.setattr(module, "LazyEmbeddingAdam", adam)
        monkeypatch.setattr(module, "DenseEmbeddingAdam", adam)
        kind = MODELS[model]
        config = parse(kind.config, {**TRAINED_BY_IT[model], "batch_size": 16})
        first, second = (kind.build(config, data.training, Run()) for _ in range(2))
        for _ in range(2):
            first.train_epoch()
        second.load_state_dict(copy.deepcopy(first.state_dict()))
        assert first.train_epoch() == second.train_epoch()
        return second.predict(data.valid.users, data.valid.items)

    lazily, densely = trained(LazyEmbeddingAdam), trained(DenseEmbeddingAdam)
    np.testing.assert_allclose(lazily, densely, rtol=0, atol=1e-4)
