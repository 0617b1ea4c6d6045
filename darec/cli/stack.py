"""``darec stack``: make one model of the best trials of several searches."""

from pathlib import Path
from typing import Annotated

import typer

from darec.cli.command import called, command, command_line
from darec.cli.console import Terminal
from darec.cli.options import (
    ColdShare,
    Data,
    Out,
    Pairs,
    Split,
    Synthetic,
    Task,
    Train,
    percent,
    share,
)
from darec.cli.searches import answer_winner


@command
def stack(
    reporter: Terminal,
    pair: Pairs,
    models: Annotated[
        str, typer.Option(help="Models whose searches are stacked, as a,b,c; or all.")
    ] = "all",
    members: Annotated[int, typer.Option(min=1, help="Most members of the stack.")] = 8,
    train: Train = "90",
    task: Task = "warm",
    cold_share: ColdShare = "20",
    split: Split = "random",
    fit: Annotated[
        bool,
        typer.Option(
            "--fit/--no-fit", help="Train the stack on every rating, too, and write a model folder."
        ),
    ] = True,
    data: Data = Path("data"),
    out: Out = "results",
    synthetic: Synthetic = False,
) -> None:
    """Blend the best trials of finished searches into one model; it is scored like any other.

    Example: darec stack --pair toys_auto --synthetic

    Members and weights are chosen by validation predictions that the trials have kept, without
    training. With --fit the members are then trained on every rating, for use. To score the stack:
    darec evaluate --model stack

    <models>
    """
    from darec.api.names import check_names, listed

    check_names(models, "--models")

    from darec.api import stack as api
    from darec.api.checks import holdout_of
    from darec.api.pairs import load_pair
    from darec.api.registry import chosen_models
    from darec.api.result import finished_searches

    holdout = holdout_of(percent(train), task, share(cold_share), split)
    cold_users = holdout.cold_users is not None
    names = chosen_models(models, cold_users)
    for name in listed(pair):
        prepared = load_pair(name, data, synthetic, reporter)
        found = finished_searches(names, prepared, holdout, out, required=models != "all")
        result = api.stack(found, prepared, members=members, fit=fit, reporter=reporter)
        answer_winner(reporter, result)
    same = {"--model": "stack", "--pair": pair, "--synthetic": synthetic}
    same |= {"--data": None if data == Path("data") else data, "--out": out}
    words = f"{command_line(called('evaluate'), same)} {holdout.options}"
    reporter.line(f"next:  {words}")
