"""The trials that a stack may take, as searches left them on disk, and the files of a stack."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from safetensors.torch import save_file

from darec.api.fit import FOLDER
from darec.api.page import write_page
from darec.api.result import SearchResult
from darec.core.blend import Array
from darec.core.cold import ColdRule
from darec.core.config import parse, plain
from darec.core.recommender import Run, Weights
from darec.data.ratings import FloatArray
from darec.data.split import SearchData
from darec.errors import UserError
from darec.files import digest_of, write, write_json
from darec.models import STACK, kind_of
from darec.models.best import Asked, Best, SpaceRecord, read_best
from darec.models.stack import Member, StackConfig, numbered
from darec.provenance import revision, versions
from darec.seeds import derive
from darec.serving.folder import CARD
from darec.tuning import storage
from darec.tuning.durability.lock import folder_locked
from darec.tuning.study.kept import KeptTrial, read_kept, read_weights
from darec.tuning.study.model_code import code_of_all
from darec.tuning.study.record import Record
from darec.tuning.study.request import Budget
from darec.tuning.study.results import baseline_rmses
from darec.tuning.study.trials_table import COLUMNS
from darec.tuning.trial.predictions import read_predictions

MEMBERS = "members.csv"
"""All candidates of a stack with their weights, best first."""
WEIGHTS = "best.safetensors"


class Candidate(NamedTuple):
    """A trial that may become a member."""

    search: SearchResult
    best: Best
    """The winner of its search."""
    trial: KeptTrial
    predictions: FloatArray
    """Its own predictions f32[N] of the validation ratings, in stars."""

    def member(self, weight: float) -> Member:
        """Return the trial as a member of this weight."""
        trial = self.trial
        budget = self.best.max_epochs
        return Member(self.best.model, trial.trial_id, trial.config, trial.epoch, budget, weight)

    def weights(self) -> Weights:
        """Return the trial's weights; raises `UserError` if they cannot be read."""
        return read_weights(self.search.folder, self.best, self.trial.trial_id, self.search.path)


def candidates_of(search: SearchResult, data: SearchData, alone: bool) -> list[Candidate]:
    """Return the kept trials of a search with their predictions of the validation ratings.

    Beside other searches these are the winner, and the best trial of each other value of the
    model's ``variant``. Further trials of one model are much like its winner: with them, weights
    are chosen worse (docs/stack.md).
    Raises `UserError` if files are damaged or of an earlier version, and for a stack.
    """
    best = search.best
    if best.model == STACK:
        raise UserError(f"{search.path}: a stack cannot be a member of a stack")
    if best.metric != "rmse":
        message = f"a stack needs searches by RMSE, but this one selected by {best.metric}"
        raise UserError(f"{search.path}: {message}")
    stored = read_predictions(search.folder, len(data.valid), search.path)
    kept = read_kept(search.folder, best, search.path)
    if not alone:
        variant = kind_of(best.model).variant
        first_of = {t.config[variant] if variant else None: t for t in reversed(kept)}
        kept = [trial for trial in kept if trial in first_of.values()]
    return [
        Candidate(search, best, trial, _predictions(search, best, trial, stored, data))
        for trial in kept
    ]


def _predictions(
    search: SearchResult,
    best: Best,
    trial: KeptTrial,
    stored: Mapping[str, FloatArray],
    data: SearchData,
) -> FloatArray:
    """Return a trial's stored predictions f32[N], or new ones if those do not match its RMSE.

    They do not match if a checkpoint was lost and the trial's weights come from a new training.
    """
    rule, valid = ColdRule(data.training, answered=data.answered_U), data.valid
    predictions = stored.get(trial.trial_id)
    if predictions is not None and np.isclose(rule.rmse(predictions, valid), trial.valid_rmse):
        return predictions
    kind, run = kind_of(best.model), Run(derive(best.seed, "run"))
    model = kind.build(parse(kind.config, trial.config), data.training, run)
    model.load_weights(read_weights(search.folder, best, trial.trial_id, search.path))
    return model.predict(valid.users, valid.items)


