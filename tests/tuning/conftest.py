import pytest

from darec.data.split import split
from darec.tuning.cluster.shares import Slots
from darec.tuning.study.study import Settings, Study
from darec.tuning.trial.stage1_cache import ClusterCache
from search_spaces import SPACES


@pytest.fixture
def settings(cluster):
    return Settings("tpe", "asha", 4, Slots(1.0, 0.0, 2), seed=0, cache=ClusterCache())


@pytest.fixture
def study(tiny_pair, tmp_path):
    """A small I-AutoRec study."""
    space = SPACES["i_autorec"].fix({"hidden": 20})
    data = split(tiny_pair).search
    where = (tmp_path, str(tmp_path))
    return Study("i_autorec", data, dict(space.space), dict(space.fixed), 6, *where)
