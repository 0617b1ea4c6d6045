"""The paper's protocol (section 4.1): tune AutoRec, freeze it, tune DARec; or both jointly."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, Self

from optuna.distributions import BaseDistribution, distribution_to_json

from darec.core.recommender import ColdRule
from darec.data.split import SearchData, TrainPercent
from darec.errors import UserError
from darec.files import write_json
from darec.models import MODELS
from darec.models.best import Best, load_best, load_study
from darec.provenance import code_digest, revision, versions
from darec.tuning.keep import drop_checkpoints
from darec.tuning.results import save_trials, save_winner, winner
from darec.tuning.search import Settings, Study, run_study
from darec.tuning.snapshot import drop_copy
from darec.tuning.trials import TrialRow, outcome

STAGE1_SHARE = 0.25
"""Of a time budget, for each of the two stage-1 studies."""


@dataclass(frozen=True)
class Budget:
    """How much each study may spend."""

    trials: int
    stage1_trials: int
    max_epochs: int
    time_budget: float | None
    """Seconds for all studies together."""


class SearchSpace(Protocol):
    """What is drawn and what is held fixed, under flat names (`search_spaces.Space`)."""

    @property
    def space(self) -> Mapping[str, BaseDistribution]:
        """The distributions drawn from."""

    @property
    def fixed(self) -> Mapping[str, Any]:
        """The values held fixed."""

    @property
    def start(self) -> Mapping[str, Any]:
        """The first trial's values of all that is drawn; empty: it is drawn, too."""

    def fix(self, values: Mapping[str, Any]) -> Self:
        """Return the space with these hyper-parameters held fixed."""


@dataclass(frozen=True)
class Request:
    """A whole search: one model on one split of one pair."""

    model: str
    pair: str
    train: TrainPercent
    seed: int
    data: SearchData
    data_digest: str
    space: SearchSpace
    stage1: SearchSpace | None
    """The space of the stage-1 studies; None for one-stage models and for joint search."""
    budget: Budget
    folder: Path
    storage: str


def run_search(
    request: Request,
    settings: Settings,
    argv: list[str],
    resume: bool,
    report: Callable[[str], object],
    publish: Callable[[], object] = lambda: None,
) -> Best:
    """Run every study of the protocol that is not finished yet, and return the winner.

    ``publish`` copies the folder to where it is kept, whenever a file there is new.

    Raises `UserError` when the folder holds a study and not ``resume``, or one of other settings.
    """
    check_study(request, settings, resume)
    _record(request, settings, argv, report)
    publish()
    way = _Way(settings, _template(request), resume, report, publish)
    fixed = dict(request.space.fixed)
    if request.stage1 is not None:
        report("Stage 1 of 2: AutoRec on the target")
        target = _stage1(way, request, request.stage1, "target")
        report(f"Stage 1 of 2: AutoRec on the source, hidden {target['hidden']} as in the target")
        narrowed = request.stage1.fix({name: target[name] for name in ("hidden", "center")})
        source = _stage1(way, request, narrowed, "source")
        fixed |= {"autorec": target, "autorec_source": source}
        report("Stage 2 of 2: DARec on both frozen winners")
    budget = request.budget.time_budget
    if budget is not None and request.stage1 is not None:
        budget *= 1 - 2 * STAGE1_SHARE
    study = Study(
        model=request.model,
        data=request.data,
        space=dict(request.space.space),
        fixed=fixed,
        start=dict(request.space.start),
        trials=request.budget.trials,
        folder=request.folder,
        storage=request.storage,
        time_budget=budget,
    )
    return _finish(way, study)


@dataclass(frozen=True)
class _Way:
    """How all studies of a search are run."""

    settings: Settings
    template: Best
    resume: bool
    report: Callable[[str], object]
    publish: Callable[[], object]


