"""Stage 1: the trained AutoRec of one domain, cached by what decides its weights."""

import hashlib
import json
import math

from darec.core.config import plain
from darec.core.recommender import DivergedError, Run, Weights
from darec.data.ratings import Ratings
from darec.models.autorec import AutoRec, AutoRecConfig


def stage1_key(ratings: Ratings, config: AutoRecConfig, seed: int) -> str:
    """Return a sha256 of all that decides the weights: training ratings, config and seed."""
    identity = json.dumps([ratings.digest, plain(config), seed], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()


def pretrain(ratings: Ratings, config: AutoRecConfig, run: Run) -> AutoRec:
    """Return AutoRec after ``config.epochs`` epochs, from ``run.cache`` if it is there.

    It has no Adam moments and no CUDA graph, which only training needs: they end with the model
    that was trained. Raises `DivergedError` when a loss is not finite.
    """

    def train() -> Weights:
        autorec = AutoRec(config, ratings, run)
        for epoch in range(1, config.epochs + 1):
            for name, value in autorec.train_epoch().items():
                if not math.isfinite(value):
                    raise DivergedError(f"stage 1: {name} is {value} in epoch {epoch}")
        return {name: weight.cpu() for name, weight in autorec.weights().items()}

    weights = run.cache.get(stage1_key(ratings, config, run.seed), train)
    autorec = AutoRec(config, ratings, run)
    autorec.load_weights(weights)
    return autorec
