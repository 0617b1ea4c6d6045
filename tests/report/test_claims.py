import numpy as np
import pytest

from darec.report.analysis.claims import FAILS, HOLDS, OPEN, judge
from darec.report.matrix.cells import Budget, Cell, printed
from darec.report.matrix.request import Request
from darec.report.matrix.results import Results
from tests.report.made import scored

BUDGET = Budget(8, 2, 3, seeds=5)
SPLITS = np.array([1.0, 1.02, 0.97, 1.05, 0.99])
"""How splits differ; models differ by a factor."""
LITTLE = np.array([0.001, -0.001, 0.0005, -0.0005, 0.0002])


def verdicts(tmp_path, factors, what="all", ours=None):
    """Judge models as printed with these errors, beside models with our additions."""
    request = Request(what, ("toys_auto",), (), (90,), True, BUDGET)
    found = {printed("toys_auto", 90, model, True): each for model, each in factors.items()}
    found |= {Cell("toys_auto", 90, model, True): each for model, each in (ours or {}).items()}
    for cell, factor in found.items():
        scored(cell, tmp_path, list(factor * (SPLITS + LITTLE)))
    return {each.claim: each for each in judge(request, Results(tmp_path, BUDGET, {}))}


def test_a_claim_holds_fails_or_stays_open(tmp_path):
    factors = {"u_autorec": 1.0, "u_darec": 0.96, "i_autorec": 0.9, "i_darec": 0.93, "cmf": 0.95}
    found = verdicts(tmp_path, factors)
    told = {claim: each.verdict for claim, each in found.items()}
    assert told == {
        "U-DARec is better than U-AutoRec": HOLDS,
        "U-DARec's gain on U-AutoRec is 3.7 to 4.3 %": HOLDS,
        "I-DARec is better than I-AutoRec": FAILS,
        "U-DARec gains more than I-DARec": HOLDS,
        "I-DARec is the best of Table 2": OPEN,
    }
    assert "+4.0 %" in found["U-DARec is better than U-AutoRec"].evidence
    assert (
        "without cmf_unbiased, cdtf, fm_cdcf, conet"
        in found["I-DARec is the best of Table 2"].evidence
    )


def test_claims_are_judged_on_the_models_as_printed(tmp_path):
    factors = {"u_autorec": 1.0, "u_darec": 0.96, "i_autorec": 0.9, "i_darec": 0.93, "cmf": 0.95}
    ours = {"u_autorec": 0.5, "u_darec": 0.8, "i_autorec": 0.8, "i_darec": 0.5}
    alone, beside = verdicts(tmp_path / "a", factors), verdicts(tmp_path / "b", factors, ours=ours)
    assert beside == alone and len(alone) == 5
    assert verdicts(tmp_path / "c", {}, ours=ours) == {}


def test_a_smaller_gain_than_the_papers_is_better_but_not_by_that(tmp_path):
    found = verdicts(tmp_path, {"u_autorec": 1.0, "u_darec": 0.995})
    assert found["U-DARec is better than U-AutoRec"].verdict == HOLDS
    assert found["U-DARec's gain on U-AutoRec is 3.7 to 4.3 %"].verdict == FAILS


def test_the_best_of_the_table_needs_the_whole_table(tmp_path):
    rivals = {
        "cmf_unbiased": 1.2,
        "cmf": 0.95,
        "cdtf": 0.97,
        "fm_cdcf": 1.0,
        "conet": 1.1,
        "u_darec": 0.96,
    }
    found = verdicts(tmp_path, {**rivals, "i_darec": 0.9})["I-DARec is the best of Table 2"]
    assert found.verdict == HOLDS and "without" not in found.evidence


def test_the_best_of_the_table_may_still_lose_to_the_bias_baseline(tmp_path):
    found = verdicts(tmp_path, {"cmf": 1.1, "i_darec": 1.0, "bias": 0.9}, "table2")
    assert "; it loses to bias 0.90" in found["I-DARec is the best of Table 2"].evidence
    biases = {"bias": 0.9, "hierarchical_bias": 0.8}
    found = verdicts(tmp_path / "both", {"cmf": 1.1, "i_darec": 1.0, **biases}, "table2")
    told = "; it loses to bias 0.9054 and hierarchical_bias 0.8048; "
    assert told in found["I-DARec is the best of Table 2"].evidence


def test_only_what_the_page_shows_is_judged(tmp_path):
    """Table 2 has no AutoRec, Fig. 3 not all of Table 2's rivals."""
    factors = {"u_autorec": 1.0, "u_darec": 0.96, "i_darec": 0.9, "cmf": 0.95}
    assert set(verdicts(tmp_path, factors, "table2")) == {"I-DARec is the best of Table 2"}
    assert "I-DARec is the best of Table 2" not in verdicts(tmp_path, factors, "fig3")


def test_losing_less_is_no_gain(tmp_path):
    factors = {"u_autorec": 1.0, "u_darec": 1.01, "i_autorec": 1.0, "i_darec": 1.05}
    found = verdicts(tmp_path, factors)
    assert found["U-DARec gains more than I-DARec"].verdict == FAILS


def test_too_few_splits_decide_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("tests.report.test_claims.BUDGET", Budget(8, 2, 3, seeds=4))
    found = verdicts(tmp_path, {"u_autorec": 1.0, "u_darec": 0.9})
    assert {each.verdict for each in found.values()} == {OPEN}


@pytest.mark.parametrize(("best", "verdict"), [(600, HOLDS), (1200, FAILS)])
def test_an_optimum_lies_within_the_sizes_or_at_an_end(tmp_path, best, verdict):
    request = Request("fig2", ("toys_auto",), ("u_darec",), (90,), True, BUDGET)
    for (_, size), cell in request.figure2("toys_auto").items():
        scored(cell, tmp_path, list(SPLITS + abs(size - best) / 1e4 + LITTLE * size / 1000))
    (found,) = judge(request, Results(tmp_path, BUDGET, {}))
    assert found.verdict == verdict and f"lowest at {best}" in found.evidence
