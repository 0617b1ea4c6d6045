import json
from dataclasses import replace
from types import SimpleNamespace

import pandas as pd
import pytest
from optuna.distributions import FloatDistribution, IntDistribution
from safetensors.torch import load_file

from darec.core.config import parse
from darec.core.fit import Fit
from darec.core.recommender import MemoryCache, Run
from darec.files import digest_of
from darec.models.best import SpaceRecord, read_best
from darec.seeds import derive
from darec.tuning.cluster.shares import Slots
from darec.tuning.study import results
from darec.tuning.study.identity import identity_of
from darec.tuning.study.places import at_edge
from darec.tuning.study.record import space_json
from darec.tuning.study.results import save_trials, save_weights, winner
from darec.tuning.study.rows import TrialRow
from darec.tuning.study.study import Settings, Study
from search_spaces import SPACES
from tests.tuning.common import request_for

SETTINGS = Settings("tpe", "asha", 4, Slots(1.0, 0.0, 2), 0, MemoryCache())
CONFIG = {"axis": "item", "hidden": 16, "alpha": 0.01, "learning_rate": 0.01, "batch_size": 16}


@pytest.fixture
def asked(tiny_pair, tmp_path):
    return request_for("i_autorec", tiny_pair, tmp_path)


@pytest.fixture
def study(asked, tmp_path):
    space = dict(asked.space.space)
    return Study("i_autorec", asked.kind, asked.data, space, {}, 2, tmp_path, str(tmp_path))


def identity(asked, study):
    return identity_of(asked, study.model, SpaceRecord(**space_json(study)), "target", study.trials)


def trained(asked, epochs):
    """Train a trial as a search does, and return its row without a checkpoint."""
    run = Run(derive(0, "run"))
    fit = Fit(
        asked.kind.build(parse(asked.kind.config, CONFIG), asked.data.training, run), asked.data
    )
    for _ in range(epochs):
        fit.step()
    row = TrialRow("t0", "completed", epochs, fit.best_epoch, fit.best_rmse, CONFIG)
    return row, fit


def test_edges_are_named():
    space = dict(SPACES["i_darec"].space)
    config = {
        "extractor": 50,
        "beta": 0.01,
        "mu": 1e4,
        "lambda_": 1.0,
        "learning_rate": 0.000010001,
    }
    assert at_edge(space, config) == ["extractor", "mu", "learning_rate"]
    one_value = {"hidden": IntDistribution(5, 5), "rate": FloatDistribution(0.1, 0.1, log=True)}
    assert at_edge(one_value, {"hidden": 5, "rate": 0.1}) == []


def test_a_table_has_one_line_per_trial_with_all_hyper_parameters(study, tmp_path):
    rows = [
        TrialRow("a", "completed", 4, 3, 0.9, {**CONFIG, "alpha": 0.1}),
        TrialRow("b", "failed", 0, 0, 2.0, {**CONFIG, "center": "bias"}, failures=("x", "y")),
    ]
    save_trials(study, rows)
    table = pd.read_csv(tmp_path / "trials.csv")
    assert list(table["trial_id"]) == ["a", "b"] and list(table["best_valid_rmse"]) == [0.9, 2.0]
    assert table["failures"].to_list()[1] == "x; y" and table["alpha"].to_list() == [0.1, 0.01]
    assert set(table.columns) >= {*CONFIG, "center", "at_edge", "seconds", "ended"}


def test_a_winner_whose_checkpoint_is_lost_is_trained_again_to_the_same_weights(
    asked, study, tmp_path
):
    row, fit = trained(asked, 3)
    digest = save_weights(study, row, SETTINGS)
    best = winner(study, identity(asked, study), [row], digest, ["c"])
    assert (best.epoch, best.valid_rmse, best.trials) == (row.best_epoch, row.best_valid_rmse, 1)
    best.save(tmp_path)
    assert read_best(tmp_path) == best
    assert best.weights_digest == digest_of(tmp_path / "best.safetensors")
    saved = load_file(tmp_path / "best.safetensors")
    assert saved.keys() == fit.best_weights.keys()
    assert all((saved[name] == fit.best_weights[name]).all() for name in saved)
    assert json.loads((tmp_path / "best.json").read_text())["config"]["hidden"] == 16


def test_a_winner_of_a_gpu_is_trained_again_on_one_and_another_rmse_is_reported(
    asked, study, tmp_path, monkeypatch, caplog
):
    """A stand-in takes the place of Ray's task on a GPU."""
    row, fit = trained(asked, 2)
    weights, asked_for = fit.best_weights, []

    class Task:
        def __init__(self, share):
            asked_for.append(share)

        def remote(self, kind, config, data, run, epochs, metric):
            asked_for.append((run.device, epochs))
            return weights, row.best_valid_rmse + 1e-4

    monkeypatch.setattr(results.ray, "remote", lambda **share: lambda function: Task(share))
    monkeypatch.setattr(results.ray, "get", lambda answer: answer)
    monkeypatch.setattr(results, "check_room", lambda *share: asked_for.append(share))
    save_weights(study, row, replace(SETTINGS, slots=Slots(2.0, 0.25, 1, 10**9)))
    share = {"num_cpus": 2.0, "num_gpus": 0.25, "memory": 10**9}
    assert asked_for == [(2.0, 0.25), share, ("cuda", row.best_epoch)]
    assert f"trial {row.trial_id} is trained again: no checkpoint has its best w" in caplog.text
    told = f"trained again: validation RMSE {row.best_valid_rmse + 1e-4:.6f}, in the search"
    assert told in caplog.text


def test_a_winner_without_its_checkpoints_files_is_trained_again(asked, study, tmp_path):
    row, fit = trained(asked, 2)

    def missing():
        raise FileNotFoundError("deleted")

    lost = TrialRow(**{**vars(row), "checkpoint": SimpleNamespace(as_directory=missing)})
    save_weights(study, lost, SETTINGS)
    saved = load_file(tmp_path / "best.safetensors")
    assert all((saved[name] == fit.best_weights[name]).all() for name in saved)
