"""Scores as an evaluation writes them."""

from dataclasses import replace
from typing import get_args

from darec.core.cold import COLD, ColdPolicy
from darec.core.lists import Ranking
from darec.data.scale import STARS
from darec.evaluation.origin import Origin
from darec.evaluation.ranking import Rankings
from darec.evaluation.scores import Score
from darec.provenance import code_digest, versions

HERE = Origin("abc1234", code_digest(), versions(), "cpu")
OTHER_CODE = replace(HERE, revision="old0000", code_digest="0" * 64)
OTHER_LIBRARY = replace(HERE, versions={**HERE.versions, "numpy": "1.0"})
ON_A_GPU = replace(HERE, device="cuda (NVIDIA H100)")

VALUES = {
    "model": "bias",
    "pair": "tiny",
    "train": 90,
    "cold_users": None,
    "scale": STARS,
    "source_scale": STARS,
    "split": "random",
    "fold": None,
    "folds": None,
    "cold": COLD,
    "split_seed": 0,
    "run_seed": 0,
    "searched_split": True,
    "refit": False,
    "valid_rmse": 1.0,
    "test_rmse": 1.1,
    "test_mae": 0.9,
    "warm_rmse": 1.0,
    "cold_share": 0.2,
    "n_test": 9,
    "rmse_source": None,
    "rmse_both": None,
    "shuffled_rmse": None,
    "stage1_rmse": None,
    "bias_rmse": 1.0,
    "hierarchical_rmse": 0.95,
    "mean_rmse": 1.2,
    "beats_bias": False,
    "beats_hierarchical": False,
    "ranking": Rankings(7, Ranking(0.3, 0.4, 0.5), Ranking(0.2, 0.3, 0.1), Ranking(0.1, 0.2, 0.1)),
    "epoch": 1,
    "max_epochs": 3,
    "trials": 6,
    "config": {"reg_user": 1.0},
    "data_digest": "d",
    "origin": HERE,
}


def score_of(**changed):
    """A score; only those under the headline policy have figures of lists."""
    values = {**VALUES, **changed}
    no_lists = {"ranking": None} if values["cold"] != COLD else {}
    return Score(**{**VALUES, **no_lists, **changed})


def run_of(seed=0, **changed):
    """The scores of a run: one for each cold policy."""
    values = {"split_seed": seed, "run_seed": seed, **changed}
    return [score_of(**values, cold=policy) for policy in get_args(ColdPolicy)]
