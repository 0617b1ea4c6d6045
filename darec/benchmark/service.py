"""What a request to ``darec serve`` takes, next to what the model alone takes for it."""

import http.client
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from darec.api.search import search
from darec.benchmark.core import Figure
from darec.data.synthetic import synthetic_pair
from darec.errors import UserError
from darec.reporter import SILENT
from darec.serving import messages as m
from darec.serving.answers import Answers
from darec.serving.load import load
from darec.serving.model import LoadedModel

PAIRS = 100
"""Pairs of a request for predictions."""
N = 10
"""Recommendations of a request, which is for one user."""


def service(model: str, clients: Sequence[int], requests: int) -> Iterator[Figure]:
    """Time requests to a short search's winner on the stand-in of toys_auto.

    So many clients ask at once, each of which waits for its answer; they send ``requests`` in all.
    The reference is the model's own time for such requests, one by one, in one process.
    """
    with TemporaryDirectory() as out:
        pair = synthetic_pair("toys_auto")
        result = search(model, pair, trials=1, max_epochs=3, out=out, fit=False, reporter=SILENT)
        yield from _measured(result.fit(), clients, requests)


def _measured(folder: str, clients: Sequence[int], requests: int) -> Iterator[Figure]:
    model = load(folder)
    answers = Answers(model, "")
    routes = _routes(model, answers)
    alone = {
        route: float(np.median([_seconds(answer, [one]) for one in asked[:100]]))
        for route, (asked, answer) in routes.items()
    }
    yield from _batches(routes)
    with _served(folder) as port:
        for route, (asked, _) in routes.items():
            bodies = [one.model_dump_json() for one in asked]
            _ask(port, route, bodies[:50], 1)  # connections, caches
            for count in clients:
                took, seconds = _ask(port, route, bodies * -(-requests // len(bodies)), count)
                name = f"service{route.replace('/', '_')}_{count}_clients"
                for part in (50, 95):
                    value = float(np.percentile(took, part))
                    yield Figure(f"{name}_p{part}", value, "s", alone[route], alone[route] / value)
                rate = len(took) / seconds
                yield Figure(f"{name}_rate", rate, "/s", 1 / alone[route], rate * alone[route])


def _routes(
    model: LoadedModel, answers: Answers
) -> dict[str, tuple[list[Any], Callable[..., Any]]]:
    """Return requests of each route, and what answers them in this process."""
    rng = np.random.default_rng(0)
    users = rng.choice(model.user_ids.ids, 1000)
    items = rng.choice(model.item_ids.ids, (1000, PAIRS))
    predict = [
        m.PredictRequest(pairs=[m.Pair(user=user, item=item) for item in row])
        for user, row in zip(users, items, strict=True)
    ]
    recommend = [m.RecommendRequest(users=[user], n=N) for user in users]
    return {
        "/predict": (predict, answers.predict),
        "/recommend": (recommend, answers.recommend),
    }


def _batches(routes: dict[str, tuple[list[Any], Callable[..., Any]]]) -> Iterator[Figure]:
    """Time the model's part of 64 requests that are answered together, next to one by one."""
    for route, (asked, answer) in routes.items():
        some = asked[:64]
        together = min(_seconds(answer, some) for _ in range(5)) / len(some)
        alone = min(sum(_seconds(answer, [one]) for one in some) for _ in range(5)) / len(some)
        name = f"service{route.replace('/', '_')}_batch_of_{len(some)}"
        yield Figure(name, together, "s", alone, alone / together)


@contextmanager
def _served(folder: str) -> Iterator[int]:
    """Run ``darec serve`` in a process of its own, and yield its port."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "darec", "serve", folder, "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            if not any(line.startswith("serving ") for line in process.stdout):
                raise UserError("the service did not start; its error is above")
            yield port
        finally:
            process.terminate()


def _ask(
    port: int, route: str, bodies: Sequence[str], clients: int
) -> tuple[NDArray[np.float64], float]:
    """Send requests from this many clients; return the seconds of each, and of all together."""

    def ask(own: Sequence[str]) -> list[float]:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        return [_seconds(_post, connection, route, body) for body in own]

    begin = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        took = list(pool.map(ask, [bodies[k::clients] for k in range(clients)]))
    return np.concatenate(took), time.perf_counter() - begin


def _post(connection: http.client.HTTPConnection, route: str, body: str) -> None:
    connection.request("POST", route, body, {"content-type": "application/json"})
    response = connection.getresponse()
    answer = response.read()
    if response.status != 200:
        raise RuntimeError(f"{route}: {response.status} {answer[:200]!r}")


def _seconds(call: Callable[..., object], *arguments: object) -> float:
    begin = time.perf_counter()
    call(*arguments)
    return time.perf_counter() - begin
