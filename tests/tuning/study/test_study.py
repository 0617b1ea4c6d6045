"""Studies on two local workers, and a killed driver that resumes."""

import csv
import json
import os
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution
from optuna.trial import TrialState
from ray import tune
from safetensors.torch import load_file

from darec.core.config import parse
from darec.core.fit import Fit
from darec.core.recommender import Run
from darec.data.split import SearchData, Split, split
from darec.errors import UserError
from darec.models import MODELS
from darec.models.best import load_best
from darec.seeds import derive
from darec.tuning.cluster.shares import Slots, gpu_share, slots
from darec.tuning.study.algorithms import SAMPLERS, SCHEDULERS
from darec.tuning.study.protocol import Budget, Request, _record, check_study, run_search
from darec.tuning.study.results import at_edge
from darec.tuning.study.state import SafeOptunaSearch
from darec.tuning.study.study import _tuner, run_study
from darec.tuning.trial.trainable import METRIC
from search_spaces import SPACES

ROOT = Path(__file__).parents[2]


def request_for(model, pair, folder):
    """Return a small search of a model: six trials, two per stage-1 study."""
    stage1 = MODELS[model].stage1
    sizes = CategoricalDistribution([16, 20, 24])
    space = SPACES[stage1 or model]
    autorec = replace(space, space={**space.space, "hidden": sizes}, first={})
    return Request(
        model=model,
        pair=pair.name,
        train=90,
        seed=0,
        data=split(pair).search,
        data_digest=pair.digest,
        space=SPACES[model] if stage1 else autorec,
        stage1=autorec if stage1 else None,
        budget=Budget(6, 2, 4, None),
        folder=folder,
        storage=str(folder),
    )