def _stage1(way: _Way, request: Request, space: SearchSpace, domain: str) -> dict[str, Any]:
    """Return the config of a domain's AutoRec winner, its epochs set to its best epoch."""
    name = f"stage1_{domain}"
    budget = request.budget.time_budget
    model = MODELS[request.model].stage1
    assert model is not None
    study = Study(
        model=model,
        data=request.data if domain == "target" else request.data.swapped(),
        space=dict(space.space),
        fixed=dict(space.fixed),
        start=dict(space.start),
        trials=request.budget.stage1_trials,
        folder=request.folder / name,
        storage=f"{request.storage.rstrip('/')}/{name}",
        time_budget=None if budget is None else STAGE1_SHARE * budget,
    )
    best = _finish(way, study)
    return {**best.config, "epochs": best.epoch}


def _finish(way: _Way, study: Study) -> Best:
    """Run a study unless it is finished, and write its files; ``best.json`` is the last one."""
    if way.resume and (study.folder / "best.json").is_file():
        return load_best(study.folder)
    study.folder.mkdir(parents=True, exist_ok=True)

    def account(rows: list[TrialRow]) -> None:
        for line in outcome(rows):
            way.report(line)

    rows = run_study(study, way.settings, way.resume, account)
    template = replace(way.template, bias_valid_rmse=bias_rmse(study.data))
    best = winner(study, rows, template)
    save_trials(study, rows)
    save_winner(study, rows, best, way.settings.cache)
    way.publish()
    for row in rows:
        drop_checkpoints(row.checkpoint)  # the winner's weights are beside best.json
    drop_copy(f"{study.storage.rstrip('/')}/tune")
    return best


def bias_rmse(data: SearchData) -> float:
    """Return the bias baseline's validation RMSE on the target."""
    rule = ColdRule(data.training.target)
    return rule.rmse(rule.bias.predict(data.valid.users, data.valid.items), data.valid)


def _template(request: Request) -> Best:
    return Best(
        model=request.model,
        pair=request.pair,
        train=request.train,
        config={},
        epoch=0,
        max_epochs=request.budget.max_epochs,
        valid_rmse=float("nan"),
        seed=request.seed,
        trials=0,
        trial_id="",
        bias_valid_rmse=float("nan"),
        stage1_valid_rmse=None,
        data_digest=request.data_digest,
    )


def check_study(request: Request, settings: Settings, resume: bool) -> None:
    """Raise `UserError` where the folder holds a study, unless it is resumed, with its settings."""
    path = request.folder / "study.json"
    if not path.is_file():
        return
    if not resume:
        ways = "continue it with --resume, delete it, or give another --out"
        raise UserError(f"{request.folder} holds a study already; {ways}")
    before = load_study(request.folder)
    for name, value in _settings_json(request, settings).items():
        if before.get(name) != value:
            rule = f"--resume needs the same {name}"
            raise UserError(f"{path}: {rule}: it was {before.get(name)}, and is now {value}")


def _record(
    request: Request, settings: Settings, argv: list[str], report: Callable[[str], object]
) -> None:
    """Write ``study.json``, or say that other code wrote the one that is resumed."""
    path = request.folder / "study.json"
    if not path.is_file():
        who = {"argv": argv, "revision": revision(), "versions": versions(), "code": code_digest()}
        write_json(path, {**who, **_settings_json(request, settings)})
        return
    before = load_study(request.folder)
    if (before.get("code"), before.get("versions")) != (code_digest(), versions()):
        report(f"warning: {path}: other code or libraries began this search; it has trials of both")


def _settings_json(request: Request, settings: Settings) -> dict[str, Any]:
    """Return what must be the same in all runs of a search, as JSON gives it back."""
    spaces = {"space": request.space, "stage1": request.stage1}
    what = {
        "model": request.model,
        "pair": request.pair,
        "train": request.train,
        "seed": request.seed,
        "data_digest": request.data_digest,
        "budget": asdict(request.budget),
        "sampler": settings.sampler,
        "scheduler": settings.scheduler,
        **{name: _space_json(space) for name, space in spaces.items()},
    }
    known: dict[str, Any] = json.loads(json.dumps(what))
    return known


def _space_json(space: SearchSpace | None) -> dict[str, Any] | None:
    if space is None:
        return None
    drawn = {name: json.loads(distribution_to_json(d)) for name, d in space.space.items()}
    return {"drawn": drawn, "fixed": dict(space.fixed), "start": dict(space.start)}
