import pytest

from darec.core.config import parse, plain
from darec.models.autorec import AutoRecConfig
from darec.models.darec import DARecConfig


def test_plain_and_parse_are_inverse():
    autorec = AutoRecConfig("item", hidden=300)
    config = DARecConfig(autorec, autorec_source=AutoRecConfig("item", hidden=300, alpha=0.1))
    assert parse(DARecConfig, plain(config)) == config
    assert parse(DARecConfig, plain(DARecConfig(autorec))) == DARecConfig(autorec)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"axis": "item", "width": 3}, "AutoRecConfig has no field 'width'; it has: axis, hidden"),
        ({"axis": "row"}, "AutoRecConfig.axis must be one of .* but got 'row'"),
        ({"axis": "item", "hidden": 1.5}, "AutoRecConfig.hidden must be of type int, but got 1.5"),
        ({"axis": "item", "alpha": "x"}, "AutoRecConfig.alpha must be of type float, but got 'x'"),
        ({"axis": "item", "alpha": -1}, r"AutoRecConfig.alpha must lie in \[0.0, .* got -1.0"),
        ({"axis": "item", "alpha": float("nan")}, "AutoRecConfig.alpha must lie in"),
        ({}, "axis"),
    ],
)
def test_bad_values_are_named(values, message):
    with pytest.raises((ValueError, TypeError), match=message):
        parse(AutoRecConfig, values)
