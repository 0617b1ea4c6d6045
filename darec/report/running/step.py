"""One step of a cell, as a typed request that another process can read and run."""

from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from darec.api.checks import COLD_SHARE
from darec.errors import UserError
from darec.report.matrix.cells import Budget, Cell
from darec.report.matrix.results import Step
from darec.reporter import Reporter


@dataclass(frozen=True)
class Place:
    """Where the steps run, and where they put their results."""

    out: Path
    """Folder of all results; every node of the cluster sees it."""
    data: Path
    """Folder of prepared pairs, on the machine that runs the steps."""
    address: str
    """Address of the Ray cluster that all steps share."""
    trials_at_once: int | None
    """Most trials or runs of one step at once; None: as many as there is room for."""
    gpus_per_trial: float | None = None
    """None: what a trial's memory needs, if there are GPUs."""
    insecure: bool = False
    """Whether the cluster may be one that asks for no token."""


@dataclass(frozen=True)
class StepRequest:
    """A step of a cell: its search, or the scoring of its winner.

    It travels as JSON on the standard input of ``python -m darec step``.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    step: Step
    cell: Cell
    budget: Budget
    place: Place

    def to_json(self) -> str:
        """Return the request on one line of JSON."""
        return REQUEST.dump_json(self).decode()

    @staticmethod
    def from_json(text: str) -> "StepRequest":
        """Read a request; raises `UserError` naming the field that is unknown or wrong."""
        try:
            return REQUEST.validate_json(text)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"])) or "the text"
            raise UserError(f"not a step's request: {field}: {first['msg']}") from error


REQUEST = TypeAdapter(StepRequest)


def run_step(request: StepRequest, reporter: Reporter) -> None:
    """Search, or score on test ratings, and continue what was begun earlier.

    Raises `UserError` if the step cannot be done.
    """
    import darec

    cell, budget, place = request.cell, request.budget, request.place
    pair = darec.load_pair(cell.pair, data=place.data, synthetic=cell.synthetic)
    if request.step == "search":
        result = darec.search(
            cell.model,
            pair,
            fit=False,
            train=cell.train,
            task="warm" if cell.cold_users is None else "cold_users",
            cold_share=cell.cold_users or COLD_SHARE,
            trials=budget.trials,
            stage1_trials=budget.stage1_trials,
            max_epochs=budget.max_epochs,
            fix=dict(cell.fix),
            paper=cell.paper,
            rejudge=0,
            gpus_per_trial=place.gpus_per_trial,
            at_once=place.trials_at_once,
            address=place.address,
            insecure=place.insecure,
            out=cell.out(place.out),
            resume=True,
            reporter=reporter,
        )
        if not result.finished:
            raise UserError("the search was interrupted; it can be continued")
        return
    darec.evaluate(
        cell.folder(place.out),
        pair,
        seeds=budget.seeds,
        at_once=place.trials_at_once,
        address=place.address,
        insecure=place.insecure,
        reporter=reporter,
    )
