"""Score a search's winner on test ratings over several seeds, beside the trivial baselines."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

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

if TYPE_CHECKING:
    from darec.data.ratings import DomainPair
    from darec.evaluation.scores import Score
    from darec.models.best import Best
    from darec.tuning.pool import Submit


def evaluate(
    pair: Pair,
    model: Model = "i_darec",
    train: Train = "90",
    seeds: Annotated[int, typer.Option(min=1, help="Fresh splits and runs.")] = 5,
    same_split: Annotated[
        bool, typer.Option("--same-split", help="Vary the run only, on the searched split.")
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
    data: Data = Path("data"),
    out: Out = "results",
    synthetic: Synthetic = False,
) -> None:
    """Train the winner for each seed, predict its test part once, and print mean and spread.

    Example: python jobs/evaluate.py --pair toys_auto --synthetic --model i_darec --seeds 5

    With --model all, every model that was searched, and one table of them all.
    """
    import os

    import torch

    from darec.data.store import obtain
    from darec.evaluation.summary import comparison, table, verdict
    from darec.models import MODELS
    from darec.tuning import mirror
    from darec.tuning.pool import pool

    chosen(model, MODELS)  # told before anything is fetched
    if device == "cuda" and address is None and not torch.cuda.is_available():
        raise UserError("--device cuda: no CUDA device is available here; leave it out")
    prepared = obtain(pair, data, synthetic, console.print)
    folder, found = winners(model, MODELS, prepared, train, out)
    every: list[Score] = []
    n_failed = 0
    room = 1 if device == "cuda" else max(1, (os.cpu_count() or 1) // threads)
    workers = min(seeds, at_once or (room if address is None else seeds))
    where = f"on {device}, {workers} at once"
    with pool(address, workers, threads, float(device == "cuda")) as submit:
        for best in found:
            console.print(
                f"[bold]Plan[/bold]: {best.model} on {prepared.name}, {train} % training: {seeds} "
                f"seeds x <= {best.max_epochs} epochs {where}; in the search: RMSE "
                f"{best.valid_rmse:.4f}",
                highlight=False,
                soft_wrap=True,
            )
            roots = range(best.seed, best.seed + seeds)
            runs = [(best.seed if same_split else root, root) for root in roots]
            path = folder / "scores.jsonl"
            try:
                kept, failed = _evaluated(submit, best, prepared, runs, refit, device, path)
            finally:  # what was scored before an interruption, too
                if mirror.is_uri(out) and path.is_file():
                    mirror.publish_lines(path, out)
            every += kept
            n_failed += failed
            if kept:
                console.print("  * the split whose validation ratings chose the configuration")
                console.print(table(kept))
                console.print(verdict(kept), highlight=False)
    if len({score.model for score in every}) > 1:
        console.print(comparison(every))
        for best in found:
            console.print(f"{best.model}: {best.config}", highlight=False, soft_wrap=True)
    console.print(f"scores: {out}/scores.jsonl\nnext:   tensorboard --logdir {out}", soft_wrap=True)
    if n_failed:
        raise UserError(f"{n_failed} of {seeds * len(found)} runs have no score")


def _evaluated(
    submit: "Submit",
    best: "Best",
    prepared: "DomainPair",
    runs: list[tuple[int, int]],
    refit: bool,
    device: str,
    path: Path,
) -> "tuple[list[Score], int]":
    """Return the scores of a winner's runs, measured now unless they were, and how many failed."""
    from concurrent.futures import as_completed
    from typing import get_args

    from rich.console import Console
    from rich.progress import track

    from darec.core.recommender import ColdPolicy, DivergedError
    from darec.evaluation import scores as files
    from darec.evaluation.evaluate import evaluate as evaluate_run
    from darec.evaluation.scores import Score

    done = files.read(path, Score)
    found: dict[tuple[int, int], list[Score]] = {}
    pending = {}
    for split_seed, run_seed in runs:
        values = {
            "train": best.train,
            "split_seed": split_seed,
            "run_seed": run_seed,
            "refit": refit,
            "max_epochs": best.max_epochs,
        }
        key = files.run_key(best.data_digest, best.model, best.config, values)
        known = {score.cold: score for score in done if score.key[:-1] == key}
        if known.keys() == set(get_args(ColdPolicy)):
            found[split_seed, run_seed] = list(known.values())
            continue
        future = submit(evaluate_run, best, prepared, split_seed, run_seed, device, refit)
        pending[future] = split_seed, run_seed
    bar = Console(stderr=True)
    ended = as_completed(pending)
    for future in track(ended, best.model, len(pending), console=bar, transient=True):
        try:
            found[pending[future]] = future.result()
        except (DivergedError, UserError) as error:
            console.print(f"{best.model}, seed {pending[future][1]}: no score: {error}")
            continue
        files.append(path, found[pending[future]])
    kept = [score for run in runs for score in found.get(run, [])]
    for run in runs:
        if run in found:
            mark = "*" if found[run][0].searched_split else " "
            console.print(
                f"  split {run[0]}{mark} run {run[1]}: epoch {found[run][0].epoch}, test RMSE "
                + ", ".join(f"{score.test_rmse:.4f} (cold={score.cold})" for score in found[run]),
                highlight=False,
            )
    return kept, len(runs) - len(found)


if __name__ == "__main__":
    main(evaluate)
