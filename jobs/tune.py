"""Search a model's hyper-parameters on a laptop or a Ray cluster, chosen by validation RMSE."""

import shlex
import sys
from functools import partial
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
    Seed,
    Synthetic,
    Train,
    chosen,
    console,
    main,
    stop_on_sigterm,
)

if TYPE_CHECKING:
    from darec.models.best import Best


def tune(
    pair: Pair,
    model: Model = "i_darec",
    train: Train = "90",
    trials: Annotated[int, typer.Option(min=1, help="Trials of the model's study.")] = 50,
    stage1_trials: Annotated[
        int | None,
        typer.Option(min=1, help="Trials of each stage-1 study; a third of --trials by default."),
    ] = None,
    max_epochs: Annotated[int, typer.Option(min=1, help="Most epochs of a trial.")] = 100,
    sampler: Annotated[
        Literal["tpe", "random", "qmc", "gp", "nsga2"], typer.Option(help="How trials are drawn.")
    ] = "tpe",
    scheduler: Annotated[
        Literal["asha", "hyperband", "median", "none"], typer.Option(help="How trials are stopped.")
    ] = "asha",
    stages: Annotated[
        Literal["paper", "joint"],
        typer.Option(help="Tune stage 1 first and freeze it, or search both together."),
    ] = "paper",
    fix: Annotated[
        list[str] | None,
        typer.Option(help="Hold a hyper-parameter fixed, KEY=VALUE; stage 1's as autorec/KEY."),
    ] = None,
    time_budget: Annotated[
        float | None, typer.Option(min=1, help="Seconds for all studies of a model together.")
    ] = None,
    cpus_per_trial: Annotated[float, typer.Option(min=0.1, help="CPUs, and threads.")] = 1.0,
    gpus_per_trial: Annotated[
        str, typer.Option(help="GPUs (may be a fraction), or auto: by memory, where there are any.")
    ] = "auto",
    at_once: Annotated[
        int | None,
        typer.Option(min=1, help="Most trials at once; as many as there is room for by default."),
    ] = None,
    trial_limit: Annotated[
        float,
        typer.Option(min=1, help="Seconds of epochs after which a trial ends; inf: no limit."),
    ] = float("inf"),
    address: Address = None,
    seed: Seed = 0,
    data: Data = Path("data"),
    out: Out = "results",
    resume: Annotated[bool, typer.Option("--resume", help="Continue an unfinished study.")] = False,
    synthetic: Synthetic = False,
    smoke_test: Annotated[
        bool, typer.Option("--smoke-test", help="Two trials of two epochs, on the stand-in.")
    ] = False,
) -> None:
    """Search hyper-parameters; the lowest validation RMSE wins, test ratings are never read.

    Example: python jobs/tune.py --pair toys_auto --synthetic --trials 16 --max-epochs 30

    All models at the same budget: python jobs/tune.py --pair toys_auto --synthetic --model all
    """
    from darec.data.split import split
    from darec.data.store import obtain
    from darec.models import MODELS
    from darec.tuning import mirror
    from darec.tuning.launch import Wanted, computed_slots, launch
    from darec.tuning.plan import describe
    from darec.tuning.resources import connect
    from darec.tuning.search import Settings, shutdown
    from darec.tuning.stages import Budget, Request
    from darec.tuning.tasks import ClusterCache
    from search_spaces import narrowed

    names = chosen(model, MODELS)
    synthetic = synthetic or smoke_test
    if stages == "joint" and not all(MODELS[name].stage1 for name in names):
        raise UserError(f"--stages joint needs a two-stage model, but {model} has one stage")
    if smoke_test:
        trials, stage1_trials, max_epochs = 2, 2, 2
    try:
        joint = stages == "joint"
        spaces = {name: narrowed(name, MODELS[name].stage1, joint, fix or []) for name in names}
    except ValueError as error:
        raise UserError(f"--fix: {error}") from error
    gpus = None if gpus_per_trial == "auto" else _number("--gpus-per-trial", gpus_per_trial)
    wanted = Wanted(cpus_per_trial, gpus, at_once, joined=address is not None)
    prepared = obtain(pair, data, synthetic, console.print)
    percent: Literal[90, 80] = 90 if train == "90" else 80
    search_data = split(prepared, percent, seed).search
    stand_in = " --synthetic" if synthetic else ""
    where = "" if data == Path("data") else f" --data {data}"
    next_options = f"--pair {pair} --train {train}{stand_in}{where} --out {out}"

    report = partial(console.print, highlight=False, markup=False, soft_wrap=True)

    def search(name: str) -> None:
        kind, (space, stage1) = MODELS[name], spaces[name]
        n_trials, n_epochs = (trials if space.space else 1), (1 if kind.whole_fit else max_epochs)
        budget = Budget(n_trials, stage1_trials or max(1, trials // 3), n_epochs, time_budget)
        study = f"{prepared.name}-{train}/{name}"
        folder = mirror.working_folder(out) / study
        request = Request(
            model=name,
            pair=prepared.name,
            train=percent,
            seed=seed,
            data=search_data,
            data_digest=prepared.digest,
            space=space,
            stage1=stage1,
            budget=budget,
            folder=folder,
            storage=f"{out.rstrip('/')}/{study}" if mirror.is_uri(out) else str(folder),
        )
        share = computed_slots(request, wanted)
        settings = Settings(sampler, scheduler, n_epochs, share, seed, ClusterCache(), trial_limit)
        plan = "\n".join(describe(request, settings))
        console.print(f"[bold]Plan[/bold]: {plan}", highlight=False, soft_wrap=True)
        best = launch(request, settings, wanted, sys.argv, resume, report)
        _print_winner(best, folder)
        report(f"files: {request.storage}")

    failed = []
    connect(address)
    stop_on_sigterm()
    try:
        for name in names:
            try:
                search(name)
            except UserError as error:
                if len(names) == 1:
                    raise
                failed.append(name)
                console.print(f"{name}: {error}", highlight=False, soft_wrap=True)
    except KeyboardInterrupt:
        command = shlex.join(word for word in sys.argv if word != "--resume")
        console.print(f"interrupted; continue with: python {command} --resume", soft_wrap=True)
        raise
    finally:
        shutdown()
    console.print(
        f"next:  python jobs/evaluate.py --model {model} {next_options}\n"
        f"       tensorboard --logdir {out}",
        highlight=False,
        soft_wrap=True,
    )
    if failed:
        raise UserError(f"{len(failed)} of {len(names)} models have no winner: {', '.join(failed)}")


def _print_winner(best: "Best", folder: Path) -> None:
    """Print the winner, how it compares with the bias baseline, its config and its warnings."""
    verdict = "beats" if best.valid_rmse < best.bias_valid_rmse else "loses to"
    gap = abs(best.valid_rmse - best.bias_valid_rmse)
    console.print(
        f"\n[bold]Winner[/bold]: trial {best.trial_id}, epoch {best.epoch}: validation RMSE "
        f"{best.valid_rmse:.4f}; it {verdict} the bias baseline ({best.bias_valid_rmse:.4f}) by "
        f"{gap:.4f}",
        highlight=False,
        soft_wrap=True,
    )
    if best.stage1_valid_rmse is not None:
        console.print(f"  its own stage 1 (AutoRec on the target): {best.stage1_valid_rmse:.4f}")
    for name, value in best.config.items():
        console.print(f"  {name:15} {value}", highlight=False, soft_wrap=True)
    _warn_edges(folder)
    if best.epoch == best.max_epochs > 1:
        console.print("  warning: its best epoch is its last; more --max-epochs may be better")


def _warn_edges(folder: Path) -> None:
    import csv

    with (folder / "trials.csv").open() as file:
        edges = next(csv.DictReader(file))["at_edge"]
    if edges:
        console.print(f"  warning: at the edge of its range: {edges}; a wider one may be better")


def _number(option: str, text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise UserError(f"{option} must be a number or auto, but got {text!r}") from error


if __name__ == "__main__":
    main(tune)
