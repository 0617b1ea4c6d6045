"""``darec serve`` as its users meet it: real HTTP, many at once, wrong requests, a new model."""

import hashlib
import http.client
import json
import shutil
import subprocess
import sys
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings

from darec.serving.load import load
from darec.serving.on_ray.service import Options
from tests.serving.conftest import searched
from tests.serving.on_ray.running import ROOT, free_port, running
from tests.serving.test_openapi import RULES
from tests.tuning.cluster.test_authentication import LOOPBACK, listeners
from tests.tuning.durability.processes import descendants

pytestmark = pytest.mark.ray


class Client:
    """One connection that stays open, as a shop's server has it."""

    def __init__(self, port):
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def post(self, path, asked):
        """Return the status and the answer."""
        body = asked if isinstance(asked, bytes) else json.dumps(asked)
        self._connection.request("POST", path, body, {"content-type": "application/json"})
        response = self._connection.getresponse()
        return response.status, json.loads(response.read())


@pytest.fixture(scope="module")
def result(tiny_pair, tmp_path_factory):
    return searched("cmf", tiny_pair, tmp_path_factory.mktemp("out"))


@pytest.fixture(scope="module")
def model_folder(result, tiny_pair, tmp_path_factory):
    place = tmp_path_factory.mktemp("model") / "model"
    return Path(shutil.copytree(result.fit(tiny_pair, refit="train"), place))


@pytest.fixture(scope="module")
def folder(tmp_path_factory, model_folder):
    """A copy of a model folder that tests may replace."""
    return Path(shutil.copytree(model_folder, tmp_path_factory.mktemp("served") / "model"))


@pytest.fixture(scope="module")
def other_model_folder(result, tiny_pair, model_folder):
    return Path(result.fit(tiny_pair, refit="all"))


@pytest.fixture(scope="module")
def service(folder, tmp_path_factory):
    log = tmp_path_factory.mktemp("log") / "serve.log"
    with running(folder, log, "--replicas", "2") as service:
        yield service


def pairs_of(model, k):
    """Return a request for predictions, different for each ``k``, and what the model says."""
    users = [model.user_ids.ids[(k + j) % len(model.user_ids.ids)] for j in range(3)]
    items = [model.item_ids.ids[(2 * k + j) % len(model.item_ids.ids)] for j in range(3)]
    pairs = [{"user": user, "item": item} for user, item in zip(users, items, strict=True)]
    return {"pairs": pairs}, np.float32(model.predict(users, items))


def test_a_hundred_at_once_get_what_the_model_says(service, folder):
    model = load(folder)
    asked = [pairs_of(model, k) for k in range(100)]
    start = threading.Barrier(100)

    def ask(k):
        client = Client(service.port)
        start.wait()
        predicted = client.post("/predict", asked[k][0])
        user = asked[k][0]["pairs"][0]["user"]
        return predicted, client.post("/recommend", {"users": [user], "n": 5})

    with ThreadPoolExecutor(100) as pool:
        answers = list(pool.map(ask, range(100)))
    for (request, expected), (predicted, recommended) in zip(asked, answers, strict=True):
        assert predicted[0] == recommended[0] == 200
        np.testing.assert_allclose(np.float32(predicted[1]["predictions"]), expected, atol=1e-6)
        best = recommended[1]["recommendations"][0]["items"]
        rows = model.recommend([request["pairs"][0]["user"]], 5)
        np.testing.assert_allclose([one["score"] for one in best], rows["score"], atol=1e-5)


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"{", 422, "the body is not JSON"),
        (b"", 422, "body is missing"),
        (b"[" * 100_000, 422, "the body"),
        (b'{"pairs": [{"user": 1, "item": "i"}]}', 422, "body.pairs.0.user must be a valid string"),
        (b" " * (2**20 + 1), 413, "at most 1048576 bytes"),
    ],
)
def test_a_malformed_body_gets_one_line_and_the_service_goes_on(service, body, status, words):
    got, answer = Client(service.port).post("/predict", body)
    assert got == status and words in answer["detail"] and "\n" not in answer["detail"]
    assert Client(service.port).post("/recommend", {"users": ["nobody"]})[0] == 200


def test_an_endless_body_is_cut_off_and_the_service_goes_on(service):
    connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
    sent = 0

    def endless():
        nonlocal sent
        while True:
            sent += 2**20
            yield b" " * 2**20

    with pytest.raises((BrokenPipeError, ConnectionResetError)):
        connection.request("POST", "/predict", endless(), {"content-type": "application/json"})
    assert sent < 2**30
    assert Client(service.port).post("/recommend", {"users": ["nobody"]})[0] == 200


