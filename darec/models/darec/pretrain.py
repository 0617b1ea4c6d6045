"""Stage 1 as a memoised function of one domain: (ratings, config, run) to a trained AutoRec."""

import hashlib
import json
import math

from darec.core.config import plain
from darec.core.recommender import DivergedError, Run, Weights
from darec.data.ratings import Ratings
from darec.models.autorec import AutoRec, AutoRecConfig


def stage1_key(ratings: Ratings, config: AutoRecConfig, seed: int) -> str:
    """Return the sha256 naming stage 1's result: training data, config and seed decide it."""
    identity = json.dumps([ratings.digest, plain(config), seed], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()


def pretrain(ratings: Ratings, config: AutoRecConfig, run: Run) -> AutoRec:
    """Return AutoRec after ``config.epochs`` epochs, trained once per key in ``run.cache``.

    Raises `DivergedError` when its loss is not finite.
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
