"""Runs the HTTP service on Ray Serve, and lets it answer with each new model of the folder."""

import ipaddress
import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray import serve

from darec.errors import UserError
from darec.reporter import LOGGER, Reporter
from darec.serving.load import copy_of
from darec.serving.on_ray.replica import ServedReplica
from darec.serving.on_ray.shelf import Shelf, digest_of, load_copy
from darec.tuning.cluster.connection import cluster_cpus, connected

NAME = "darec"
ONGOING = 128
"""Requests that a replica works on at once; some wait for the batch that is computed."""
QUEUED = 1000
"""Requests that may wait for a replica; further ones are answered with 503."""
TARGET = 32
"""Further replicas are started when each has more requests than this at work, on average."""
ANSWER_S = 60
"""A request that takes longer is answered with 408."""
LOOK_S = 1.0
"""Seconds between two checks of the folder for a new model."""
PATIENCE = 3
"""Failed checks in a row after which the service warns that the folder cannot be used."""


@dataclass(frozen=True)
class Options:
    """Where the service listens, and its number of replicas."""

    host: str = "127.0.0.1"
    port: int = 8000
    replicas: int = 1
    max_replicas: int | None = None
    """Serve starts up to this many replicas when there are many requests."""

    @property
    def scaling(self) -> dict[str, Any]:
        """The options of Serve that say how many replicas there are."""
        if self.max_replicas is None:
            return {"num_replicas": self.replicas}
        bounds = {"min_replicas": self.replicas, "max_replicas": self.max_replicas}
        return {"autoscaling_config": {**bounds, "target_ongoing_requests": TARGET}}


def run_service(
    place: str,
    options: Options,
    reporter: Reporter,
    *,
    address: str | None = None,
    insecure: bool = False,
) -> None:
    """Answer HTTP requests with the model of a folder or URI until the process is interrupted.

    Raises `UserError` if there is no whole model, the port is taken, or there are too few CPUs.
    """
    copy = copy_of(place)
    load_copy(copy)
    if options.max_replicas is not None and options.max_replicas < options.replicas:
        raise UserError(
            f"--max-replicas must be at least --replicas {options.replicas}, "
            f"but got {options.max_replicas}"
        )
    is_private = _check_port(options.host, options.port)
    with connected(address, insecure=insecure) as joined, _quiet():
        most = options.max_replicas or options.replicas
        if not joined and most > cluster_cpus():
            raise UserError(
                f"--replicas and --max-replicas must be at most {cluster_cpus():.0f}, "
                f"the CPUs of this machine, but got {most}"
            )
        shelf = ray.remote(num_cpus=0)(Shelf).remote(copy)
        reporter.line(f"starting {options.replicas} x the model, each on a CPU of its own")
        with _deployed(shelf, options, joined):
            reporter.line(
                f"serving {place} at http://{options.host}:{options.port} (Ctrl-C stops it)\n"
                f"next:    curl http://{options.host}:{options.port}/model, or look at /docs"
            )
            if not is_private:
                LOGGER.warning(
                    "%s: there is no login: anyone who can reach this port can use the service",
                    options.host,
                )
            _follow(place, copy.digest, shelf, reporter)


@contextmanager
def _deployed(shelf: Any, options: Options, joined: bool) -> Iterator[None]:
    """Run the replicas in the block; at its end, requests at work are finished.

    ``joined``: the cluster goes on, so that Serve itself must be ended, too.
    """
    if serve.status().applications:
        raise UserError(
            "Ray Serve runs an application in this cluster already; end it with `serve shutdown`"
        )
    verbose = LOGGER.isEnabledFor(logging.DEBUG)
    log = {"log_level": "INFO" if verbose else "WARNING", "enable_access_log": verbose}
    deployment = serve.deployment(
        ServedReplica,
        name="model",
        ray_actor_options={"num_cpus": 1},
        max_ongoing_requests=ONGOING,
        max_queued_requests=QUEUED,
        **options.scaling,
    )
    try:
        serve.start(
            proxy_location="HeadOnly",
            http_options={
                "host": options.host,
                "port": options.port,
                "request_timeout_s": ANSWER_S,
            },
            logging_config=log,
        )
        serve.run(deployment.bind(shelf), name=NAME, logging_config=log)
        yield
    finally:
        serve.delete(NAME)
        if joined:
            serve.shutdown()


def _follow(place: str, served: str, shelf: Any, reporter: Reporter) -> None:
    """Put each new model of the folder on the shelf, until the process is interrupted.

    A folder that is being written, or is damaged, is looked at again until it is whole.
    """
    failures = 0
    while True:
        time.sleep(LOOK_S)
        try:
            if digest_of(place) == served:
                failures = 0
                continue
            copy = copy_of(place)
            load_copy(copy)
        except Exception as error:  # whatever it is, the present model goes on
            failures += 1
            if failures == PATIENCE:
                LOGGER.warning("%s; the service goes on with the model that it has", error)
            continue
        ray.get(shelf.replace.remote(copy))
        served, failures = copy.digest, 0
        reporter.line(f"new model in {place}: it answers within {2 * LOOK_S:.0f} seconds")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Serve from printing what it does, unless ``-v`` asks for it."""
    log = logging.getLogger("ray.serve")
    before = log.level
    if not LOGGER.isEnabledFor(logging.DEBUG):
        log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(before)


def _check_port(host: str, port: int) -> bool:
    """Return whether this machine alone reaches an address; raises `UserError` if it is taken."""
    try:
        family, *_, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.create_server(place[:2], family=family):
            return ipaddress.ip_address(place[0]).is_loopback
    except OSError as error:
        raise UserError(
            f"--host {host} --port {port}: cannot listen there: {error.strerror}"
        ) from error
