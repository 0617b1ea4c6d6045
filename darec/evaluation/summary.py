"""Scores over several seeds as tables: mean, standard deviation and interval of every figure."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from scipy.special import stdtrit

from darec.core.cold import COLD
from darec.evaluation.frame import LISTED, RANKED_BY, listed
from darec.evaluation.origin import by_origin
from darec.evaluation.scores import Score


@dataclass(frozen=True)
class Summary:
    """Mean and standard deviation (n - 1) over seeds, and a 95 % Student-t interval of the mean.

    The interval is too narrow, because the splits of different seeds share most of their ratings:
    by a fifth with five splits at 90 % (`widening` in ``darec/report/analysis/statistics.py``).
    Most test ratings of a fresh split were training or validation ratings of the search.
    """

    n: int
    mean: float
    sd: float | None
    """None for a single seed."""
    half_width: float | None
    """Half the width of the interval; None for a single seed."""

    @property
    def interval(self) -> str:
        """The interval as text; ``-`` for a single seed."""
        if self.half_width is None:
            return "-"
        return f"{self.mean - self.half_width:.4f} to {self.mean + self.half_width:.4f}"

    @property
    def short(self) -> str:
        """Mean and standard deviation as text, without the interval."""
        return f"{self.mean:.4f}" + ("" if self.sd is None else f" ± {self.sd:.4f}")


def summarise(values: Sequence[float]) -> Summary:
    """Summarise one figure over seeds; raises ``ValueError`` when there is no value."""
    if not values:
        raise ValueError("a summary needs at least one value, but got none")
    n, mean = len(values), float(np.mean(values))
    if n == 1:
        return Summary(n, mean, None, None)
    sd = float(np.std(values, ddof=1))
    return Summary(n, mean, sd, float(stdtrit(n - 1, 0.975)) * sd / n**0.5)


FIGURES = {
    "test RMSE": "test_rmse",
    "test RMSE / range": "test_rmse_by_range",
    "MAE": "test_mae",
    "warm RMSE": "warm_rmse",
    "cold share": "cold_share",
    "source RMSE": "rmse_source",
    "target and source": "rmse_both",
    "source shuffled": "shuffled_rmse",
    "own stage 1": "stage1_rmse",
    "bias, untuned": "bias_rmse",
    "hierarchical_bias": "hierarchical_rmse",
    "mean": "mean_rmse",
    "validation RMSE": "valid_rmse",
}
"""The rows of `table`: label and field of `Score`. The authors print "target and source"."""
INTERVAL = "95 % interval, if runs were independent"
"""The row of `table` below the test RMSE."""


def title(scores: Sequence[Score]) -> str:
    """Return the heading of a table of one model's scores: model, pair, split and seeds."""
    return f"{named(scores[0])} on {task(scores)}, {runs(scores)}{mixed(scores)}"


def named(score: Score) -> str:
    """Return a model's name, with what its search selected by if that is not RMSE."""
    return score.model if score.metric == "rmse" else f"{score.model} (by {score.metric})"


def task(scores: Sequence[Score]) -> str:
    """Return what the heading of a table says of its scores' pair, task and scales."""
    first = scores[0]
    return f"{first.pair}, {first.tested_in_words}{first.scales}"


def runs(scores: Sequence[Score]) -> str:
    """Return what a mean is over, and whether the models were refitted.

    A mean is over seeds with a split each, training runs on one split, or folds.
    """
    refit = ", refitted with the validation ratings" if scores[0].refit else ""
    if scores[0].folds is not None:
        return f"{len({score.fold for score in scores})} folds{refit}"
    n = len({(score.split_seed, score.run_seed) for score in scores})
    runs = "training runs on one split" if one_split(scores) else "seeds"
    return f"{n} {runs}{refit}"


def _each(scores: Sequence[Score]) -> str:
    """Return what several training runs of a model are called: seeds, folds, or just runs."""
    if scores[0].folds is not None:
        return "folds"
    return "runs" if one_split(scores) else "seeds"


def one_split(scores: Sequence[Score]) -> bool:
    """Return whether all of several training runs were tested on the same ratings."""
    tested = {(score.split_seed, score.fold) for score in scores}
    return len(tested) == 1 and len({score.run_seed for score in scores}) > 1