@pytest.mark.slow
@pytest.mark.parametrize("model", ["i_autorec", "u_darec"])
def test_the_winner_is_the_lowest_row_with_the_weights_of_that_row(
    model, tiny_pair, settings, tmp_path
):
    request = request_for(model, tiny_pair, tmp_path / "study")
    best = run_search(request, settings, ["test"], resume=False, report=print)
    folder = request.folder
    assert best == load_best(folder)
    rows = pd.concat(
        pd.read_csv(path, usecols=["valid_rmse"]) for path in folder.glob("tune/*/progress.csv")
    )
    assert best.valid_rmse == pytest.approx(rows["valid_rmse"].min(), abs=1e-12)
    config = parse(MODELS[model].config, best.config)
    run = Run(derive(0, "run"))
    fit = Fit(MODELS[model].build(config, request.data.training, run), request.data)
    fit.model.load_weights(load_file(folder / "best.safetensors"))
    assert fit.validate() == pytest.approx(best.valid_rmse, abs=1e-6)
    with (folder / "trials.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == 6 and float(table[0]["best_valid_rmse"]) == best.valid_rmse
    study = json.loads((folder / "study.json").read_text())
    assert study["data_digest"] == tiny_pair.digest and study["revision"]
    assert not list(folder.rglob("checkpoint_*"))
    if model == "u_darec":
        target, source = load_best(folder / "stage1_target"), load_best(folder / "stage1_source")
        assert source.config["hidden"] == target.config["hidden"]
        assert best.config["autorec"] == {**target.config, "epochs": target.epoch}
        assert best.config["autorec_source"] == {**source.config, "epochs": source.epoch}
        assert best.stage1_valid_rmse == pytest.approx(target.valid_rmse, abs=1e-6)
    with pytest.raises(UserError, match="holds a study already"):
        run_search(request, settings, ["test"], resume=False, report=print)
    assert run_search(request, settings, ["test"], resume=True, report=print) == best
    other = replace(request, budget=Budget(7, 2, 4, None))
    with pytest.raises(UserError, match="--resume needs the same budget"):
        run_search(other, settings, ["test"], resume=True, report=print)


@pytest.mark.slow
def test_one_seed_is_one_search(study, settings, tmp_path):
    alone = replace(settings, slots=replace(settings.slots, concurrent=1))
    results = []
    for name in ("a", "b"):
        folder = tmp_path / name
        rows = run_study(replace(study, folder=folder, storage=str(folder)), alone, resume=False)
        results.append([(row.best_valid_rmse, row.config) for row in rows])
    assert results[0] == results[1]


@pytest.mark.slow
def test_checkpoints_are_kept_of_the_best_and_of_those_that_ended_last(
    study, settings, monkeypatch
):
    monkeypatch.setattr("darec.tuning.keep.KNOWN_S", 0.0)
    monkeypatch.setattr("darec.tuning.keep.PERIODS", 0)
    rows = run_study(replace(study, trials=9), settings, resume=False)
    kept = {path.parent.name for path in study.folder.glob("tune/*/checkpoint_*")}
    assert rows[0].trial_id in kept and len(kept) <= 1 + settings.slots.concurrent
    assert all(row.cpu_s >= row.seconds > 0 and row.gpu_s == 0 for row in rows)


@pytest.mark.slow
def test_a_resumed_search_runs_as_many_at_once_as_there_is_room_for_now(study, settings):
    run_study(study, settings, resume=False)
    more = replace(settings, slots=replace(settings.slots, concurrent=7))
    tuner, known = _tuner(replace(study, trials=7), more, resume=True)
    limiter = tuner._local_tuner._tune_config.search_alg
    assert len(known) == study.trials and limiter.max_concurrent == 7
    limiter.set_state({"max_concurrent": 2, "live_trials": {"a"}})  # as the snapshot has it
    assert limiter.max_concurrent == 7 and limiter.live_trials == {"a"}


@pytest.mark.slow
def test_the_first_trial_is_the_good_guess(study, settings):
    start = SPACES["i_autorec"].fix({"hidden": 20}).start
    (row,) = run_study(replace(study, start=start, trials=1), settings, resume=False)
    assert row.config == {**study.fixed, **start}


@pytest.mark.slow
def test_a_study_whose_trials_all_diverge_says_why(study, settings):
    target = study.data.training.target
    poisoned = target.take(np.arange(len(target)))
    poisoned.values[0] = np.nan  # after the checks at birth
    training = replace(study.data.training, target=poisoned)
    hopeless = replace(study, data=replace(study.data, training=training), trials=2)
    told = []
    with pytest.raises(
        UserError,
        match=r"no trial has a finite validation RMSE: diverged: loss.* is nan in epoch 1",
    ):
        run_study(hopeless, settings, False, told.append)
    ((first, second),) = told  # its trials are accounted for all the same
    assert first.ended.startswith("diverged: ") and second.ended.startswith("diverged: ")


@pytest.mark.slow
def test_trials_that_diverge_end_and_the_search_goes_on(study, settings):
    """The corner of the paper's ranges, mu = lambda = 1e4, and steps that no model survives."""
    space = SPACES["u_darec"].fix({"mu": 1e4, "lambda_": 1e4})
    steps = {"learning_rate": CategoricalDistribution([1e-3, 10.0])}
    stage1 = {"autorec/axis": "user", "autorec/hidden": 16, "autorec/epochs": 2}
    fixed = {**space.fixed, **stage1}
    corner = replace(study, model="u_darec", space={**space.space, **steps}, fixed=fixed)
    all_epochs = replace(settings, sampler="random", scheduler="none")
    rows = run_study(corner, all_epochs, resume=False)
    diverged = [row for row in rows if row.ended.startswith("diverged: ")]
    assert diverged and all(row.config["learning_rate"] == 10.0 for row in diverged)
    others = [row.ended for row in rows if row not in diverged]
    assert others.count("completed") == len(others) == study.trials - len(diverged)
    assert rows[0].config["learning_rate"] == 1e-3 and rows[0].best_epoch > 0


@pytest.mark.slow
@pytest.mark.parametrize("scheduler", sorted(set(SCHEDULERS) - {"asha"}))
def test_every_scheduler_runs(study, settings, scheduler):
    rows = run_study(study, replace(settings, scheduler=scheduler, sampler="random"), resume=False)
    assert len(rows) == study.trials and rows[0].best_epoch >= 1


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_sampler_draws_within_the_space(sampler):
    space = dict(SPACES["i_darec"].space)
    search = SafeOptunaSearch(space=space, metric=METRIC, mode="min", sampler=SAMPLERS[sampler](0))
    drawn = [search.suggest(f"t{k}") for k in range(3)]
    assert all(d.keys() == space.keys() for d in drawn) and drawn[0] != drawn[1]


def test_optuna_hears_no_metric_that_is_not_finite():
    space = {"x": FloatDistribution(0, 1)}
    search = SafeOptunaSearch(space=space, metric=METRIC, mode="min", sampler=SAMPLERS["random"](0))
    search.suggest("good"), search.suggest("bad")
    row = {"training_iteration": 1}
    search.on_trial_result("bad", {METRIC: float("nan"), **row})
    search.on_trial_complete("bad", {METRIC: float("nan"), **row})
    search.on_trial_complete("bad", {METRIC: 1.0, **row})
    search.on_trial_complete("good", {METRIC: 1.0, **row})
    states = [trial.state for trial in search._ot_study.trials]
    assert states == [TrialState.COMPLETE, TrialState.FAIL]


def test_edges_are_named():
    space = dict(SPACES["i_darec"].space)
    config = {"extractor": 50, "beta": 0.01, "mu": 1e4, "lambda_": 1.0, "learning_rate": 0.00010001}
    assert at_edge(space, config) == ["extractor", "mu", "learning_rate"]


def test_a_trial_takes_the_share_of_a_gpu_that_its_memory_needs():
    gib = 2**30
    assert gpu_share(trial_bytes=gib, gpu_bytes=16 * gib) == 0.125
    assert gpu_share(trial_bytes=5 * gib, gpu_bytes=16 * gib) == 0.5  # 3 leave too little room
    assert gpu_share(trial_bytes=40 * gib, gpu_bytes=16 * gib) == 1.0
    assert gpu_share(trial_bytes=2 * gib, gpu_bytes=16 * gib) == 0.1428  # seven fit as Ray counts


def test_a_trial_that_never_fits_is_refused_at_once(cluster):
    with pytest.raises(UserError, match=r"--gpus-per-trial must fit on one node .* but got 1"):
        slots(1.0, 1.0, 4, 0, joined=False)
    with pytest.raises(UserError, match=r"--cpus-per-trial must fit .*has 2.* but got 64"):
        slots(64.0, None, 4, 0, joined=False)
    assert slots(1.0, None, 9, 0, joined=False).concurrent == 2


GROWS = """
head_node_type: head
max_workers: 3
available_node_types:
  head: {resources: {CPU: 0}}
  gpu: {resources: {CPU: 4, GPU: 1}, max_workers: 2}
"""


def test_what_the_autoscaler_may_add_counts_and_no_more(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("darec.tuning.preflight.BOOTSTRAP", tmp_path / "config.yaml")
    with pytest.raises(UserError, match=r"--gpus-per-trial must fit on one node .*has 0.*got 1"):
        slots(1.0, 1.0, 9, 0, joined=True)
    (tmp_path / "config.yaml").write_text(GROWS)
    assert slots(1.0, 0.25, 50, 0, joined=True) == Slots(1.0, 0.25, 8)
    assert slots(1.0, None, 50, 2**30, joined=True) == Slots(1.0, 0.125, 8)
    assert slots(1.0, 0.25, 3, 0, joined=True).concurrent == 3
    with pytest.raises(UserError, match=r"--gpus-per-trial must fit .*has 1.* but got 2"):
        slots(1.0, 2.0, 9, 0, joined=True)
    (tmp_path / "config.yaml").unlink()
    monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
    assert slots(1.0, 1.0, 50, 0, joined=True).concurrent == 5


def test_workers_that_are_up_are_not_still_to_come(cluster, tmp_path, monkeypatch):
    (tmp_path / "config.yaml").write_text(GROWS)
    monkeypatch.setattr("darec.tuning.preflight.BOOTSTRAP", tmp_path / "config.yaml")
    head, worker = {"CPU": 0.0}, {"CPU": 4.0, "GPU": 1.0, "memory": 1e9}
    for n_up in range(3):
        nodes = [{"Alive": True, "Resources": each} for each in (head, *n_up * [worker])]
        monkeypatch.setattr("darec.tuning.resources.ray.nodes", lambda nodes=nodes: nodes)
        assert slots(1.0, 0.25, 50, 0, joined=True).concurrent == 8


@pytest.mark.slow
def test_a_time_budget_is_used_up_by_a_search_that_was_interrupted(study, settings):
    """Tune's clock of it goes on where the search does, and so does ours."""
    long, told = replace(study, time_budget=25.0, trials=10_000), []

    def interrupt():
        while not any(path.stat().st_size for path in study.folder.glob("tune/*/result.json")):
            time.sleep(0.1)
        os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=interrupt, daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        run_study(long, settings, False, told.append)
    assert len(told) == 1 and told[0][0].best_epoch > 0
    begin = time.monotonic()
    rows = run_study(long, settings, resume=True)
    assert rows[0].best_epoch > 0 and time.monotonic() - begin < 60


def test_the_payload_of_a_trial_holds_no_test_rating(study, settings, tiny_pair, monkeypatch):
    sent = {}
    monkeypatch.setattr(tune, "with_parameters", lambda kind, **parts: sent.update(parts) or kind)
    _tuner(study, settings, resume=False)
    parts = split(tiny_pair)
    assert type(sent["data"]) is SearchData
    for domain, held_out in (("target", parts.test), ("source", parts.test_source)):
        hidden = {(int(u), int(i)) for u, i in zip(held_out.users, held_out.items, strict=True)}
        valid = sent["data"].valid if domain == "target" else sent["data"].valid_source
        for part in (getattr(sent["data"].training, domain), valid):
            seen = {(int(u), int(i)) for u, i in zip(part.users, part.items, strict=True)}
            assert seen and not seen & hidden
    assert not any(isinstance(part, Split) for part in sent.values())


@pytest.mark.slow
def test_a_node_with_other_code_halts_the_search_until_it_is_mended(study, settings, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr("darec.tuning.study.study.code_digest", lambda: "the driver's")
        with pytest.raises(UserError, match=r"differ: its darec is another; mend that"):
            run_study(study, settings, resume=False)
    rows = run_study(study, settings, resume=True)
    assert [row.ended in ("completed", "stalled") for row in rows] == [True] * study.trials


def test_a_search_that_other_code_began_says_so(settings, tiny_pair, tmp_path, monkeypatch):
    request, told = request_for("i_autorec", tiny_pair, tmp_path), []
    for resume in (False, True):
        check_study(request, settings, resume)
        _record(request, settings, ["tune.py"], told.append)
    assert not told
    monkeypatch.setattr("darec.tuning.stages.code_digest", lambda: "another")
    _record(request, settings, ["tune.py"], told.append)
    (line,) = told
    assert "study.json: other code or libraries began this search" in line


@pytest.mark.slow
def test_a_search_that_waits_in_vain_for_a_node_says_so(study, settings, monkeypatch):
    monkeypatch.setattr("darec.tuning.state.IDLE_S", 3.0)
    gpus = replace(settings, slots=Slots(1.0, 1.0, 2))
    with pytest.raises(UserError, match="no trial could run for 3 s: the cluster gives no room"):
        run_study(study, gpus, resume=False)


@pytest.mark.slow
def test_a_search_killed_before_tune_wrote_a_snapshot_begins_again(study, settings):
    (study.folder / "tune").mkdir()
    (study.folder / "tune" / "tuner.pkl").write_bytes(b"cut")
    assert len(run_study(study, settings, resume=True)) == study.trials


RESUME = """
import json, sys
from pathlib import Path
from darec.data.split import split
from darec.data.store import obtain
from darec.tuning import resources
from darec.tuning.cluster.shares import Slots
from darec.tuning.study.study import Settings, Study, _callback, _tuner
from darec.tuning.study.state import StudyState
from darec.tuning.trial.stage1_cache import ClusterCache
from search_spaces import SPACES
resources.connect(None)
folder, data = Path(sys.argv[1]), split(obtain("toys_auto", Path("data"), True)).search
space = SPACES["i_autorec"].fix({"hidden": 1500})
study = Study("i_autorec", data, dict(space.space), dict(space.fixed), 10, folder, str(folder))
settings = Settings("tpe", "asha", 9, Slots(1.0, 0.0, 2), 0, ClusterCache())
tuner, _ = _tuner(study, settings, resume=True)
grid = tuner.fit()
state = _callback(tuner, StudyState)
rungs = {at: len(seen) for at, seen in state.scheduler._brackets[0]._rungs}
search = tuner._local_tuner._tune_config.search_alg
search = getattr(search, "searcher", search)
states = [trial.state.name for trial in search._ot_study.trials]
epochs = [result.metrics["epoch"] for result in grid]
print("RESUMED", json.dumps([len(grid), rungs, states, epochs]))
"""


@pytest.mark.slow
def test_a_killed_driver_resumes_with_rungs_and_study_complete(tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, str(ROOT / "jobs" / "tune.py"), "--pair", "toys_auto", "--synthetic"]
    command += ["--model", "i_autorec", "--trials", "10", "--max-epochs", "9", "--out", str(out)]
    environment = {**os.environ, "TUNE_GLOBAL_CHECKPOINT_S": "1", "PYTHONPATH": str(ROOT)}
    log = (tmp_path / "log").open("w")
    driver = subprocess.Popen(
        [*command, "--fix", "hidden=1500"], env=environment, stdout=log, stderr=log
    )
    folder = out / "toys_auto-synthetic-90" / "i_autorec"
    try:
        deadline = time.monotonic() + 120
        while len(list(folder.glob("tune/*/progress.csv"))) < 4:
            assert driver.poll() is None and time.monotonic() < deadline, log.name
            time.sleep(0.2)
    finally:
        driver.send_signal(signal.SIGKILL)
        driver.wait()
    assert not (folder / "best.json").exists()
    ended = subprocess.run(
        [sys.executable, "-c", RESUME, str(folder)], env=environment, capture_output=True, text=True
    )
    line = next((row for row in ended.stdout.splitlines() if row.startswith("RESUMED")), None)
    assert line, ended.stderr[-2000:]
    n_trials, rungs, states, epochs = json.loads(line.removeprefix("RESUMED "))
    assert n_trials == 10 and len(states) == 10 and set(states) == {"COMPLETE"}
    assert rungs["3"] == 10, rungs
    assert rungs["9"] == sum(epoch >= 9 for epoch in epochs), (rungs, epochs)
