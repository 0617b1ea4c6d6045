"""The paper's protocol (section 4.1): search the first stage, freeze it, search the second.

One-stage models and joint searches are one study.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from darec.data.split import SearchData
from darec.errors import UserError
from darec.files import write
from darec.models import kind_of
from darec.models.best import REMEDY, Best, Domain, Identity, SpaceRecord, read_best
from darec.models.kind import FirstStage
from darec.reporter import LOGGER
from darec.tuning import storage
from darec.tuning.durability.retention import delete_checkpoints
from darec.tuning.durability.snapshot import delete_copy, has_snapshot
from darec.tuning.study.curves import mark_winner
from darec.tuning.study.halt import stop_asked
from darec.tuning.study.identity import finished_study, identity_of, impossible
from darec.tuning.study.kept import save_kept
from darec.tuning.study.model_code import code_of
from darec.tuning.study.record import record_trials, space_json, write_record
from darec.tuning.study.rejudge import rejudged
from darec.tuning.study.request import Request, SearchSpace
from darec.tuning.study.results import (
    baseline_rmses,
    kept_weights,
    save_trials,
    save_weights,
    winner,
)
from darec.tuning.study.run import run_study
from darec.tuning.study.starts import known_trials
from darec.tuning.study.study import Settings, Study, StudyInterrupted
from darec.tuning.study.trials_table import read_trials
from darec.tuning.trial.predictions import gather_predictions

STAGE1_SHARE = 0.25
"""Each of the two first-stage studies may use this share of the time budget."""

Finish = Callable[[Study, Identity], Best]
"""Returns the winner of a study, given what the search asks of it (`Identity`)."""


@dataclass(frozen=True)
class Protocol:
    """Runs all studies of one search."""

    request: Request
    settings: Settings
    resume: bool
    publish: Callable[[], object]
    """Copies the folder to its storage. It is called whenever there are new files."""

    def run(self, arguments: Mapping[str, Any]) -> Best:
        """Run every study that is not finished yet, and return the winner.

        ``arguments`` is recorded in ``study.json``. The caller has checked that the folder holds no
        other search (`darec.tuning.study.record.check_record`). Raises `UserError` if a finished
        study is not one of this search.
        """
        more = self.resume and asks_for_more(self.request)
        if more:
            check_can_go_on(self.request)
        elif self.resume and (self.request.folder / "best.json").exists():
            return check_finished(self.request)
        found = baseline_rmses(self.request.data)
        baselines = {"bias": found.bias, "hierarchical_bias": found.hierarchical}
        code = list(write_record(self.request, arguments, baselines).code)
        self.publish()
        finish = partial(self._finish, code)
        return _run_studies(self.request, finish, self.settings.reporter.line)

    def _finish(self, code: list[str], study: Study, asked: Identity) -> Best:
        """Run a study unless it is finished, and write its files; ``best.json`` comes last.

        ``code`` has the digests of all code that ran the search; a finished study adds its own.
        """
        more = study.folder == self.request.folder and asks_for_more(self.request)
        if self.resume and (study.folder / "best.json").exists() and not more:
            best = _finished(study, asked)
            if best.code != [code_of(self.request.kind)]:
                message = "other code ran this study; the search mixes both"
                LOGGER.warning("%s/best.json: %s", study.storage, message)
            code += [each for each in best.code if each not in code]
            return best
        if stop_asked(self.request.folder):
            raise StudyInterrupted(study.storage)
        study.folder.mkdir(parents=True, exist_ok=True)
        rows = run_study(study, self.settings, self.resume)
        if message := impossible(rows[0].config, asked.space):
            message = f"this is of another study: {message} in trial {rows[0].trial_id}"
            raise UserError(f"{study.tune_folder}: {message}; {REMEDY}")
        rows = rejudged(study, rows, self.settings, study.rejudge)
        save_trials(study, rows)
        gather_predictions([(row.trial_id, row.checkpoint) for row in rows], study.folder)
        if more:
            _keep_former(self.request)
        weights = save_weights(study, rows[0], self.settings)
        save_kept(study, rows, self.settings)
        best = winner(study, asked, rows, weights, list(code))
        if more:
            record_trials(self.request)
        mark_winner(study, best.trial_id)
        best.save(study.folder)
        self.publish()
        for row in rows:
            delete_checkpoints(row.checkpoint)  # the winner's weights are beside best.json
        delete_copy(study.tune_folder)
        return best


def asks_for_more(request: Request) -> bool:
    """Return whether a finished search is asked for more trials than it has.

    Until it has them, its winner so far stays.
    """
    if not (request.folder / "best.json").exists():
        return False
    before = read_best(request.folder, request.storage).trials_asked
    return bool(request.space.space) and before < request.budget.trials


def check_can_go_on(request: Request) -> None:
    """Raise `UserError` if a finished search cannot be given more trials."""
    best = read_best(request.folder, request.storage)
    other = "begin another search with --warm-start and another --out"
    if request.budget.time_budget is not None and best.trials < best.trials_asked:
        message = "it ended before its last trial, so that it cannot have more trials"
        raise UserError(f"{request.storage}: {message}; {other}")
    tune_folder = storage.join(request.storage, "tune")
    if not has_snapshot(tune_folder):
        message = "the files of Ray Tune are gone, so that the search cannot go on"
        raise UserError(f"{tune_folder}: {message}; {other}")


def _keep_former(request: Request) -> None:
    """Keep the weights of the winner so far, which may not win again."""
    before = read_best(request.folder, request.storage)
    kept = kept_weights(request.folder, before.trial_id)
    write(kept, lambda path: shutil.copyfile(request.folder / "best.safetensors", path))


def check_finished(request: Request) -> Best:
    """Return the winner of a finished search; nothing is run.

    Raises `UserError` if one of its studies is not finished or not one of this search.
    """

    return _run_studies(request, _finished, lambda line: None)


def _finished(study: Study, asked: Identity) -> Best:
    """Return the winner of a finished study; raises `UserError` if ``trials.csv`` differs."""
    best = finished_study(study.folder, study.storage, asked)
    read_trials(study.folder, best, study.storage)
    return best


def _run_studies(request: Request, finish: Finish, tell: Callable[[str], object]) -> Best:
    """Finish all studies of a search in order, and return the winner."""
    fixed, budget = dict(request.space.fixed), request.budget.time_budget
    first, part, title = request.kind.stage1, (1, 1), ""
    if first is not None and request.stage1 is not None:
        fixed |= _run_first_stages(request, first, request.stage1, finish, tell)
        part, title = (3, 3), f"{request.model}, stage 2"
        budget = None if budget is None else budget * (1 - 2 * STAGE1_SHARE)
    study = Study(
        model=request.model,
        kind=request.kind,
        data=request.data,
        space=dict(request.space.space),
        fixed=fixed,
        start=dict(request.space.start),
        known=known_trials(request, request.model, request.space, request.budget.trials),
        to_beat=_to_beat(request, request.data),
        trials=request.budget.trials,
        folder=request.folder,
        storage=request.storage,
        time_budget=budget,
        title=title,
        part=part,
        rejudge=request.rejudge,
        stop_when_flat=request.stop_when_flat,
        metric=request.metric,
    )
    return finish(study, _asked(request, study, "target"))


def _run_first_stages(
    request: Request,
    first: FirstStage,
    space: SearchSpace,
    finish: Finish,
    tell: Callable[[str], object],
) -> dict[str, Any]:
    """Return both domains' frozen first-stage configs, as fields of the second stage's."""
    tell(f"Stage 1 of 2: {first.model} on the target")
    target = _run_first_stage(request, first, space, "target", finish)
    kept = {name: target[name] for name in first.shared}
    message = ", ".join(f"{name} {value}" for name, value in kept.items())
    tell(f"Stage 1 of 2: {first.model} on the source, with {message} as on the target")
    source = _run_first_stage(request, first, space.fix(kept), "source", finish)
    tell(f"Stage 2 of 2: {request.model} on both frozen winners")
    return {first.field: target, first.source_field: source}


def _run_first_stage(
    request: Request, first: FirstStage, space: SearchSpace, domain: Domain, finish: Finish
) -> dict[str, Any]:
    """Return the config of a domain's winner, with its best epoch as its number of epochs."""
    name, budget = f"stage1_{domain}", request.budget.time_budget
    data = request.stage1_data if domain == "target" else request.stage1_data.swapped()
    study = Study(
        model=first.model,
        kind=kind_of(first.model),
        data=data,
        space=dict(space.space),
        fixed=dict(space.fixed),
        start=dict(space.start),
        known=known_trials(request, first.model, space, request.budget.stage1_trials),
        to_beat=_to_beat(request, data),
        trials=request.budget.stage1_trials,
        folder=request.folder / name,
        storage=storage.join(request.storage, name),
        time_budget=None if budget is None else STAGE1_SHARE * budget,
        title=f"{first.model}, stage 1 on the {domain}",
        part=(1 if domain == "target" else 2, 3),
        stop_when_flat=request.stop_when_flat,
        metric=request.metric,
    )
    best = finish(study, _asked(request, study, domain))
    return {**best.config, first.epochs: best.epoch}


def _to_beat(request: Request, data: SearchData) -> dict[str, float]:
    if request.metric != "rmse":
        return {}
    baselines = baseline_rmses(data)
    return {"bias": baselines.bias, "hierarchical_bias": baselines.hierarchical}


def _asked(request: Request, study: Study, domain: Domain) -> Identity:
    space = SpaceRecord(**space_json(study))
    return identity_of(request, study.model, space, domain, study.trials)
