"""The table of a paper, from scores."""

from pathlib import Path

import pandas as pd
import pytest

from darec.errors import UserError
from darec.evaluation.paper_table import check_suffix, paper_table, write_table


def scores_of(pair, model, errors, cold="hierarchical", train=90):
    return [
        {
            "pair": pair,
            "train": train,
            "cold_users": None,
            "split": "random",
            "model": model,
            "cold": cold,
            "split_seed": seed,
            "test_rmse": error,
            "hierarchical_rmse": 0.95,
            "bias_rmse": 0.97 + seed / 100,
            "mean_rmse": 1.1,
        }
        for seed, error in enumerate(errors)
    ]


@pytest.fixture
def scores():
    rows = scores_of("a_b", "item_knn", [0.9, 1.0]) + scores_of("a_b", "i_autorec", [0.8, 0.8])
    rows += scores_of("a_b", "item_knn", [2.0, 2.0], cold="floor")
    return pd.DataFrame(rows + scores_of("c_d", "i_autorec", [0.7]))


def test_it_has_models_by_pairs_and_the_baselines_last(scores):
    table = paper_table(scores)
    assert list(table.columns) == ["a_b", "c_d"]
    assert table["a_b"].to_dict() == {
        "item_knn": "0.9500 ± 0.0707",
        "i_autorec": "0.8000 ± 0.0000",
        "hierarchical biases": "0.9500 ± 0.0000",
        "bias, untuned": "0.9750 ± 0.0071",
        "mean of training": "1.1000 ± 0.0000",
    }
    assert list(table["c_d"]) == ["-", "0.7000", "0.9500", "0.9700", "1.1000"]


def test_scores_of_other_tasks_are_not_put_into_one_table(scores):
    other = pd.DataFrame(scores_of("a_b", "bias", [0.9], train=80))
    with pytest.raises(UserError, match="scores of one train, but these have 90, 80"):
        paper_table(pd.concat([scores, other]))


def test_it_is_written_as_latex_and_as_csv(scores, tmp_path):
    write_table(scores, tmp_path / "table.tex")
    lines = (tmp_path / "table.tex").read_text().splitlines()
    assert lines[0] == "% test RMSE, mean and sd over 2 runs, cold=hierarchical"
    assert r"i\_autorec & 0.8000 $\pm$ 0.0000 & 0.7000 \\" in lines
    assert r"\begin{tabular}{lrr}" in lines and r"model & a\_b & c\_d \\" in lines
    write_table(scores, tmp_path / "table.csv")
    read = pd.read_csv(tmp_path / "table.csv", index_col="model")
    assert read.loc["item_knn", "a_b"] == "0.9500 ± 0.0707"


def test_another_kind_of_file_is_refused():
    check_suffix(Path("x.csv"))
    with pytest.raises(UserError, match=r"--table x.doc: must end with .tex or .csv"):
        check_suffix(Path("x.doc"))
