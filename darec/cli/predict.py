"""``darec predict``: predict the ratings of a file of pairs."""

from pathlib import Path
from typing import Annotated

import typer

from darec.cli.command import called, command, command_line
from darec.cli.console import Terminal
from darec.cli.options import ModelFolder, Unknown


@command
def predict(
    reporter: Terminal,
    model: ModelFolder,
    pairs: Annotated[
        Path, typer.Argument(help="CSV, TSV or Parquet file: a user and an item a row.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="File to write: .parquet or .csv.")],
    unknown: Unknown = "cold",
    std: Annotated[
        bool, typer.Option("--std", help="Also the standard deviation of ratings around it.")
    ] = False,
) -> None:
    """Predict the rating of every user and item of a file, in the units of the target's ratings.

    Example: darec predict results/toys_auto-90/fm_cdcf/model pairs.csv -o predictions.parquet

    Writes the columns user, item and prediction in the order of the file, which may be gzipped and
    larger than the memory. A bad line is reported before anything is predicted. With --std there is
    a fourth column, std: how far ratings lie from their predictions, in the same units.
    """
    import darec
    from darec.serving.batch import predict_file

    loaded = darec.load(model)
    rows = predict_file(loaded, pairs, out, unknown=unknown, std=std, reporter=reporter)
    use = command_line(called("recommend"), {"--user": "ID"}, model)
    reporter.line(f"written: {out}\nnext:    {use}")
    reporter.answer({"written": out, "rows": rows})
