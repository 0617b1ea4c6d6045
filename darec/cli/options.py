"""The options that several commands share."""

import json
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeAlias

import typer

from darec.benchmark.names import SECTIONS as BENCHMARK_SECTIONS
from darec.errors import UserError
from darec.tuning.study.algorithms import SAMPLERS, SCHEDULERS

if TYPE_CHECKING:
    SamplerName: TypeAlias = str
    SchedulerName: TypeAlias = str
    SectionName: TypeAlias = str
else:  # the registries decide what the commands accept
    SamplerName, SchedulerName = Literal[tuple(SAMPLERS)], Literal[tuple(SCHEDULERS)]
    SectionName = Literal[("all", *BENCHMARK_SECTIONS)]

DataOption = partial(typer.Option, rich_help_panel="Data and task")
SearchOption = partial(typer.Option, rich_help_panel="How to search")
MachineOption = partial(typer.Option, rich_help_panel="Budget and machines")
"""Options that ``--help`` lists under headings of their own (`darec.cli.grouped`)."""

Percent = Literal[90, 80]
Share = Literal[20, 50, 80]


def percent(train: str) -> Percent:
    """Return ``--train`` as a number; raises `UserError` for another than 90 and 80."""
    if train not in ("90", "80"):
        raise UserError(f"--train must be 90 or 80, but got {train!r}")
    return 90 if train == "90" else 80


def share(cold_share: str) -> Share:
    """Return ``--cold-share`` as a number."""
    shares: dict[str, Share] = {"20": 20, "50": 50, "80": 80}
    return shares[cold_share]


def labelled(pair: str, synthetic: bool) -> str:
    """Return a pair's name in results."""
    return f"{pair}-synthetic" if synthetic else pair


Pairs = Annotated[
    str,
    typer.Option(
        "--pair",
        help="A pair of Table 1, or the --name that you gave to darec prepare; several as a,b.",
    ),
]
Model = Annotated[str, typer.Option(help="A model, several as a,b, or all.")]
ModelFolder = Annotated[str, typer.Argument(metavar="MODEL", help="Folder or URI of a model.")]
Unknown = Annotated[
    Literal["cold", "raise"],
    typer.Option(help="For an id that the model does not know: use the cold policy, or fail."),
]
Data = Annotated[Path, typer.Option(help="Folder of downloads and prepared pairs.")]
Train = Annotated[
    Literal["90", "80"],
    DataOption(help="Percent of ratings not held out; only for --task warm."),
]
Task = Annotated[
    Literal["warm", "cold_users"],
    DataOption(help="Predict held-out ratings, or users without any target rating."),
]
Split = Annotated[
    Literal["random", "temporal", "user-temporal", "file"],
    DataOption(
        help="Test on random ratings (the paper's), the last ones, each user's last ones, or as "
        "the pair's --split-file says; only for --task warm."
    ),
]
ColdShare = Annotated[
    Literal["20", "50", "80"],
    DataOption(help="Percent of the users who are cold test users; only for --task cold_users."),
]
Address = Annotated[
    str | None, MachineOption(help="Ray cluster to join, e.g. auto; by default this machine.")
]
Insecure = Annotated[
    bool,
    MachineOption("--insecure", help="Join also a cluster that asks for no token (not advised)."),
]
Out = Annotated[
    str, typer.Option(envvar="DAREC_OUT", help="Folder or URI (s3://...) of all results.")
]
Fresh = Annotated[
    bool, typer.Option("--fresh", help="Repeat runs that have scores; the new scores count.")
]
Synthetic = Annotated[
    bool,
    DataOption(
        "--synthetic",
        help="Generate a pair with Table 1's counts; results are labelled <pair>-synthetic.",
    ),
]
Seed = Annotated[int, typer.Option(help="Root seed of splits, searches and runs.")]


def parse_fix(words: list[str]) -> dict[str, Any]:
    """Return ``--fix KEY=VALUE`` options as a mapping; a value is a JSON literal or a word.

    Raises `UserError` for an option without ``=``, and for a key that is given twice.
    """
    held: dict[str, Any] = {}
    for word in words:
        key, equals, text = word.partition("=")
        if not equals:
            raise UserError(f"--fix: must be KEY=VALUE, but got {word!r}")
        if key in held:
            raise UserError(f"--fix: {key} must be given once, but is given twice")
        try:
            held[key] = json.loads(text)
        except json.JSONDecodeError:
            held[key] = text
    return held


def number(option: str, text: str) -> float:
    """Return an option as a number; raises `UserError` for another text."""
    try:
        return float(text)
    except ValueError as error:
        raise UserError(f"{option} must be a number or auto, but got {text!r}") from error
