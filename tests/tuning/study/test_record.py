import json
from dataclasses import replace

import pytest

from darec.errors import UserError
from darec.provenance import code_digest, versions
from darec.tuning import storage
from darec.tuning.study import record
from darec.tuning.study.record import check_record, load_study, record_trials, write_record
from darec.tuning.study.request import Budget
from tests.tuning.common import request_for


@pytest.fixture
def request_here(tiny_pair, tmp_path):
    return request_for("i_autorec", tiny_pair, tmp_path)


def test_a_search_that_other_code_began_says_so_and_records_both(request_here, monkeypatch, caplog):
    for resume in (False, True):
        check_record(request_here, resume)
        first = write_record(request_here, {})
    assert not caplog.records and load_study(request_here.folder) == first
    monkeypatch.setattr(record, "code_of", lambda kind: "another")
    assert write_record(request_here, {}).code == [*first.code, "another"]
    (warning,) = caplog.records
    assert "study.json: other code or libraries began this search" in warning.getMessage()
    again = write_record(request_here, {"trials": 7})
    assert load_study(request_here.folder) == again == replace(first, code=again.code)
    assert again.code == [*first.code, "another"]


def test_a_record_names_the_command_the_code_and_all_that_was_asked_for(request_here, tmp_path):
    write_record(request_here, {"trials": 6})
    study = json.loads((tmp_path / "study.json").read_text())
    assert study["arguments"] == {"trials": 6}
    assert study["code"] == [code_digest()] and study["versions"] == versions()
    assert study["budget"]["trials"] == 6 and study["space"]["drawn"].keys() >= {"hidden"}


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"budget": Budget(5, 2, 4, None)},
            "--trials: the search there has 6, but you asked f",
        ),
        (
            {"budget": Budget(6, 2, 9, None)},
            r"--max-epochs: the search there has 4, but you asked for 9 \(the epochs at which",
        ),
        ({"budget": Budget(6, 3, 4, None)}, "--stage1-trials: the search there has 2, but you "),
        ({"budget": Budget(6, 2, 4, 9.0)}, "--time-budget: the search there has nothing, but you "),
        ({"seed": 1}, "--seed: the search there has 0, but you asked for 1"),
        ({"sampler": "random"}, "--sampler: the search there has tpe, but you asked for random"),
        ({"scheduler": "none"}, "--scheduler: "),
        ({"data_digest": "other"}, r"ratings \(their digest\): .* but you asked for other"),
        ({"fix": {"hidden": 16}}, "--fix hidden: the search there has nothing, but you ask"),
        ({"stages": "joint"}, "--stages: "),
        ({"paper": True}, "--paper: the search there has False, but you asked for True"),
    ],
)
def test_a_search_is_only_resumed_as_it_was_begun(request_here, change, words):
    write_record(request_here, {})
    check_record(request_here, resume=True)
    remedy = "; use the recorded value, or start another search with another --out"
    remedy += "(; with --warm-start it tries the present winner first)?"
    with pytest.raises(UserError, match=f"--resume needs the same {words}.*{remedy}$") as caught:
        check_record(replace(request_here, **change), resume=True)
    assert len(str(caught.value)) - len(str(request_here.folder)) < 310


def test_a_search_may_be_given_more_trials(request_here):
    write_record(request_here, {})
    more = replace(request_here, budget=Budget(9, 2, 4, None))
    check_record(more, resume=True)
    assert write_record(more, {}).budget.trials == 6  # until it has them
    record_trials(more)
    with pytest.raises(UserError, match="--resume needs the same --trials: the search there has 9"):
        check_record(request_here, resume=True)


def test_another_value_that_is_held_fixed_is_reported_as_the_option_alone(request_here):
    request = replace(request_here, space=request_here.space.fix({"hidden": 16}))
    write_record(replace(request, fix={"hidden": 16}), {})
    other = replace(request, space=request.space.fix({"hidden": 20}), fix={"hidden": 20})
    with pytest.raises(UserError, match="same --fix hidden: the search there has 16, but you ask"):
        check_record(other, resume=True)
    none = replace(request_here, space=request_here.space, fix={})
    with pytest.raises(UserError, match=r"same --fix hidden: .* 16, but you asked for nothing"):
        check_record(none, resume=True)


