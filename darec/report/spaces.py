"""The search spaces that a cell would draw from now."""

import json
from typing import Any

from optuna.distributions import distribution_to_json

from darec.models import MODELS
from darec.report.matrix.cells import Cell, fix_text
from search_spaces import narrowed


def present_spaces(cell: Cell) -> dict[str, Any]:
    """Return a cell's distributions as ``study.json`` records them, by stage and name."""
    stage1_model = MODELS[cell.model].stage1
    space, stage1 = narrowed(cell.model, stage1_model, False, [fix_text(f) for f in cell.fix])
    return {
        stage: {name: json.loads(distribution_to_json(d)) for name, d in each.space.items()}
        for stage, each in (("space", space), ("stage1", stage1))
        if each is not None
    }
