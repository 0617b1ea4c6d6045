"""``study.json`` records what was asked of a search, so that it is resumed as it was begun."""

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, field, replace
from pathlib import Path
from typing import Any

from optuna.distributions import distribution_to_json
from pyarrow.fs import FileType
from pydantic.dataclasses import dataclass

from darec.core.config import STRICT
from darec.core.objective import Metric
from darec.errors import UserError
from darec.files import write_json
from darec.models.best import REMEDY, Asked, Count, SpaceRecord
from darec.parsing import read_json
from darec.provenance import revision, versions
from darec.reporter import LOGGER
from darec.tuning.durability.snapshot import COPY
from darec.tuning.storage import join, open_place
from darec.tuning.study.differences import unlike
from darec.tuning.study.model_code import code_of
from darec.tuning.study.request import Budget, Ranges, Request, Stages

OF_THE_RUN = (
    *("arguments", "began", "revision", "versions", "code", "lag", "baselines"),
    "winners",
)
"""Fields of a record that may differ between the runs of a search. A resumed one keeps its lag."""
OPTIONS = {
    **{f"budget.{name}": f"--{name.replace('_', '-')}" for name in Budget.__dataclass_fields__},
    **{
        name: f"--{name.replace('_', '-')}"
        for name in (
            *("split", "seed", "sampler", "scheduler", "stages", "paper"),
            *("reproducible", "rejudge", "stop_when_flat", "metric"),
        )
    },
    "data_digest": "ratings (their digest)",
}
"""How the user names what is asked of a search."""
BY_OPTION = ("fix", "paper", "stages")
"""Options that also change the search space. They are compared first, so that an error message
names the option instead of the space."""
PAGE = "study.html"
"""The page of a search, beside ``study.json``."""
UNFINISHED = ("tune", COPY)
"""Tune's state in a study's folder. Without ``study.json``, its search is unknown."""


@dataclass(frozen=True, config=STRICT)
class Record(Asked):
    """The content of ``study.json``."""

    budget: Budget
    stages: Stages
    fix: dict[str, Any]
    """The hyper-parameters that the user held fixed."""
    paper: bool
    """Whether the model was searched as the paper prints it."""
    stage1: SpaceRecord | None
    """The space of the first-stage studies; None for one-stage models and joint searches."""
    arguments: dict[str, Any]
    """The arguments of `darec.search`."""
    revision: str
    """The revision that began the search, and its libraries."""
    versions: dict[str, str]
    code: list[str]
    """Digests of all code that ran the search (`code_of`), in order."""
    stop_when_flat: bool = False
    """Whether studies were to end when more trials are not worth it."""
    metric: Metric = "rmse"
    """What the search selects by."""
    rejudge: int = 0
    """How many configurations were to be judged again (`darec.tuning.study.rejudge`)."""
    reproducible: bool = False
    """Whether its outcome does not depend on timing."""
    lag: Count | None = None
    """The lag of a reproducible search (`darec.tuning.study.in_order`); None for others."""
    baselines: dict[str, float] = field(default_factory=dict)
    """The validation RMSEs of the biases, by their names, which a page compares trials with."""
    began: float | None = None
    """When it began, in seconds since 1970."""
    narrowed: dict[str, int | float] = field(default_factory=dict)
    """Where ranges end earlier than in the space that was asked for (`sizes`, `decay`)."""
    winners: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """The winners of earlier searches, by model, which the studies try first (`starts`)."""


def load_study(folder: Path, place: str | None = None) -> Record:
    """Read ``study.json``; raises `UserError` naming the file and what is wrong with it.

    ``place`` is how the user names the folder, if that is another: its URI.
    """
    named = join(place or str(folder), "study.json")
    return read_json(folder / "study.json", Record, named, REMEDY)


def check_record(request: Request, resume: bool) -> None:
    """Raise `UserError` if the place holds a search that this request may not continue."""
    if not (request.folder / "study.json").exists():
        _check_no_remains(request)
        return
    if not resume:
        ways = "continue it with --resume, delete it, or give another --out"
        raise UserError(f"{request.storage} holds a search already; {ways}")
    before = asdict(load_study(request.folder, request.storage))
    now = asdict(_record_of(request, {}))
    for name in OF_THE_RUN:
        del before[name], now[name]
    if request.space.space and before["budget"]["trials"] < now["budget"]["trials"]:
        before["budget"]["trials"] = now["budget"]["trials"]  # a search may be given more trials
    for first in (*BY_OPTION, ""):
        there, here = ({first: each.get(first)} if first else each for each in (before, now))
        if found := difference(there, here):
            place, (name, *values) = join(request.storage, "study.json"), found
            raise UserError(f"{place}: {unlike(_option(name), *values)}")


