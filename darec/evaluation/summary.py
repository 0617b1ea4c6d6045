"""Mean, spread and interval over seeds, as a table."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from rich.table import Table
from scipy import stats

from darec.evaluation.scores import Score


@dataclass(frozen=True)
class Summary:
    """Mean and standard deviation (n - 1) over seeds, and a 95 % Student-t interval of the mean.

    Seeds share most of their ratings, so that the interval is too narrow, by a fifth at five splits
    of 90 % (`darec.report.statistics.widening`); and a fresh split's test ratings are mostly ones
    that the search of the configuration saw.
    """

    n: int
    mean: float
    sd: float | None
    half_width: float | None

    def __str__(self) -> str:
        if self.sd is None or self.half_width is None:
            return f"{self.mean:.4f}"
        low, high = self.mean - self.half_width, self.mean + self.half_width
        return f"{self.mean:.4f} ± {self.sd:.4f} [{low:.4f}, {high:.4f}]"


def summarise(values: Sequence[float]) -> Summary:
    """Summarise one figure over seeds; raises ``ValueError`` when there is none."""
    if not values:
        raise ValueError("a summary needs at least one value, but got none")
    n, mean = len(values), float(np.mean(values))
    if n == 1:
        return Summary(n, mean, None, None)
    sd = float(np.std(values, ddof=1))
    return Summary(n, mean, sd, float(stats.t.ppf(0.975, n - 1)) * sd / n**0.5)


FIGURES = {
    "test RMSE": "test_rmse",
    "MAE": "test_mae",
    "warm RMSE": "warm_rmse",
    "cold share": "cold_share",
    "source RMSE": "rmse_source",
    "both": "rmse_both",
    "own stage 1": "stage1_rmse",
    "bias baseline": "bias_rmse",
    "mean baseline": "mean_rmse",
    "validation RMSE": "valid_rmse",
}


def table(scores: list[Score]) -> Table:
    """Return a row per figure and a column per cold policy: mean ± sd [95 % interval]."""
    policies = list(dict.fromkeys(score.cold for score in scores))
    first = scores[0]
    n = len({(score.split_seed, score.run_seed) for score in scores})
    title = f"{first.model} on {first.pair}, {first.train} % training, {n} seeds"
    out = Table(
        "mean ± sd [95 % interval]", *(f"cold={policy}" for policy in policies), title=title
    )
    for label, name in FIGURES.items():
        cells = []
        for policy in policies:
            values = [getattr(score, name) for score in scores if score.cold == policy]
            known = [value for value in values if value is not None]
            cells.append(str(summarise(known)) if known else "-")
        if set(cells) != {"-"}:
            out.add_row(label, *cells)
    return out


def verdict(scores: list[Score]) -> str:
    """Say in one line whether the model beats the bias baseline, and on how many seeds."""
    own = [score for score in scores if score.cold == "fallback"]
    gaps = [score.bias_rmse - score.test_rmse for score in own]
    gap, wins = summarise(gaps), sum(score.beats_bias for score in own)
    word = "beats" if gap.mean > 0 else "loses to"
    return (
        f"{own[0].model} {word} the bias baseline by {abs(gap.mean):.4f} on average, and on {wins} "
        f"of {len(own)} seeds (cold=fallback)"
    )


COMPARED = {
    "cold=fallback": ("fallback", "test_rmse"),
    "warm": ("fallback", "warm_rmse"),
    "cold=floor": ("floor", "test_rmse"),
    "validation": ("fallback", "valid_rmse"),
}
SEARCHED = "searched split"


def comparison(scores: list[Score]) -> Table:
    """Return a row per model, best first: mean test RMSE ± sd, and on how many seeds it beats bias.

    A configuration was chosen on the first seed's split, so that other seeds' test ratings may have
    been training or validation ratings of its search; ``searched split`` is free of that. The last
    rows are the mean and the untuned bias baseline on the same test ratings.
    """
    columns = [*COMPARED, SEARCHED, "beats bias", "trials"]
    out = Table("RMSE, mean ± sd", *columns, title=scores[0].pair)
    rows = []
    for model in dict.fromkeys(score.model for score in scores):
        own = [score for score in scores if score.model == model]
        cells = [
            _cell([getattr(s, name) for s in own if s.cold == p]) for p, name in COMPARED.values()
        ]
        wins = [score.beats_bias for score in own if score.cold == "fallback"]
        key = float(np.mean([score.test_rmse for score in own if score.cold == "fallback"]))
        searched = [s.test_rmse for s in own if s.cold == "fallback" and s.searched_split]
        cells = [model, *cells, _cell(list(searched))]
        rows.append((key, [*cells, f"{sum(wins)}/{len(wins)}", str(own[0].trials)]))
    for _, cells in sorted(rows):
        out.add_row(*cells)
    first = [score for score in scores if score.model == scores[0].model]
    for label, name in (("bias, untuned", "bias_rmse"), ("mean of training", "mean_rmse")):
        by_policy = [
            _cell([getattr(score, name) for score in first if score.cold == policy])
            for policy in ("fallback", "floor")
        ]
        empty = ["-"] * 4
        out.add_row(label, by_policy[0], "-", by_policy[1], *empty, style="dim")
    return out


def _cell(values: list[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "-"
    summary = summarise(known)
    return f"{summary.mean:.4f}" + (f" ± {summary.sd:.4f}" if summary.sd is not None else "")
