"""Completes the config of a model folder of format 1.

It lacks the hyper-parameters that were added later. Each gets the value with which the model
predicts as it did then, whatever its default is now.
"""

from collections.abc import Mapping
from typing import Any

from darec.models import ModelKind, kind_of
from darec.models.autorec import AutoRecConfig
from darec.models.cf_nade import NADEConfig
from darec.models.darec import DARecConfig

MEANT: dict[type[Any], dict[str, Any]] = {
    AutoRecConfig: {"activation": "sigmoid", "trains_on": "target"},
    DARecConfig: {"head": "plain"},
    NADEConfig: {"center": "none"},
}
"""The hyper-parameters that came later, by config class."""


def of_format1(kind: ModelKind, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return a config of the first format with all hyper-parameters of today, nested ones too."""
    whole = {**MEANT.get(kind.config, {}), **config}
    if kind.stage1 is not None:
        first = kind_of(kind.stage1.model)
        for field in (kind.stage1.field, kind.stage1.source_field):
            if whole.get(field) is not None:
                whole[field] = of_format1(first, whole[field])
    return whole
