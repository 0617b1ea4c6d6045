"""Scores as a data frame, for a program that goes on with them."""

from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import get_args

import numpy as np
import pandas as pd

from darec.evaluation.ranking import Rankings
from darec.evaluation.scores import Score

LISTED = {"NDCG@10": "ndcg_at_10", "Recall@10": "recall_at_10", "coverage@10": "coverage_at_10"}
"""Figures of lists: label and field of `darec.evaluation.ranking.Ranking`."""
RANKED_BY = {"model": "", "popularity": "by popularity", "bias": "by the untuned bias"}
"""Ways to rank: field of `Rankings`, and label of its row; a model's row has the model's name."""


def frame(scores: Sequence[Score]) -> pd.DataFrame:
    """Return one row per score and one column per field of it; a figure that is None is NaN.

    Figures of lists have columns of their own: ``ranked_users``, ``model_ndcg_at_10`` and so on.
    """
    names = [field.name for field in fields(Score) if field.name != "ranking"]
    numbers = [field.name for field in fields(Score) if type(None) in get_args(field.type)]
    rows = pd.DataFrame([asdict(score) for score in scores], columns=names)
    rows = rows.astype(dict.fromkeys(set(names) & set(numbers), float))
    of_lists = [score.ranking for score in scores]
    for name in ("scale", "source_scale"):
        rows[name] = [str(getattr(score, name)) for score in scores]
    rows["test_rmse_by_range"] = np.array([score.test_rmse_by_range for score in scores], float)
    rows["ranked_users"] = [found.users if found else np.nan for found in of_lists]
    for by in RANKED_BY:
        for name in LISTED.values():
            rows[f"{by}_{name}"] = [listed(found, by, name) for found in of_lists]
    return rows


def listed(found: Rankings | None, by: str, name: str) -> float:
    """Return a figure of lists; NaN if there is none."""
    return np.nan if found is None else float(getattr(getattr(found, by), name))
