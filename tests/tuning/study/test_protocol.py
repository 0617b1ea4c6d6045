import csv
import json
from dataclasses import replace
from shutil import copytree, rmtree

import pandas as pd
import pytest
from safetensors.torch import load_file

from darec.core.config import parse
from darec.core.fit import Fit
from darec.core.recommender import MemoryCache, Run
from darec.data.holdout import Holdout
from darec.data.split import split
from darec.errors import UserError
from darec.files import digest_of
from darec.models import MODELS
from darec.models.best import read_best
from darec.seeds import derive
from darec.tuning.cluster.shares import Slots
from darec.tuning.study import protocol, record
from darec.tuning.study.identity import load_best
from darec.tuning.study.model_code import code_of
from darec.tuning.study.plan import describe
from darec.tuning.study.protocol import Protocol, check_finished
from darec.tuning.study.record import check_record
from darec.tuning.study.request import Budget, middle
from darec.tuning.study.rows import TrialRow
from darec.tuning.study.study import Settings
from darec.tuning.trial.names import flatten
from tests.reporting import Recorder
from tests.tuning.common import request_for

DOMAINS = ("target", "source")
SETTINGS = Settings("tpe", "asha", 4, Slots(1.0, 0.0, 2), 0, MemoryCache())


def search(request, settings, resume):
    """Check the folder and run all studies of a request, as the Python API does."""
    check_record(request, resume)
    published, finished = [], (request.folder / "best.json").exists()
    best = Protocol(request, settings, resume, lambda: published.append(True)).run({})
    assert bool(published) is not finished
    return best


@pytest.mark.parametrize("model", ["i_autorec", "u_darec"])
def test_the_winner_is_the_lowest_row_with_the_weights_of_that_row(
    model, tiny_pair, settings, tmp_path
):
    request, told = request_for(model, tiny_pair, tmp_path / "study"), Recorder()
    settings = replace(settings, reporter=told)
    best = search(request, settings, resume=False)
    folder = request.folder
    assert best == load_best(folder)
    rows = pd.concat(
        pd.read_csv(path, usecols=["valid_rmse"]) for path in folder.glob("tune/*/progress.csv")
    )
    assert best.valid_rmse == pytest.approx(rows["valid_rmse"].min(), abs=1e-12)
    config = parse(MODELS[model].config, best.config)
    run = Run(derive(0, "run"))
    fit = Fit(MODELS[model].build(config, request.data.training, run), request.data)
    fit.model.load_weights(load_file(folder / "best.safetensors"))
    assert fit.validate() == pytest.approx(best.valid_rmse, abs=1e-6)
    with (folder / "trials.csv").open() as file:
        table = list(csv.DictReader(file))
    assert len(table) == 6 and float(table[0]["best_valid_rmse"]) == best.valid_rmse
    study = json.loads((folder / "study.json").read_text())
    assert study["data_digest"] == tiny_pair.digest and study["revision"]
    assert not list(folder.rglob("checkpoint_*"))
    stages = [line for line in told.lines if line.startswith("Stage ")]
    assert len(stages) == (3 if model == "u_darec" else 0)
    if model == "u_darec":
        target, source = (read_best(folder / f"stage1_{domain}") for domain in DOMAINS)
        assert source.config["hidden"] == target.config["hidden"]
        assert best.config["autorec"] == {**target.config, "epochs": target.epoch}
        assert best.config["autorec_source"] == {**source.config, "epochs": source.epoch}
        assert best.stage1_valid_rmse == pytest.approx(target.valid_rmse, abs=1e-6)
    with pytest.raises(UserError, match="holds a search already"):
        search(request, settings, resume=False)
    assert search(request, settings, resume=True) == best
    other = replace(request, budget=Budget(5, 2, 4, None))
    with pytest.raises(UserError, match="--resume needs the same --trials"):
        search(other, settings, resume=True)


@pytest.fixture
def studies(monkeypatch, tmp_path):
    """The studies that a protocol runs, each of which at once finds a winner of two epochs."""
    ran = []

    def run(study, settings, resume):
        ran.append(study)
        return [TrialRow(f"t{len(ran)}", "completed", 4, 2, 0.9, flatten(middle(study)))]

    def save(study, row, settings):
        (study.folder / "best.safetensors").write_text(row.trial_id)
        return digest_of(study.folder / "best.safetensors")

    monkeypatch.setattr(protocol, "run_study", run)
    monkeypatch.setattr(protocol, "save_weights", save)
    return ran


