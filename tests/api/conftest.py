import pytest

from darec.models import plugins


@pytest.fixture(autouse=True)
def nothing_stays_registered():
    yield
    plugins.OUTSIDE.clear()
    plugins.SPACES.clear()
    plugins.BROKEN.clear()
    plugins.load_installed.cache_clear()
