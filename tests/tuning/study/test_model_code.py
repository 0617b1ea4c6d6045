import importlib
import sys
from functools import partial

import pytest

from darec.models import MODELS, ModelKind
from darec.models.bias import BiasConfig, build_bias
from darec.provenance import code_digest
from darec.tuning.study.model_code import code_of

SCRIPT = """
LIMIT = 5

def build(config, training, run):
    return helper(config)

def helper(config):
    return config
"""


@pytest.fixture
def digest(tmp_path, monkeypatch):
    """A function that writes a module, and returns the digest of a model that it defines."""
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", True)

    def write_and_digest(files, module="own_model"):
        for name, text in files.items():
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).write_text(text)
        for name in [name for name in sys.modules if name.startswith("own_")]:
            monkeypatch.delitem(sys.modules, name)
        importlib.invalidate_caches()
        build = importlib.import_module(module).build
        return code_of(ModelKind(BiasConfig, partial(partial(build))))

    return write_and_digest


@pytest.mark.parametrize("kind", [*MODELS.values(), ModelKind(BiasConfig, partial(build_bias))])
def test_a_model_of_darec_has_darecs_code(kind):
    assert code_of(kind) == code_digest()


def test_of_a_script_what_it_defines_counts(digest):
    before = digest({"own_model.py": SCRIPT})
    assert before != code_digest()
    assert digest({"own_model.py": SCRIPT}) == before
    called = f"# A comment.\n\n{SCRIPT}\nresumed = print(end='')\n"
    assert digest({"own_model.py": called}) == before
    for old, new in (("return config", "return [config]"), ("LIMIT = 5", "LIMIT = 6")):
        assert digest({"own_model.py": SCRIPT.replace(old, new)}) != before


def test_of_a_package_all_files_count(digest):
    files = {"own_package/__init__.py": "", "own_package/model.py": SCRIPT}
    files["own_package/layers.py"] = "SIZE = 1"
    before = digest(files, "own_package.model")
    assert digest(files, "own_package.model") == before
    files["own_package/layers.py"] = "SIZE = 2"
    assert digest(files, "own_package.model") != before


def test_a_model_without_a_file_has_darecs_code_alone(monkeypatch):
    names = {"__name__": "__main__"}
    exec("def build(config, training, run):\n    return config", names)
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    kind = ModelKind(BiasConfig, names["build"])
    assert code_of(kind) == code_of(kind)
