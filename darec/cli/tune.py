"""``darec tune``: search a model's hyper-parameters."""

from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from darec.cli.command import command, stop_on_sigterm
from darec.cli.console import Terminal
from darec.cli.options import (
    Address,
    ColdShare,
    Data,
    DataOption,
    Insecure,
    MachineOption,
    Model,
    Out,
    Pairs,
    SamplerName,
    SchedulerName,
    SearchOption,
    Seed,
    Split,
    Synthetic,
    Task,
    Train,
    labelled,
    number,
    parse_fix,
    percent,
    share,
)
from darec.cli.searches import report_winners, search_pairs
from darec.errors import UserError


@command
def tune(
    reporter: Terminal,
    pair: Pairs,
    model: Model = "i_darec",
    train: Train = "90",
    task: Task = "warm",
    cold_share: ColdShare = "20",
    split: Split = "random",
    trials: Annotated[
        int | None,
        typer.Option(min=1, help="Trials of the model's study: 50, or with --resume as before."),
    ] = None,
    stage1_trials: Annotated[
        int | None,
        SearchOption(min=1, help="Trials of each stage-1 study; a third of --trials by default."),
    ] = None,
    max_epochs: Annotated[int, typer.Option(min=1, help="Maximum epochs of a trial.")] = 100,
    sampler: Annotated[
        SamplerName | None,
        SearchOption(help="How trials are drawn; gp by default, tpe for more than 200 trials."),
    ] = None,
    scheduler: Annotated[SchedulerName, SearchOption(help="How trials are stopped.")] = "asha",
    stages: Annotated[
        Literal["paper", "joint"],
        SearchOption(help="Tune stage 1 first and freeze it, or search both together."),
    ] = "paper",
    fix: Annotated[
        list[str] | None,
        SearchOption(
            metavar="KEY=VALUE",
            help="Hold a hyper-parameter fixed; stage 1's as autorec/KEY. May be repeated.",
        ),
    ] = None,
    space: Annotated[
        Path | None,
        SearchOption(help="Python file whose SPACE replaces the model's search space."),
    ] = None,
    paper: Annotated[
        bool,
        SearchOption(
            "--paper",
            help="Search AutoRec or DARec as the paper prints them, over its ranges alone; "
            "or CF-NADE as its authors have it, without a centre.",
        ),
    ] = False,
    time_budget: Annotated[
        float | None,
        MachineOption(min=1, metavar="SECONDS", help="Time of all studies of a model together."),
    ] = None,
    budget: Annotated[
        float | None,
        MachineOption(
            min=1,
            metavar="SECONDS",
            help="Time of all models, for each pair; each model gets a share of what is left.",
        ),
    ] = None,
    cpus_per_trial: Annotated[
        float, MachineOption(min=0.1, help="CPUs (threads) per trial.")
    ] = 1.0,
    gpus_per_trial: Annotated[
        str, MachineOption(help="GPUs of a trial, also a fraction; auto: what its memory needs.")
    ] = "auto",
    at_once: Annotated[
        int | None,
        MachineOption(min=1, help="Most trials at once; as many as there is room for by default."),
    ] = None,
    trial_limit: Annotated[
        float,
        MachineOption(
            min=1, metavar="SECONDS", help="Training time after which a trial ends; inf: no limit."
        ),
    ] = float("inf"),
    stop_when_flat: Annotated[
        bool,
        SearchOption(
            "--stop-when-flat",
            help="From 20 trials on, end a study when more trials can gain next to nothing.",
        ),
    ] = False,
    metric: Annotated[
        str, SearchOption(help="What selects, on validation ratings: rmse, mae or ndcg@10.")
    ] = "rmse",
    rejudge: Annotated[
        int | None,
        SearchOption(
            min=0,
            help="Train this many of the best configurations again, on other validation ratings; "
            "the lowest mean RMSE wins. The time is not part of a time budget. 0: none. By "
            "default up to 5, as many as cost at most a fifth of the search.",
            show_default=False,
        ),
    ] = None,
    reproducible: Annotated[
        bool,
        SearchOption(
            "--reproducible",
            help="Find the same trials and winner in every run with this --at-once.",
        ),
    ] = False,
    warm_start: Annotated[
        list[str] | None,
        SearchOption(
            metavar="PLACE",
            help="Earlier search, or folder of such; its winners are tried first. May be repeated.",
        ),
    ] = None,
    address: Address = None,
    insecure: Insecure = False,
    seed: Seed = 0,
    data: Data = Path("data"),
    out: Out = "results",
    resume: Annotated[
        bool,
        typer.Option(
            "--resume", help="Go on with a search; with more --trials also a finished one."
        ),
    ] = False,
    tracker: Annotated[
        Literal["mlflow", "wandb"] | None,
        typer.Option(help="Log each trial there, too: MLflow, or Weights & Biases."),
    ] = None,
    fit: Annotated[
        bool,
        typer.Option(
            "--fit/--no-fit",
            help="Train the winner on every rating, too, and write a model folder.",
        ),
    ] = True,
    stack: Annotated[
        bool | None,
        typer.Option(
            "--stack/--no-stack",
            help="Blend the best trials into one model; by default with --model all.",
        ),
    ] = None,
    synthetic: Synthetic = False,
    smoke_test: Annotated[
        bool, DataOption("--smoke-test", help="Run 2 trials of 2 epochs on synthetic data.")
    ] = False,
) -> None:
    """Search hyper-parameters; the lowest validation RMSE wins, or the best --metric.

    Test ratings have no part in it.

    Example: darec tune --pair toys_auto --synthetic --trials 16 --max-epochs 30

    All models with the same trials: darec tune --pair toys_auto --synthetic --model all

    All models in an hour: darec tune --pair toys_auto --synthetic --model all --budget 3600

    The best lists of ten items: darec tune --pair toys_auto --synthetic --metric ndcg@10

    Train on the past, test on the last ratings: darec tune --pair books_music --split temporal

    Begin with the winners of other pairs: darec tune --pair books_music --warm-start results

    More trials of a search, finished or not: darec tune --pair books_music --trials 80 --resume

    For users without target ratings: darec tune --pair toys_auto --task cold_users --model u_darec

    <models>
    """
    held = parse_fix(fix or [])
    gpus = None if gpus_per_trial == "auto" else number("--gpus-per-trial", gpus_per_trial)
    if smoke_test:
        synthetic, trials, stage1_trials, max_epochs = True, 2, 2, 2

    from darec.api.checks import holdout_of
    from darec.api.names import (
        check_libraries,
        check_names,
        check_no_search,
        check_same_budget,
        listed,
    )

    holdout, pairs = holdout_of(percent(train), task, share(cold_share), split), listed(pair)
    named = check_names(model)
    if "all" not in listed(model):
        check_libraries(named)
    labels = [holdout.label(labelled(name, synthetic)) for name in pairs]
    if "://" not in out and not resume:
        check_no_search(out, labels, named)
    elif "://" not in out and len(named) == 1:  # a failure of one of several stops no other
        asked = {"max_epochs": max_epochs, "time_budget": time_budget}
        check_same_budget(out, labels, named, asked)
    reporter.line(f"{model} on {pair}: loading the libraries and the ratings")

    from darec.api.pairs import load_pair
    from darec.api.registry import chosen_models, load_space, models_for, spaces_for
    from darec.api.search_all import check_budget
    from darec.api.search_checks import check_arguments
    from darec.core.objective import check_metric
    from darec.data import split as splits

    stop_on_sigterm()
    options: dict[str, Any] = {
        "train": percent(train),
        "task": task,
        "cold_share": share(cold_share),
        "split": split,
        "trials": trials,
        "stage1_trials": stage1_trials,
        "max_epochs": max_epochs,
        "sampler": sampler,
        "scheduler": scheduler,
        "stages": stages,
        "fix": held,
        "paper": paper,
        "time_budget": time_budget,
        "cpus_per_trial": cpus_per_trial,
        "gpus_per_trial": gpus,
        "at_once": at_once,
        "trial_limit": trial_limit,
        "stop_when_flat": stop_when_flat,
        "metric": metric,
        "rejudge": rejudge,
        "reproducible": reproducible,
        "warm_start": warm_start or [],
        "address": address,
        "insecure": insecure,
        "seed": seed,
        "out": out,
        "resume": resume,
        "tracker": tracker,
        "fit": fit,
    }
    check_arguments(options)  # wrong options are refused before data are fetched and Ray is started
    if stack and metric != "rmse":
        raise UserError(f"--stack needs --metric rmse: it blends by RMSE, but got {metric}")
    names = chosen_models(model, holdout.cold_users is not None)
    check_budget(budget, names, options)
    given = None if space is None else load_space(space)
    for name in names:
        spaces_for(name, stages, held, given, paper)
    prepared = [load_pair(name, data, synthetic, reporter) for name in pairs]
    for each in prepared:
        check_metric(metric, splits.split(each, holdout, seed).search)
    everything = "all" in listed(model)
    blends = stack if stack is not None else everything
    if stack is None and everything and metric != "rmse":
        reporter.line(f"no stack: it blends by RMSE, but these searches select by {metric}")
        blends = False
    options |= {"budget": budget, "space": given}
    found = search_pairs(
        {each: models_for(names, each, reporter) if everything else names for each in prepared},
        blends,
        stack is True,
        options,
        reporter,
    )
    same = {
        "--model": "all" if found[-1].best.model == "stack" else model,
        "--pair": pair,
        "--synthetic": synthetic,
        "--data": None if data == Path("data") else data,
        "--out": out,
    }
    report_winners(reporter, found, same, holdout.options)