def test_stage_1_is_searched_on_target_and_source_and_frozen(studies, tiny_pair, tmp_path):
    request = request_for("i_darec", tiny_pair, tmp_path)
    request = replace(request, budget=Budget(6, 2, 4, time_budget=100.0))
    search(request, SETTINGS, resume=False)
    target, source, second = studies
    assert [study.model for study in studies] == ["i_autorec", "i_autorec", "i_darec"]
    assert [study.trials for study in studies] == [2, 2, 6]
    assert [study.time_budget for study in studies] == [25.0, 25.0, 50.0]
    assert [study.folder.name for study in (target, source)] == ["stage1_target", "stage1_source"]
    assert target.data is request.data and second.data is request.data
    assert list(target.to_beat) == list(second.to_beat) == ["bias", "hierarchical_bias"]
    assert target.to_beat == second.to_beat != source.to_beat
    assert source.data.training.target is request.data.training.source
    first = read_best(target.folder)
    for name in ("hidden", "center"):  # the source keeps the target's
        assert name in target.space and name not in source.space
        assert source.fixed[name] == first.config[name]
    assert second.fixed["autorec"] == {**first.config, "epochs": 2}
    assert second.fixed["autorec_source"]["epochs"] == 2
    (target.folder.parent / "best.json").unlink()
    search(request, SETTINGS, resume=True)  # what is finished is not run again
    assert studies[3:] == [second]


def test_winners_of_earlier_searches_are_tried_first_where_they_fit(studies, tiny_pair, tmp_path):
    request = request_for("i_darec", tiny_pair, tmp_path)
    first = {**middle(request.stage1), "hidden": 20}
    wide = {**first, "hidden": 10_000}  # this space does not draw it
    other = {**flatten(middle(request.space)), "beta": 0.25}
    many = [{**other, "mu": float(mu)} for mu in range(1, 9)]
    winners = {"i_autorec": [wide, first, first], "i_darec": many, "cmf": [{"rank": 3}]}
    search(replace(request, winners=winners), SETTINGS, resume=False)
    target, source, second = studies
    assert target.known.winners == [{n: first[n] for n in target.space}]
    assert set(source.known.winners[0]) == set(source.space)
    assert [each["mu"] for each in second.known.winners] == [1.0, 2.0]  # a third of six trials
    again = replace(request, folder=tmp_path / "x", storage=str(tmp_path / "x"))
    search(again, SETTINGS, resume=False)
    assert [study.known for study in studies[3:]] == [([], []), ([], []), ([], [])]


def test_the_users_own_winners_come_first_and_a_portfolio_last(studies, tiny_pair, tmp_path):
    request = request_for("i_autorec", tiny_pair, tmp_path)
    drawn = {name: middle(request.space)[name] for name in request.space.space}
    own, *others = [{**drawn, "alpha": 1e-4 * n} for n in range(1, 6)]
    request = replace(
        request,
        space=replace(request.space, portfolio=[{**own, "alpha": 1e9}, others[0], own, *others]),
        winners={"i_autorec": [own]},
        budget=replace(request.budget, trials=9),
    )
    search(request, SETTINGS, resume=False)
    (study,) = studies
    assert study.known == ([own], others[:2])  # a third of nine trials
    words = ", first 1 from earlier searches, then 2 of a portfolio"
    assert words in "\n".join(describe(request, SETTINGS))


def test_stage_1_is_searched_on_training_users_in_the_cold_user_task(studies, tiny_pair, tmp_path):
    cold = split(tiny_pair, Holdout(cold_users=20)).search
    request = replace(request_for("u_darec", tiny_pair, tmp_path), data=cold)
    search(request, SETTINGS, resume=False)
    target, source, second = studies
    users = set(cold.training.target.users.tolist())
    assert second.data is cold and read_best(second.folder).cold_users == 20
    assert set(target.data.valid.users.tolist()) <= users
    assert len(target.data.valid) + len(target.data.training.target) == len(cold.training.target)
    assert source.data.valid is cold.valid_source
    assert source.data.training.target is cold.training.source
    assert target.data.cold_users is source.data.cold_users is None


def test_a_one_stage_model_is_one_study(studies, tiny_pair, tmp_path):
    request = request_for("i_autorec", tiny_pair, tmp_path)
    best = search(request, SETTINGS, resume=False)
    (study,) = studies
    assert study.folder == request.folder and study.time_budget is None
    assert best.epoch == 2 and best.trials == 1


