"""What a command refuses from names and files alone, at once."""

import json
import math
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


def test_a_folder_with_a_search_is_reported(tmp_path):
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
        (
            ["--model", "bias", "--resume", "--max-epochs", "70"],
            "--resume needs the same --max-epochs: the search there has 60, but you asked for 70",
        ),
        (
            ["--model", "bias", "--resume", "--max-epochs", "60", "--time-budget", "90"],
            "--resume needs the same --time-budget: the search there has nothing, but you asked",
        ),
        (["evaluate", "--pair", "q", "--model", "svd"], "--model must be one of "),
        (["fit", "--pair", "q", "--model", "svd"], "--model must be one of "),
        (["stack", "--pair", "q", "--models", "stack"], "--models must be one of "),
        (["reproduce", "table2", "--models", "svd"], "--models must be one of "),
        (["status", "nowhere"], "nowhere: no such folder"),
        (["stop", "results/q-90/cmf"], "results/q-90/cmf: no search is here"),
        (["plot", "results"], "results: no search is here"),
        (["compare", "results/q-90/bias", "b"], "b: no search is here"),
    ],
)
def test_they_are_refused_before_anything_heavy_is_loaded(options, told, tmp_path):
    study = tmp_path / "results" / "q-90" / "bias" / "study.json"
    study.parent.mkdir(parents=True)
    study.write_text(json.dumps({"budget": {"max_epochs": 60, "time_budget": None}}))
    words = options
    if options[0].startswith("-"):
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


def test_a_model_whose_library_is_not_installed_is_refused(monkeypatch):
    names.check_libraries(installed_models())
    monkeypatch.setattr(names, "find_spec", lambda module: None if module == "myfm" else module)
    names.check_libraries(["bias", "pmf", "i_darec"])
    with pytest.raises(
        UserError, match=r"^--model fm needs myfm, which is not installed; pip inst"
    ):
        names.check_libraries(["bias", "fm"])


def test_another_budget_is_reported_of_readable_records_alone(tmp_path):
    study = tmp_path / "q-90" / "pmf" / "study.json"
    study.parent.mkdir(parents=True)

    def check(max_epochs, time_budget):
        asked = {"max_epochs": max_epochs, "time_budget": time_budget}
        names.check_same_budget(str(tmp_path), ["q-90"], ["pmf", "bias"], asked)

    check(60, None)
    study.write_text("damaged")
    check(60, None)
    study.write_text(json.dumps({"budget": {"max_epochs": 1, "time_budget": None}}))
    check(60, math.inf)  # a model that is fitted as a whole has one epoch
    with pytest.raises(UserError, match=r"pmf.study.json: --resume needs the same --time-budget"):
        check(60, 9.0)
