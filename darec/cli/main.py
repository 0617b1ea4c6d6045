"""``darec COMMAND``: all commands in one program."""

import sys
from collections.abc import Callable

import typer

from darec.cli.benchmark import benchmark
from darec.cli.command import help_of
from darec.cli.compare import compare
from darec.cli.evaluate import evaluate
from darec.cli.fit import fit
from darec.cli.grouped import GroupedCommand
from darec.cli.own_cluster import own_cluster
from darec.cli.plot import plot
from darec.cli.predict import predict
from darec.cli.prepare import prepare
from darec.cli.recommend import recommend
from darec.cli.reproduce import join_lists, reproduce
from darec.cli.serve import serve
from darec.cli.stack import stack
from darec.cli.status import status, stop
from darec.cli.step import step
from darec.cli.tune import tune

COMMANDS: dict[str, Callable[..., None]] = {
    "prepare": prepare,
    "tune": tune,
    "stack": stack,
    "evaluate": evaluate,
    "compare": compare,
    "status": status,
    "stop": stop,
    "plot": plot,
    "fit": fit,
    "predict": predict,
    "recommend": recommend,
    "serve": serve,
    "reproduce": reproduce,
    "benchmark": benchmark,
    "own-cluster": own_cluster,
}


def main() -> None:
    """Run ``darec COMMAND``."""
    sys.argv[:] = join_lists(sys.argv)
    app = _empty_app()
    for name, function in COMMANDS.items():
        app.command(name, cls=GroupedCommand, help=help_of(function))(function)
    app.command("step", hidden=True)(step)
    app(prog_name="darec")


def run_command(name: str) -> None:
    """Run one command by itself, as the launchers in ``jobs/`` do."""
    sys.argv[:] = join_lists(sys.argv)
    app_of(name)()


def app_of(name: str) -> typer.Typer:
    """Return a program of one command."""
    app = _empty_app()
    app.command(cls=GroupedCommand, help=help_of(COMMANDS[name]))(COMMANDS[name])
    return app


def _empty_app() -> typer.Typer:
    return typer.Typer(
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,  # help and errors are plain text
        help="Distributed hyper-parameter search for cross-domain recommendation.",
    )
