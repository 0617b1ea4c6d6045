"""The process that keeps trained first stages for `ClusterCache`. It starts without torch."""

import time
from typing import Any

import numpy as np
import ray

LEASE_S = 30.0
"""A claim that is not renewed for so long passes to the next trial that asks."""
KEPT_BYTES = 4 * 2**30
"""Most bytes of values that are kept. The oldest values are dropped first."""


class CacheStore:
    """The actor behind `ClusterCache`: the values by key, and which of them are being computed."""

    def __init__(self) -> None:
        self._refs: dict[str, tuple[Any, int]] = {}
        self._claimed: dict[str, tuple[float, int]] = {}
        """When each claim ends, and its number."""
        self._n_claims = 0
        self._n_computed = 0

    def claim(self, key: str) -> tuple[str, list[Any]]:
        """Return ("ready", [ref]) or ("wait", []), or ("yours", [claim]) if the caller computes."""
        if key in self._refs:
            return "ready", [self._refs[key][0]]
        if self._claimed.get(key, (0.0, 0))[0] > time.monotonic():
            return "wait", []
        self._n_claims += 1
        self._claimed[key] = time.monotonic() + LEASE_S, self._n_claims
        return "yours", [self._n_claims]

    def renew(self, key: str, claim: int) -> None:
        """Extend a claim, unless the key has passed to another trial."""
        if self._holds(key, claim):
            self._claimed[key] = time.monotonic() + LEASE_S, claim

    def release(self, key: str, claim: int) -> None:
        """Give a claim up, unless the key has passed to another trial."""
        if self._holds(key, claim):
            self._claimed.pop(key, None)

    def _holds(self, key: str, claim: int) -> bool:
        """Return whether a claim holds a key.

        A key that nobody claims counts too: this actor may have restarted and forgotten the claim.
        """
        return self._claimed.get(key, (0.0, claim))[1] == claim

    def put(self, key: str, value: dict[str, np.ndarray[Any, Any]]) -> None:
        """Keep a value. This actor owns it, so that it outlives the trial that computed it."""
        self._refs[key] = (ray.put(value), sum(array.nbytes for array in value.values()))
        self._claimed.pop(key, None)
        self._n_computed += 1
        while len(self._refs) > 1 and sum(size for _, size in self._refs.values()) > KEPT_BYTES:
            self._refs.pop(next(iter(self._refs)))

    def computed(self) -> int:
        """Return how many values were computed so far."""
        return self._n_computed
