"""A model folder is whole or refused in one line, and needs nothing beside it."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file, save_file

import darec
from darec.api.fit import refresh_cards
from darec.evaluation import kept
from darec.files import digest_of
from darec.models import MODELS
from darec.serving.card import Card, TestScore, readme
from darec.serving.folder import CARD, FILES, README, read_card
from darec.serving.format1 import of_format1
from tests.evaluation.made import score_of
from tests.serving.conftest import searched

V1 = Path(__file__).parent / "format1"
"""A folder that the first release wrote, and what it predicted."""


@pytest.fixture(scope="module")
def result(tiny_pair, tmp_path_factory):
    return searched("i_darec", tiny_pair, tmp_path_factory.mktemp("out"))


@pytest.fixture(scope="module")
def written(result, tiny_pair):
    return Path(result.fit(tiny_pair, refit="train"))


@pytest.fixture
def folder(written, tmp_path):
    """A copy in another place."""
    return Path(shutil.copytree(written, tmp_path / "elsewhere"))


def changed(folder, **values):
    path = folder / CARD
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def test_a_folder_has_these_files_and_can_be_moved(folder, written, tiny_pair):
    assert {path.name for path in folder.iterdir()} == {*FILES, CARD, README}
    assert not list(written.parent.glob(".model*"))
    pair = list(tiny_pair.user_ids[:9]), list(tiny_pair.target_item_ids[:9])
    np.testing.assert_array_equal(
        darec.load(folder).predict(*pair), darec.load(written).predict(*pair)
    )


def test_first_stages_are_kept_and_not_trained_again(folder, monkeypatch):
    from darec.models import autorec

    monkeypatch.setattr(autorec.AutoRec, "train_epoch", None)
    darec.load(folder)


def test_loading_fits_nothing(folder, written, monkeypatch):
    from darec.core import cold, hierarchical, mixed_model

    user = str(pq.read_table(written / "users.parquet")["id"][0])
    expected = darec.load(written).predict([user], ["nothing"], return_std=True)
    monkeypatch.setattr(hierarchical, "_known", {})
    for owner, name in (
        (hierarchical, "fit_effects"),
        (mixed_model, "fit_effects"),
        (cold, "Bias"),
    ):
        monkeypatch.setattr(owner, name, None)
    model = darec.load(folder)
    np.testing.assert_array_equal(model.predict([user], ["nothing"], return_std=True), expected)


def test_biases_of_other_ratings_are_refused(folder, monkeypatch):
    weights = load_file(folder / "model.safetensors")
    short = {"hierarchical.user": weights["hierarchical.user"][:-1].clone()}
    save_file({**weights, **short}, folder / "model.safetensors")
    files = json.loads((folder / CARD).read_text())["files"]
    digest = digest_of(folder / "model.safetensors")
    changed(folder, files={**files, "model.safetensors": digest})
    with pytest.raises(
        darec.UserError, match=r"do not fit each other: the hierarchical biases are"
    ):
        darec.load(folder)


def test_a_config_of_the_first_format_keeps_its_meaning():
    """It lacks what came later, which then has the value of that time and not today's default."""
    first = {"axis": "user", "center": "bias"}
    whole = {"axis": "user", "center": "bias", "activation": "sigmoid", "trains_on": "target"}
    assert of_format1(MODELS["u_autorec"], first) == whole
    given = {"autorec": first, "autorec_source": None, "beta": 0.5}
    expected = {"autorec": whole, "autorec_source": None, "beta": 0.5, "head": "plain"}
    assert of_format1(MODELS["u_darec"], given) == expected
    kept = {**expected, "autorec_source": {**whole, "activation": "tanh"}, "head": "residual"}
    assert of_format1(MODELS["u_darec"], kept) == kept
    assert of_format1(MODELS["bias"], {"reg_user": 1.0}) == {"reg_user": 1.0}
    assert of_format1(MODELS["i_cf_nade"], {"hidden": 3}) == {"hidden": 3, "center": "none"}


def test_a_folder_of_the_first_release_still_says_the_same():
    expected = pq.read_table(V1 / "predictions.parquet").to_pandas()
    model = darec.load(V1 / "model")
    assert (model.card.format, model.card.cold) == (1, "fallback")
    found = model.predict(expected[["user", "item"]])["prediction"]
    np.testing.assert_allclose(found, expected["prediction"], atol=1e-5)


