"""The routes of the service, without Ray: good answers, and every kind of refusal."""

import json
import logging

import numpy as np
import pytest
from fastapi.testclient import TestClient

import darec
from darec.errors import UserError
from darec.serving import messages as m
from darec.serving.answers import Answers
from darec.serving.app import make_app
from tests.serving.conftest import searched
from tests.serving.in_process import InProcess

JSON = {"content-type": "application/json"}
POSTS = ("/predict", "/recommend", "/fold-in")


@pytest.fixture(scope="module")
def model(tiny_pair, tmp_path_factory):
    folder = searched("cmf", tiny_pair, tmp_path_factory.mktemp("out")).fit(
        tiny_pair, refit="train"
    )
    return darec.load(folder)


@pytest.fixture(scope="module")
def answers(model):
    return Answers(model, "1" * 64)


@pytest.fixture(scope="module")
def client(answers):
    service = InProcess(answers)
    return TestClient(make_app(lambda: service))


def refused(response, status=422):
    """Return the sentence of a refusal."""
    assert response.status_code == status
    assert response.json().keys() == {"detail"}
    assert "Traceback" not in response.text and "\n" not in response.json()["detail"]
    return response.json()["detail"]


def test_predictions_are_those_of_the_model_in_the_order_of_the_pairs(client, model):
    users = [*model.user_ids.ids[:3], "nobody"]
    items = [*model.item_ids.ids[2:5], "nothing"]
    pairs = [{"user": user, "item": item} for user, item in zip(users, items, strict=True)]
    answer = client.post("/predict", json={"pairs": pairs}).json()
    assert answer["model"] == "1" * 64
    np.testing.assert_array_equal(np.float32(answer["predictions"]), model.predict(users, items))


def test_standard_deviations_are_answered_where_they_are_asked_for(client, model):
    user, items = model.user_ids.ids[0], list(model.item_ids.ids[2:5])
    asked = {"pairs": [{"user": user, "item": item} for item in items]}
    assert client.post("/predict", json=asked).json()["std"] is None
    answer = client.post("/predict", json={**asked, "std": True}).json()
    stars, std = model.predict([user] * 3, items, return_std=True)
    np.testing.assert_array_equal(np.float32(answer["predictions"]), stars)
    np.testing.assert_array_equal(np.float32(answer["std"]), std)
    rated = [{"item": items[0], "rating": 4.0}]
    options = {"items": items, "n": 2, "lower_bound": 2.0}
    folded = client.post("/fold-in", json={"target": rated, "std": True, **options}).json()
    new = model.fold_in(target=[(items[0], 4.0)])
    np.testing.assert_array_equal(np.float32(folded["std"]), new.std_J[2:5])
    best = model.recommend(new, 2, lower_bound=2.0)
    assert [each["item"] for each in folded["recommendations"]] == list(best["item"])
    plain = client.post("/fold-in", json={"target": rated, "items": items}).json()
    assert plain["std"] is None


@pytest.mark.parametrize(("exclude_seen", "lower_bound"), [(True, 0.0), (False, 0.0), (True, 1.5)])
def test_recommendations_are_those_of_the_model(client, model, exclude_seen, lower_bound):
    users = [model.user_ids.ids[4], model.user_ids.ids[0]]
    options = {"exclude_seen": exclude_seen, "lower_bound": lower_bound}
    answer = client.post("/recommend", json={"users": users, "n": 7, **options}).json()
    answer = answer["recommendations"]
    rows = model.recommend(users, 7, **options)
    assert [one["user"] for one in answer] == users
    assert [best["item"] for one in answer for best in one["items"]] == list(rows["item"])
    scores = [best["score"] for one in answer for best in one["items"]]
    np.testing.assert_array_equal(np.float32(scores), np.float32(rows["score"]))


