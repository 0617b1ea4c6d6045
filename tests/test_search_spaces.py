from dataclasses import replace

import pytest
from optuna.distributions import CategoricalDistribution

from darec.api.registry import spaces_for
from darec.core.config import field_names, parse
from darec.models import MODELS
from darec.paper import RANGES
from darec.tuning.study.request import middle
from darec.tuning.trial.names import flatten, nest
from search_spaces import SPACES

JOINT = {name: spaces_for(name, "joint")[0] for name, kind in MODELS.items() if kind.stage1}
PRINTED = [(name, SPACES[name]) for name in ("u_autorec", "i_autorec", "u_darec", "i_darec")]
PRINTED += [(f"{name} joint", space) for name, space in JOINT.items()]


@pytest.mark.parametrize(
    ("name", "space"), PRINTED, ids=lambda part: part if type(part) is str else ""
)
def test_printed_bounds_are_the_papers(name, space):
    printed = {key.split("/")[-1]: key for key in space.space if key.split("/")[-1] in RANGES}
    for name_, key in printed.items():
        distribution = space.space[key]
        assert (distribution.low, distribution.high) == RANGES[name_]
        assert distribution.log or name_ in ("hidden", "extractor")
    if "darec" in name:
        assert printed.keys() >= {"extractor", "beta", "mu", "lambda_"}
    if "autorec" in name or "joint" in name:
        assert printed.keys() >= {"hidden", "alpha"}


@pytest.mark.parametrize("name", ["u_autorec", "i_autorec", "u_darec", "i_darec"])
def test_as_printed_only_the_papers_ranges_are_searched(name):
    stages = [stage for stage in spaces_for(name, paper=True) if stage is not None]
    drawn = {key for stage in stages for key in stage.space}
    held = {key: value for stage in stages for key, value in stage.fixed.items()}
    assert drawn == (set(RANGES) if "darec" in name else {"hidden", "alpha"})
    assert (held["center"], held["activation"], held["trains_on"]) == ("none", "sigmoid", "target")
    assert held.get("head", "plain") == "plain" and held.get("init", "paper") == "paper"


@pytest.mark.parametrize("name", ["u_cf_nade", "i_cf_nade"])
def test_as_printed_cf_nade_has_no_centre_and_ranges_of_ours(name):
    space, _ = spaces_for(name, paper=True)
    assert space.fixed["center"] == "none"
    assert {*space.space, "center"} == set(SPACES[name].space)


@pytest.mark.parametrize("name", MODELS)
def test_every_model_has_a_space_of_its_configs_fields(name):
    space = SPACES[name]
    fields = set(field_names(MODELS[name].config))
    assert set(space.space) | set(space.fixed) <= fields
    assert not set(space.space) & set(space.fixed)
    for config in corners(space):
        if MODELS[name].stage1:
            config["autorec"] = {"axis": MODELS[name].axis}
        parse(MODELS[name].config, nest({**config, **space.fixed}))


@pytest.mark.parametrize("name", JOINT)
def test_joint_spaces_cover_both_stages(name):
    space = JOINT[name]
    config = parse(MODELS[name].config, middle(space))
    assert config.autorec.axis == MODELS[name].axis and config.source is config.autorec


@pytest.mark.parametrize(("name", "space"), [*SPACES.items(), *JOINT.items()])
def test_a_search_starts_within_its_space(name, space):
    assert set(space.start) == set(space.space) or name in ("bias", "shared_bias")
    for key, chosen in space.start.items():
        distribution = space.space[key]
        assert distribution._contains(distribution.to_internal_repr(chosen)), key
    assert "hidden" not in SPACES["i_autorec"].fix({"hidden": 300}).start


@pytest.mark.parametrize(("name", "space"), SPACES.items())
def test_a_portfolio_has_other_values_that_the_space_draws(name, space):
    assert len(space.portfolio) <= 4 and space.start not in space.portfolio
    for n, start in enumerate(space.portfolio):
        assert set(start) == set(space.space) and start not in space.portfolio[:n]
        for key, chosen in start.items():
            distribution = space.space[key]
            assert distribution._contains(distribution.to_internal_repr(chosen)), key


def test_a_portfolio_is_narrowed_with_its_space_and_joined_with_that_of_stage_1():
    cmf = SPACES["cmf"]
    narrow = cmf.narrow({"factors": 50.9})
    assert [each["factors"] for each in narrow.portfolio] == [
        min(each["factors"], 50) for each in cmf.portfolio
    ]
    assert max(each["factors"] for each in cmf.portfolio) == 100
    stage1 = replace(SPACES["u_autorec"], portfolio=[{"alpha": 0.1}, {"alpha": 0.2}])
    whole = replace(SPACES["u_darec"], portfolio=[{"beta": 0.3}, {"beta": 0.4}])
    first, second = whole.joined(stage1, "autorec").portfolio
    assert first == {"beta": 0.3, "autorec/alpha": 0.1, "autorec/epochs": 50}
    assert second["autorec/alpha"] == 0.2


def corners(space):
    """Return the lowest and the highest value of every hyper-parameter."""
    for end in ("low", "high"):
        yield {
            name: d.choices[0 if end == "low" else -1]
            if isinstance(d, CategoricalDistribution)
            else getattr(d, end)
            for name, d in space.space.items()
        }


def test_fixing_moves_a_hyper_parameter_out_of_the_search():
    space = SPACES["i_autorec"].fix({"center": "none", "hidden": 300})
    assert "center" not in space.space and space.fixed["center"] == "none"
    assert space.fixed["hidden"] == 300 and SPACES["i_autorec"].has("hidden")


def test_names_nest_and_flatten():
    nested = {"a": {"b": 1, "c": {"d": 2}}, "e": 3}
    assert flatten(nested) == {"a/b": 1, "a/c/d": 2, "e": 3}
    assert nest({"a/b": 1, "a": {"c/d": 2}, "e": 3}) == nested