@pytest.mark.parametrize("name", sorted(FILES))
@pytest.mark.parametrize("damage", ["missing", "cut", "bit", "folder"])
def test_a_damaged_file_is_named(folder, name, damage):
    path = folder / name
    content = path.read_bytes()
    path.unlink()
    if damage == "folder":
        path.mkdir()
    elif damage != "missing":
        middle = len(content) // 2
        flipped = bytes([content[middle] ^ 1]) + content[middle + 1 :]
        path.write_bytes(content[:middle] + (b"" if damage == "cut" else flipped))
    with pytest.raises(darec.UserError) as raised:
        darec.load(folder)
    said = str(raised.value)
    assert said.startswith(f"{path}: ") and "\n" not in said and said.endswith("(darec fit)")


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"format": 3}, "a later version of darec wrote it (format 3, this one reads 2); update"),
        ({"format": "1"}, "format must be 1 or 2, but got '1'"),
        ({"extra": 1}, "has no field 'extra'"),
        ({"files": {"../../etc/passwd": "0" * 64}}, "files must be exactly those of a folder"),
        ({"model": "nothing"}, "there is no model 'nothing'"),
        ({"config": {"hidden": -1}}, "do not fit each other"),
        ({"valid_rmse": float("nan")}, "valid_rmse"),
        ({"format": 1}, None),
        ({"seed": 1}, None),
    ],
)
def test_a_card_that_is_newer_foreign_or_wrong_is_one_line(folder, values, words):
    changed(folder, **values)
    if words is None:  # the seed decides nothing that was kept, nor does the format
        darec.load(folder)
        return
    with pytest.raises(darec.UserError) as raised:
        darec.load(folder)
    assert words in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b'{"format": 1}', b"[" * 100000]
)
def test_a_damaged_card_is_named(folder, content):
    (folder / CARD).write_bytes(content)
    with pytest.raises(darec.UserError, match=r"model\.json: "):
        darec.load(folder)


def test_another_folder_is_no_model(tmp_path):
    for place in (tmp_path, tmp_path / "nothing"):
        with pytest.raises(darec.UserError, match=r"no model folder, since it has no model\.json"):
            darec.load(place)


def test_parts_of_two_models_do_not_fit(folder, tiny_pair, tmp_path):
    other = Path(searched("u_autorec", tiny_pair, tmp_path).fit(tiny_pair, refit="train"))
    shutil.copy(other / "model.safetensors", folder)
    files = json.loads((folder / CARD).read_text())["files"]
    theirs = json.loads((other / CARD).read_text())["files"]
    changed(folder, files={**files, "model.safetensors": theirs["model.safetensors"]})
    with pytest.raises(darec.UserError, match="its parts do not fit each other"):
        darec.load(folder)


def test_ids_that_occur_twice_are_reported(folder):
    users = pq.read_table(folder / "users.parquet")["id"].to_pylist()
    pq.write_table(pa.table({"id": [users[1], *users[1:]]}), folder / "users.parquet")
    files = json.loads((folder / CARD).read_text())["files"]
    changed(folder, files={**files, "users.parquet": digest_of(folder / "users.parquet")})
    with pytest.raises(darec.UserError, match=r"each user must have one id of its own"):
        darec.load(folder)


def test_a_folder_that_is_no_model_is_not_replaced(result, tiny_pair, tmp_path):
    other = searched("mean", tiny_pair, tmp_path)
    place = other.folder / "model"
    place.mkdir()
    (place / "mine.txt").write_text("mine")
    with pytest.raises(darec.UserError, match=r"must be absent or a model folder"):
        other.fit(tiny_pair, refit="train")
    assert (place / "mine.txt").read_text() == "mine"


def test_fit_needs_the_pair_and_the_weights_of_the_search(tiny_pair, tmp_path):
    result = searched("bias", tiny_pair, tmp_path)
    with pytest.raises(darec.UserError, match=r"give the pair: fit\("):
        result.fit()
    shuffled = replace(tiny_pair, target=tiny_pair.target.take(np.arange(1000)))
    with pytest.raises(darec.UserError, match="not those the search saw"):
        result.fit(shuffled, refit="train")
    with pytest.raises(darec.UserError, match="--refit must be one of train, all"):
        darec.fit(result, tiny_pair, refit="some")
    weights = result.folder / "best.safetensors"
    weights.write_bytes(weights.read_bytes() + b" ")
    with pytest.raises(darec.UserError, match=r"best\.safetensors: its SHA-256 is not the one"):
        result.fit(tiny_pair, refit="train")


