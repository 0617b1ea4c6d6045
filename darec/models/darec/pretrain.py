"""Stage 1: the trained AutoRec of one domain, cached by what decides its weights."""

import hashlib
import json
import math

from darec.core.config import plain
from darec.core.recommender import DivergedError, Run, Weights
from darec.data.split import Training
from darec.models.autorec import AutoRec, AutoRecConfig


def stage1_key(training: Training, config: AutoRecConfig, seed: int) -> str:
    """Return a sha256 of all that decides the weights: training ratings, config and seed."""
    data = training.target.digest, training.source.digest
    identity = json.dumps([*data, plain(config), seed], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()


def pretrain(training: Training, config: AutoRecConfig, run: Run) -> AutoRec:
    """Return the target's AutoRec after ``config.epochs`` epochs, from ``run.cache`` if there.

    It has no Adam moments and no CUDA graph, which only training needs: they end with the model
    that was trained. Raises `DivergedError` when a loss is not finite.
    """

    def train() -> Weights:
        autorec = AutoRec(config, training, run)
        for epoch in range(1, config.epochs + 1):
            for name, value in autorec.train_epoch().items():
                if not math.isfinite(value):
                    raise DivergedError(f"stage 1: {name} is {value} in epoch {epoch}")
        return {name: weight.cpu() for name, weight in autorec.weights().items()}

    weights = run.cache.get(stage1_key(training, config, run.seed), train)
    autorec = AutoRec(config, training, run)
    autorec.load_weights(weights)
    return autorec
