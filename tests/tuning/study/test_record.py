import json
from dataclasses import replace

import pytest

from darec.errors import UserError
from darec.provenance import code_digest, versions
from darec.tuning.study import record
from darec.tuning.study.record import check_record, write_record
from darec.tuning.study.request import Budget
from tests.tuning.common import request_for


@pytest.fixture
def request_here(tiny_pair, tmp_path):
    return request_for("i_autorec", tiny_pair, tmp_path)


def test_a_search_that_other_code_began_says_so(request_here, monkeypatch, caplog):
    for resume in (False, True):
        check_record(request_here, resume)
        write_record(request_here, {})
    assert not caplog.records
    monkeypatch.setattr(record, "code_digest", lambda: "another")
    write_record(request_here, {})
    (warning,) = caplog.records
    assert "study.json: other code or libraries began this search" in warning.getMessage()


def test_a_record_names_the_command_the_code_and_all_that_was_asked_for(request_here, tmp_path):
    write_record(request_here, {"trials": 6})
    study = json.loads((tmp_path / "study.json").read_text())
    assert study["arguments"] == {"trials": 6}
    assert study["code"] == code_digest() and study["versions"] == versions()
    assert study["budget"]["trials"] == 6 and study["space"]["drawn"].keys() >= {"hidden"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"budget": Budget(7, 2, 4, None)}, "--resume needs the same budget: .*'trials': 6.*7"),
        (
            {"seed": 1},
            "--resume needs the same seed: the search there used seed 0; you asked for 1",
        ),
        ({"sampler": "random"}, "same sampler: .* used sampler tpe; you asked for random"),
        ({"scheduler": "none"}, "same scheduler"),
        ({"data_digest": "other"}, "same data_digest"),
        ({"fix": {"hidden": 16}}, "same fix"),
        ({"stages": "joint"}, "same stages"),
    ],
)
def test_a_search_is_only_resumed_as_it_was_begun(request_here, change, words):
    write_record(request_here, {})
    check_record(request_here, resume=True)
    with pytest.raises(UserError, match=words):
        check_record(replace(request_here, **change), resume=True)


def test_a_search_with_another_space_is_not_resumed(request_here):
    write_record(request_here, {})
    narrower = replace(request_here, space=request_here.space.fix({"hidden": 16}))
    with pytest.raises(UserError, match="--resume needs the same space"):
        check_record(narrower, resume=True)


def test_a_folder_that_holds_a_search_is_not_searched_again(request_here):
    write_record(request_here, {})
    with pytest.raises(UserError, match="holds a search already; continue it with --resume"):
        check_record(request_here, resume=False)
