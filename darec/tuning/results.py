"""A finished study's plain files: ``best.json``, ``best.safetensors``, ``trials.csv``."""

import csv
import math
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from optuna.distributions import BaseDistribution, CategoricalDistribution
from safetensors.torch import save_file

from darec.core.config import parse, plain
from darec.core.fit import Fit
from darec.core.recommender import Cache, Run, Weights
from darec.files import write
from darec.models import MODELS
from darec.models.best import Best
from darec.seeds import derive
from darec.tuning.checkpoint import DamagedError, load_state
from darec.tuning.names import nest
from darec.tuning.search import Study
from darec.tuning.trials import TrialRow

EDGE = 0.01
"""Share of a range (of its logarithm where it is searched so) that counts as its edge."""


def at_edge(space: Mapping[str, BaseDistribution], config: dict[str, Any]) -> list[str]:
    """Return the hyper-parameters that lie at an edge of their range: a wider one may be better."""
    names = []
    for name, distribution in space.items():
        if isinstance(distribution, CategoricalDistribution):
            continue
        low, high, log = (getattr(distribution, part) for part in ("low", "high", "log"))
        scale = math.log if log else float
        share = (scale(config[name]) - scale(low)) / (scale(high) - scale(low))
        if not EDGE <= share <= 1 - EDGE:
            names.append(name)
    return names


def save_trials(study: Study, rows: list[TrialRow]) -> Path:
    """Write a row per trial to ``trials.csv``, best first."""
    path = study.folder / "trials.csv"
    names = sorted({name for row in rows for name in row.config})
    told = ["trial_id", "ended", "failures", "seconds", "epochs", "best_epoch", "best_valid_rmse"]
    head = [*told, "at_edge", *names]

    def save(temporary: Path) -> None:
        with temporary.open("w", newline="") as file:
            table = csv.writer(file)
            table.writerow(head)
            for row in rows:
                values = {**vars(row), "failures": "; ".join(row.failures)}
                edge = " ".join(at_edge(study.space, row.config))
                config = [row.config.get(name) for name in names]
                table.writerow([*(values[name] for name in told), edge, *config])

    write(path, save)
    return path


def save_winner(study: Study, rows: list[TrialRow], best: Best, cache: Cache) -> None:
    """Write ``best.safetensors``, the weights of the best row, then ``best.json``."""
    weights = _weights(rows[0]) or _retrained(study, best, cache)
    weights = {name: tensor.contiguous() for name, tensor in weights.items()}
    write(study.folder / "best.safetensors", lambda path: save_file(weights, path))
    best.save(study.folder)


def _weights(row: TrialRow) -> Weights | None:
    """Return the best epoch's weights from a trial's last checkpoint, if that has seen it."""
    if row.checkpoint is None:
        return None
    try:
        with row.checkpoint.as_directory() as folder:
            state = load_state(Path(folder))["fit"]
    except (FileNotFoundError, DamagedError):  # dropped by a driver that was killed then
        return None
    if not state or state["best"]["epoch"] != row.best_epoch:
        return None
    weights: Weights = state["best"]["weights"]
    return weights


def _retrained(study: Study, best: Best, cache: Cache) -> Weights:
    """Train the winner again up to its best epoch: its last checkpoint was lost or is older."""
    kind = MODELS[best.model]
    run = Run(derive(best.seed, "run"), cache=cache)
    config = parse(kind.config, best.config)
    fit = Fit(kind.build(config, study.data.training, run), study.data)
    for _ in range(best.epoch):
        fit.step()
    return fit.best_weights


def winner(study: Study, rows: list[TrialRow], template: Best) -> Best:
    """Return the best row as a `Best`; ``template`` holds what is the same for all studies."""
    row = rows[0]
    return replace(
        template,
        model=study.model,
        config=plain(parse(MODELS[study.model].config, nest(row.config))),
        epoch=row.best_epoch,
        valid_rmse=row.best_valid_rmse,
        trials=len(rows),
        trial_id=row.trial_id,
        stage1_valid_rmse=row.stage1_valid_rmse,
    )
