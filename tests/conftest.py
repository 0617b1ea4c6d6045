"""Fixtures shared by all tests: a small planted pair, and real pairs where they are at hand."""

from pathlib import Path

import pytest
import torch

from darec.data.synthetic import planted_pair
from darec.paper import Counts

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"


torch.set_num_threads(1)  # tiny models: threads cost more than they save


@pytest.fixture(scope="session")
def tiny_pair():
    """120 users, 60 / 50 items, 2400 / 1800 ratings with planted shared structure."""
    return planted_pair("tiny", Counts(120, 60, 50, 2400, 1800))


@pytest.fixture(scope="session")
def real_data():
    """The folder of real rating pairs; skips where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real rating pairs at {REAL_DATA}")
    return REAL_DATA


@pytest.fixture(scope="session")
def cluster():
    """A Ray of our own on this machine, two CPUs."""
    import ray

    ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()
