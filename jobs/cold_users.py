"""Score winners on users of whom they see source ratings only, beside the shuffled source."""

from pathlib import Path
from typing import Annotated

import typer

from darec.errors import UserError
from jobs.common import (
    Address,
    Data,
    Model,
    Out,
    Pair,
    Synthetic,
    Train,
    chosen,
    console,
    main,
    winners,
)


def cold_users(
    pair: Pair,
    model: Model = "all",
    train: Train = "90",
    seeds: Annotated[int, typer.Option(min=1, help="Splits, withheld users and runs.")] = 5,
    at_once: Annotated[
        int | None, typer.Option(min=1, help="Runs side by side; by default as many as CPUs.")
    ] = None,
    address: Address = None,
    data: Data = Path("data"),
    out: Out = "results",
    synthetic: Synthetic = False,
) -> None:
    """Withhold all target ratings of a tenth of the users, and predict them from the source.

    Example: python jobs/cold_users.py --pair toys_auto --synthetic --model u_darec --seeds 5

    Of models that can: u_darec, shared_bias, cmf, fm_cdcf; all that were searched by default. The
    bias baseline knows the items alone, a shuffled source nothing about these users.
    """
    import os
    from concurrent.futures import as_completed

    from rich.console import Console
    from rich.progress import track
    from rich.table import Table

    from darec.core.recommender import DivergedError
    from darec.data.store import obtain
    from darec.evaluation import scores as files
    from darec.evaluation.cold_users import (
        ANSWERING,
        ColdUserScore,
        cold_key,
        evaluate_cold_users,
    )
    from darec.evaluation.summary import summarise
    from darec.tuning import mirror
    from darec.tuning.pool import pool

    chosen(model, ANSWERING)  # told before anything is fetched
    prepared = obtain(pair, data, synthetic, console.print)
    folder, found = winners(model, ANSWERING, prepared, train, out)
    path = folder / "cold_users.jsonl"
    wanted = [(best, seed) for best in found for seed in range(best.seed, best.seed + seeds)]
    known = {score.key for score in files.read(path, ColdUserScore)}
    missing = [run for run in wanted if cold_key(*run) not in known]
    workers = min(max(1, len(missing)), at_once or os.cpu_count() or 1)
    names = [best.model for best in found]
    console.print(
        f"[bold]Plan[/bold]: {len(missing)} of {len(wanted)} runs of {', '.join(names)}, each "
        f"with the source as it is and shuffled, {workers} at once",
        highlight=False,
        soft_wrap=True,
    )
    failed = 0
    with pool(address, workers, threads=1) as submit:
        runs = {submit(evaluate_cold_users, best, prepared, seed): best for best, seed in missing}
        bar = Console(stderr=True)
        for run in track(as_completed(runs), "runs", len(runs), console=bar, transient=True):
            try:
                files.append(path, [run.result()])
            except DivergedError as error:
                failed += 1
                console.print(f"{runs[run].model}: no score: {error}", soft_wrap=True)
            if mirror.is_uri(out) and path.is_file():
                mirror.publish_lines(path, out)
    keys = {cold_key(*run) for run in wanted}
    scores = [score for score in files.read(path, ColdUserScore) if score.key in keys]
    figures = {"RMSE": "rmse", "source shuffled": "shuffled_rmse", "bias": "bias_rmse"}
    figures["mean of training"] = "mean_rmse"
    table = Table("cold users", *figures, "seeds", title=f"{prepared.name}, {train} % training")
    for name in names:
        own = [score for score in scores if score.model == name]
        if own:
            cells = [summarise([getattr(s, figure) for s in own]) for figure in figures.values()]
            table.add_row(name, *(f"{c.mean:.4f} ± {c.sd or 0:.4f}" for c in cells), str(len(own)))
    console.print(table)
    console.print(f"scores: {out}/cold_users.jsonl", soft_wrap=True)
    if failed:
        raise UserError(f"{failed} of {len(wanted)} runs have no score")


if __name__ == "__main__":
    main(cold_users)