def save_stack(
    out: SearchResult,
    candidates: Sequence[Candidate],
    weight_M: Array,
    valid_rmse: float,
    data: SearchData,
) -> None:
    """Write the files of a search whose winner is the stack, and those of `MEMBERS` and the page.

    Another stack's files are deleted first, its model folder too. Of the same stack in a folder,
    the weights and the model folder stay.
    """
    out.folder.mkdir(parents=True, exist_ok=True)
    with folder_locked(out.folder):
        order = [m for m in np.argsort(-weight_M) if weight_M[m]]
        config = StackConfig(tuple(candidates[m].member(float(weight_M[m])) for m in order))
        best, path = _winner(candidates[0].best, config, valid_rmse, data), out.folder / WEIGHTS
        digest = _digest_of_same(out.folder, best)
        if digest is None:
            weights = numbered([candidates[m].weights() for m in order])
            _delete_older(out)
            write(path, partial(save_file, weights))
            digest = digest_of(path)
        best = replace(best, weights_digest=digest)
        _write_tables(out, candidates, weight_M, best)
        write_json(out.folder / "study.json", asdict(_record(best, candidates)))
        best.save(out.folder)
        storage.publisher(out.folder, out.path)()
        write_page(out.folder, out.path)


def _digest_of_same(folder: Path, best: Best) -> str | None:
    """Return the digest of the weights that are there, if they are those of the same stack."""
    try:
        before = read_best(folder)
        found = digest_of(folder / WEIGHTS)
    except (OSError, UserError):
        return None
    if before != replace(best, config=before.config, weights_digest=found):
        return None
    configs = [parse(StackConfig, each.config) for each in (before, best)]
    return found if configs[0] == configs[1] else None


def _delete_older(out: SearchResult) -> None:
    """Delete what says that a stack is there: ``best.json`` and the model folder's card."""
    (out.folder / "best.json").unlink(missing_ok=True)
    shutil.rmtree(out.folder / FOLDER, ignore_errors=True)
    if storage.is_uri(out.path):
        files, folder = storage.open_place(out.path)
        for name in ("best.json", f"{FOLDER}/{CARD}"):
            storage.delete(files, f"{folder}/{name}")


def _winner(first: Best, config: StackConfig, valid_rmse: float, data: SearchData) -> Best:
    """Return the stack as the only trial of a search, without its weights' digest.

    ``first`` is a search of its members.
    """
    baselines = baseline_rmses(data)
    nothing_drawn = {
        "model": STACK,
        "sampler": "none",
        "scheduler": "none",
        "space": SpaceRecord({}, {}, {}),
    }
    return Best(
        **(_asked(first) | nothing_drawn),
        domain="target",
        trials_asked=1,
        max_epochs=1,
        time_budget=None,
        config=plain(config),
        epoch=1,
        scale=first.scale,
        valid_rmse=valid_rmse,
        trials=1,
        trial_id=STACK,
        bias_valid_rmse=baselines.bias,
        hierarchical_valid_rmse=baselines.hierarchical,
        stage1_valid_rmse=None,
        weights_digest="",
        code=[code_of_all([STACK, *(member.model for member in config.members)])],
    )


def _asked(best: Best) -> dict[str, Any]:
    """Return what was asked of a winner's search, by the fields of `Asked`."""
    return {field.name: getattr(best, field.name) for field in fields(Asked)}


def _write_tables(
    out: SearchResult, candidates: Sequence[Candidate], weight_M: Array, best: Best
) -> None:
    """Write ``trials.csv``, with the stack as the only trial, and all candidates' weights."""
    values = [best.trial_id, "completed", "", 0.0, 1, 1, best.valid_rmse, ""]
    trials = pd.DataFrame([values], columns=[*COLUMNS])
    members = pd.DataFrame(
        {
            "model": [each.best.model for each in candidates],
            "search": [each.search.path for each in candidates],
            "trial_id": [each.trial.trial_id for each in candidates],
            "valid_rmse": [each.trial.valid_rmse for each in candidates],
            "weight": weight_M,
        }
    ).sort_values("weight", ascending=False)
    for name, table in (("trials.csv", trials), (MEMBERS, members)):
        write(out.folder / name, partial(table.to_csv, index=False))


def _record(best: Best, candidates: Sequence[Candidate]) -> Record:
    searches = dict.fromkeys(candidate.search.path for candidate in candidates)
    return Record(
        **_asked(best),
        budget=Budget(trials=1, stage1_trials=1, max_epochs=1, time_budget=None),
        stages="paper",
        fix={},
        paper=False,
        stage1=None,
        arguments={"searches": list(searches)},
        revision=revision(),
        versions=versions(),
        code=best.code,
    )
