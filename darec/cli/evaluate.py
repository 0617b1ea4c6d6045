"""``darec evaluate``: score winners on test ratings."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from darec.cli.command import called, command, command_line
from darec.cli.console import Terminal
from darec.cli.options import (
    Address,
    ColdShare,
    Data,
    Fresh,
    Insecure,
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
def evaluate(
    reporter: Terminal,
    pair: Pairs,
    model: Model = "i_darec",
    train: Train = "90",
    task: Task = "warm",
    cold_share: ColdShare = "20",
    split: Split = "random",
    seeds: Annotated[
        int | None,
        typer.Option(min=1, help="Seeds, each with a split and a run; 5 by default."),
    ] = None,
    folds: Annotated[
        int | None,
        typer.Option(min=2, help="Cross-validate over this many folds instead of several seeds."),
    ] = None,
    fresh: Fresh = False,
    same_split: Annotated[
        bool, typer.Option("--same-split", help="Use the searched split for every seed.")
    ] = False,
    refit: Annotated[
        bool, typer.Option("--refit", help="Train on training + validation ratings at the end.")
    ] = False,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Where to train.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of each run.")] = 1,
    at_once: Annotated[
        int | None,
        typer.Option(min=1, help="Runs side by side; as many as CPUs by default, one on a GPU."),
    ] = None,
    address: Address = None,
    insecure: Insecure = False,
    data: Data = Path("data"),
    out: Out = "results",
    synthetic: Synthetic = False,
    table: Annotated[
        Path | None, typer.Option(help="Also write models by pairs to this file: .tex or .csv.")
    ] = None,
) -> None:
    """Train the winner for each seed, predict the test ratings once, and print mean and spread.

    Example: darec evaluate --pair toys_auto --synthetic --model i_darec --seeds 5

    Scores that results/scores.jsonl has already are kept; --fresh measures them again.
    --model all scores every model that was searched, and prints one table. A paired test then says
    which models differ from the best one. The test needs at least five splits.

    Cross-validation: darec evaluate --pair toys_auto --synthetic --model i_darec --folds 5

    Users without target ratings: darec evaluate --pair toys_auto --task cold_users --model all

    Each score is printed with that of a control: the same model with a shuffled source.

    A table for a paper: darec evaluate --pair d1_d3,yelp --model all --table table.tex

    <models>
    """
    from darec.api.names import check_names, listed

    check_names(model, made=True)

    import pandas as pd

    from darec.api import evaluate as api
    from darec.api.checks import check_device, holdout_of
    from darec.api.pairs import load_pair
    from darec.api.registry import chosen_models
    from darec.api.result import finished_searches
    from darec.core.cold import COLD
    from darec.evaluation.paper_table import check_suffix, write_table
    from darec.report.compare import compared, in_short
    from darec.tuning import storage

    if table is not None:
        check_suffix(table)
    holdout = holdout_of(percent(train), task, share(cold_share), split)
    names = chosen_models(model, holdout.cold_users is not None, made=True)
    check_device(device, address)
    prepared = [load_pair(name, data, synthetic, reporter) for name in listed(pair)]
    required = "all" not in listed(model)
    found = [finished_searches(names, each, holdout, out, required) for each in prepared]
    measured = []
    for each, searches in zip(prepared, found, strict=True):
        scores = api.evaluate(
            searches,
            each,
            seeds=seeds,
            folds=folds,
            fresh=fresh,
            same_split=same_split,
            refit=refit,
            device=device,
            threads=threads,
            at_once=at_once,
            address=address,
            insecure=insecure,
            reporter=reporter,
        )
        measured.append(scores)
        if len(searches) > 1 and scores["split_seed"].nunique() > 1:
            by_model = scores[scores["cold"] == COLD].groupby("model")
            names = [str(name) for name in by_model["test_rmse"].mean().sort_values().index]
            by_split = [by_model.get_group(n).groupby("split_seed")["test_rmse"] for n in names]
            errors = [{int(str(seed)): each.mean() for seed, each in own} for own in by_split]
            tested = compared(names, errors, searches[0].best)
            reporter.line(in_short(tested))
            if len(names) > 2 and any(each.p is not None for each in tested):
                message = "was chosen by these same scores, so these p-values are too small"
                reporter.line(f"{names[0]} {message}.")
        for (name, cold), own in scores.groupby(["model", "cold"], sort=False)["test_rmse"]:
            mean, sd = own.mean(), own.std() if len(own) > 1 else None
            shown = f"{mean:.4f}" + ("" if sd is None else f" ± {sd:.4f}")
            reporter.answer(
                {
                    "pair": each.name,
                    "model": name,
                    "cold": cold,
                    "test_rmse": mean,
                    "sd": sd,
                    "runs": len(own),
                },
                f"{name} on {each.name}, cold={cold}: test RMSE {shown}, {len(own)} runs",
            )
    if table is not None:
        write_table(pd.concat(measured), table)
        reporter.line(f"table:  {table}")
    searches = found[0]
    if len(searches) > 1:
        following = command_line(called("compare"), {}, *(each.path for each in searches[:2]))
    else:
        model = storage.join(searches[0].path, "model")
        following = command_line(called("recommend"), {"--user": "ID"}, model)
    reporter.line(f"next:   {following}")
