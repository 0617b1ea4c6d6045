"""A model from outside darec reaches processes that cannot import its module."""

import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest
import ray

from darec.models import MODELS
from darec.tuning.trial.travel import send_by_value

ROOT = Path(__file__).parents[3]
OUTSIDE = '''
"""A user's model: one number for all ratings."""

from dataclasses import dataclass

from darec.core.recommender import Recommender
from darec.models import ModelKind

LOWEST = 1.0


{decorator}
class ConstantConfig:
    """What is predicted."""

    value: float = 3.0


class Constant(Recommender):
    """Predicts the same for everyone."""

    def __init__(self, config, training):
        self.value = shifted(config.value)


def shifted(value):
    return LOWEST + value


def build(config, training, run):
    return Constant(config, training)


KIND = ModelKind(ConstantConfig, build)
'''
DECORATORS = {
    "standard library": "@dataclass(frozen=True)",
    "pydantic": (
        "import pydantic; from darec.core.config import STRICT\n"
        "@pydantic.dataclasses.dataclass(frozen=True, config=STRICT)"
    ),
}
READ = """
import importlib.util, sys
from pathlib import Path
import ray
from darec.core.config import parse
kind = ray.cloudpickle.loads(Path(sys.argv[1]).read_bytes())
assert importlib.util.find_spec(sys.argv[2]) is None
config = parse(kind.config, {"value": 2.5})
print(config, kind.build(config, None, None).value)
try:
    parse(kind.config, {"unknown": 1})
except ValueError as error:
    print(error)
"""


@pytest.fixture(params=DECORATORS)
def module(request, tmp_path, monkeypatch):
    """A user's module, which only this process can import."""
    name = f"outside_{request.param.split()[0]}"
    (tmp_path / f"{name}.py").write_text(OUTSIDE.format(decorator=DECORATORS[request.param]))
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module(name)
    yield module
    if name in ray.cloudpickle.list_registry_pickle_by_value():
        ray.cloudpickle.unregister_pickle_by_value(module)
    sys.modules.pop(name)


def read_elsewhere(kind, name, tmp_path):
    """Unpickle a kind in a process that cannot import its module, and build its model there."""
    (tmp_path / "kind.pkl").write_bytes(ray.cloudpickle.dumps(kind))
    command = [sys.executable, "-c", READ, str(tmp_path / "kind.pkl"), name]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)


def test_a_model_from_another_module_travels_by_value(module, tmp_path):
    by_name = read_elsewhere(module.KIND, module.__name__, tmp_path)
    assert by_name.returncode and "No module named 'outside_" in by_name.stderr
    by_value = read_elsewhere(send_by_value(module.KIND), module.__name__, tmp_path)
    assert by_value.returncode == 0, by_value.stderr[-3000:]
    built, problem = by_value.stdout.splitlines()
    assert built == "ConstantConfig(value=2.5) 3.5"
    assert problem.startswith("ConstantConfig has no field 'unknown'")


def test_a_model_of_darec_travels_by_name():
    kind = send_by_value(MODELS["i_darec"])
    assert not ray.cloudpickle.list_registry_pickle_by_value()
    assert len(ray.cloudpickle.dumps(kind)) < 1000
    assert ray.cloudpickle.loads(ray.cloudpickle.dumps(kind)) == kind
