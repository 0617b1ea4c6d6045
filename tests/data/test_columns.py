import pytest

from darec.data.columns import columns_of, parse_columns
from darec.errors import UserError


def test_columns_are_named_for_both_domains_or_one():
    columns = parse_columns("user=who, source.item=thing,target.item=2")
    assert columns == {"user": "who", "source.item": "thing", "target.item": "2"}
    assert columns_of("source", columns) == {"user": "who", "item": "thing"}
    assert columns_of("target", columns) == {"user": "who", "item": "2"}
    assert parse_columns(None) is None and columns_of("source", None) is None


@pytest.mark.parametrize(
    "text", ["", "who", "user=", "person=who", "user=a,user=b", "user=a,item=a", "other.user=a"]
)
def test_anything_else_is_one_line(text):
    with pytest.raises(UserError, match="--columns must"):
        columns_of("source", parse_columns(text))
