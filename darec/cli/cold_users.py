"""``darec cold-users``: score winners on users who have only source ratings in training."""

from pathlib import Path
from typing import Annotated

import typer

from darec.cli.command import command
from darec.cli.options import (
    Address,
    Data,
    Fresh,
    Insecure,
    Model,
    Out,
    Pair,
    Synthetic,
    Train,
    percent,
)
from darec.reporter import Reporter


@command
def cold_users(
    reporter: Reporter,
    pair: Pair,
    model: Model = "all",
    train: Train = "90",
    seeds: Annotated[int, typer.Option(min=1, help="Splits, withheld users and runs.")] = 5,
    fresh: Fresh = False,
    at_once: Annotated[
        int | None, typer.Option(min=1, help="Runs side by side; by default as many as CPUs.")
    ] = None,
    address: Address = None,
    insecure: Insecure = False,
    data: Data = Path("data"),
    out: Out = "results",
    synthetic: Synthetic = False,
) -> None:
    """Withhold all target ratings of a tenth of the users, and predict them from the source.

    Example: darec cold-users --pair toys_auto --synthetic --model u_darec --seeds 5

    Only u_darec, shared_bias, cmf and fm_cdcf can do so. By default, all of these that were
    searched are scored. The bias baseline knows only the items. A source whose users are shuffled
    says nothing about these users.
    """
    from darec.api.evaluate import evaluate_cold_users
    from darec.api.pairs import load_pair
    from darec.api.registry import chosen_models
    from darec.api.result import finished_searches

    names = chosen_models(model, cold_users=True)
    prepared = load_pair(pair, data, synthetic, reporter)
    evaluate_cold_users(
        finished_searches(names, prepared, percent(train), out, required=model != "all"),
        prepared,
        seeds=seeds,
        fresh=fresh,
        at_once=at_once,
        address=address,
        insecure=insecure,
        reporter=reporter,
    )
