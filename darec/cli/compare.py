"""``darec compare``: which of several winners is better, by a paired test."""

from typing import Annotated, Literal

import typer

from darec.cli.command import called, command, command_line
from darec.cli.console import Terminal


@command
def compare(
    reporter: Terminal,
    studies: Annotated[
        list[str], typer.Argument(metavar="STUDY...", help="Folders or URIs of searches.")
    ],
    cold: Annotated[
        Literal["hierarchical", "fallback", "floor"], typer.Option(help="Cold policy of scores.")
    ] = "hierarchical",
) -> None:
    """Compare winners by their test scores, each with the first, in pairs over splits.

    Example: darec compare results/toys_auto-90/bias results/toys_auto-90/i_darec

    They need test scores (darec evaluate), of five splits or more for a test. The p-values allow
    for the ratings that splits share, and for the number of comparisons.
    """
    from dataclasses import asdict

    from darec.api.names import check_searches

    check_searches(studies)

    import pandas as pd

    from darec.api.result import load_result
    from darec.report.compare import compare as compare_

    found = compare_([load_result(study) for study in studies], cold)
    first, *others = found
    for each in others:
        reporter.line(each.sentence(first.name))
    rows = {
        each.name: {
            "test RMSE": f"{each.rmse:.4f} ± {each.sd:.4f}",
            f"minus {first.name}": f"{each.gap:+.4f} ± {each.gap_sd:.4f}",
            "lower on": f"{each.lower} of {each.splits}",
        }
        for each in found
    }
    rows[first.name] |= {f"minus {first.name}": "", "lower on": ""}
    reporter.table(f"cold={cold}", pd.DataFrame.from_dict(rows, orient="index"))
    for each in found:
        reporter.answer(asdict(each), f"{each.name}: test RMSE {each.rmse:.4f} ± {each.sd:.4f}")
    if "://" not in studies[-1]:
        reporter.line(f"next:  {command_line(called('plot'), {}, studies[-1])}")
