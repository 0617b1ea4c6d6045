"""Three epochs of each autoencoder model give the losses of the stored curves.

A change that is not meant to change results must pass. On the machine that the curves were
recorded on (same processor and library versions) every float must be equal. Elsewhere sums may be
rounded differently, and floats must agree to `TOLERANCE`: with the vector instructions of a
processor without AVX-512, and with none at all, they agreed to 4e-7. `golden.py` renews the curves.
"""

import json

import pytest

from tests.models.golden import CONFIGS, FILE, curve, machine

TOLERANCE = 1e-5
STORED = json.loads(FILE.read_text())


def same(got, want, exact):
    """Whether two curves agree: exactly, or each float to `TOLERANCE`."""
    return got == (want if exact else [pytest.approx(row, rel=TOLERANCE) for row in want])


@pytest.mark.parametrize("name", CONFIGS)
def test_a_model_trains_as_it_did(name):
    assert same(curve(name), STORED["curves"][name], exact=machine() == STORED["machine"])


@pytest.mark.parametrize("exact", [True, False])
def test_a_small_change_of_the_learning_rate_is_noticed(exact, monkeypatch):
    want = STORED["curves"]["i_autorec"]
    changed = {**CONFIGS["i_autorec"], "learning_rate": 0.02 * 1.001}
    monkeypatch.setitem(CONFIGS, "i_autorec", changed)
    assert not same(curve("i_autorec"), want, exact)
