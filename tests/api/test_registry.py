"""Models and search spaces by name: darec's own, and those of the user."""

from dataclasses import dataclass
from importlib.metadata import EntryPoint

import pytest
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

import darec
from darec.api.registry import chosen_models, load_space, spaces_for
from darec.models import MODELS, plugins
from darec.models.bias import BiasConfig, build_bias
from search_spaces import SPACES

KIND = darec.ModelKind(BiasConfig, build_bias, cpu_only=True)
SPACE = darec.Space({"reg_user": FloatDistribution(1.0, 10.0)})


def test_models_can_be_called_and_is_still_the_package():
    assert darec.models() == MODELS and darec.models()["i_darec"].axis == "item"
    assert darec.models.MODELS is MODELS


def test_a_registered_model_is_known_by_its_name_and_can_be_replaced():
    darec.register("mine", KIND, SPACE)
    assert darec.models()["mine"] is KIND and darec.search_space("mine") is SPACE
    assert chosen_models("mine") == ["mine"] and "mine" in chosen_models("all")
    other = darec.ModelKind(BiasConfig, build_bias)
    darec.register("mine", other, SPACE)
    assert darec.models()["mine"] is other


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("bias", KIND, "'bias' is a model of darec"),
        ("my model", KIND, "must be letters, digits and '_' and not .*, but got 'my model'"),
        ("mine", build_bias, "kind must be a darec.ModelKind"),
    ],
)
def test_what_cannot_be_registered_is_refused(name, kind, words):
    with pytest.raises(darec.UserError, match=words):
        darec.register(name, kind, SPACE)
    assert name in MODELS or name not in darec.models()


def test_a_space_of_another_type_is_refused():
    with pytest.raises(
        darec.UserError, match=r"mine: space must be a darec.Space, but got \{'x': 1\}"
    ):
        darec.register("mine", KIND, {"x": 1})


def test_an_unknown_model_is_reported_with_the_known_ones():
    with pytest.raises(darec.UserError, match=r"no model 'svd'; known: mean, .*darec.register"):
        darec.search_space("svd")
    with pytest.raises(darec.UserError, match=r"--model must be one of mean, .* but got 'svd'"):
        chosen_models("svd")


PLUGIN = (KIND, SPACE)


def installed(monkeypatch, value, name="plugged"):
    points = [EntryPoint(name, value, plugins.GROUP)]
    monkeypatch.setattr(plugins, "entry_points", lambda group: points)
    plugins.load_installed.cache_clear()


def test_an_installed_package_adds_a_model(monkeypatch):
    installed(monkeypatch, f"{__name__}:PLUGIN")
    assert darec.models()["plugged"] is KIND and darec.search_space("plugged") is SPACE


def test_a_plug_in_does_not_replace_a_model_of_darec(monkeypatch, caplog):
    installed(monkeypatch, f"{__name__}:PLUGIN", name="bias")
    assert darec.models()["bias"] is MODELS["bias"]
    assert darec.search_space("bias") is SPACES["bias"]
    (warning,) = caplog.records
    assert "could not be loaded: 'bias' is a model of darec" in warning.getMessage()


def test_a_plug_in_that_cannot_be_loaded_stops_only_its_own_model(monkeypatch, caplog):
    installed(monkeypatch, "nowhere:MODEL")
    assert "plugged" not in darec.models() and len(caplog.records) == 1
    assert chosen_models("bias") == ["bias"]
    with pytest.raises(darec.UserError, match=r"entry point plugged = nowhere:MODEL: .*nowhere"):
        darec.search_space("plugged")


@dataclass(frozen=True)
class Second:
    """A second stage on top of a first one under another field."""

    base: dict
    reg_user: float = 1.0


def test_a_users_two_stage_model_says_what_its_first_stage_is():
    first = darec.models.FirstStage("u_autorec", field="base", source_field="base_source")
    darec.register("mine", darec.ModelKind(Second, build_bias, stage1=first), SPACE)
    space, stage1 = spaces_for("mine", fix={"base/hidden": 200, "alpha": 0.01})
    assert stage1.fixed["hidden"] == 200 and stage1.fixed["alpha"] == 0.01
    assert set(space.space) == {"reg_user"}
    joint, none = spaces_for("mine", "joint", {"hidden": 300})
    assert none is None and joint.fixed["base/hidden"] == 300
    assert "base/epochs" in joint.space and joint.fixed["base/axis"] == "user"


def test_a_given_space_replaces_what_is_drawn_and_keeps_what_is_fixed():
    given = darec.Space({"hidden": IntDistribution(4, 8)}, {"alpha": 0.1}, {"hidden": 6})
    space, stage1 = spaces_for("i_autorec", space=given)
    assert stage1 is None and set(space.space) == {"hidden"} and space.start == {"hidden": 6}
    assert space.fixed == {**SPACES["i_autorec"].fixed, "alpha": 0.1}
    both = darec.Space(
        {"extractor": IntDistribution(4, 8), "autorec/hidden": IntDistribution(2, 3)}
    )
    space, stage1 = spaces_for("i_darec", space=both)
    assert set(space.space) == {"extractor"} and set(stage1.space) == {"hidden"}
    fixed = darec.Space({}, {"autorec/hidden": 100, "beta": 0.5})
    space, stage1 = spaces_for("i_darec", space=fixed)
    assert stage1.fixed["hidden"] == 100 and "alpha" in stage1.space
    assert space.fixed["beta"] == 0.5 and "extractor" in space.space
    wrong = darec.Space({"nonsense": IntDistribution(1, 2)})
    for axis, model in (("axis", "i_autorec"), ("autorec/axis", "i_darec")):
        other = darec.Space({}, {axis: "user"})
        with pytest.raises(darec.UserError, match=f"--space: {axis} follows from the model's name"):
            spaces_for(model, space=other)
    with pytest.raises(darec.UserError, match="--space: BiasConfig has no hyper-parameter 'nonse"):
        spaces_for("bias", space=wrong)
    with pytest.raises(
        darec.UserError, match="--fix: i_autorec: axis follows from the model's name"
    ):
        spaces_for("i_autorec", fix={"axis": "user"})
    with pytest.raises(darec.UserError, match="there is no hyper-parameter 'x'; there are: hidden"):
        spaces_for("i_autorec", fix={"x": 1})
    with pytest.raises(darec.UserError, match="--stages joint needs a two-stage model, but bias"):
        spaces_for("bias", "joint")
    known = "u_cf_nade, i_cf_nade, u_autorec, i_autorec, u_darec, i_darec"
    with pytest.raises(darec.UserError, match=f"--paper must go with one of {known}, but got cmf"):
        spaces_for("cmf", paper=True)


