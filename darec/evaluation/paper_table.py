"""The table of a paper: models by pairs, from the scores that `darec.evaluate` returns."""

from pathlib import Path

import pandas as pd

from darec.core.cold import COLD
from darec.errors import UserError
from darec.evaluation.summary import BASELINES, summarise
from darec.files import write

SUFFIXES = (".tex", ".csv")


def paper_table(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the test RMSE, mean ± sd over seeds, of each model (rows) on each pair (columns).

    ``scores`` are those of one pair, or of several together (``pd.concat``). Models keep their
    order; the last rows are the untuned baselines on the same test ratings. Raises `UserError` for
    scores of different tasks.

    Examples:
        >>> import darec
        >>> pair = darec.load_pair("toys_auto", synthetic=True)
        >>> result = darec.search("mean", pair, out="results", resume=True)
        >>> table = paper_table(darec.evaluate(result, pair, seeds=2))
        >>> list(table.index)
        ['mean', 'hierarchical biases', 'bias, untuned', 'mean of training']
    """
    for name in ("train", "cold_users", "split"):
        values = ["none" if pd.isna(value) else str(value) for value in scores[name].unique()]
        if len(values) > 1:
            message = ", ".join(values)
            raise UserError(f"a table has scores of one {name}, but these have {message}")
    headline = scores[scores["cold"] == COLD]
    columns = {}
    for pair, of_pair in headline.groupby("pair", sort=False):
        by_model = of_pair.groupby("model", sort=False)
        cells = {model: summarise(list(own["test_rmse"])).short for model, own in by_model}
        first = of_pair[of_pair["model"] == of_pair["model"].iloc[0]]
        baselines = {label: summarise(list(first[name])).short for label, name in BASELINES.items()}
        columns[pair] = cells | baselines
    table = pd.DataFrame(columns).fillna("-").rename_axis("model")
    models = [name for name in table.index if name not in BASELINES]
    return table.loc[[*models, *BASELINES]]


def check_suffix(path: Path) -> None:
    """Raise `UserError` unless a table can be written to a file of this name."""
    if path.suffix not in SUFFIXES:
        raise UserError(f"--table {path}: must end with {' or '.join(SUFFIXES)}")


def write_table(scores: pd.DataFrame, path: Path) -> None:
    """Write `paper_table` as CSV, or as LaTeX for ``booktabs`` below a line on what it shows."""
    table = paper_table(scores)
    if path.suffix == ".csv":
        text = table.to_csv(lineterminator="\n")
    else:
        runs = scores[scores["cold"] == COLD].groupby(["pair", "model"]).size().max()
        message = f"% test RMSE, mean and sd over {runs} runs, cold={COLD}\n"
        rows = table.reset_index().to_latex(
            index=False, escape=True, column_format="l" + "r" * len(table.columns)
        )
        text = message + rows.replace("±", r"$\pm$")
    write(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
