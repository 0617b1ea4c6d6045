"""``import darec`` is cheap, and what it offers is documented and typed."""

import doctest
import inspect
import subprocess
import sys

import pytest

import darec
from darec.api import evaluate, pairs, registry, result, search, stack, status
from darec.evaluation import paper_table

FUNCTIONS = [name for name in darec.__all__ if inspect.isfunction(getattr(darec, name))]


def test_importing_darec_imports_nothing_heavy():
    code = "import sys, darec; print(len(set(sys.modules) & {'ray', 'torch', 'pandas', 'numpy'}))"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "0"


def test_every_public_name_can_be_imported_and_listed():
    assert sorted(darec.__all__) == dir(darec)
    assert all(getattr(darec, name) is not None for name in darec.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = darec.nothing


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_is_typed_and_documented(name):
    function = getattr(darec, name)
    signature = inspect.signature(function)
    assert all(p.annotation is not p.empty for p in signature.parameters.values())
    assert function.__doc__ and "UserError" in function.__doc__
    for parameter in signature.parameters:
        assert f"{parameter}" in function.__doc__


@pytest.mark.parametrize(
    "module",
    [
        pairs,
        registry,
        *(pytest.param(module, marks=pytest.mark.ray) for module in (result, search, status)),
        *(
            pytest.param(module, marks=[pytest.mark.ray, pytest.mark.nightly])
            for module in (evaluate, stack, paper_table)
        ),
    ],
)
def test_the_examples_of_the_docstrings_run(module, request, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if request.node.get_closest_marker("ray"):
        request.getfixturevalue("cluster")  # one Ray for all, to save time
    failed, tried = doctest.testmod(module)
    assert not failed and tried


def test_models_is_documented_too():
    assert inspect.getdoc(darec.models.all_models)