@pytest.mark.parametrize(
    ("model", "stages", "fix", "words"),
    [
        ("i_autorec", "paper", {"hidden": "abc"}, "AutoRecConfig.hidden must be a valid integer, "),
        ("i_autorec", "paper", {"hidden": None}, "AutoRecConfig.hidden must be a valid integer, "),
        ("i_autorec", "paper", {"hidden": [100]}, "AutoRecConfig.hidden must be a valid integer, "),
        ("i_autorec", "paper", {"hidden": -3}, "AutoRecConfig.hidden must be greater than or equ"),
        ("i_autorec", "paper", {"hidden": 1e9}, "AutoRecConfig.hidden must be a valid integer, "),
        ("i_autorec", "paper", {"hidden": 10**9}, "AutoRecConfig.hidden must be less than or equ"),
        ("i_darec", "paper", {"pyramid": 3.0}, "DARecConfig: pyramid must be 0.5, 1 or 2, but go"),
        ("i_darec", "paper", {"hidden": 0}, "DARecConfig.autorec.hidden must be greater than or "),
        ("i_darec", "joint", {"autorec/epochs": -5}, "DARecConfig.autorec.epochs must be greater"),
        ("fm", "paper", {"rank": "many"}, "FMConfig.rank must be a valid integer, but got 'many'"),
    ],
)
def test_a_fixed_value_that_the_config_does_not_allow_is_reported(model, stages, fix, words):
    with pytest.raises(darec.UserError, match=f"^--fix: {words}") as caught:
        spaces_for(model, stages, fix)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (darec.Space({"hidden": IntDistribution(0, 8)}), "AutoRecConfig.hidden must be greater"),
        (
            darec.Space({"center": CategoricalDistribution(["none", "median"])}),
            "AutoRecConfig.center must be .* but got 'median'",
        ),
        (
            darec.Space({}, {"alpha": -1.0}),
            "AutoRecConfig.alpha must be greater than or equal",
        ),
        (
            darec.Space({"hidden": IntDistribution(4, 8)}, first={"hidden": 9}),
            r"hidden of the first trial must be in IntDistribution\(.*, but got 9",
        ),
        (
            darec.Space({"hidden": IntDistribution(4, 8)}, portfolio=[{"hidden": 3}]),
            r"hidden of PORTFOLIO\[0\] must be in IntDistribution\(.*, but got 3",
        ),
        (
            darec.Space({"hidden": IntDistribution(4, 8)}, portfolio=[{"hidden": 4}, {"hiden": 5}]),
            r"PORTFOLIO\[1\] must have hidden, but got",
        ),
        (
            darec.Space({"hidden": IntDistribution(4, 8)}, portfolio=[{"hidden": 4, "alpa": 5}]),
            r"PORTFOLIO\[0\] must have values of hidden, but got 'alpa'",
        ),
    ],
)
def test_a_space_that_may_draw_what_the_config_does_not_allow_is_reported(space, words):
    with pytest.raises(darec.UserError, match=f"^--space: {words}"):
        spaces_for("i_autorec", space=space)


SOME = "from optuna.distributions import IntDistribution as I; SPACE = {'hidden': I(4, 8)}"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("SPACE = {", "SyntaxError"),
        ("OTHER = 1", "SPACE must be a dictionary"),
        ("raise SystemExit('gone')", "SystemExit: gone"),
        (f"{SOME}; FIXED = 3", "FIXED must be a dictionary, but got 3"),
        (f"{SOME}; PORTFOLIO = {{'hidden': 5}}", "PORTFOLIO must be a list of dictionaries, but"),
        ("SPACE = {'x': (1, 2)}", r"SPACE\['x'\] must be an Optuna distribution, but got \(1, 2\)"),
    ],
)
def test_a_file_without_a_search_space_is_refused(tmp_path, text, words):
    path = tmp_path / "space.py"
    path.write_text(text)
    with pytest.raises(darec.UserError, match=f"--space .*space.py: {words}"):
        load_space(path)


def test_a_search_space_is_read_from_a_file(tmp_path):
    path = tmp_path / "space.py"
    path.write_text(
        "from optuna.distributions import IntDistribution\n"
        "SPACE = {'hidden': IntDistribution(4, 8)}\nSTART = {'hidden': 5}\n"
        "PORTFOLIO = [{'hidden': 6}, {'hidden': 7}]\n"
    )
    assert load_space(path) == darec.Space(
        {"hidden": IntDistribution(4, 8)},
        {},
        {"hidden": 5},
        portfolio=[{"hidden": 6}, {"hidden": 7}],
    )
