import subprocess
import sys
from dataclasses import dataclass, fields

import pytest
import ray.cloudpickle

from darec.core.config import json_schema, parse, plain
from darec.models import MODELS
from darec.models.autorec import AutoRecConfig
from darec.models.darec import DARecConfig


def test_plain_and_parse_are_inverse():
    autorec = AutoRecConfig("item", hidden=300)
    config = DARecConfig(autorec, autorec_source=AutoRecConfig("item", hidden=300, alpha=0.1))
    assert parse(DARecConfig, plain(config)) == config
    assert parse(DARecConfig, plain(DARecConfig(autorec))) == DARecConfig(autorec)


@pytest.mark.parametrize("value", [0.1, 1 / 3, 5e-324, 1e-5, 999999.9999999999])
def test_every_bit_of_a_float_is_kept(value):
    assert parse(AutoRecConfig, {"axis": "item", "alpha": value}).alpha == value


def test_an_int_is_a_valid_float():
    alpha = parse(AutoRecConfig, {"axis": "item", "alpha": 1}).alpha
    assert isinstance(alpha, float) and alpha == 1.0


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"axis": "item", "width": 3}, "AutoRecConfig has no field 'width'; it has: axis, hidden"),
        ({"axis": "row"}, "AutoRecConfig.axis must be 'user' or 'item', but got 'row'"),
        ({"axis": "item", "hidden": 1.5}, "AutoRecConfig.hidden must be .* integer, .*but got 1.5"),
        ({"axis": "item", "hidden": 2.0}, "AutoRecConfig.hidden must be a valid integer.* got 2.0"),
        ({"axis": "item", "hidden": True}, "AutoRecConfig.hidden must be a valid integer.* True"),
        ({"axis": "item", "alpha": "x"}, "AutoRecConfig.alpha must be a valid number, but got 'x'"),
        ({"axis": "item", "alpha": True}, "AutoRecConfig.alpha must be a valid number.* got True"),
        (
            {"axis": "item", "alpha": -1},
            "AutoRecConfig.alpha must be greater than or equal to 0, but got -1",
        ),
        (
            {"axis": "item", "hidden": 10**5 + 1},
            "AutoRecConfig.hidden must be less than or equal to 100000, but got 100001",
        ),
        ({"axis": "item", "alpha": float("nan")}, "AutoRecConfig.alpha must be a finite number"),
        ({}, "AutoRecConfig.axis is missing"),
        ({"axis": {1, 2}}, "AutoRecConfig must be built from JSON values: .* not JSON"),
        ({"axis": "row", "hidden": 0}, "AutoRecConfig.axis must be 'user' or 'item'"),
    ],
)
def test_a_bad_value_is_one_line_with_its_class_field_and_rule(values, message):
    with pytest.raises(ValueError, match=message) as raised:
        parse(AutoRecConfig, values)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("autorec", "message"),
    [
        ({"axis": "row"}, "DARecConfig.autorec.axis must be 'user' or 'item', but got 'row'"),
        ({"axis": "user", "width": 3}, "DARecConfig.autorec has no field 'width'"),
        (3, "DARecConfig.autorec must be an object, but got 3"),
    ],
)
def test_a_bad_value_of_a_nested_config_is_named_by_its_path(autorec, message):
    with pytest.raises(ValueError, match=message):
        parse(DARecConfig, {"autorec": autorec})


@pytest.mark.parametrize("name", MODELS)
def test_the_schema_describes_every_field(name):
    cls = MODELS[name].config
    properties = json_schema(cls)["properties"] if fields(cls) else {}
    assert list(properties) == [field.name for field in fields(cls)]
    assert all(entry["description"] for entry in properties.values())


@dataclass(frozen=True)
class Inner:
    width: int = 3


@dataclass(frozen=True)
class Plain:
    """A user's config: a dataclass of the standard library."""

    inner: Inner
    rate: float = 0.1

    def __post_init__(self):
        if self.rate > 1:
            raise ValueError("rate must be at most 1")


def test_a_dataclass_of_the_standard_library_is_read_as_strictly():
    config = Plain(Inner(4), 1.0)
    assert parse(Plain, plain(config)) == config == parse(Plain, {"inner": {"width": 4}, "rate": 1})
    for values, message in [
        ({"inner": {}, "size": 1}, "Plain has no field 'size'; it has: inner, rate"),
        ({"inner": {"width": 2.0}}, "Plain.inner.width must be a valid integer"),
        ({"inner": {"width": True}}, "Plain.inner.width must be a valid integer"),
        ({"inner": {"depth": 2}}, "Plain.inner has no field 'depth'"),
        ({"inner": {}, "rate": 3}, "Plain: rate must be at most 1"),
    ]:
        with pytest.raises(ValueError, match=message):
            parse(Plain, values)


@pytest.mark.parametrize(
    "config", [AutoRecConfig("user"), DARecConfig(AutoRecConfig("item"))], ids=["autorec", "darec"]
)
def test_a_models_config_is_pickled_by_reference(config):
    pickled = ray.cloudpickle.dumps(config)
    assert ray.cloudpickle.loads(pickled) == config
    assert ray.cloudpickle.loads(ray.cloudpickle.dumps(type(config))) is type(config)
    assert len(pickled) < 1000


SCRIPT = """
import sys
from {module} import dataclass
import ray.cloudpickle
import darec.core.config

@dataclass(frozen=True)
class Config:
    width: int = 3
    rate: float = 0.1

if __name__ == "__main__":
    sys.stdout.buffer.write(ray.cloudpickle.dumps((Config, Config(5))))
"""
READER = """
import pickle, sys
from darec.core.config import parse, plain
cls, config = pickle.loads(sys.stdin.buffer.read())
assert cls.__module__ == "__main__" and not hasattr(sys.modules["__main__"], "Config")
assert parse(cls, plain(config)) == config
try:
    parse(cls, {"width": 2.0})
except ValueError as error:
    print(error)
"""


@pytest.mark.parametrize("module", ["dataclasses", "pydantic.dataclasses"])
def test_the_config_class_of_a_script_travels_by_value(module, tmp_path):
    """A worker is another process, whose ``__main__`` does not have the script's class."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT.format(module=module))
    pickled = subprocess.run([sys.executable, script], capture_output=True, check=True).stdout
    read = [sys.executable, "-c", READER]
    told = subprocess.run(read, input=pickled, capture_output=True, check=True).stdout.decode()
    assert told.startswith("Config.width must be a valid integer")