def test_a_first_stage_of_other_ratings_is_not_used(studies, tiny_pair, tmp_path):
    """The pairs have the same name."""
    other = replace(tiny_pair, target=tiny_pair.source, target_item_ids=tiny_pair.source_item_ids)
    there = request_for("u_darec", other, tmp_path / "there")
    here = request_for("u_darec", tiny_pair, tmp_path / "here")
    search(there, SETTINGS, resume=False)
    copytree(there.folder / "stage1_target", here.folder / "stage1_target")
    words = f"{here.folder}/stage1_target/best.json: data_digest is {other.digest}, but the search"
    with pytest.raises(UserError, match=words):
        search(here, SETTINGS, resume=True)
    assert len(studies) == 3


def test_a_first_stage_of_the_other_domain_is_not_used(studies, tiny_pair, tmp_path):
    request = request_for("u_darec", tiny_pair, tmp_path)
    search(request, SETTINGS, resume=False)
    (request.folder / "best.json").unlink()
    rmtree(request.folder / "stage1_target")
    copytree(request.folder / "stage1_source", request.folder / "stage1_target")
    with pytest.raises(UserError, match=r"stage1_target/best.json: space\.drawn\.hidden is None"):
        search(request, SETTINGS, resume=True)


@pytest.mark.parametrize("finished", [True, False])
def test_a_winner_on_another_first_stage_is_not_used(studies, tiny_pair, tmp_path, finished):
    """Its config holds the first stage's winner fixed."""
    request = request_for("u_darec", tiny_pair, tmp_path)
    search(request, SETTINGS, resume=False)
    path = request.folder / "stage1_target" / "best.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "epoch": 1}))
    words = r"stage1_target/trials.csv: best_epoch must begin with 1 as in best.json, but .* with 2"
    with pytest.raises(UserError, match=words):
        search(request, SETTINGS, resume=True)
    table = pd.read_csv(path.with_name("trials.csv")).assign(best_epoch=1)
    table.to_csv(path.with_name("trials.csv"), index=False)
    words = r"best.json: space\.fixed\.autorec\.epochs is 2, but the search asks for 1"
    with pytest.raises(UserError, match=words):
        check_finished(request) if finished else search(request, SETTINGS, resume=True)
    assert len(studies) == 3


def test_a_finished_search_needs_its_first_stages(studies, tiny_pair, tmp_path):
    request = request_for("u_darec", tiny_pair, tmp_path)
    best = search(request, SETTINGS, resume=False)
    assert check_finished(request) == best == load_best(request.folder)
    rmtree(request.folder / "stage1_source")
    with pytest.raises(UserError, match=r"stage1_source/best\.json: no finished search here"):
        search(request, SETTINGS, resume=True)
    assert len(studies) == 3


def test_a_first_stage_of_other_code_is_used_and_the_winner_names_both(
    studies, tiny_pair, tmp_path, monkeypatch, caplog
):
    there = request_for("u_darec", tiny_pair, tmp_path / "there")
    here = replace(there, folder=tmp_path / "here", storage=str(tmp_path / "here"))
    with monkeypatch.context() as patch:
        patch.setattr(record, "code_of", lambda kind: "older")
        assert search(there, SETTINGS, resume=False).code == ["older"]
    copytree(there.folder / "stage1_target", here.folder / "stage1_target")
    best = search(here, SETTINGS, resume=True)
    assert best.code == [code_of(here.kind), "older"] and len(studies) == 5
    (warning,) = caplog.messages
    assert warning.startswith(f"{here.folder}/stage1_target/best.json: other code ran this study")


def test_trials_of_another_study_are_not_used(studies, tiny_pair, tmp_path, monkeypatch):
    """Somebody put Tune's folder of another study in the place of this one's."""
    config = {"axis": "item", "hidden": 999}
    rows = [TrialRow("t1", "completed", 4, 2, 0.9, config)]
    monkeypatch.setattr(protocol, "run_study", lambda *_: rows)
    request = request_for("i_autorec", tiny_pair, tmp_path)
    with pytest.raises(UserError, match=r"/tune: this is of another study: .* in trial t1"):
        search(request, SETTINGS, resume=False)
    assert not (tmp_path / "best.json").exists()
