"""One process of the service: it has the model in memory, and answers what waits in batches."""

import asyncio
import logging
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import ray
from fastapi import FastAPI
from ray import serve

from darec.reporter import LOGGER
from darec.serving import messages as m
from darec.serving.app import make_app
from darec.serving.on_ray.shelf import load_copy
from darec.tuning.private import serve_on_loopback

BATCH = 64
"""Most requests that one call of the model answers."""
LOOK_S = 1.0
"""How often a replica asks for a newer model."""


class Replica:
    """Answers with the newest model of the shelf.

    A thread loads a newer model while requests are answered with the old one. What is being
    answered at that moment is finished with the old one, so no request is lost.
    """

    def __init__(self, shelf: Any) -> None:
        for handler in logging.getLogger("ray.serve").handlers:  # the file of this replica
            LOGGER.addHandler(handler)
        if ray.util.get_node_ip_address() == "127.0.0.1":
            serve_on_loopback()
        self._shelf = shelf
        self._answers = load_copy(ray.get(shelf.newer.remote("")))
        self._model_thread = ThreadPoolExecutor(1)  # a model need not bear two calls at once
        threading.Thread(target=self._follow, daemon=True).start()

    async def predict(self, asked: m.PredictRequest) -> m.PredictAnswer:
        """Predict ratings."""
        answer: m.PredictAnswer = _given(await self._predict(asked))
        return answer

    async def recommend(self, asked: m.RecommendRequest) -> m.RecommendAnswer:
        """Recommend items to known users."""
        answer: m.RecommendAnswer = _given(await self._recommend(asked))
        return answer

    async def fold_in(self, asked: m.FoldInRequest) -> m.FoldInAnswer:
        """Predict and recommend for a person who was not in the data."""
        answer: m.FoldInAnswer = await self._call(self._answers.fold_in, asked)
        return answer

    def model(self) -> m.ModelAnswer:
        """Return the card of the model."""
        return self._answers.model()

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=0)  # type: ignore[untyped-decorator]
    async def _predict(self, asked: list[m.PredictRequest]) -> Any:
        return await self._call(self._answers.predict, asked)

    @serve.batch(max_batch_size=BATCH, batch_wait_timeout_s=0)  # type: ignore[untyped-decorator]
    async def _recommend(self, asked: list[m.RecommendRequest]) -> Any:
        return await self._call(self._answers.recommend, asked)

    async def _call(self, function: Any, asked: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._model_thread, function, asked)

    def _follow(self) -> None:
        """Take each newer model; what is wrong with the shelf or the model is only logged."""
        while True:
            time.sleep(LOOK_S)
            try:
                copy = ray.get(self._shelf.newer.remote(self._answers.digest))
                if copy is not None:
                    self._answers = load_copy(copy)
            except Exception:  # whatever it is, the present model goes on
                LOGGER.exception("the model stays as it is")


def _given(answer: Any) -> Any:
    if isinstance(answer, Exception):
        raise answer
    return answer


def _app() -> FastAPI:
    return make_app(lambda: serve.get_replica_context().servable_object)


ServedReplica = serve.ingress(_app)(Replica)
