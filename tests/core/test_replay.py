"""The path of a GPU, run on a CPU: torch's formulas, and steps replayed on fixed batches."""

import pytest
import torch

from darec.core import kernels, replay
from darec.core.fit import Fit
from darec.data.split import split
from tests.models.common import build

NAMES = ["u_autorec", "i_autorec", "u_darec", "i_darec"]


@pytest.fixture
def captured(monkeypatch):
    """No compiled loops; a capture that runs its step again, and counts captures and replays."""
    counts = {"captured": 0, "replayed": 0}

    def capture(step):
        counts["captured"] += 1

        def again():
            counts["replayed"] += 1
            return step()

        return again

    monkeypatch.setattr(kernels, "serve", lambda device: False)
    monkeypatch.setitem(replay.CAPTURE, "cpu", capture)
    return counts


@pytest.mark.parametrize("decay", ["coupled", "decoupled"])
@pytest.mark.parametrize("name", NAMES)
def test_replayed_steps_equal_the_compiled_ones(name, decay, tiny_pair, captured, monkeypatch):
    data = split(tiny_pair).search
    settings = {"decay": decay, "batch_size": 7}
    with monkeypatch.context() as patch:
        patch.setattr(kernels, "serve", lambda device: True)
        patch.delitem(replay.CAPTURE, "cpu")
        compiled = Fit(build(name, data.training, **settings), data)
        rows = [compiled.step() for _ in range(3)]
    torchs = Fit(build(name, data.training, **settings), data)
    assert [torchs.step() for _ in range(3)] == [pytest.approx(row, rel=1e-4) for row in rows]
    assert captured["captured"] >= 1 and captured["replayed"] >= 2 * (50 // 7)


def test_a_batch_without_room_is_captured_anew_and_a_loaded_state_too(tiny_pair, captured):
    data = split(tiny_pair).search
    straight = Fit(build("i_darec", data.training, batch_size=7), data)
    rows = [straight.step() for _ in range(4)]
    halves = [Fit(build("i_darec", data.training, batch_size=7), data) for _ in range(2)]
    for _ in range(2):
        halves[0].step()
    before = captured["captured"]
    halves[1].step()
    halves[1].load_state_dict(halves[0].state_dict())
    for row in rows[2:]:  # equal but for the order of sums, which the room for ratings changes
        assert halves[1].step() == pytest.approx(row, rel=1e-5)
    assert captured["captured"] > before + 1


def test_what_fills_a_batch_does_not_count(tiny_pair):
    data = split(tiny_pair).search
    model = build("i_autorec", data.training)
    large, small = model.rows.gather(torch.arange(8)), model.rows.gather(torch.arange(8, 16))
    if len(large.columns) < len(small.columns):
        large, small = small, large
    fixed = replay.FixedBatch(large, len(large.columns) + 5)
    assert fixed.holds(small) and not fixed.holds(model.rows.gather(torch.arange(9)))
    fixed.load(large)
    fixed.load(small)
    batch, n = fixed.batch(), len(small.columns)
    assert batch.observed.tolist() == [1.0] * n + [0.0] * (len(batch.columns) - n)
    assert torch.equal(batch.values[:n], small.values) and not batch.values[n:].any()
