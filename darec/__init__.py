"""Distributed hyper-parameter search for cross-domain recommendation (DARec, IJCAI 2019).

Example::

    import darec

    pair = darec.load_pair("toys_auto", synthetic=True)
    result = darec.search("i_darec", pair, trials=50, out="results")
    scores = darec.evaluate(result, pair, seeds=5)
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from darec.api.evaluate import evaluate
    from darec.api.fit import fit
    from darec.api.pairs import load_pair, prepare
    from darec.api.registry import register, search_space
    from darec.api.result import SearchResult, load_result
    from darec.api.search import search
    from darec.api.stack import stack
    from darec.api.status import status, stop
    from darec.errors import UserError
    from darec.models import ModelKind
    from darec.models import all_models as models
    from darec.reporter import SILENT, LogReporter, Reporter
    from darec.serving.load import load
    from darec.serving.model import LoadedModel
    from search_spaces import Space

__version__ = "0.1.0"
_PLACES = {
    "load_pair": "darec.api.pairs",
    "prepare": "darec.api.pairs",
    "search": "darec.api.search",
    "SearchResult": "darec.api.result",
    "load_result": "darec.api.result",
    "stack": "darec.api.stack",
    "status": "darec.api.status",
    "stop": "darec.api.status",
    "evaluate": "darec.api.evaluate",
    "fit": "darec.api.fit",
    "load": "darec.serving.load",
    "LoadedModel": "darec.serving.model",
    "register": "darec.api.registry",
    "search_space": "darec.api.registry",
    "ModelKind": "darec.models.kind",
    "Space": "search_spaces",
    "LogReporter": "darec.reporter",
    "Reporter": "darec.reporter",
    "SILENT": "darec.reporter",
    "UserError": "darec.errors",
}
"""Where each public name is defined; it is imported at its first use."""

__all__ = [
    "SILENT",
    "LoadedModel",
    "LogReporter",
    "ModelKind",
    "Reporter",
    "SearchResult",
    "Space",
    "UserError",
    "evaluate",
    "fit",
    "load",
    "load_pair",
    "load_result",
    "models",
    "prepare",
    "register",
    "search",
    "search_space",
    "stack",
    "status",
    "stop",
]


def __getattr__(name: str) -> Any:
    if name == "models":  # a package that can be called (darec.models)
        return import_module("darec.models")
    if name not in _PLACES:
        raise AttributeError(f"module 'darec' has no attribute {name!r}")
    return getattr(import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