def test_answers_are_as_the_openapi_page_says(service):
    page = schemathesis.openapi.from_url(f"{service.url}/openapi.json", config=RULES)
    operations = [found.ok() for found in page.get_all_operations()]
    assert len(operations) == 5
    for operation in operations:

        @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
        @given(operation.as_strategy())
        def answers_as_the_page_says(case):
            case.call_and_validate()

        answers_as_the_page_says()


@pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="needs Linux's /proc")
def test_nothing_listens_beyond_this_machine(service):
    heard = list(listeners(service.process.pid))
    assert f"{service.port:04X}" in [port for _, port in heard]
    assert all(where in LOOPBACK for where, _ in heard), heard


def test_a_new_model_takes_over_under_load_and_no_request_is_lost(
    service, folder, other_model_folder
):
    models = {digest(place): load(place) for place in (folder, other_model_folder)}
    old, new = models
    stop, answers = threading.Event(), []

    def ask(k):
        client = Client(service.port)
        while not stop.is_set():
            request, _ = pairs_of(models[old], k)
            answers.append((request, *client.post("/predict", request)))

    with ThreadPoolExecutor(16) as pool:
        asking = [pool.submit(ask, k) for k in range(16)]
        try:
            while len(answers) < 200:
                stop.wait(0.05)
            damage(folder)
            service.wait_until_said("the service goes on with the model that it has")
            for path in other_model_folder.iterdir():
                shutil.copy(path, folder / path.name)
            service.wait_until_said("new model in")
            seen = len(answers)
            while len(answers) < seen + 200 or {a[2]["model"] for a in answers[-100:]} != {new}:
                stop.wait(0.05)
                assert len(answers) < seen + 20_000
        finally:
            stop.set()
        for one in asking:
            one.result()
    assert Counter(status for _, status, _ in answers) == {200: len(answers)}
    assert {answer["model"] for _, _, answer in answers} == {old, new}
    for request, _, answer in answers:
        pairs = request["pairs"]
        expected = models[answer["model"]].predict(*zip(*(p.values() for p in pairs), strict=True))
        np.testing.assert_allclose(answer["predictions"], expected, atol=1e-5)


def test_a_stop_is_no_failure_and_leaves_nothing(model_folder, tmp_path):
    with running(model_folder, tmp_path / "log", "--max-replicas", "2") as service:
        assert Client(service.port).post("/recommend", {"users": ["nobody"]})[0] == 200
        started = {pid for pid, _ in descendants(service.process.pid)}
        assert service.stop() == 0
    assert service.said().splitlines()[-1] == "stopped"
    assert service.said().count("\n") == 4
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]


def digest(folder):
    return hashlib.sha256((folder / "model.json").read_bytes()).hexdigest()


def damage(folder):
    """Leave the folder as somebody does who copies files into it one by one."""
    (folder / "model.json").write_text("{")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--replicas", "1000"], "--replicas and --max-replicas must be at most"),
        (["--replicas", "2", "--max-replicas", "1"], "--max-replicas must be at least --replicas"),
        (["--host", "192.0.2.1"], "--host 192.0.2.1 --port"),
        (["--host", "no.such.host.invalid"], "--host no.such.host.invalid --port"),
    ],
)
def test_wrong_options_are_one_line(model_folder, options, words):
    line = refused(model_folder, "--port", str(free_port()), *options)
    assert words in line


def test_a_port_that_is_taken_is_one_line(service, model_folder):
    line = refused(model_folder, "--port", str(service.port))
    assert f"--port {service.port}: cannot listen there: Address already in use" in line


def test_a_folder_without_a_model_is_one_line(tmp_path):
    assert f"{tmp_path}/" in refused(tmp_path)


def refused(folder, *options):
    """Return the one line with which the command ends."""
    ended = subprocess.run(
        [sys.executable, "-m", "darec", "serve", folder, *options],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 1 and not ended.stdout
    assert ended.stderr.startswith("error: ") and ended.stderr.count("\n") == 1, ended.stderr
    return ended.stderr


def test_replicas_are_fixed_or_scaled_by_serve():
    assert Options(replicas=3).scaling == {"num_replicas": 3}
    bounds = Options(replicas=2, max_replicas=5).scaling["autoscaling_config"]
    assert (bounds["min_replicas"], bounds["max_replicas"]) == (2, 5)
