import csv
import json

from ray.tune.result import SHOULD_CHECKPOINT

from darec.tuning.trial.loggers import EpochCSV, EpochJSON, ForgetRows, loggers
from darec.tuning.trial.names import ROWS
from tests.tuning.trials import LoggedTrial

REPORT = {
    "trial_id": "a",
    "epoch": 5,
    "valid_rmse": 0.8,
    SHOULD_CHECKPOINT: True,
    ROWS: [{"epoch": 4, "valid_rmse": 0.9}, {"epoch": 5, "valid_rmse": 0.8}],
}


def logged(logger, folder):
    """Let a logger write one report of two epochs."""
    trial = LoggedTrial(folder)
    logger.log_trial_start(trial)
    logger.log_trial_result(2, trial, dict(REPORT))
    logger.log_trial_end(trial)


def test_every_epoch_of_a_report_is_a_row(tmp_path):
    logged(EpochCSV(), tmp_path)
    with (tmp_path / "progress.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["epoch"], row["valid_rmse"]) for row in rows] == [("4", "0.9"), ("5", "0.8")]
    logged(EpochJSON(), tmp_path)
    written = [json.loads(line) for line in (tmp_path / "result.json").read_text().splitlines()]
    assert [row["training_iteration"] for row in written] == [4, 5]
    assert all(not {ROWS, SHOULD_CHECKPOINT} & row.keys() for row in (*rows, *written))


def test_the_rows_are_forgotten_after_all_loggers_have_written_them():
    result = dict(REPORT)
    *_, last = loggers("bias")
    assert isinstance(last, ForgetRows)
    last.on_trial_result(0, [], None, result)
    assert ROWS not in result and result["epoch"] == 5
