"""What a command refuses from names and files alone, at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from darec.api import names
from darec.api.names import check_no_search, installed_models, listed, named_models
from darec.errors import UserError
from darec.models import all_models, plugins

ROOT = Path(__file__).parents[2]


def test_models_are_one_several_or_all():
    known = ["mean", "bias", "cmf"]
    assert named_models("bias", known) == ["bias"]
    assert named_models("cmf, bias,cmf", known) == ["cmf", "bias"]
    assert named_models("all", known) == named_models("bias,all", known) == known
    with pytest.raises(UserError, match="one of mean, bias, cmf, several as a,b, or all, but got"):
        named_models("bias,svd", known)
    with pytest.raises(UserError, match="but got ''"):
        named_models("", known)


def test_the_names_that_cost_nothing_are_those_of_the_registry():
    assert names.PLUGINS == plugins.GROUP
    assert set(installed_models()) >= set(all_models()) - set(plugins.OUTSIDE)


def test_a_folder_with_a_search_is_told(tmp_path):
    check_no_search(str(tmp_path), ["x-90"], ["bias", "cmf"])
    (tmp_path / "x-90" / "cmf").mkdir(parents=True)
    check_no_search(str(tmp_path), ["x-90"], ["bias", "cmf"])
    (tmp_path / "x-90" / "cmf" / "study.json").touch()
    with pytest.raises(UserError, match="x-90/cmf holds a search already; continue with --resume"):
        check_no_search(str(tmp_path), ["y-90", "x-90"], ["bias", "cmf"])
    assert listed(" a, b,,a ") == ["a", "b"]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--model", "svd"], "--model must be one of "),
        (["--pair", "p,q", "--model", "bias"], "q-90/bias holds a search already"),
        (["--task", "warm", "--cold-share", "50"], "--cold-share 50 needs --task cold_users"),
    ],
)
def test_tune_refuses_them_before_it_loads_anything_heavy(options, told, tmp_path):
    study = tmp_path / "results" / "q-90" / "bias" / "study.json"
    study.parent.mkdir(parents=True)
    study.touch()
    words = ["tune", *([] if "--pair" in options else ["--pair", "q"]), *options]
    code = f"""
import sys
from darec.cli.main import main
sys.argv = ["darec", *{words}]
try:
    main()
finally:
    print(sorted({{"ray", "torch", "pandas", "numba"}} & set(sys.modules)))
"""
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT)},
    )
    assert ended.returncode == 1 and told in ended.stderr and ended.stderr.count("\n") == 1
    assert ended.stdout == "[]\n"
