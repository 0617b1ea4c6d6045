"""A finished study's plain files: ``trials.csv``, ``best.safetensors`` and ``best.json``."""

import json
import math
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import ray
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from darec.core.cold import ColdRule
from darec.core.config import parse, plain
from darec.core.fit import Fit
from darec.core.objective import Metric
from darec.core.recommender import Run, Weights
from darec.core.threads import torch_threads
from darec.data.split import SearchData
from darec.files import digest_of, write
from darec.models import ModelKind
from darec.models.best import Best, Identity
from darec.reporter import LOGGER
from darec.seeds import derive
from darec.tuning.cluster.preflight import check_room
from darec.tuning.study.places import at_edge
from darec.tuning.study.rows import TrialRow
from darec.tuning.study.study import Settings, Study
from darec.tuning.study.trials_table import COLUMNS, COST, REJUDGED
from darec.tuning.trial.checkpoint import DamagedError, load_state
from darec.tuning.trial.names import METRIC, nest
from darec.tuning.trial.travel import send_by_value

KEPT_TRIALS = "kept.json"
"""The configs of the trials whose weights a finished study keeps."""


def save_trials(study: Study, rows: list[TrialRow]) -> None:
    """Write one line per trial to ``trials.csv``, best first."""
    lines = [
        {
            **{name: getattr(row, name) for name in COLUMNS if hasattr(row, name)},
            "failures": "; ".join(row.failures),
            "at_edge": " ".join(at_edge(study.space, row.config)),
            **{name: round(getattr(row, name), 3) for name in COST},
            **row.config,
        }
        for row in rows
    ]
    names = sorted({name for row in rows for name in row.config})
    if study.metric != "rmse":
        lines = [{**line, METRIC: row.objective} for line, row in zip(lines, rows, strict=True)]
        names.insert(0, METRIC)
    if any(row.rejudged_rmse is not None for row in rows):
        lines = [
            {**line, REJUDGED: row.rejudged_rmse} for line, row in zip(lines, rows, strict=True)
        ]
        names.insert(0, REJUDGED)
    table = pd.DataFrame(lines, columns=[*COLUMNS, *COST, *names], dtype=object)
    write(study.folder / "trials.csv", lambda path: table.to_csv(path, index=False))


def save_weights(study: Study, row: TrialRow, settings: Settings) -> str:
    """Write the weights of a trial's best epoch to ``best.safetensors``; return its SHA-256."""
    path = study.folder / "best.safetensors"
    write_weights(study, row, settings, path)
    return digest_of(path)


def write_weights(study: Study, row: TrialRow, settings: Settings, path: Path) -> None:
    """Write the weights of a trial's best epoch to a safetensors file."""
    weights = _from_checkpoint(row) or _kept(study, row) or _trained_again(study, row, settings)
    weights = {name: tensor.contiguous() for name, tensor in weights.items()}
    write(path, lambda temporary: save_file(weights, temporary))


def _from_checkpoint(row: TrialRow) -> Weights | None:
    """Return the best epoch's weights from a trial's last checkpoint, if they are in it."""
    if row.checkpoint is None:
        return None
    try:
        with row.checkpoint.as_directory() as folder:
            state = load_state(Path(folder))["fit"]
    except (FileNotFoundError, DamagedError):  # the driver was killed while it deleted this
        return None
    if not state or state["best"]["epoch"] != row.best_epoch:
        return None
    weights: Weights = state["best"]["weights"]
    return weights


def _kept(study: Study, row: TrialRow) -> Weights | None:
    """Return the best weights of a trial that a study kept before it went on with more trials."""
    path, kept = kept_weights(study.folder, row.trial_id), study.folder / KEPT_TRIALS
    if not (path.is_file() and kept.is_file()):
        return None
    try:
        trials = json.loads(kept.read_text())["trials"]
        if {each["trial_id"]: each["epoch"] for each in trials}[row.trial_id] != row.best_epoch:
            return None
        weights: Weights = load_file(path)
    except (OSError, ValueError, KeyError, TypeError, SafetensorError):
        return None  # it is damaged, or has another trial
    return weights


def kept_weights(folder: Path, trial_id: str) -> Path:
    """Return where a study keeps the weights of a trial other than its winner."""
    return folder / "weights" / f"{trial_id}.safetensors"


def _trained_again(study: Study, row: TrialRow, settings: Settings) -> Weights:
    """Train a trial again up to its best epoch, because no checkpoint has its weights.

    It is trained on what the trial had. A GPU does not repeat a training to the last bit, so the
    validation RMSE may differ a little; a warning then gives both.
    """
    share = settings.slots
    weights: Weights
    run = Run(derive(settings.seed, "run"), "cuda" if share.gpus else "cpu", settings.cache)
    config = parse(study.kind.config, nest(row.config))
    arguments = send_by_value(study.kind), config, study.data, run, row.best_epoch, study.metric
    LOGGER.warning("trial %s is trained again: no checkpoint has its best weights", row.trial_id)
    if share.gpus:
        check_room(share.cpus, share.gpus)
        options = {"num_cpus": share.cpus, "num_gpus": share.gpus, "memory": share.memory}
        task = ray.remote(**options)(_train)
        weights, valid_rmse = ray.get(task.remote(*arguments))
    else:
        with torch_threads(max(1, int(share.cpus))):
            weights, valid_rmse = _train(*arguments)
    if not math.isclose(valid_rmse, row.best_valid_rmse, rel_tol=1e-9):
        message = "trial %s was trained again: validation RMSE %.6f, in the search %.6f"
        LOGGER.warning(message, row.trial_id, valid_rmse, row.best_valid_rmse)
    return weights


def _train(
    kind: ModelKind, config: Any, data: SearchData, run: Run, epochs: int, metric: Metric
) -> tuple[Weights, float]:
    """Return a model's best weights on the CPU, and their validation RMSE."""
    fit = Fit(kind.build(config, data.training, run), data, metric)
    for _ in range(epochs):
        fit.step()
    return {name: weight.cpu() for name, weight in fit.best_weights.items()}, fit.best_rmse


def winner(
    study: Study, asked: Identity, rows: list[TrialRow], weights_digest: str, code: list[str]
) -> Best:
    """Return the content of ``best.json``: the winner, and what was asked of the study."""
    row, baselines = rows[0], baseline_rmses(study.data)
    return Best(
        **{field.name: getattr(asked, field.name) for field in fields(asked)},
        config=plain(parse(study.kind.config, nest(row.config))),
        epoch=row.best_epoch,
        scale=study.data.valid.scale,
        valid_rmse=row.best_valid_rmse,
        trials=len(rows),
        trial_id=row.trial_id,
        bias_valid_rmse=baselines.bias,
        hierarchical_valid_rmse=baselines.hierarchical,
        stage1_valid_rmse=row.stage1_valid_rmse,
        weights_digest=weights_digest,
        code=code,
    )


class Baselines(NamedTuple):
    """The validation RMSEs on the target of the untuned biases that a winner is compared with."""

    bias: float
    hierarchical: float


@lru_cache(maxsize=3)  # a search asks for those of its studies several times
def baseline_rmses(data: SearchData) -> Baselines:
    """Return the validation RMSEs of both baselines."""
    rule, valid = ColdRule(data.training, answered=data.answered_U), data.valid
    both = rule.bias, rule.hierarchical
    return Baselines(
        *(rule.rmse(baseline.predict(valid.users, valid.items), valid) for baseline in both)
    )
