"""Imports point one way, Ray is imported where it belongs, and nobody seeds globally."""

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
BASE = {"errors", "files", "paper", "parsing", "processes", "provenance", "reporter", "seeds"}
MODELS = BASE | {"data", "core", "models"}
SERVING = MODELS | {"tuning", "evaluation", "serving"}
API = SERVING | {"page", "api"}

LAYERS = {
    "base": BASE,
    "page": BASE | {"page"},
    "data": BASE | {"data"},
    "core": BASE | {"data", "core"},
    "models": MODELS,
    "tuning": MODELS | {"tuning"},
    "evaluation": MODELS | {"evaluation"},
    "serving": SERVING,
    "api": API,
    "report": API | {"report"},
    "benchmark": API | {"benchmark"},
    "cli": API | {"report", "benchmark", "cli"},
}
"""What each part of `darec` may import of `darec`; "base" are the modules beside the packages."""

WINGS = {
    "tuning": {
        "": set(),
        "trial": {"trial"},
        "durability": {"trial", "durability"},
        "cluster": {"trial", "cluster"},
        "study": {"trial", "durability", "cluster", "study"},
    },
    "report": {
        "matrix": {"matrix"},
        "running": {"matrix", "running"},
        "analysis": {"matrix", "analysis"},
        "rendering": {"matrix", "analysis", "rendering"},
        "": {"matrix", "running", "analysis", "rendering"},
    },
}
"""What each wing of a package may import of its wings; "" are the modules beside the wings."""

KNOWS_SEARCH_SPACES = {"api", "report", "benchmark", "cli"}
KNOWS_RAY = ("darec/tuning/", "darec/serving/on_ray/", "darec/benchmark/simulation.py")
TOP = {"darec/__init__.py", "darec/__main__.py"}
"""The package's face: it exports the API and starts the commands, and stands above all layers."""

SEEDING = {"manual_seed", "manual_seed_all", "seed", "seed_all"}
SEEDED = {"torch", "torch.cuda", "np.random", "numpy.random", "random"}


def imported(tree):
    """Return the names that a module imports, also those within functions."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def may_import(path, name):
    """Return whether a file, by its path from the root, may import a module."""
    folder, *inside = Path(path).with_suffix("").parts
    top, *rest = name.split(".")
    if folder == "search_spaces":
        return top in {"search_spaces", "optuna"} | sys.stdlib_module_names
    if folder == "jobs":
        return top != "ray"
    package = inside[0] if len(inside) > 1 else "base"
    if top == "ray":
        return path.startswith(KNOWS_RAY)
    if path in TOP:
        return top not in ("jobs", "tests")
    if top in ("jobs", "tests"):
        return False
    if top == "search_spaces":
        return package in KNOWS_SEARCH_SPACES
    if top != "darec" or not rest or rest[0] not in LAYERS | dict.fromkeys(BASE):
        return True  # another library, or a name that `darec` itself exports
    wings = WINGS.get(package, {})
    if len(rest) > 1 and rest[0] == package and rest[1] in wings:
        return rest[1] in wings[inside[1] if len(inside) > 2 else ""]
    return rest[0] in LAYERS[package]


def problems(source, path):
    """Return what a file does that its layer does not allow."""
    tree = ast.parse(source)
    found = [f"imports {name}" for name in imported(tree) if not may_import(path, name)]
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if node.func.attr in SEEDING and ast.unparse(node.func.value) in SEEDED:
                found.append(f"seeds globally: {ast.unparse(node)}")
    return found


def files():
    for folder in ("darec", "search_spaces", "jobs"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", list(files()))
def test_imports_point_one_way(path):
    assert problems((ROOT / path).read_text(), path) == []


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("darec/files.py", "import darec.data.split"),
        ("darec/data/split.py", "import darec.core.fit"),
        ("darec/core/fit.py", "from darec.models import MODELS"),
        ("darec/core/fit.py", "from darec import models"),
        ("darec/models/bias.py", "import torch\ntorch.manual_seed(0)"),
        ("darec/models/bias.py", "from jobs.common import PAIR"),
        ("darec/tuning/study/study.py", "from darec.evaluation.scores import Score"),
        ("darec/tuning/study/study.py", "from search_spaces import SPACES"),
        ("darec/tuning/trial/trainable.py", "from darec.tuning.study import rows"),
        ("darec/tuning/trial/trainable.py", "from darec.tuning import cluster"),
        ("darec/tuning/cluster/pool.py", "from darec.tuning.durability import lock"),
        ("darec/tuning/durability/lock.py", "from darec.tuning.study.study import Study"),
        ("darec/tuning/private.py", "from darec.tuning.trial.names import METRIC"),
        ("darec/evaluation/evaluate.py", "def f():\n    import ray"),
        ("darec/api/search.py", "from ray import tune"),
        ("darec/api/search.py", "from darec.cli import tune"),
        ("darec/report/matrix/cells.py", "from darec.report.analysis import claims"),
        ("darec/report/running/runner.py", "from darec.report.rendering import page"),
        ("darec/report/analysis/claims.py", "from darec.report.rendering import page"),
        ("darec/benchmark/core.py", "from darec.report.matrix import cells"),
        ("darec/benchmark/search.py", "import ray"),
        ("search_spaces/bias.py", "from darec.paper import RANGES"),
        ("search_spaces/bias.py", "import numpy"),
        ("jobs/tune.py", "from ray import tune"),
        ("jobs/tune.py", "import numpy as np\nnp.random.seed(0)"),
    ],
)
def test_a_file_that_breaks_a_rule_is_found(path, source):
    assert problems(source, path)


@pytest.mark.parametrize(
    ("path", "source"),
    [
        ("darec/__init__.py", "from darec.api.search import search"),
        ("darec/api/search.py", "from darec.tuning.study.protocol import run_search"),
        ("darec/api/search.py", "from search_spaces import SPACES"),
        ("darec/cli/tune.py", "import darec"),
        ("darec/cli/tune.py", "from darec import UserError, search"),
        ("darec/report/rendering/page.py", "from darec.report.analysis import claims"),
        ("darec/tuning/study/study.py", "from darec.tuning import private, storage"),
        ("darec/tuning/study/study.py", "from darec.tuning.durability.lock import alone"),
        ("search_spaces/bias.py", "from optuna.distributions import FloatDistribution"),
    ],
)
def test_a_file_that_keeps_the_rules_is_left_alone(path, source):
    assert problems(source, path) == []
