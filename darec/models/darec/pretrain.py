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

    Raises `DivergedError` when a loss is not finite.
    """
    autorec = AutoRec(config, ratings, run)

    def train() -> Weights:
        for epoch in range(1, config.epochs + 1):
            for name, value in autorec.train_epoch().items():
                if not math.isfinite(value):
                    raise DivergedError(f"stage 1: {name} is {value} in epoch {epoch}")
        return {name: weight.cpu() for name, weight in autorec.weights().items()}

    autorec.load_weights(run.cache.get(stage1_key(ratings, config, run.seed), train))
    return autorec
