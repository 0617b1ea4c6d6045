"""Imports point one way, ray stays in `darec.tuning`, nobody seeds globally."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BASE = {"errors", "files", "paper", "processes", "provenance", "seeds"}
ALLOWED = {
    "base": BASE,
    "data": BASE | {"data"},
    "core": BASE | {"data", "core"},
    "models": BASE | {"data", "core", "models"},
    "tuning": BASE | {"data", "core", "models", "tuning"},
    "evaluation": BASE | {"data", "core", "models", "evaluation"},
    "report": BASE | {"data", "core", "models", "evaluation", "report"},
    "benchmark": BASE | {"data", "core", "models", "tuning", "benchmark"},
}
SEEDING = {"manual_seed", "manual_seed_all", "seed", "seed_all"}


def imported(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield node.module or ""


def problems(source, package):
    """Return what a file of a package (or "jobs", "search_spaces") may not do but does."""
    tree, found = ast.parse(source), []
    for name in imported(tree):
        top, *rest = name.split(".")
        if top == "ray" and package != "tuning":
            found.append(f"imports {name}")
        if top in ("jobs", "search_spaces", "tests") and package in ALLOWED:
            found.append(f"imports {name}")
        if top == "darec" and rest and package in ALLOWED and rest[0] not in ALLOWED[package]:
            found.append(f"imports {name}")
        if package == "search_spaces" and top in ("darec", "torch", "ray"):
            found.append(f"imports {name}")
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            owner = ast.unparse(node.func.value)
            if node.func.attr in SEEDING and owner in (
                "torch",
                "np.random",
                "random",
                "torch.cuda",
            ):
                found.append(f"seeds globally: {ast.unparse(node)}")
    return found


def files():
    for path in sorted((ROOT / "darec").rglob("*.py")):
        parts = path.relative_to(ROOT / "darec").parts
        yield path, parts[0] if len(parts) > 1 else "base"
    for folder in ("search_spaces", "jobs"):
        for path in sorted((ROOT / folder).glob("*.py")):
            yield path, folder


@pytest.mark.parametrize(
    ("path", "package"), list(files()), ids=lambda part: str(part).split("/")[-1]
)
def test_imports_point_one_way(path, package):
    assert problems(path.read_text(), package) == []


@pytest.mark.parametrize(
    ("source", "package"),
    [
        ("from darec.models import MODELS", "core"),
        ("import darec.core.fit", "data"),
        ("from darec.evaluation.scores import Score", "tuning"),
        ("def f():\n    import ray", "evaluation"),
        ("from ray import tune", "jobs"),
        ("from search_spaces import SPACES", "tuning"),
        ("import torch\ntorch.manual_seed(0)", "models"),
        ("import numpy as np\nnp.random.seed(0)", "jobs"),
        ("from darec.paper import RANGES", "search_spaces"),
    ],
)
def test_the_walk_finds_what_it_looks_for(source, package):
    assert problems(source, package)