def test_the_card_has_the_scores_of_an_evaluation_and_says_whose_they_are(tiny_pair, tmp_path):
    result = searched("bias", tiny_pair, tmp_path)
    folder = Path(result.fit(tiny_pair, refit="train"))
    assert read_card(folder).scores == []
    assert "was not evaluated" in (folder / README).read_text()
    best = result.best
    same = ("model", "pair", "train", "config", "data_digest", "max_epochs", "epoch")
    values = {name: getattr(best, name) for name in same}
    values |= {"bias_rmse": 1.5, "beats_bias": True}
    scores = [
        score_of(**values, run_seed=seed, split_seed=seed, test_rmse=rmse)
        for seed, rmse in ((0, 1.0), (1, 1.2))
    ]
    foreign = replace(scores[0], config={"reg_user": 1.0}, split_seed=7)
    refit = replace(scores[0], refit=True, split_seed=8)
    kept.append(result.root / "scores.jsonl", [*scores, foreign, refit])
    refresh_cards([result])
    (found,) = read_card(folder).scores
    assert (found.cold, found.seeds, found.test_rmse) == ("hierarchical", 2, pytest.approx(1.1))
    assert found.spread == pytest.approx(0.2 / 2**0.5)
    assert (
        "| hierarchical | 1.1000 | 0.1414 | 2 | 0.9500 | 1.5000 |" in (folder / README).read_text()
    )
    again = darec.load(darec.fit(result, tiny_pair, refit="all")).card
    assert again.scores == [found]
    assert "was not scored" in (folder / README).read_text()
    darec.load(folder)  # the card is no part of what its digests protect


def test_a_model_at_a_uri_is_loaded(tiny_pair, tmp_path):
    result = searched("u_darec", tiny_pair, tmp_path / "bucket")
    at_uri = darec.load_result(result.folder.as_uri())
    place = at_uri.fit(tiny_pair, refit="train")
    assert place == f"{result.folder.as_uri()}/model"
    (item,) = darec.load(place).recommend([tiny_pair.user_ids[0]], n=1)["item"]
    assert item in set(tiny_pair.target_item_ids)
    again = darec.load_result(result.folder.as_uri())
    assert not (again.folder / "model" / "model.safetensors").exists()
    assert (again.folder / "model" / CARD).exists()


def test_the_words_of_a_card(folder):
    card = read_card(folder)
    one = replace(card, scores=[TestScore("floor", 1, 0.9, None, 1.0, 1.1)])
    assert isinstance(card, Card) and "| floor | 0.9000 | - | 1 |" in readme(one)
    assert "personal data" in readme(card) and "every rating" in readme(replace(card, refit="all"))


@pytest.mark.parametrize("name", ["model.safetensors", "ratings.safetensors", "users.parquet"])
def test_a_file_that_is_none_of_its_kind_is_one_line_though_its_digest_is_right(folder, name):
    (folder / name).write_bytes(b"noise" * 20)
    files = json.loads((folder / CARD).read_text())["files"]
    changed(folder, files={**files, name: digest_of(folder / name)})
    with pytest.raises(darec.UserError, match="do not fit each other") as raised:
        darec.load(folder)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"highest": 10.0}, "from 1 to 10, but they are 1 to 5"),
        ({"counts": {"users": 3}}, "tells of Counts"),
    ],
)
def test_a_card_of_other_data_is_reported(folder, values, words):
    counts = json.loads((folder / CARD).read_text())["counts"]
    values = {k: {**counts, **v} if k == "counts" else v for k, v in values.items()}
    changed(folder, **values)
    with pytest.raises(darec.UserError, match=words):
        darec.load(folder)


def test_ids_must_be_strings(folder):
    pq.write_table(pa.table({"id": [1, 2]}), folder / "users.parquet")
    files = json.loads((folder / CARD).read_text())["files"]
    changed(folder, files={**files, "users.parquet": digest_of(folder / "users.parquet")})
    with pytest.raises(darec.UserError, match=r"users\.parquet must have strings only"):
        darec.load(folder)


def test_a_model_in_use_does_not_change_when_its_files_are_overwritten(folder, tiny_pair):
    """Weights that were mapped from the file would change with it."""
    model = darec.load(folder)
    users, items = tiny_pair.user_ids[:20], tiny_pair.target_item_ids[:20]
    before = model.predict(users, items)
    for path in folder.glob("*.safetensors"):
        with path.open("r+b") as file:
            file.write(bytes(path.stat().st_size))
    np.testing.assert_array_equal(model.predict(users, items), before)
