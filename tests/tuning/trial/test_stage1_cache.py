import os
import subprocess
import sys
import time

import pytest
import ray
import torch

from darec.tuning.trial import stage1_store
from darec.tuning.trial.stage1_cache import ClusterCache


@ray.remote(num_cpus=0)
def ask(cache, key):
    """Ask for a key whose value takes a moment to compute."""

    def compute():
        time.sleep(0.5)
        return {"w": torch.full((3,), 7.0)}

    return cache.get(key, compute)["w"].sum().item()


def test_a_key_asked_for_by_many_at_once_is_computed_once(cluster):
    cache = ClusterCache()
    assert ray.get([ask.remote(cache, "k") for _ in range(4)]) == [21.0] * 4
    assert ray.get(cache.store.computed.remote()) == 1
    assert ray.get(ask.remote(cache, "other")) == 21.0
    assert ray.get(cache.store.computed.remote()) == 2


def test_a_claim_that_is_not_renewed_goes_to_the_next(monkeypatch):
    monkeypatch.setattr(stage1_store, "LEASE_S", 0.05)
    store = stage1_store.CacheStore()
    state, (first,) = store.claim("k")
    assert state == "yours" and store.claim("k")[0] == "wait"
    time.sleep(0.06)
    state, (second,) = store.claim("k")
    assert state == "yours"
    store.renew("k", first)  # the first has lost the key: it cannot take it from the second
    store.release("k", first)
    assert store.claim("k")[0] == "wait"
    store.release("k", second)
    assert store.claim("k")[0] == "yours"
    restarted = stage1_store.CacheStore()  # it knows no claim until the holder renews its own
    restarted.renew("k", second)
    assert restarted.claim("k")[0] == "wait"


def test_a_failed_computation_frees_the_key(cluster):
    cache = ClusterCache()

    def fail():
        raise ValueError("no luck")

    with pytest.raises(ValueError, match="no luck"):
        cache.get("k", fail)
    assert cache.get("k", lambda: {"w": torch.ones(2)})["w"].tolist() == [1.0, 1.0]


class Hurried(stage1_store.CacheStore):
    """Gives a claim to the next trial after a second."""

    def __init__(self):
        stage1_store.LEASE_S = 1.0  # in the process of the actor
        super().__init__()


@ray.remote(num_cpus=0, max_retries=0)
def die_while_computing(cache, key):
    """Claim a key and end at once, as if the node had died."""
    cache.get(key, lambda: os._exit(1))


def test_a_process_that_dies_while_it_trains_stage_1_leaves_nothing_half_done(cluster):
    cache = ClusterCache()
    cache.store = ray.remote(num_cpus=0)(Hurried).remote()
    dead = die_while_computing.remote(cache, "k")
    with pytest.raises(ray.exceptions.WorkerCrashedError):
        ray.get(dead)
    assert ray.get(cache.store.computed.remote()) == 0  # nothing was kept of it
    waiting = [ask.remote(cache, "k") for _ in range(3)]
    assert ray.get(waiting, timeout=60) == [21.0] * 3
    assert ray.get(cache.store.computed.remote()) == 1


def test_the_store_starts_without_torch():
    code = "import sys, darec.tuning.trial.stage1_store; print('torch' in sys.modules)"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout == "False\n"
