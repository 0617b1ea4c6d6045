"""A digest of the code that a search runs: darec's, and that of a model from outside."""

import ast
import hashlib
import sys
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from darec.models import ModelKind, kind_of
from darec.models.kind import outside_packages
from darec.provenance import code_digest


@cache
def code_of(kind: ModelKind) -> str:
    """Return the SHA-256 of darec's Python files and of those of a model from outside.

    All files of the model's package count. Of a script or a single module its functions, classes
    and constants count, not the lines that call the search. A model that was typed into a notebook
    has no file, so that only darec's code counts.
    """
    own = [_content(package) for package in sorted(outside_packages(kind))]
    if not own:
        return code_digest()
    return hashlib.sha256(b"\0".join([code_digest().encode(), *own])).hexdigest()


def code_of_all(models: Iterable[str]) -> str:
    """Return one digest of the code of several models, given their names: those of a stack."""
    codes = sorted({code_of(kind_of(model)) for model in models})
    return codes[0] if len(codes) == 1 else hashlib.sha256("".join(codes).encode()).hexdigest()


def _content(package: str) -> bytes:
    """Return what counts of a package or single module."""
    file = getattr(sys.modules[package], "__file__", None)
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
