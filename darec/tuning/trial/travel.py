"""Sends a model to other processes by value, so that they need not import its module."""

import sys

import ray

from darec.models import ModelKind
from darec.models.kind import outside_packages


def send_by_value(kind: ModelKind) -> ModelKind:
    """Return a model, prepared to be pickled by value unless it belongs to darec.

    A model that is defined in a script or notebook always travels by value. A model from another
    package does so after this call, with everything of that package that it uses. Other packages
    must be installed on every node.
    """
    for package in outside_packages(kind) - {"__main__"}:
        ray.cloudpickle.register_pickle_by_value(sys.modules[package])
    return kind
