from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from pydantic import Field

from darec.errors import UserError
from darec.parsing import parse_json, read_json


@dataclass(frozen=True)
class Point:
    number: Annotated[int, Field(ge=1)]
    height: float
    more: dict[str, Any]


def test_a_file_is_read_as_a_dataclass(tmp_path):
    path = tmp_path / "point.json"
    path.write_text('{"number": 3, "height": 2, "more": {"a": [1]}}')
    assert read_json(path, Point) == Point(3, 2.0, {"a": [1]})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("null", "p.json, line 3: must be an object, but got None"),
        ("[1]", r"p.json, line 3: must be an object, but got \[1\]"),
        ("", "p.json, line 3: is not JSON: EOF"),
        ('{"number": 3', "is not JSON: EOF"),
        (b"\x80\x00\xff", "is not JSON"),
        ("[" * 10**5, "is not JSON: recursion limit"),
        ('{"number": true, "height": 2, "more": {}}', "number must be a valid int.* but got True"),
        ('{"number": "3", "height": 2, "more": {}}', "number must be a valid int.* but got '3'"),
        ('{"number": 0, "height": 2, "more": {}}', "number must be greater .* to 1, but got 0"),
        ('{"number": 1, "height": NaN, "more": {}}', "is not JSON: Out of range"),
        ('{"number": 1, "height": 1e999, "more": {}}', "is not JSON: Out of range"),
        ('{"number": 1, "height": 2, "more": {"a": -Infinity}}', "is not JSON: Out of range"),
        ('{"number": 1, "height": 2}', "p.json, line 3: more is missing"),
        ('{"number": 1, "height": 2, "more": {}, "x": 1}', "p.json, line 3: has no field 'x'"),
        (f'{{"number": 1, "height": "{"y" * 999}", "more": {{}}}}', r"but got 'y{99}\.\.\.$"),
    ],
)
def test_what_is_of_another_form_is_reported_in_one_line(content, words):
    with pytest.raises(UserError, match=words) as caught:
        parse_json(content, Point, "p.json, line 3")
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_reported_by_the_users_name_of_it(tmp_path):
    with pytest.raises(UserError, match=r"s3://b/p.json: cannot be read: Is a directory"):
        read_json(tmp_path, Point, "s3://b/p.json")
