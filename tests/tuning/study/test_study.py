"""Studies on two local workers."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from optuna.distributions import CategoricalDistribution
from optuna.samplers import RandomSampler
from ray import tune
from ray.tune.schedulers import FIFOScheduler

from darec.core.recommender import MemoryCache
from darec.data.split import SearchData, Split, split
from darec.errors import UserError
from darec.models import MODELS
from darec.tuning.cluster.shares import Slots
from darec.tuning.study.algorithms import SAMPLERS, SCHEDULERS
from darec.tuning.study.run import run_study
from darec.tuning.study.study import Settings
from darec.tuning.study.tuner import make_tuner
from search_spaces import SPACES
from tests.reporting import Recorder


def test_one_seed_is_one_search(study, settings, tmp_path):
    alone = replace(settings, slots=replace(settings.slots, concurrent=1))
    results = []
    for name in ("a", "b"):
        folder = tmp_path / name
        rows = run_study(replace(study, folder=folder, storage=str(folder)), alone, resume=False)
        results.append([(row.best_valid_rmse, row.config) for row in rows])
    assert results[0] == results[1]


def test_the_first_trial_is_the_good_guess(study, settings):
    start = SPACES["i_autorec"].fix({"hidden": 20}).start
    (row,) = run_study(replace(study, start=start, trials=1), settings, resume=False)
    assert row.config == {**study.fixed, **start}


def test_a_study_whose_trials_all_diverge_says_why(study, settings):
    target = study.data.training.target
    poisoned = target.take(np.arange(len(target)))
    poisoned.values[0] = np.nan  # after the checks at birth
    training = replace(study.data.training, target=poisoned)
    # training on both domains would check the ratings once more
    space = {name: drawn for name, drawn in study.space.items() if name != "trains_on"}
    hopeless = replace(
        study,
        data=replace(study.data, training=training),
        space=space,
        fixed={**study.fixed, "trains_on": "target"},
        trials=2,
    )
    told = Recorder()
    with pytest.raises(
        UserError,
        match=r"no trial has a finite validation RMSE: diverged: loss.* is nan in epoch 1",
    ):
        run_study(hopeless, replace(settings, reporter=told), resume=False)
    (line,) = [line for line in told.lines if line.startswith("  trials ")]
    assert line.startswith("  trials     2 diverged; ")  # they are accounted for all the same


def test_trials_that_diverge_end_and_the_search_goes_on(study, settings):
    """The corner of the paper's ranges, mu = lambda = 1e4, and steps that no model survives."""
    space = SPACES["u_darec"].fix({"mu": 1e4, "lambda_": 1e4})
    steps = {"learning_rate": CategoricalDistribution([1e-3, 10.0])}
    stage1 = {"autorec/axis": "user", "autorec/hidden": 16, "autorec/epochs": 2}
    corner = replace(
        study,
        model="u_darec",
        kind=MODELS["u_darec"],
        space={**space.space, **steps},
        fixed={**space.fixed, **stage1},
    )
    all_epochs = replace(settings, sampler="random", scheduler="none")
    rows = run_study(corner, all_epochs, resume=False)
    diverged = [row for row in rows if row.ended.startswith("diverged: ")]
    assert diverged and all(row.config["learning_rate"] == 10.0 for row in diverged)
    others = [row.ended for row in rows if row not in diverged]
    assert others.count("completed") == len(others) == study.trials - len(diverged)
    assert rows[0].config["learning_rate"] == 1e-3 and rows[0].best_epoch > 0


def test_the_payload_of_a_trial_holds_no_test_rating(study, tiny_pair, monkeypatch):
    settings, sent = Settings("tpe", "asha", 4, Slots(1.0, 0.0, 2), 0, MemoryCache()), {}
    monkeypatch.setattr(tune, "with_parameters", lambda kind, **parts: sent.update(parts) or kind)
    make_tuner(study, settings, resume=False)
    assert sent.keys() == {"task"}
    task, parts = sent["task"], split(tiny_pair)
    assert type(task.data) is SearchData
    for domain, held_out in (("target", parts.test), ("source", parts.test_source)):
        hidden = {(int(u), int(i)) for u, i in zip(held_out.users, held_out.items, strict=True)}
        valid = task.data.valid if domain == "target" else task.data.valid_source
        for part in (getattr(task.data.training, domain), valid):
            seen = {(int(u), int(i)) for u, i in zip(part.users, part.items, strict=True)}
            assert seen and not seen & hidden
    assert not any(isinstance(part, Split) for part in vars(task).values())


class Unsaved(FIFOScheduler):
    """A scheduler whose state cannot be pickled."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


def test_a_scheduler_or_sampler_that_could_not_be_resumed_is_refused_at_once(
    study, settings, monkeypatch
):
    asha = SCHEDULERS["asha"]
    monkeypatch.setitem(SCHEDULERS, "mine", replace(asha, make=lambda epochs: Unsaved()))
    with pytest.raises(UserError, match=r"^--scheduler mine: .* cannot be resumed, .* '_thread"):
        run_study(study, replace(settings, scheduler="mine"), resume=False)

    def unsaved(seed):
        sampler = RandomSampler(seed)
        sampler.lock = threading.Lock()
        return sampler

    monkeypatch.setitem(SAMPLERS, "mine", unsaved)
    with pytest.raises(UserError, match=r"^--sampler mine: .* cannot be resumed, .* '_thread"):
        run_study(study, replace(settings, sampler="mine"), resume=False)
    assert not (study.folder / "tune").exists()


@pytest.mark.parametrize("copy", [b"", b"random" * 1000])
def test_a_search_whose_files_are_all_damaged_says_so_in_one_line(study, settings, copy):
    run_study(study, settings, resume=False)
    (study.folder / "snapshot.zip").write_bytes(copy)
    rows = run_study(study, settings, resume=True)  # Tune's own files do
    assert len(rows) == study.trials
    (study.folder / "snapshot.zip").write_bytes(copy)
    for path in study.folder.glob("tune/searcher-state-*.pkl"):
        path.write_bytes(b"random")
    with pytest.raises(UserError, match=r"snapshot\.zip: damaged .* and so is Tune's own"):
        run_study(study, settings, resume=True)


def test_a_search_of_an_earlier_version_is_not_resumed(study, settings, monkeypatch):
    """It would rank the trials that it has by what their results lack."""
    run_study(study, settings, resume=False)
    monkeypatch.setattr("darec.tuning.study.tuner.METRIC", "an entry that no result has")
    with pytest.raises(UserError, match="tune: an earlier version began this search, and it can"):
        run_study(study, settings, resume=True)


def test_a_tuner_file_that_cannot_be_read_is_reported_in_one_line(study, settings):
    run_study(study, settings, resume=False)
    (study.folder / "snapshot.zip").unlink()
    (study.folder / "tune" / "tuner.pkl").write_bytes(b"random")
    with pytest.raises(UserError, match=r"tune: Tune's snapshot there cannot be read"):
        run_study(study, settings, resume=True)
