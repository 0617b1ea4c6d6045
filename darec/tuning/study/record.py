"""``study.json`` records the options of a search, so that it is resumed with the same ones."""

import json
import logging
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from optuna.distributions import distribution_to_json

from darec.errors import UserError
from darec.files import write_json
from darec.models.best import load_study
from darec.provenance import code_digest, revision, versions
from darec.tuning.storage import join
from darec.tuning.study.request import Request, SearchSpace


def check_record(request: Request, resume: bool) -> None:
    """Raise `UserError` if the folder holds a search that this request may not continue."""
    path = request.folder / "study.json"
    if not path.is_file():
        return
    if not resume:
        ways = "continue it with --resume, delete it, or give another --out"
        raise UserError(f"{request.storage} holds a search already; {ways}")
    before, place = load_study(request.folder), join(request.storage, "study.json")
    for name, value in record_of(request).items():
        if before.get(name) != value:
            told = f"the search there used {name} {before.get(name)}; you asked for {value}"
            raise UserError(f"{place}: --resume needs the same {name}: {told}")


def write_record(request: Request, arguments: Mapping[str, Any]) -> None:
    """Write ``study.json``; log a warning if other code or libraries began a resumed search.

    ``arguments`` are those of `darec.search`, as JSON values.
    """
    path = request.folder / "study.json"
    if not path.is_file():
        who = {
            "arguments": dict(arguments),
            "revision": revision(),
            "versions": versions(),
            "code": code_digest(),
        }
        write_json(path, {**who, **record_of(request)})
        return
    before = load_study(request.folder)
    if (before.get("code"), before.get("versions")) != (code_digest(), versions()):
        told = "other code or libraries began this search; it has trials of both"
        logging.getLogger(__name__).warning("%s: %s", path, told)


def record_of(request: Request) -> dict[str, Any]:
    """Return what must be equal in all runs of a search, as JSON values."""
    content = {
        "model": request.model,
        "pair": request.pair,
        "train": request.train,
        "seed": request.seed,
        "data_digest": request.data_digest,
        "budget": asdict(request.budget),
        "sampler": request.sampler,
        "scheduler": request.scheduler,
        "stages": request.stages,
        "fix": dict(request.fix),
        "space": space_json(request.space),
        "stage1": None if request.stage1 is None else space_json(request.stage1),
    }
    read_back: dict[str, Any] = json.loads(json.dumps(content))
    return read_back


def space_json(space: SearchSpace) -> dict[str, Any]:
    """Return a search space as JSON values: what is drawn, what is fixed, and the first trial."""
    drawn = {name: json.loads(distribution_to_json(d)) for name, d in space.space.items()}
    return {"drawn": drawn, "fixed": dict(space.fixed), "start": dict(space.start)}
