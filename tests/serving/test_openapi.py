"""The service answers as its OpenAPI page says, whatever it is asked."""

import pytest
import schemathesis
from hypothesis import HealthCheck, settings

import darec
from darec.serving.answers import Answers
from darec.serving.app import make_app
from tests.serving.conftest import searched
from tests.serving.in_process import InProcess


class Served:
    service = None


RULES = schemathesis.Config.from_dict(  # a model may refuse what the types allow, such as an id
    {"checks": {"positive_data_acceptance": {"expected-statuses": ["2xx", "422"]}}}
)
PAGE = schemathesis.openapi.from_asgi(
    "/openapi.json", make_app(lambda: Served.service), config=RULES
)


@pytest.fixture(scope="module")
def service(tiny_pair, tmp_path_factory):
    folder = searched("cmf", tiny_pair, tmp_path_factory.mktemp("out")).fit(
        tiny_pair, refit="train"
    )
    return InProcess(Answers(darec.load(folder), "1" * 64))


@pytest.mark.slow
@PAGE.parametrize()
@settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))
def test_answers_are_as_the_page_says(case, service):
    Served.service = service
    case.call_and_validate()