def test_a_search_with_another_space_is_not_resumed(request_here):
    write_record(request_here, {})
    narrower = replace(request_here, space=request_here.space.fix({"hidden": 16}))
    with pytest.raises(UserError, match=r"same space\.drawn\.hidden: .* asked for nothing"):
        check_record(narrower, resume=True)


def test_a_folder_that_holds_a_search_is_not_searched_again(request_here):
    write_record(request_here, {})
    with pytest.raises(UserError, match="holds a search already; continue it with --resume"):
        check_record(request_here, resume=False)


@pytest.mark.parametrize("resume", [False, True])
@pytest.mark.parametrize(
    "name", ["best.json", "tune/tuner.pkl", "snapshot.zip", "stage1_target/tune/tuner.pkl"]
)
def test_what_a_search_left_is_not_used_without_its_study(request_here, tmp_path, name, resume):
    (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / name).write_text("{}")
    with pytest.raises(UserError, match=f"{tmp_path}: .* is there without study.json") as caught:
        check_record(request_here, resume)
    assert "\n" not in str(caught.value)


def test_finished_first_stages_may_be_there_before_the_search(request_here, tmp_path):
    (tmp_path / "stage1_target").mkdir()
    (tmp_path / "stage1_target" / "best.json").write_text("{}")
    check_record(request_here, resume=True)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"seed": "0"}, "seed must be a valid integer, but got '0'"),
        ({"budget": "large"}, "budget must be .*, but got 'large'"),
        ({"budget": {"trials": 0}}, "budget.trials must be greater than or equal to 1, but got 0"),
        ({"train": 70}, "train must be 90 or 80, but got 70"),
        ({"space": None}, "space must be an object, but got None"),
        ({"stage1": {"drawn": {"a": 1}, "fixed": {}, "start": {}}}, "a must be a distribution of"),
        ({"more": 1}, "has no field 'more'"),
        ({"code": "c"}, "code must be a valid array, but got 'c'"),
    ],
)
def test_a_record_of_another_form_is_reported_with_its_field(request_here, tmp_path, change, words):
    write_record(request_here, {})
    path = tmp_path / "study.json"
    study = json.loads(path.read_text())
    path.write_text(json.dumps({**study, **change}))
    with pytest.raises(UserError, match=f"{path}: .*{words}"):
        check_record(request_here, resume=True)


@pytest.mark.parametrize("content", [b"", b"null", b"[]", b"\xff\x00", b"[" * 10**5, None])
def test_a_damaged_record_is_reported_in_one_line(request_here, tmp_path, content):
    path = tmp_path / "study.json"
    path.mkdir() if content is None else path.write_bytes(content)
    with pytest.raises(UserError, match=f"{path}: (is not JSON|must be an|cannot be)") as caught:
        check_record(request_here, resume=True)
    assert "\n" not in str(caught.value)


def test_foreign_files_at_a_uri_are_reported_by_their_uri(request_here, tmp_path):
    bucket = tmp_path / "bucket"
    other = replace(request_here, seed=1, folder=bucket, storage=str(bucket))
    write_record(other, {})
    here = replace(request_here, folder=tmp_path / "scratch", storage=bucket.as_uri())
    storage.fetch(here.storage, here.folder)
    with pytest.raises(UserError, match=f"^{here.storage}/study.json: .* the same --seed"):
        check_record(here, resume=True)
    (bucket / "study.json").rename(bucket / "best.json")
    (here.folder / "study.json").unlink()
    storage.fetch(here.storage, here.folder)
    with pytest.raises(UserError, match=rf"^{here.storage}: best\.json is there without study"):
        check_record(here, resume=True)
