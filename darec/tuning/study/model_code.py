"""A digest of the code that a search runs: darec's, and that of a model from outside."""

import ast
import hashlib
import inspect
import sys
from collections.abc import Iterable
from functools import cache, partial
from pathlib import Path

from darec.models import ModelKind, kind_of
from darec.provenance import code_digest


@cache
def code_of(kind: ModelKind) -> str:
    """Return the SHA-256 of darec's Python files and of those of a model from outside.

    All files of the model's package count. Of a script or a single module its functions, classes
    and constants count, not the lines that call the search. A model that was typed into a notebook
    has no file, so that only darec's code counts.
    """
    parts = [kind.config, kind.build, kind.n_weights, kind.n_temporary]
    tops = {top for part in parts if (top := _top_module(part)) not in ("", "builtins", "darec")}
    own = [_content(top) for top in sorted(tops)]
    if not own:
        return code_digest()
    return hashlib.sha256(b"\0".join([code_digest().encode(), *own])).hexdigest()


def code_of_all(models: Iterable[str]) -> str:
    """Return one digest of the code of several models, given their names: those of a stack."""
    codes = sorted({code_of(kind_of(model)) for model in models})
    return codes[0] if len(codes) == 1 else hashlib.sha256("".join(codes).encode()).hexdigest()


def _top_module(part: object) -> str:
    """Return the name of the package, or of the single module, that defines a part of a model."""
    while isinstance(part, partial):
        part = part.func
    module = inspect.getmodule(part)
    return module.__name__.partition(".")[0] if module else ""


def _content(top: str) -> bytes:
    """Return what counts of a package or single module."""
    file = getattr(sys.modules[top], "__file__", None)
    if file is None:
        return b""
    path = Path(file)
    if path.name == "__init__.py":
        return b"".join(each.read_bytes() for each in sorted(path.parent.rglob("*.py")))
    body = ast.parse(path.read_bytes()).body
    return "\n".join(ast.dump(each) for each in body if _defines(each)).encode()


def _defines(statement: ast.stmt) -> bool:
    """Return whether a statement defines a function, a class or a constant."""
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        return isinstance(statement.value, ast.Constant)
    return isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