def test_a_person_who_was_not_in_the_data_is_folded_in(client, model):
    source = [(item, 5.0) for item in model.source_item_ids.ids[:3]]
    items = list(model.item_ids.ids[:4])
    asked = {
        "source": [{"item": item, "rating": rating} for item, rating in source],
        "items": items,
        "n": 3,
    }
    answer = client.post("/fold-in", json=asked).json()
    user = model.fold_in(source)
    np.testing.assert_array_equal(
        np.float32(answer["predictions"]), model.predict([user] * 4, items)
    )
    rows = model.recommend([user], 3)
    assert [best["item"] for best in answer["recommendations"]] == list(rows["item"])


def test_the_card_the_health_and_the_page_of_the_requests(client, model):
    answer = client.get("/model").json()
    assert answer["model"] == "1" * 64 and answer["card"]["model"] == model.card.model
    assert client.get("/healthz").json() == {"model": "1" * 64}
    assert set(client.get("/openapi.json").json()["paths"]) == {*POSTS, "/model", "/healthz"}
    assert client.get("/docs").status_code == 200


@pytest.mark.parametrize(
    ("path", "asked", "words"),
    [
        ("/predict", {}, "body.pairs is missing"),
        ("/predict", {"pairs": []}, "body.pairs must"),
        ("/predict", {"pairs": [{"user": 3, "item": "i"}]}, "body.pairs.0.user must be a valid"),
        ("/predict", {"pairs": [{"user": "u"}]}, "body.pairs.0.item is missing"),
        ("/predict", {"pairs": [{"user": "u", "item": "i", "n": 1}]}, "has no field 'n'"),
        ("/predict", [], "body must be a valid dictionary"),
        ("/predict", {"pairs": [{"user": "u" * 257, "item": "i"}]}, "at most 256 characters"),
        ("/predict", {"pairs": [{"user": "u", "item": "i"}] * 1001}, "at most 1000 items"),
        ("/predict", {"pairs": [{"user": "u", "item": "i"}], "unknown": "x"}, "'cold' or 'raise'"),
        ("/predict", {"pairs": [{"user": "u", "item": "?"}], "unknown": "raise"}, "item '?' is"),
        ("/recommend", {"users": ["?"], "unknown": "raise"}, "user '?' is not in the model's data"),
        ("/recommend", {"users": ["u"] * 101}, "at most 100 items"),
        ("/recommend", {"users": ["u"], "n": 0}, "body.n must be greater than or equal to 1"),
        ("/recommend", {"users": ["u"], "n": 501}, "body.n must be less than or equal to 500"),
        ("/recommend", {"users": ["u"], "n": 2.5}, "body.n must be a valid integer"),
        ("/recommend", {"users": ["u"], "n": True}, "body.n must be a valid integer"),
        ("/recommend", {"users": "u"}, "body.users must be a valid list"),
        ("/recommend", {"users": ["u"], "lower_bound": -1}, "greater than or equal to 0"),
        ("/predict", {"pairs": [{"user": "u", "item": "i"}], "std": 1}, "must be a valid boolean"),
        ("/fold-in", {"source": [{"item": "i", "rating": "5"}]}, "rating must be a valid number"),
        ("/fold-in", {"target": [{"item": "?", "rating": 5}]}, "item '?' is not in the model's"),
    ],
)
def test_a_wrong_request_gets_one_line_that_names_the_field(client, path, asked, words):
    assert words in refused(client.post(path, json=asked))


def test_a_rating_outside_the_scale_is_one_line(client, model):
    rated = [{"item": model.item_ids.ids[0], "rating": 9}]
    told = refused(client.post("/fold-in", json={"target": rated}))
    assert told.endswith("must lie between 1 and 5, but got 9.0")


def test_half_a_surrogate_pair_is_no_id(client):
    response = client.post("/recommend", content=json.dumps({"users": ["\ud800"]}), headers=JSON)
    assert "body.users.0 must be a valid string" in refused(response)


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize(
    ("body", "headers", "words"),
    [
        (b"", JSON, "body is missing"),
        (b'{"pairs": [', JSON, "the body is not JSON: Expecting value, at character 11"),
        (b"{}", {"content-type": "text/plain"}, "content-type: application/json"),
        (b"\xff\xfe{}", JSON, "the body"),
        (b"[" * 100_000, JSON, "the body"),
        (b'{"n": NaN}', JSON, "body"),
        (b'{"n": 1e999}', JSON, "body"),
    ],
)
def test_a_malformed_body_gets_one_line(client, path, body, headers, words):
    assert words in refused(client.post(path, content=body, headers=headers))


