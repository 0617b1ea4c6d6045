"""Score a search's winner on test ratings over several seeds, beside the trivial baselines."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from darec.errors import UserError
from jobs.common import Data, Pair, Synthetic, console, main


def evaluate(
    pair: Pair,
    model: Annotated[str, typer.Option(help="The model tuned by jobs/tune.py.")] = "i_darec",
    train: Annotated[Literal["90", "80"], typer.Option(help="Percent not held out.")] = "90",
    seeds: Annotated[int, typer.Option(min=1, help="Fresh splits and runs.")] = 5,
    same_split: Annotated[
        bool, typer.Option("--same-split", help="Vary the run only, on the searched split.")
    ] = False,
    refit: Annotated[
        bool, typer.Option("--refit", help="Train on training + validation ratings at the end.")
    ] = False,
    device: Annotated[Literal["cpu", "cuda"], typer.Option(help="Where to train.")] = "cpu",
    threads: Annotated[int, typer.Option(min=1, help="CPU threads.")] = 1,
    data: Data = Path("data"),
    out: Annotated[Path, typer.Option(help="Folder of all results.")] = Path("results"),
    synthetic: Synthetic = False,
) -> None:
    """Train the winner for each seed, predict its test part once, and print mean and spread.

    Example: python jobs/evaluate.py --pair toys_auto --synthetic --model i_darec --seeds 5
    """
    from typing import get_args

    import torch
    from rich.console import Console
    from rich.progress import Progress

    from darec.core.recommender import DivergedError
    from darec.data.split import TrainPercent
    from darec.data.store import obtain
    from darec.evaluation import scores as files
    from darec.evaluation.evaluate import evaluate as evaluate_seed
    from darec.evaluation.summary import table, verdict
    from darec.models import MODELS
    from darec.models.best import load_best, study_folder

    if model not in MODELS:
        raise UserError(f"--model must be one of {', '.join(MODELS)}, but got {model!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise UserError("--device cuda: no CUDA device is available here; leave it out")
    torch.set_num_threads(threads)
    percent = next(value for value in get_args(TrainPercent) if str(value) == train)
    prepared = obtain(pair, data, synthetic, console.print)
    best = load_best(study_folder(out, prepared.name, percent, model))
    if best.data_digest != prepared.digest:
        raise UserError(f"{prepared.name}: its ratings are not those the search saw; tune it again")
    path = out / "scores.jsonl"
    roots = range(best.seed, best.seed + seeds)
    runs = [(best.seed if same_split else root, root) for root in roots]
    done = files.read(path)
    kept = []
    console.print(
        f"[bold]Plan[/bold]: {model} on {prepared.name}, {train} % training: {seeds} seeds x "
        f"<= {best.max_epochs} epochs on {device}; in the search: RMSE {best.valid_rmse:.4f}",
        highlight=False,
        soft_wrap=True,
    )
    failed = 0
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("epochs", total=seeds * best.max_epochs)
        for finished, (split_seed, run_seed) in enumerate(runs):
            progress.update(task, completed=finished * best.max_epochs)
            values = {
                "train": percent,
                "split_seed": split_seed,
                "run_seed": run_seed,
                "refit": refit,
            }
            key = files.run_key(best.data_digest, model, best.config, values)
            found = [score for score in done if score.key[:-1] == key]
            if not found:
                try:
                    found = evaluate_seed(
                        best,
                        prepared,
                        split_seed,
                        run_seed,
                        device,
                        refit,
                        lambda: progress.advance(task),
                    )
                except DivergedError as error:
                    failed += 1
                    console.print(f"seed {run_seed}: no score, training diverged: {error}")
                    continue
                files.append(path, found)
            kept += found
            mark = "*" if found[0].searched_split else " "
            console.print(
                f"  split {split_seed}{mark} run {run_seed}: epoch {found[0].epoch}, test RMSE "
                + ", ".join(f"{score.test_rmse:.4f} (cold={score.cold})" for score in found),
                highlight=False,
            )
    if kept:
        console.print("  * the split whose validation ratings chose the configuration")
        console.print(table(kept))
        console.print(verdict(kept), highlight=False)
        console.print(f"scores: {path}\nnext:   tensorboard --logdir {out}", soft_wrap=True)
    if failed:
        raise UserError(f"{failed} of {seeds} seeds diverged and have no score")


if __name__ == "__main__":
    main(evaluate)
