"""Fixtures shared by all tests, and the tiers: which marks a test gets and how long it may take."""

import logging
import os
import secrets
import signal
import sys
from contextlib import chdir
from pathlib import Path

import pytest
import torch
from hypothesis import settings

from darec.data.synthetic import planted_pair
from darec.paper import Counts

ROOT = Path(__file__).parents[1]
REAL_DATA = ROOT.parent / "shared" / "data"
LONG_TIER = {"slow", "ray", "cluster", "browser", "nightly"}
LONG_LIMIT_S = 900
"""How long a test of the long tier may take; one of the quick tier, see pyproject.toml."""

settings.register_profile("darec", deadline=None)  # a busy machine is no fault of a test
settings.load_profile("darec")
# Every Ray of the tests asks for a token, which is in no file and known to no other process.
os.environ |= {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}
torch.set_num_threads(1)  # the models of the tests are too small to gain from threads
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background ignores Ctrl-C


def pytest_collection_modifyitems(items):
    """Mark the tests that use Ray, and give the long tier its time limit."""
    for item in items:
        if "cluster" in item.fixturenames:
            item.add_marker("ray")
        own_limit = item.get_closest_marker("timeout")
        if not own_limit and LONG_TIER & {mark.name for mark in item.iter_markers()}:
            item.add_marker(pytest.mark.timeout(LONG_LIMIT_S))


@pytest.fixture(autouse=True)
def only_marked_tests_start_ray(request):
    """Fail a test that starts Ray in this process and is not marked `ray`."""
    before = ray_is_running()
    yield
    assert request.node.get_closest_marker("ray") or ray_is_running() == before, "mark it `ray`"


def ray_is_running():
    return "ray" in sys.modules and sys.modules["ray"].is_initialized()


@pytest.fixture(autouse=True)
def logging_level_is_restored():
    """Undo the level that a command sets for the rest of its process."""
    logger = logging.getLogger("darec")
    before = logger.level
    yield
    logger.setLevel(before)


@pytest.fixture(scope="session")
def tiny_pair():
    """120 users, 60 / 50 items, 2400 / 1800 ratings with planted shared structure."""
    return planted_pair("tiny", Counts(120, 60, 50, 2400, 1800))


@pytest.fixture(scope="session")
def real_data():
    """The folder of real rating pairs; skips the test if the folder is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real rating pairs at {REAL_DATA}")
    return REAL_DATA


@pytest.fixture(scope="session")
def cluster():
    """Ray with two CPUs, started on this machine for the tests alone."""
    import ray

    from darec.tuning.cluster.connection import connect

    with chdir(ROOT):  # Ray's workers import the tests from the folder in which it is started
        connect(None, cpus=2)
    yield
    ray.shutdown()
