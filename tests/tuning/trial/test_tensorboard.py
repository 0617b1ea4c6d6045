"""What TensorBoard shows of trials, in a browser and in its HParams tab."""

import json
import re
import shutil
import subprocess
import sys
import time
from contextlib import suppress
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from darec.tuning.trial.loggers import EpochTensorBoard
from darec.tuning.trial.names import ROWS, trial_folder
from tests.tuning.trials import LoggedTrial

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
TRIALS = {
    "i_autorec": {"hidden": 300, "center": "bias"},
    "bias": {"reg_user": 4.0},
}


@pytest.fixture
def address(tmp_path):
    """The address of a TensorBoard of one trial of each of two models."""
    for model, drawn in TRIALS.items():
        folder = tmp_path / "logs" / "toys_auto-90" / model / "tune" / trial_folder("0007", drawn)
        folder.mkdir(parents=True)
        trial, logger = LoggedTrial(folder), EpochTensorBoard(model)
        trial.evaluated_params = drawn
        rows = [{"epoch": 1, "valid_rmse": 0.875}, {"epoch": 2, "valid_rmse": 0.8125}]
        logger.log_trial_start(trial)
        logger.log_trial_result(2, trial, {"best_valid_rmse": 0.8125, **rows[-1], ROWS: rows})
        logger.log_trial_end(trial)
    command = [sys.executable, "-m", "tensorboard.main", "--logdir", str(tmp_path / "logs")]
    command += ["--host", "127.0.0.1", "--port", "0", "--load_fast", "false"]
    with (tmp_path / "said").open("w+") as said:
        server = subprocess.Popen(command, stdout=said, stderr=said)
        try:
            for _ in range(600):
                if found := re.search(r"http://\S+", (tmp_path / "said").read_text()):
                    break
                time.sleep(0.1)
            assert found, (tmp_path / "said").read_text()
            yield found[0]
        finally:
            server.terminate()
            server.wait()


def hparams(address):
    """What the HParams tab shows, once TensorBoard has read all files; it reads them meanwhile."""
    url, kind = f"{address}data/plugin/hparams/experiment", {"Content-Type": "application/json"}
    for _ in range(300):
        with suppress(HTTPError), urlopen(Request(url, b"{}", kind), timeout=60) as answer:
            found = json.load(answer)
            if {name for drawn in TRIALS.values() for name in drawn} <= named(found):
                return found
        time.sleep(0.1)
    raise AssertionError("it has not read all files in 30 s")


def named(found):
    return {each["name"] for each in found["hparamInfos"]}


def test_each_epoch_is_a_point_and_hyper_parameters_come_with_the_end(tmp_path):
    logger, trial = EpochTensorBoard("bias"), LoggedTrial(tmp_path)
    rows = [{"epoch": 1, "loss_rating": 0.5}, {"epoch": 2, "loss_rating": float("nan")}]
    logger.log_trial_result(1, trial, {"done": True, **rows[-1], ROWS: rows})
    assert "_hparams_/session_start_info" not in read(tmp_path).summary_metadata
    logger.log_trial_end(trial)
    seen = read(tmp_path)
    assert seen.Tags()["scalars"] == ["loss/rating"]
    assert [(point.step, point.value) for point in seen.Scalars("loss/rating")] == [(1, 0.5)]
    plugin = seen.summary_metadata["_hparams_/session_start_info"].plugin_data
    drawn = HParamsPluginData.FromString(plugin.content).session_start_info.hparams
    assert drawn["x"].number_value == 1.0 and drawn["model"].string_value == "bias"
    assert "_hparams_/experiment" not in seen.summary_metadata  # it would hide other models'


def test_files_of_trials_that_have_not_ended_are_closed_with_the_search(tmp_path):
    logger = EpochTensorBoard("bias")
    logger.log_trial_start(LoggedTrial(tmp_path))
    logger.on_experiment_end([])
    logger.on_experiment_end([])  # again: there is nothing left
    assert not read(tmp_path).Tags()["scalars"]


def read(folder):
    (events,) = folder.glob("events.out.tfevents.*")
    return EventAccumulator(str(events)).Reload()


@pytest.mark.slow
def test_the_hparams_tab_has_every_models_hyper_parameters(address):
    found = hparams(address)
    assert named(found) == {"model", "hidden", "center", "reg_user"}
    assert found["metricInfos"][0]["name"]["tag"] == "best/valid_rmse"


@pytest.mark.browser
def test_a_browser_shows_runs_by_their_hyper_parameters_and_the_curves(address, tmp_path):
    if not CHROMIUM:
        pytest.skip("no Chromium here")
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--window-size=1400,2400"]
    options += [
        "--virtual-time-budget=30000",
        "--dump-dom",
        f"--user-data-dir={tmp_path / 'profile'}",
    ]
    command = [CHROMIUM, *options, f"{address}#timeseries"]
    page = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True).stdout
    page = re.sub(r"<(script|style)[^>]*>.*?</\1>", "", page, flags=re.DOTALL)
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    for run in ("i_autorec/tune/0007_hidden=300_center=bias", "bias/tune/0007_reg_user=4"):
        assert f"toys_auto-90/{run}" in text
    assert "valid /rmse" in text and "best /valid_rmse" in text and "0.8125" in text
