"""The search spaces that a cell would draw from now."""

from typing import Any

from darec.api.registry import spaces_for
from darec.models import MADE
from darec.report.matrix.cells import Cell
from darec.tuning.study.record import space_json


def present_spaces(cell: Cell) -> dict[str, Any]:
    """Return a cell's distributions as ``study.json`` records them, by stage and name.

    A stack draws nothing.
    """
    if cell.model in MADE:
        return {}
    space, stage1 = spaces_for(cell.model, fix=dict(cell.fix), paper=cell.paper)
    stages = {"space": space} if stage1 is None else {"space": space, "stage1": stage1}
    return {stage: space_json(each)["drawn"] for stage, each in stages.items()}
