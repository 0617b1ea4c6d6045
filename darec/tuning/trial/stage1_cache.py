"""A cluster-wide cache of trained first stages: the first trial that needs one trains it."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import ray
import torch
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from darec.core.recommender import Weights
from darec.tuning.trial.stage1_store import LEASE_S, CacheStore


class ClusterCache:
    """A `darec.core.recommender.Cache` that all trials on all nodes share."""

    def __init__(self) -> None:
        here = ray.get_runtime_context().get_node_id()  # the driver's node: others may be lost
        actor = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(CacheStore)
        place = NodeAffinitySchedulingStrategy(here, soft=True)
        self.store = actor.options(scheduling_strategy=place).remote()

    def get(self, key: str, compute: Callable[[], Weights]) -> Weights:
        """Return the value of a key; one trial computes it while the others wait."""
        while True:
            state, refs = ray.get(self.store.claim.remote(key))
            if state == "ready":
                return {name: torch.tensor(array) for name, array in ray.get(refs[0]).items()}
            if state == "yours":
                return self._compute(key, refs[0], compute)
            time.sleep(0.1)

    def close(self) -> None:
        """End the actor and drop its values."""
        ray.kill(self.store)

    def _compute(self, key: str, claim: int, compute: Callable[[], Weights]) -> Weights:
        with self._lease(key, claim):
            value = compute()
            arrays = {name: tensor.numpy() for name, tensor in value.items()}
            ray.get(self.store.put.remote(key, arrays))
        return value

    @contextmanager
    def _lease(self, key: str, claim: int) -> Iterator[None]:
        """Renew a claim while its value is computed; a trial that dies stops renewing it."""
        done = threading.Event()

        def renew() -> None:
            while not done.wait(LEASE_S / 6):
                self.store.renew.remote(key, claim)

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()
            self.store.release.remote(key, claim)
