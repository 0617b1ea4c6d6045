"""The paper's protocol (section 4.1): search the first stage, freeze it, search the second.

One-stage models and joint searches are one study.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from darec.models import kind_of
from darec.models.best import Best, load_best
from darec.models.kind import FirstStage
from darec.tuning import storage
from darec.tuning.durability.retention import delete_checkpoints
from darec.tuning.durability.snapshot import delete_copy
from darec.tuning.study.record import write_record
from darec.tuning.study.request import Request, SearchSpace
from darec.tuning.study.results import save_trials, save_winner, winner
from darec.tuning.study.study import Settings, Study, run_study

STAGE1_SHARE = 0.25
"""Each of the two first-stage studies may use this share of the time budget."""


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
        other search (`darec.tuning.study.record.check_record`).
        """
        request, first = self.request, self.request.kind.stage1
        write_record(request, arguments)
        self.publish()
        fixed, budget = dict(request.space.fixed), request.budget.time_budget
        if first is not None and request.stage1 is not None:
            fixed |= self._first_stages(first, request.stage1)
            budget = None if budget is None else budget * (1 - 2 * STAGE1_SHARE)
        study = Study(
            model=request.model,
            kind=request.kind,
            data=request.data,
            space=dict(request.space.space),
            fixed=fixed,
            start=dict(request.space.start),
            trials=request.budget.trials,
            folder=request.folder,
            storage=request.storage,
            time_budget=budget,
        )
        return self._finished(study)

    def _first_stages(self, first: FirstStage, space: SearchSpace) -> dict[str, Any]:
        """Return both domains' frozen first-stage configs, as fields of the second stage's."""
        tell = self.settings.reporter.line
        tell(f"Stage 1 of 2: {first.model} on the target")
        target = self._first_stage(first, space, "target")
        kept = {name: target[name] for name in first.shared}
        told = ", ".join(f"{name} {value}" for name, value in kept.items())
        tell(f"Stage 1 of 2: {first.model} on the source, with {told} as on the target")
        source = self._first_stage(first, space.fix(kept), "source")
        tell(f"Stage 2 of 2: {self.request.model} on both frozen winners")
        return {first.field: target, first.source_field: source}

    def _first_stage(
        self, first: FirstStage, space: SearchSpace, domain: Literal["target", "source"]
    ) -> dict[str, Any]:
        """Return the config of a domain's winner, with its best epoch as its number of epochs."""
        request, name = self.request, f"stage1_{domain}"
        budget = request.budget.time_budget
        study = Study(
            model=first.model,
            kind=kind_of(first.model),
            data=request.data if domain == "target" else request.data.swapped(),
            space=dict(space.space),
            fixed=dict(space.fixed),
            start=dict(space.start),
            trials=request.budget.stage1_trials,
            folder=request.folder / name,
            storage=storage.join(request.storage, name),
            time_budget=None if budget is None else STAGE1_SHARE * budget,
        )
        best = self._finished(study)
        return {**best.config, first.epochs: best.epoch}

    def _finished(self, study: Study) -> Best:
        """Run a study unless it is finished, and write its files; ``best.json`` comes last."""
        if self.resume and (study.folder / "best.json").is_file():
            return load_best(study.folder)
        study.folder.mkdir(parents=True, exist_ok=True)
        rows = run_study(study, self.settings, self.resume)
        best = winner(self.request, study, rows)
        save_trials(study, rows)
        save_winner(study, rows, best, self.settings.cache)
        self.publish()
        for row in rows:
            delete_checkpoints(row.checkpoint)  # the winner's weights are beside best.json
        delete_copy(study.tune_folder)
        return best
