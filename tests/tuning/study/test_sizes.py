"""On large pairs, sizes end where a trial fits, and the decay is decoupled."""

from dataclasses import replace

import pytest

from darec.core.recommender import MemoryCache
from darec.errors import UserError
from darec.models import MODELS
from darec.paper import TABLE_1
from darec.tuning.cluster.shares import Slots
from darec.tuning.study.decay import BATCH, LARGE, coupled_cost, with_stable_decay
from darec.tuning.study.plan import describe
from darec.tuning.study.request import n_weights
from darec.tuning.study.sizes import fitted, narrowed_to, size_that_fits
from darec.tuning.study.study import Settings
from search_spaces import SPACES
from tests.tuning.common import request_for

SETTINGS = Settings("tpe", "asha", 4, Slots(1.0, 0.0, 2), 0, MemoryCache())


def whole_request(model, pair, folder):
    """A search of a model's whole space."""
    request, first = request_for(model, pair, folder), MODELS[model].stage1
    stage1 = SPACES[first.model] if first else None
    return replace(request, space=SPACES[model], stage1=stage1)


@pytest.mark.parametrize("model", ["i_autorec", "u_darec", "cmf", "fm_cdcf"])
def test_sizes_end_where_the_largest_trial_fits(model, tiny_pair, tmp_path):
    request = whole_request(model, tiny_pair, tmp_path)
    most = n_weights(request)
    assert fitted(request, lambda r: n_weights(r) <= most) is request
    smaller = fitted(request, lambda r: n_weights(r) <= most // 3)
    assert most / 6 < n_weights(smaller) <= most // 3
    stages = (("", smaller.space, request.space), ("autorec/", smaller.stage1, request.stage1))
    for prefix, space, whole in stages:
        if space is not None:
            for name, each in space.space.items():
                same, narrowed = whole.space[name], prefix + name in smaller.narrowed
                assert each == same or (each.high < same.high and narrowed)
            for name, value in space.start.items():  # it lies in the narrowed ranges
                assert space.space[name]._contains(space.space[name].to_internal_repr(value))
    assert smaller.narrowed
    assert narrowed_to(request, smaller.narrowed) == smaller  # as a resumed search does
    lowest = fitted(request, lambda r: n_weights(r) <= most, preferred=lambda r: False)
    assert n_weights(lowest) < n_weights(smaller) and lowest.narrowed
    assert fitted(request, lambda r: False) == lowest
    assert (
        fitted(
            request, lambda r: n_weights(r) <= most, preferred=lambda r: n_weights(r) <= most // 3
        )
        == smaller
    )


@pytest.mark.parametrize("pair", TABLE_1)
def test_pairs_of_table_1_are_small(pair):
    counts, share = TABLE_1[pair], 0.81  # of the ratings train
    for items, ratings in zip(counts[1:3], counts[3:], strict=True):
        assert counts.users * items / BATCH / (share * ratings) < LARGE


@pytest.mark.parametrize("fixed", [{}, {"hidden": 700}])
def test_the_largest_size_that_fits_is_named(fixed, tiny_pair, tmp_path):
    request = whole_request("i_autorec", tiny_pair, tmp_path)
    small = replace(request, space=request.space.fix({"hidden": 37}))
    request = replace(request, space=request.space.fix(fixed))
    assert size_that_fits(request, lambda r: n_weights(r) <= n_weights(small)) == ("hidden", 37)
    assert size_that_fits(request, lambda r: False) is None


def test_decay_is_decoupled_on_large_pairs(tiny_pair, tmp_path, monkeypatch):
    request = whole_request("u_darec", tiny_pair, tmp_path)
    target = request.data.training.target
    by_hand = target.n_users / 128 * target.n_items / len(target)
    assert coupled_cost(request.data) == pytest.approx(by_hand) and by_hand < LARGE
    assert with_stable_decay(request) == request
    monkeypatch.setattr("darec.tuning.study.decay.LARGE", by_hand / 2)
    assert decays(request) == ["decoupled", "decoupled"]
    assert decays(replace(request, paper=True)) == ["coupled", "coupled"]
    assert decays(replace(request, fix={"autorec/decay": "coupled"})) == ["decoupled", "coupled"]
    assert decays(replace(request, fix={"decay": "coupled"})) == ["coupled", "decoupled"]


def test_cf_nade_has_its_own_words_for_decay(tiny_pair, tmp_path, monkeypatch):
    request = whole_request("i_cf_nade", tiny_pair, tmp_path)
    assert with_stable_decay(request) == request
    monkeypatch.setattr("darec.tuning.study.decay.LARGE", 0)
    large = with_stable_decay(request)
    assert large.space.fixed == {**request.space.fixed, "decay_kind": "decoupled"}
    assert not large.narrowed  # 0.05 times 0.005 trains
    assert "  decay" in "".join(describe(large, SETTINGS))
    fixed = replace(request, space=request.space.fix({"decay": 30.0}))
    assert with_stable_decay(fixed).narrowed == {"learning_rate": pytest.approx(0.025 / 30)}


def decays(request):
    """The decay of a model and of its first stage."""
    large = with_stable_decay(request)
    return [large.space.fixed["decay"], large.stage1.fixed["decay"]]


def highest(space, *names):
    return [space.space[name].high for name in names]


@pytest.mark.parametrize("joint", [False, True])
def test_no_trial_diverges_by_decoupled_decay(joint, tiny_pair, tmp_path, monkeypatch):
    request = whole_request("i_darec", tiny_pair, tmp_path)
    monkeypatch.setattr("darec.tuning.study.decay.LARGE", 0)
    if joint:
        request = replace(
            request, space=request.space.joined(SPACES["i_autorec"], "autorec"), stage1=None
        )
    large = with_stable_decay(request)
    lambda_, rate = highest(large.space, "lambda_", "learning_rate")
    assert lambda_ == pytest.approx(2.5) and rate == 1e-2 and lambda_ * rate < 0.025
    assert large.narrowed == {"lambda_": lambda_}
    assert narrowed_to(request, large.narrowed).space.space == large.space.space  # on resume
    (told,) = [line for line in describe(large, SETTINGS) if line.startswith("  decay")]
    assert told.endswith("; lambda_ <= 2.5")
    assert request.space.space["lambda_"].high == 1e4
    if joint:  # alpha is at most 0.1
        assert large.space.space["autorec/alpha"] == request.space.space["autorec/alpha"]
    else:
        assert large.stage1.space == request.stage1.space
    paper = with_stable_decay(replace(request, paper=True))
    assert paper.space == request.space  # its decay is coupled


@pytest.mark.parametrize(
    ("fix", "ends"),
    [
        ({"learning_rate": 1e-4}, [("lambda_", 250.0)]),
        ({"lambda_": 25.0}, [("learning_rate", 1e-3)]),
        ({"lambda_": 1000.0}, [("learning_rate", 2.5e-5)]),
        ({"lambda_": 25.0, "learning_rate": 1e-3}, []),
        ({"lambda_": 0.0}, [("learning_rate", 1e-2)]),
        ({"learning_rate": 3.7e-4}, [("lambda_", 0.025 / 3.7e-4)]),
    ],
)
def test_what_is_held_fixed_stays_and_the_other_range_ends(fix, ends, tiny_pair, tmp_path):
    request = whole_request("i_darec", tiny_pair, tmp_path)
    request = replace(request, space=request.space.fix({**fix, "decay": "decoupled"}))
    bounded = with_stable_decay(request)  # on a small pair, as the user wants it decoupled
    for name, high in ends:
        assert highest(bounded.space, name) == [pytest.approx(high)]
    assert bounded.space.fixed == request.space.fixed
    assert bounded.stage1 == request.stage1  # which has a learning_rate of its own
    assert narrowed_to(request, bounded.narrowed) == bounded  # as a resumed search does


def test_a_fixed_weight_that_always_diverges_is_refused(tiny_pair, tmp_path):
    request = whole_request("i_darec", tiny_pair, tmp_path)
    request = replace(request, space=request.space.fix({"lambda_": 1e4, "decay": "decoupled"}))
    with pytest.raises(UserError, match=r"lambda_ \(10000 or more\) times learning_rate \(1e-05"):
        with_stable_decay(request)


def test_a_range_is_narrowed_and_never_widened():
    space = SPACES["i_autorec"]
    high = space.space["hidden"].high
    assert space.narrow({"hidden": high + 100}) == space
    assert space.narrow({"hidden": 100}).space["hidden"].high == 100
