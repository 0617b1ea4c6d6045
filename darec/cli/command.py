"""What every command does besides its own work: -v and -q, one-line errors, exit codes."""

import inspect
import re
import shlex
import signal
import sys
import traceback
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from darec.cli.errors import line_of
from darec.cli.home import give_home
from darec.cli.model_list import model_list
from darec.errors import UserError
from darec.processes import INTERRUPTED, begin_command, note_stop

Verbose = Annotated[bool, typer.Option("--verbose", "-v", help="Show diagnostic messages.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show the result and errors only.")]
Json = Annotated[bool, typer.Option("--json", help="Print the result as one JSON object.")]
EXAMPLE = re.compile(
    r"\bdarec (prepare|tune|stack|evaluate|compare|status|stop|plot|fit|predict|recommend|serve|"
    r"reproduce|benchmark|own-cluster)\b"
)
"""Finds the commands in a help text."""
MODELS = "<models>"
"""Stands for the list of models in a help text."""


def command(function: Callable[..., None]) -> Callable[..., None]:
    """Return a typer command from a function whose first parameter is the reporter.

    Adds ``-v``, ``-q`` and ``--json``. An exception becomes one line on stderr and exit code 1 (see
    `darec.cli.errors`), an interruption exit code 130.
    """

    @wraps(function)
    def run(
        *, verbose: bool = False, quiet: bool = False, as_json: bool = False, **options: Any
    ) -> None:
        from darec.cli.console import set_up

        begin_command()
        give_home()
        try:
            if verbose and quiet:
                raise UserError("give either --verbose or --quiet")
            reporter = set_up(verbose, quiet, as_json)
            try:
                function(reporter, **options)
            finally:
                reporter.end()
        except (typer.Exit, typer.Abort, typer.BadParameter):  # for typer itself
            raise
        except Exception as error:
            if verbose and not isinstance(error, UserError):
                traceback.print_exception(error)
            print(f"error: {line_of(error, 'resume' in options)}", file=sys.stderr)
            raise typer.Exit(1) from error
        except KeyboardInterrupt as error:
            print("interrupted", file=sys.stderr)
            raise typer.Exit(INTERRUPTED) from error

    keyword = inspect.Parameter.KEYWORD_ONLY
    own = list(inspect.signature(function).parameters.values())[1:]
    extra = [
        inspect.Parameter(name, keyword, default=False, annotation=kind)
        for name, kind in (("verbose", Verbose), ("quiet", Quiet), ("as_json", Json))
    ]
    run.__signature__ = inspect.Signature(  # type: ignore[attr-defined]  # typer reads it
        [*(parameter.replace(kind=keyword) for parameter in own), *extra]
    )
    hints = {parameter.name: parameter.annotation for parameter in (*own, *extra)}
    run.__annotations__ = {**hints, "return": None}
    return run


def help_of(function: Callable[..., None]) -> str:
    """Return a command's help text, with all commands in it written as the user calls them.

    An example stands on a line of its own, unbroken, so that it can be copied.
    """
    paragraphs = (inspect.getdoc(function) or "").split("\n\n")
    text = "\n\n".join(map(_with_example, paragraphs))
    text = EXAMPLE.sub(lambda found: called(found[1]), text)
    return text.replace(MODELS, f"\b\n{model_list()}") if MODELS in text else text


def _with_example(paragraph: str) -> str:
    """Return a paragraph; if it is ``Words: command``, as two lines that are not wrapped."""
    found = re.fullmatch(r"([^:]{1,60}): (darec \w.*)", " ".join(paragraph.split()))
    return f"\b\n{found[1]}:\n  {found[2]}" if found else paragraph


def called(name: str) -> str:
    """Return how the user calls a command: ``darec tune``, or ``python jobs/tune.py``."""
    path = Path(sys.argv[0])
    if path.suffix == ".py" and path.parent.name == "jobs":
        return shlex.join(["python", str(path.with_name(name.replace("-", "_") + ".py"))])
    return f"python -m darec {name}" if path.name == "__main__.py" else f"darec {name}"


def command_line(program: str, options: Mapping[str, object], *words: object) -> str:
    """Return a command that can be pasted into a shell: every value is quoted where it must be.

    ``program`` is taken as it is. An option that is False or None is left out; one that is True has
    no value.
    """
    found = [program, *(shlex.quote(str(word)) for word in words)]
    for option, value in options.items():
        if value is True:
            found.append(option)
        elif value is not False and value is not None:
            text = shlex.quote(str(value))
            joined = "=" if text.startswith("-") else " "  # else it would be taken for an option
            found.append(f"{option}{joined}{text}")
    return " ".join(found)


def stop_on_sigterm() -> None:
    """Treat SIGTERM, and the end of the terminal, as Ctrl-C.

    SIGTERM also stops a background command, for which the shell has turned Ctrl-C off. The end of
    the terminal (SIGHUP) stays ignored under nohup. While Tune runs, its own handler of Ctrl-C
    writes a last snapshot.
    """

    def stop(*_: object) -> None:
        note_stop()
        if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
            raise KeyboardInterrupt
        signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGTERM, stop)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
        signal.signal(signal.SIGHUP, stop)
