"""On large pairs, sizes end where a trial fits, and the decay is decoupled."""

from dataclasses import replace

import pytest
from optuna.distributions import IntDistribution

from darec.models import MODELS
from darec.models.best import SpaceRecord
from darec.tuning.study.record import space_json
from darec.tuning.study.request import n_weights
from darec.tuning.study.sizes import (
    COUPLED_COST,
    as_recorded,
    coupled_cost,
    decoupled,
    fitted,
    only_narrower,
    size_that_fits,
)
from search_spaces import SPACES
from tests.tuning.common import request_for


def whole_request(model, pair, folder):
    """A search of a model's whole space."""
    request, first = request_for(model, pair, folder), MODELS[model].stage1
    stage1 = SPACES[first.model] if first else None
    return replace(request, space=SPACES[model], stage1=stage1)


def drawn(space):
    return space_json(space)["drawn"]


@pytest.mark.parametrize("model", ["i_autorec", "u_darec", "cmf", "fm_cdcf"])
def test_sizes_end_where_the_largest_trial_fits(model, tiny_pair, tmp_path):
    request = whole_request(model, tiny_pair, tmp_path)
    most = n_weights(request)
    assert fitted(request, lambda n: n <= most) is request
    smaller = fitted(request, lambda n: n <= most // 3)
    assert most / 6 < n_weights(smaller) <= most // 3
    for space, whole in ((smaller.space, request.space), (smaller.stage1, request.stage1)):
        if space is not None:
            assert only_narrower(drawn(space), drawn(whole))
            assert drawn(space) == drawn(whole) or not only_narrower(drawn(whole), drawn(space))
            for name, value in space.start.items():  # it lies in the narrowed ranges
                assert space.space[name]._contains(space.space[name].to_internal_repr(value))
    assert smaller.narrowed and fitted(request, lambda n: False) is request


def test_a_resumed_search_keeps_the_sizes_that_it_had(tiny_pair, tmp_path):
    request = whole_request("u_darec", tiny_pair, tmp_path)
    before = fitted(request, lambda n: n <= n_weights(request) // 3)
    records = [SpaceRecord(**space_json(each)) for each in (before.space, before.stage1)]
    assert as_recorded(request, *records) == before
    whole = [SpaceRecord(**space_json(each)) for each in (request.space, request.stage1)]
    assert as_recorded(request, *whole) == request


def test_another_space_is_not_a_narrower_one():
    whole = SPACES["i_autorec"]
    hidden = whole.space["hidden"]
    wrong = [
        IntDistribution(hidden.low, hidden.high + hidden.step, step=hidden.step),
        IntDistribution(hidden.low + hidden.step, hidden.high, step=hidden.step),
        IntDistribution(hidden.low, hidden.high, step=1),
    ]
    for each in wrong:
        other = replace(whole, space={**whole.space, "hidden": each})
        assert not only_narrower(drawn(other), drawn(whole))
    assert not only_narrower({"hidden": drawn(whole)["hidden"]}, drawn(whole))


@pytest.mark.parametrize("fixed", [{}, {"hidden": 700}])
def test_the_largest_size_that_fits_is_named(fixed, tiny_pair, tmp_path):
    request = whole_request("i_autorec", tiny_pair, tmp_path)
    small = replace(request, space=request.space.fix({"hidden": 37}))
    request = replace(request, space=request.space.fix(fixed))
    assert size_that_fits(request, lambda n: n <= n_weights(small)) == ("hidden", 37)
    assert size_that_fits(request, lambda n: False) is None


def test_decay_is_decoupled_where_it_would_be_the_larger_part_of_a_step(
    tiny_pair, tmp_path, monkeypatch
):
    request = whole_request("u_darec", tiny_pair, tmp_path)
    target = request.data.training.target
    by_hand = target.n_users / 128 * target.n_items / len(target)
    assert coupled_cost(request.data) == pytest.approx(by_hand) and by_hand < COUPLED_COST
    assert decoupled(request) is request
    monkeypatch.setattr("darec.tuning.study.sizes.COUPLED_COST", by_hand / 2)
    large = decoupled(request)
    assert large.space.fixed["decay"] == large.stage1.fixed["decay"] == "decoupled"
    assert decoupled(replace(request, paper=True)).space.fixed["decay"] == "coupled"
    asked = replace(request, fix={"autorec/decay": "coupled"})
    assert decoupled(asked).stage1.fixed["decay"] == "coupled"
