"""Training ratings as mini-batches of (user, item, rating), of both domains side by side.

Shapes: N ratings of a domain, B of a batch, n of a chunk.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch

from darec.core.batches import paired
from darec.core.center import Center
from darec.core.scoring import PAIRS_AT_ONCE
from darec.data.ratings import Domain, FloatArray, IntArray, Ratings


@dataclass(frozen=True)
class Triples:
    """Ratings as ``user i64[N]``, ``item i64[N]`` and ``value f32[N]``, minus their centre."""

    user: torch.Tensor
    item: torch.Tensor
    value: torch.Tensor

    def take(self, index: torch.Tensor) -> "Triples":
        """Return the ratings at these positions i64[B]."""
        return Triples(self.user[index], self.item[index], self.value[index])


def triples(ratings: Ratings, center: Center, device: str) -> Triples:
    """Return a domain's ratings minus their centre, in the order of users, then items."""
    order = np.lexsort((ratings.items, ratings.users))
    centred = center.residuals(ratings)
    user, item = (
        torch.from_numpy(c[order].astype(np.int64)) for c in (ratings.users, ratings.items)
    )
    return Triples(user.to(device), item.to(device), torch.from_numpy(centred[order]).to(device))


def batches(
    domains: dict[Domain, Triples], batch_size: int, generator: torch.Generator
) -> Iterator[dict[Domain, Triples]]:
    """Yield one batch of each domain at a time, until every rating was visited.

    The ratings of the smaller domain are repeated.
    """
    source, target = domains["source"], domains["target"]
    all_S, all_T = (torch.arange(len(d.user), device=d.user.device) for d in (source, target))
    order_S, order_T = (torch.split(o, batch_size) for o in paired(all_S, all_T, generator))
    for source_B, target_B in zip(order_S, order_T, strict=True):
        yield {"source": source.take(source_B), "target": target.take(target_B)}


def n_batches(domains: dict[Domain, Triples], batch_size: int) -> int:
    """Return the number of batches that `batches` yields."""
    return math.ceil(max(len(ratings.user) for ratings in domains.values()) / batch_size)


def predict(
    users: IntArray,
    items: IntArray,
    device: torch.device,
    score: Callable[[torch.Tensor, torch.Tensor], torch.Tensor],
) -> FloatArray:
    """Return ``score(user i64[n], item i64[n])`` of all pairs f32[N], a chunk at a time."""
    scores = np.empty(len(users), np.float32)
    with torch.no_grad():
        for begin in range(0, len(users), PAIRS_AT_ONCE):
            part = slice(begin, begin + PAIRS_AT_ONCE)
            user, item = (
                torch.from_numpy(index[part].astype(np.int64)).to(device)
                for index in (users, items)
            )
            scores[part] = score(user, item).cpu().numpy()
    return scores