def write_record(
    request: Request, arguments: Mapping[str, Any], baselines: Mapping[str, float] | None = None
) -> Record:
    """Write ``study.json`` and return its content; ``arguments`` are those of `darec.search`.

    If other code began a resumed search, the record gets the present code's digest as well, and a
    warning is logged. The number of trials stays until a search that is given more has them
    (`record_trials`).
    """
    path = request.folder / "study.json"
    record = replace(_record_of(request, arguments), baselines=dict(baselines or {}))
    if path.exists():
        before = load_study(request.folder, request.storage)
        if (before.code, before.versions) != (record.code, record.versions):
            message = "other code or libraries began this search; it has trials of both"
            LOGGER.warning("%s: %s", join(request.storage, "study.json"), message)
        record = replace(before, code=list(dict.fromkeys([*before.code, *record.code])))
        if record == before:
            return record
    write_json(path, asdict(record))
    return record


def record_trials(request: Request) -> None:
    """Note in ``study.json`` that a search has as many trials as it was asked for."""
    before = load_study(request.folder, request.storage)
    budget = replace(before.budget, trials=request.budget.trials)
    write_json(request.folder / "study.json", asdict(replace(before, budget=budget)))


def space_json(space: Ranges) -> dict[str, Any]:
    """Return a search space as JSON values, the fields of a `SpaceRecord`."""
    drawn = {name: json.loads(distribution_to_json(d)) for name, d in space.space.items()}
    values = {"drawn": drawn, "fixed": dict(space.fixed), "start": dict(space.start)}
    read_back: dict[str, Any] = json.loads(json.dumps(values))
    return read_back


def difference(there: Mapping[str, Any], here: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """Return the first value in which nested JSON values differ: its name, and both values."""
    for name in [*here, *(name for name in there if name not in here)]:
        one, other = there.get(name), here.get(name)
        if isinstance(one, Mapping) and isinstance(other, Mapping):
            if inner := difference(one, other):
                return f"{name}.{inner[0]}", *inner[1:]
        elif one != other:
            return name, one, other
    return None


def _option(name: str) -> str:
    """Return how the user names what a record calls ``name``."""
    group, _, key = name.partition(".")
    return f"--fix {key}" if group == "fix" else OPTIONS.get(name, name)


def _record_of(request: Request, arguments: Mapping[str, Any]) -> Record:
    stage1 = request.stage1
    return Record(
        model=request.model,
        pair=request.pair,
        train=request.train,
        cold_users=request.cold_users,
        split=request.split,
        seed=request.seed,
        data_digest=request.data_digest,
        sampler=request.sampler,
        scheduler=request.scheduler,
        space=SpaceRecord(**space_json(request.space)),
        budget=request.budget,
        stages=request.stages,
        fix=json.loads(json.dumps(dict(request.fix))),
        paper=request.paper,
        stage1=None if stage1 is None else SpaceRecord(**space_json(stage1)),
        arguments=dict(arguments),
        began=time.time(),
        revision=revision(),
        versions=versions(),
        code=[code_of(request.kind)],
        rejudge=request.rejudge,
        stop_when_flat=request.stop_when_flat,
        metric=request.metric,
        reproducible=request.reproducible,
        lag=request.lag,
        narrowed=dict(request.narrowed),
        winners={name: [dict(one) for one in found] for name, found in request.winners.items()},
    )


def _check_no_remains(request: Request) -> None:
    """Raise `UserError` if there are remains of a search, though its ``study.json`` is missing.

    Finished first stages may be there: `darec reproduce` shares them between searches, and each
    tells by itself what it is.
    """
    files, root = open_place(request.storage)
    stages = ("stage1_target", "stage1_source")
    names = [
        "best.json",
        *UNFINISHED,
        *(f"{stage}/{name}" for stage in stages for name in UNFINISHED),
    ]
    for name in names:
        if files.get_file_info(f"{root}/{name}").type != FileType.NotFound:
            message = f"{name} is there without study.json, so that its search is unknown"
            raise UserError(f"{request.storage}: {message}; put it back, or delete the folder")
