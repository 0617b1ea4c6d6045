"""Sends a model to other processes by value, so that they need not import its module."""

import inspect
import sys
from functools import partial

import ray

from darec.models import ModelKind


def send_by_value(kind: ModelKind) -> ModelKind:
    """Return a model, prepared to be pickled by value unless it belongs to darec.

    A model that is defined in a script or notebook always travels by value. A model from another
    package does so after this call, with everything of that package that it uses. Other packages
    must be installed on every node.
    """
    for part in (kind.config, kind.build, kind.n_weights, kind.n_temporary):
        while isinstance(part, partial):
            part = part.func
        module = inspect.getmodule(part)
        package = module.__name__.partition(".")[0] if module else "__main__"
        if package not in ("__main__", "builtins", "darec"):
            ray.cloudpickle.register_pickle_by_value(sys.modules[package])
    return kind