ONE_SPLIT = (
    "  all runs are tested on the same ratings: the spread is that of training, not of other splits"
)
"""What everybody who reads a mean over runs on one split must know."""


def mixed(scores: Sequence[Score]) -> str:
    """Return what the heading of a table adds if its scores are not of one origin."""
    n = len(by_origin(scores))
    return f" (MIXED: scores of {n} origins)" if n > 1 else ""


def table(scores: Sequence[Score]) -> pd.DataFrame:
    """Return one model's figures: a row per figure, a column per cold policy.

    A cell is ``mean ± sd`` over the seeds, or ``-`` where a policy lacks the figure. Below the test
    RMSE is the interval of its mean. Figures that the model does not have at all are left out.
    """
    cells: dict[str, list[str]] = {}
    for policy in dict.fromkeys(score.cold for score in scores):
        found = {label: _over_seeds(scores, name, policy) for label, name in FIGURES.items()}
        first, *others = map(_short, found.values())
        rmse = found["test RMSE"]
        cells[policy] = [first, "-" if rmse is None else rmse.interval, *others]
    labels = list(FIGURES)
    rows = pd.DataFrame(cells, pd.Index([labels[0], INTERVAL, *labels[1:]], name="cold policy"))
    return rows[(rows != "-").any(axis=1)]


LEAST_GAP = 0.00005
"""A smaller gap is 0.0000 in print. Two RMSEs so close are level."""


def verdict(scores: Sequence[Score]) -> str:
    """Say in one line how the model compares with both baselines, and on how many seeds."""
    own = [score for score in scores if score.cold == COLD]
    messages = []
    for name, label in (("bias", "the untuned bias"), ("hierarchical", "hierarchical_bias")):
        gaps = [getattr(score, f"{name}_rmse") - score.test_rmse for score in own]
        won, lost = (sum(sign * gap >= LEAST_GAP for gap in gaps) for sign in (1, -1))
        mean = float(np.mean(gaps))
        if abs(mean) < LEAST_GAP:
            messages.append(f"is level with {label}")
            continue
        word, seeds = ("loses to", lost) if mean < 0 else ("beats", won)
        messages.append(
            f"{word} {label} by {abs(mean):.4f} on average, "
            f"and on {seeds} of {len(own)} {_each(own)}"
        )
    return f"{own[0].model} {', and '.join(messages)} (cold={COLD})"


COMPARED = {
    "cold=hierarchical": (COLD, "test_rmse"),
    "warm": ("hierarchical", "warm_rmse"),
    "cold=fallback": ("fallback", "test_rmse"),
    "cold=floor": ("floor", "test_rmse"),
    "validation": ("hierarchical", "valid_rmse"),
}
"""Columns of `comparison`: label, cold policy and field of `Score`."""
COMPARED_COLD_USERS = {
    "RMSE": (COLD, "test_rmse"),
    "MAE": (COLD, "test_mae"),
    "source shuffled": (COLD, "shuffled_rmse"),
    "warm items": (COLD, "warm_rmse"),
    "validation": (COLD, "valid_rmse"),
}
"""The same in the cold-user task. With a shuffled source nothing is known of the users."""
BASELINES = {
    "hierarchical biases": "hierarchical_rmse",
    "bias, untuned": "bias_rmse",
    "mean of training": "mean_rmse",
}
"""The last rows of `comparison`: label and field of `Score`."""


