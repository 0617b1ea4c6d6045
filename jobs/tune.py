"""Search a model's hyper-parameters on a laptop or a Ray cluster, chosen by validation RMSE."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from darec.errors import UserError
from jobs.common import Data, Pair, Seed, Synthetic, console, main

if TYPE_CHECKING:
    from darec.tuning.stages import SearchSpace

ModelName = Literal["i_darec", "u_darec", "u_autorec", "i_autorec", "bias"]


def tune(
    pair: Pair,
    model: Annotated[ModelName, typer.Option(help="What to tune.")] = "i_darec",
    train: Annotated[Literal["90", "80"], typer.Option(help="Percent not held out.")] = "90",
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
        float | None, typer.Option(min=1, help="Seconds for all studies together.")
    ] = None,
    cpus_per_trial: Annotated[float, typer.Option(min=0.1, help="CPUs, and threads.")] = 1.0,
    gpus_per_trial: Annotated[
        str, typer.Option(help="GPUs (may be a fraction), or auto: by memory, where there are any.")
    ] = "auto",
    address: Annotated[
        str | None, typer.Option(help="Ray cluster to join, e.g. auto; by default this machine.")
    ] = None,
    seed: Seed = 0,
    data: Data = Path("data"),
    out: Annotated[str, typer.Option(help="Folder or URI (s3://...) of all results.")] = "results",
    resume: Annotated[bool, typer.Option("--resume", help="Continue an unfinished study.")] = False,
    synthetic: Synthetic = False,
    smoke_test: Annotated[
        bool, typer.Option("--smoke-test", help="Two trials of two epochs, on the stand-in.")
    ] = False,
) -> None:
    """Search hyper-parameters; the lowest validation RMSE wins, test ratings are never read.

    Example: python jobs/tune.py --pair toys_auto --synthetic --trials 16 --max-epochs 30
    """
    from darec.data.split import split
    from darec.data.store import obtain
    from darec.tuning import mirror, resources
    from darec.tuning.plan import estimate
    from darec.tuning.search import Settings, shutdown
    from darec.tuning.stages import Budget, Request, bias_rmse, run_search
    from darec.tuning.tasks import ClusterCache

    synthetic = synthetic or smoke_test
    if smoke_test:
        trials, stage1_trials, max_epochs = 2, 2, 2
    gpus = None if gpus_per_trial == "auto" else _number("--gpus-per-trial", gpus_per_trial)
    prepared = obtain(pair, data, synthetic, console.print)
    percent: Literal[90, 80] = 90 if train == "90" else 80
    search_data = split(prepared, percent, seed).search
    space, stage1 = _spaces(model, joint=stages == "joint", fix=fix or [])
    budget = Budget(trials, stage1_trials or max(1, trials // 3), max_epochs, time_budget)
    study = f"{prepared.name}-{train}/{model}"
    folder = mirror.working_folder(out) / study
    storage = f"{out.rstrip('/')}/{study}" if mirror.is_uri(out) else str(folder)
    if mirror.is_uri(out):
        mirror.fetch(storage, folder)

    resources.connect(address)
    try:
        need = resources.trial_bytes(space.space, space.fixed, search_data.training)
        share = resources.slots(cpus_per_trial, gpus, trials, need, may_grow=address is not None)
        cost = estimate(model, search_data, space, stage1, budget, scheduler, share)
        training = search_data.training
        stage1_plan = f", after 2 x {budget.stage1_trials} of stage 1" if stage1 else ""
        console.print(
            f"[bold]Plan[/bold]: {model} on {prepared.name}, {train} % training, seed {seed}\n"
            f"  data       {training.source.n_users} users; training ratings: source "
            f"{len(training.source)} on {training.source.n_items} items, target "
            f"{len(training.target)} on {training.target.n_items}; "
            f"validation {len(search_data.valid)}\n"
            f"  bias       validation RMSE {bias_rmse(search_data):.4f} (cold=fallback), "
            "to be beaten\n"
            f"  search     {trials} trials{stage1_plan}, <= {max_epochs} epochs each; {sampler}, "
            f"{scheduler}, {len(space.space)} hyper-parameters\n"
            f"  resources  {share.concurrent} trials at once, each {share.cpus:g} CPU, "
            f"{share.gpus:g} GPU\n"
            f"  time       about {_minutes(cost.expected)}, at most {_minutes(cost.greatest)}\n"
            f"  files      {storage}",
            highlight=False,
            soft_wrap=True,
        )
        if sampler == "tpe" and share.concurrent > max(2, trials // 4):
            console.print("  note       so many trials at once leave TPE little to learn from")
        request = Request(
            model=model,
            pair=prepared.name,
            train=percent,
            seed=seed,
            data=search_data,
            data_digest=prepared.digest,
            space=space,
            stage1=stage1,
            budget=budget,
            folder=folder,
            storage=storage,
        )
        settings = Settings(sampler, scheduler, max_epochs, share, seed, ClusterCache())
        best = run_search(request, settings, sys.argv, resume, console.print)
    except KeyboardInterrupt:
        command = " ".join(word for word in sys.argv if word != "--resume")
        console.print(f"interrupted; continue with: python {command} --resume", soft_wrap=True)
        raise
    finally:
        shutdown()
        if mirror.is_uri(out) and folder.is_dir():
            mirror.publish(folder, storage)
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
    for name, chosen in best.config.items():
        console.print(f"  {name:15} {chosen}", highlight=False, soft_wrap=True)
    _warn_edges(folder)
    flag = " --synthetic" if synthetic else ""
    console.print(
        f"files: {storage}\n"
        f"next:  python jobs/evaluate.py --pair {pair} --model {model} --train {train}{flag} "
        f"--out {out}\n"
        f"       tensorboard --logdir {out}",
        highlight=False,
        soft_wrap=True,
    )


def _spaces(
    model: ModelName, joint: bool, fix: list[str]
) -> "tuple[SearchSpace, SearchSpace | None]":
    """Return the model's space and stage 1's, narrowed by ``--fix``."""
    from darec.models import MODELS
    from darec.tuning.stages import SearchSpace
    from search_spaces import JOINT, SPACES, value

    stage1_model = MODELS[model].stage1
    if joint and stage1_model is None:
        raise UserError(f"--stages joint needs a two-stage model, but {model} has one stage")
    space = JOINT[model] if joint else SPACES[model]
    stage1 = None if joint or stage1_model is None else SPACES[stage1_model]
    for text in fix:
        key, equals, word = text.partition("=")
        inner = key.removeprefix("autorec/")
        if not equals:
            raise UserError(f"--fix must be KEY=VALUE, but got {text!r}")
        if space.has(key):
            space = space.fix({key: value(word)})
        elif joint and space.has(f"autorec/{inner}"):
            space = space.fix({f"autorec/{inner}": value(word)})
        elif stage1 is not None and stage1.has(inner):
            stage1 = stage1.fix({inner: value(word)})
        else:
            known = ", ".join([*space.space, *(f"autorec/{n}" for n in (stage1 or space).space)])
            raise UserError(f"--fix: {model} has no hyper-parameter {key!r}; it has: {known}")
    return SearchSpace(space.space, space.fixed), (
        None if stage1 is None else SearchSpace(stage1.space, stage1.fixed)
    )


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


def _minutes(seconds: float) -> str:
    return f"{seconds:.0f} s" if seconds < 100 else f"{seconds / 60:.0f} min"


if __name__ == "__main__":
    main(tune)
