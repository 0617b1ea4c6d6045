"""What a GPU would run, on a CPU: the torch backend, and captured steps with a stand-in."""

import weakref
from contextlib import contextmanager

import pytest
import torch

from darec.core import backend, cuda_graphs
from darec.core.fit import Fit
from darec.core.numba_backend import NumbaBackend
from darec.core.torch_backend import _padding_ends
from darec.data.split import split
from tests.models.common import build

NAMES = ["u_autorec", "i_autorec", "u_darec", "i_darec"]


@pytest.fixture
def captured(monkeypatch):
    """The torch backend, and a stand-in for a capture that runs its step again at each launch."""
    counts = {"captured": 0, "launched": 0}

    class Again:
        def eager(self, step):
            return step()

        def captured(self, step):
            counts["captured"] += 1

            def again():
                counts["launched"] += 1
                return step()

            return again

    monkeypatch.setitem(backend.BACKENDS, "cpu", backend.TORCH)
    monkeypatch.setitem(cuda_graphs.CAPTURE, "cpu", Again)
    return counts


@pytest.mark.parametrize("decay", ["coupled", "decoupled"])
@pytest.mark.parametrize("name", NAMES)
def test_captured_torch_steps_equal_compiled_ones(name, decay, tiny_pair, captured, monkeypatch):
    data = split(tiny_pair).search
    settings = {"decay": decay, "batch_size": 7}
    with monkeypatch.context() as patch:
        patch.setitem(backend.BACKENDS, "cpu", NumbaBackend())
        patch.delitem(cuda_graphs.CAPTURE, "cpu")
        compiled = Fit(build(name, data.training, **settings), data)
        rows = [compiled.step() for _ in range(3)]
    torchs = Fit(build(name, data.training, **settings), data)
    assert [torchs.step() for _ in range(3)] == [pytest.approx(row, rel=1e-4) for row in rows]
    assert captured["captured"] >= 1 and captured["launched"] >= 2 * (50 // 7)


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
    for row in rows[2:]:  # the size of the padding changes the order of sums
        assert halves[1].step() == pytest.approx(row, rel=1e-5)
    assert captured["captured"] > before + 1


def test_the_old_graph_is_dropped_before_a_new_one_is_captured(tiny_pair, captured, monkeypatch):
    kind, alive, seen = cuda_graphs.CAPTURE["cpu"], [], []
    capture = kind.captured

    def watched(self, step):
        seen.append([graph() is not None for graph in alive])
        launch = capture(self, step)
        alive.append(weakref.ref(launch))
        return launch

    monkeypatch.setattr(kind, "captured", watched)
    rows = build("i_autorec", split(tiny_pair).search.training).rows
    sizes = rows.is_rated.nonzero()[:, 0]
    batches = [rows.gather(sizes[k : k + 1]) for k in range(len(sizes))]
    small, large = (choose(batches, key=lambda b: len(b.columns)) for choose in (min, max))
    net = torch.nn.Linear(1, 1)
    step = cuda_graphs.CapturedStep(lambda batch: batch.values.sum(), net, torch.device("cpu"))
    for batch in [small] * (cuda_graphs.WARM_UP + 1) + [large]:
        step(batch)
    assert seen == [[], [False]]


def test_a_step_that_cannot_be_captured_runs_directly(tiny_pair, captured, monkeypatch):
    batch = build("i_autorec", split(tiny_pair).search.training).rows.gather(torch.arange(4))
    nets = [torch.nn.Linear(1, 1, bias=False) for _ in range(2)]
    nets[1].load_state_dict(nets[0].state_dict())

    def stepper(net):
        sgd = torch.optim.SGD(net.parameters(), lr=0.1)

        def step(batch):
            net(batch.values[:, None]).square().mean().backward()
            sgd.step()
            sgd.zero_grad()
            return net.weight.detach().clone()

        return step

    def refused(self, step):
        nets[1].weight.grad = torch.ones(1, 1)  # a capture that fails leaves gradients behind
        raise RuntimeError("operation not permitted")

    monkeypatch.setattr(cuda_graphs.CAPTURE["cpu"], "captured", refused)
    straight, cpu = stepper(nets[0]), torch.device("cpu")
    refusing = cuda_graphs.CapturedStep(stepper(nets[1]), nets[1], cpu)
    for k in range(6):
        want = straight(batch)
        if k == cuda_graphs.WARM_UP:
            with pytest.warns(UserWarning, match="captured as a CUDA graph: operation"):
                got = refusing(batch)
        else:
            got = refusing(batch)
        assert torch.equal(got, want)


def test_a_model_is_freed_when_it_is_replaced(tiny_pair):
    for name in NAMES:
        model = build(name, split(tiny_pair).search.training)
        model.train_epoch()
        watch = weakref.ref(model)
        del model
        assert watch() is None, name


def test_padding_does_not_count(tiny_pair):
    data = split(tiny_pair).search
    model = build("i_autorec", data.training)
    large, small = model.rows.gather(torch.arange(8)), model.rows.gather(torch.arange(8, 16))
    if len(large.columns) < len(small.columns):
        large, small = small, large
    fixed = cuda_graphs.FixedBatch(large, len(large.columns) + 5)
    assert fixed.fits(small) and not fixed.fits(model.rows.gather(torch.arange(9)))
    fixed.load(large)
    fixed.load(small)
    batch, n = fixed.batch(), len(small.columns)
    assert batch.observed.tolist() == [1.0] * n + [0.0] * (len(batch.columns) - n)
    assert torch.equal(batch.values[:n], small.values) and not batch.values[n:].any()


def test_a_failed_capture_gives_the_allocator_back(monkeypatch):
    """Stand-ins take the place of torch's parts that need a GPU."""
    ended = []

    @contextmanager
    def graph(graph, pool, stream):
        yield
        raise RuntimeError("the capture was invalidated")

    for name, part in {
        "Stream": object,
        "CUDAGraph": object,
        "graph_pool_handle": lambda: (0, 7),
        "current_device": lambda: 3,
        "graph": graph,
    }.items():
        monkeypatch.setattr(cuda_graphs.torch.cuda, name, part)
    monkeypatch.setattr(
        cuda_graphs.torch._C,
        "_cuda_endAllocateToPool",
        lambda device, pool: ended.append((device, pool)),
        raising=False,
    )
    with pytest.raises(RuntimeError, match="invalidated"):
        cuda_graphs.CudaGraphs().captured(lambda: torch.zeros(1))
    assert ended == [(3, (0, 7))]


def test_padding_is_many_short_rows_and_changes_no_sum(tiny_pair):
    batch = build("i_autorec", split(tiny_pair).search.training).rows.gather(torch.arange(4))
    n = len(batch.columns)
    fixed = cuda_graphs.FixedBatch(batch, 2 * n)
    fixed.load(batch)
    weight_MK = torch.randn(int(batch.columns.max()) + 1, 3, dtype=torch.float64)
    padded, values = fixed.batch(), batch.values.double()
    sums = backend.TORCH.weighted_sums(padded, padded.values.double(), weight_MK)
    torch.testing.assert_close(sums, backend.TORCH.weighted_sums(batch, values, weight_MK))
    ends = _padding_ends(torch.tensor(n), 2 * n, 4).tolist()
    assert ends[-1] == 2 * n and max(ends[0] - n, ends[1] - ends[0]) <= n // 4 + 1
