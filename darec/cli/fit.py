"""``darec fit``: make a model folder of a search's winner."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from darec.cli.command import called, command, command_line
from darec.cli.console import Terminal
from darec.cli.options import (
    ColdShare,
    Data,
    Model,
    Out,
    Pairs,
    Split,
    Synthetic,
    Task,
    Train,
    percent,
    share,
)


@command
def fit(
    reporter: Terminal,
    pair: Pairs,
    model: Model = "i_darec",
    train: Train = "90",
    task: Task = "warm",
    cold_share: ColdShare = "20",
    split: Split = "random",
    refit: Annotated[
        Literal["train", "all"],
        typer.Option(help="all: train on every rating; train: keep the search's weights."),
    ] = "all",
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Where to train.")] = "cpu",
    data: Data = Path("data"),
    out: Out = "results",
    synthetic: Synthetic = False,
) -> None:
    """Write a winner as a folder with all that predictions need; darec.load reads it.

    Example: darec fit --pair toys_auto --synthetic --model i_darec --refit train

    A search writes such a folder by default. Its model is trained on every rating, for the winner's
    number of epochs, and is meant for production use. --refit train writes the search's own model,
    which was trained on the training ratings only. Test scores are of such models.

    <models>
    """
    from darec.api.names import check_names, listed

    check_names(model, made=True)

    from darec.api import fit as api
    from darec.api.checks import holdout_of
    from darec.api.pairs import load_pair
    from darec.api.registry import chosen_models
    from darec.api.result import finished_searches

    holdout = holdout_of(percent(train), task, share(cold_share), split)
    names = chosen_models(model, holdout.cold_users is not None, made=True)
    for name in listed(pair):
        prepared = load_pair(name, data, synthetic, reporter)
        for result in finished_searches(names, prepared, holdout, out, required=model != "all"):
            place = api.fit(result, prepared, refit=refit, device=device, reporter=reporter)
            reporter.line(f"card:  {place}/README.md")
            reporter.answer(
                {"pair": prepared.name, "model": result.best.model, "model_folder": place}
            )
    use = command_line(called("recommend"), {"--user": prepared.user_ids[0]}, place)
    reporter.line(f"next:  {use}")
