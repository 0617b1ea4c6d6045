import pytest

from darec.data.split import split
from darec.models import MODELS
from darec.tuning.cluster.shares import Slots
from darec.tuning.study.study import Settings, Study
from darec.tuning.trial.stage1_cache import ClusterCache
from search_spaces import SPACES


@pytest.fixture
def settings(cluster):
    cache = ClusterCache()
    yield Settings("gp", "asha", 4, Slots(1.0, 0.0, 2), seed=0, cache=cache)
    cache.close()  # actors that stay make Ray warn of too many processes


@pytest.fixture
def study(tiny_pair, tmp_path):
    """A small I-AutoRec study."""
    space = SPACES["i_autorec"].fix({"hidden": 20})
    return Study(
        model="i_autorec",
        kind=MODELS["i_autorec"],
        data=split(tiny_pair).search,
        space=dict(space.space),
        fixed=dict(space.fixed),
        trials=6,
        folder=tmp_path,
        storage=str(tmp_path),
    )
