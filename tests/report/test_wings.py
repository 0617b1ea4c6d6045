"""Imports inside the report point one way."""

import ast
from pathlib import Path

import pytest

import darec.report

ROOT = Path(darec.report.__file__).parent
ALLOWED = {
    "matrix": {"matrix"},
    "analysis": {"matrix", "analysis"},
    "rendering": {"matrix", "analysis", "rendering"},
    "running": {"matrix", "running"},
}


@pytest.mark.parametrize("wing", ALLOWED)
def test_a_wing_imports_only_what_lies_before_it(wing):
    found = set()
    for path in (ROOT / wing).glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("darec.report."):
                found.add(node.module.split(".")[2])
    assert wing in found and found <= ALLOWED[wing]