def comparison(scores: Sequence[Score]) -> pd.DataFrame:
    """Return a row per model, best first: mean RMSE ± sd, and how often it beats the baselines.

    Most test ratings of a fresh split were training or validation ratings of the search; the
    column ``searched split`` has the score of the one split whose test ratings were not. In the
    cold-user task ``minus shuffled`` is what the source's users are worth, paired by seed. The last
    rows are the baselines on the same test ratings.
    """
    columns, rows = COMPARED if scores[0].cold_users is None else COMPARED_COLD_USERS, {}
    by_model = _best_first(scores)
    for name, own in by_model.items():
        cells = {
            label: _short(_over_seeds(own, name, policy))
            for label, (policy, name) in columns.items()
        }
        if own[0].test_rmse_by_range is not None:
            cells["RMSE / range"] = _short(_over_seeds(own, "test_rmse_by_range", COLD))
        if columns is COMPARED_COLD_USERS:
            cells["minus shuffled"] = _short(_worth_of_source(own))
        searched = [score for score in own if score.searched_split]
        headline = [score for score in own if score.cold == COLD]
        (label, rmse), *more = cells.items()
        rows[name] = {
            label: rmse,
            "beats bias": f"{sum(s.beats_bias for s in headline)}/{len(headline)}",
            "beats hierarchical": f"{sum(s.beats_hierarchical for s in headline)}/{len(headline)}",
            **dict(more),
            "searched split": _short(_over_seeds(searched, "test_rmse", COLD)),
            "trials": str(own[0].trials),
        }
    first = by_model[named(scores[0])]
    for label, name in BASELINES.items():
        rows[label] = {
            column: _short(_over_seeds(first, name, policy))
            for column, (policy, field) in columns.items()
            if field == "test_rmse"
        }
    out = pd.DataFrame.from_dict(rows, orient="index").fillna("-")
    return out.rename_axis("RMSE, mean ± sd")


NOT_FOR_RANKING = (
    "the models are trained to predict ratings, not to rank items; only a search with --metric "
    "ndcg@10 selects by lists, of validation ratings (docs/paper.md)"
)
"""What everybody who reads `ranking_table` must know."""


def ranking_title(scores: Sequence[Score]) -> str:
    """Return the heading of `ranking_table`: pair, split, and the number of users with a list."""
    users = sorted({score.ranking.users for score in scores if score.ranking})
    n = " to ".join(str(each) for each in dict.fromkeys([users[0], users[-1]]))
    return f"lists of 10 unseen items for {n} users of {task(scores)}{mixed(scores)}"


def ranking_table(scores: Sequence[Score]) -> pd.DataFrame:
    """Return the figures of lists: a row per model, lowest RMSE first, then both baselines.

    A cell is mean ± sd over seeds. Without any figure the table is empty.
    """
    by_model = _best_first([score for score in scores if score.ranking])
    found = {name: [score.ranking for score in own] for name, own in by_model.items()}
    rows = [(name, "model", own) for name, own in found.items()]
    for own in list(found.values())[:1]:
        rows += [(RANKED_BY[by], by, own) for by in ("popularity", "bias")]
    cells = {
        row: [summarise([listed(one, by, name) for one in own]).short for name in LISTED.values()]
        for row, by, own in rows
    }
    out = pd.DataFrame.from_dict(cells, orient="index", columns=list(LISTED))
    return out.rename_axis("mean ± sd")


def names_of(scores: Sequence[Score]) -> list[str]:
    """Return the models of scores; searches by several metrics are told apart."""
    return list(dict.fromkeys(named(score) for score in scores))


def _over_seeds(scores: Sequence[Score], name: str, policy: str) -> Summary | None:
    """Summarise a figure over the scores of a cold policy; None where no score has it."""
    values = [getattr(score, name) for score in scores if score.cold == policy]
    known = [value for value in values if value is not None]
    return summarise(known) if known else None


def _worth_of_source(scores: Sequence[Score]) -> Summary:
    """Summarise a model's RMSE minus that of its source-shuffled control."""
    own = [score for score in scores if score.cold == COLD]
    return summarise([s.test_rmse - s.shuffled_rmse for s in own if s.shuffled_rmse is not None])


def _short(summary: Summary | None) -> str:
    return "-" if summary is None else summary.short


def _best_first(scores: Sequence[Score]) -> dict[str, list[Score]]:
    """Return each model's scores, those of the lowest mean test RMSE first."""
    by_model = {name: [s for s in scores if named(s) == name] for name in names_of(scores)}
    return dict(sorted(by_model.items(), key=lambda entry: (_mean_error(entry[1]), entry[0])))


def _mean_error(scores: Sequence[Score]) -> float:
    return float(np.mean([score.test_rmse for score in scores if score.cold == COLD]))