@pytest.mark.parametrize("path", POSTS)
@pytest.mark.parametrize("told", [True, False])
def test_a_body_that_is_too_large_is_not_read_to_its_end(client, path, told):
    read = 0

    def parts():
        nonlocal read
        for _ in range(100):
            read += 1
            yield b" " * (m.MOST_BYTES // 10)

    length = {"content-length": str(m.MOST_BYTES * 10)} if told else {}
    response = client.post(path, content=parts(), headers={**JSON, **length})
    assert f"at most {m.MOST_BYTES} bytes" in refused(response, 413)


def test_the_largest_request_that_the_fields_allow_is_not_too_large_for_the_body():
    longest = "x" * m.LONGEST_ID
    rating = m.Rating(item=longest, rating=3.5)
    many = m.FoldInRequest(
        source=[rating] * m.MOST_IDS, target=[rating] * m.MOST_IDS, items=[longest] * m.MOST_IDS
    )
    pairs = m.PredictRequest(pairs=[m.Pair(user=longest, item=longest)] * m.MOST_IDS)
    assert max(len(one.model_dump_json()) for one in (many, pairs)) < m.MOST_BYTES


@pytest.mark.parametrize(("path", "method"), [("/predict", "GET"), ("/model", "POST")])
def test_another_method_is_refused(client, path, method):
    assert refused(client.request(method, path), 405) == "Method Not Allowed"


def test_an_unknown_page_is_refused(client):
    assert refused(client.get("/models"), 404) == "Not Found"


def test_an_unexpected_failure_is_a_sentence_here_and_a_traceback_in_the_log(caplog):
    class Broken(InProcess):
        async def predict(self, asked):
            raise ZeroDivisionError("secret")

    client = TestClient(make_app(lambda: Broken(None)), raise_server_exceptions=True)
    with caplog.at_level(logging.ERROR, "darec"):
        response = client.post("/predict", json={"pairs": [{"user": "u", "item": "i"}]})
    assert refused(response, 500) == "the service failed at this request; its log says why"
    assert "ZeroDivisionError: secret" in caplog.text


def test_requests_that_are_answered_together_get_what_each_would_get_alone(answers, model):
    users = [*model.user_ids.ids[:5], "nobody"]
    asked = [
        m.RecommendRequest(users=users[k : k + 2], n=1 + k % 2, unknown=unknown)
        for k in range(5)
        for unknown in ("cold", "raise")
    ]
    together = answers.recommend(asked)
    alone = [answers.recommend([one])[0] for one in asked]
    refusals = [k for k, answer in enumerate(together) if isinstance(answer, UserError)]
    assert refusals == [9] and "nobody" in str(together[9])
    assert together[:9] == alone[:9]
    pairs = [
        m.PredictRequest(pairs=[m.Pair(user=user, item=model.item_ids.ids[0])] * (1 + k))
        for k, user in enumerate(users)
    ]
    assert answers.predict(pairs) == [answers.predict([one])[0] for one in pairs]


def test_a_request_that_breaks_the_model_disturbs_no_other(answers, monkeypatch):
    def predict(users, items, *, unknown, return_std):
        if "breaks" in users:
            raise ZeroDivisionError
        return np.full(len(users), 3, np.float32)

    monkeypatch.setattr(answers._model, "predict", predict)
    asked = [m.PredictRequest(pairs=[m.Pair(user=u, item="i")]) for u in ("a", "breaks", "b")]
    first, broken, last = answers.predict(asked)
    assert first.predictions == last.predictions == [3.0]
    assert isinstance(broken, ZeroDivisionError)
