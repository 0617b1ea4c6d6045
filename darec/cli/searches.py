"""Runs the searches of ``darec tune`` on each pair, and tells what they found."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import typer

from darec.cli.command import called, command_line
from darec.cli.console import Terminal
from darec.errors import UserError
from darec.processes import INTERRUPTED
from darec.reporter import LOGGER

if TYPE_CHECKING:
    import pandas as pd

    from darec.api.result import SearchResult
    from darec.data.ratings import DomainPair
    from darec.models.best import Best


def search_pairs(
    models: "Mapping[DomainPair, Sequence[str]]",
    blends: bool,
    must_blend: bool,
    options: Mapping[str, Any],
    reporter: Terminal,
) -> "list[SearchResult]":
    """Search some models on each pair, and blend them if asked; a failure stops no other one.

    Ends the command if it is interrupted. Raises `UserError` in the end if a model has no winner.
    """
    results: list[SearchResult] = []
    failed = []
    for pair, names in models.items():
        try:
            results += _search_pair(names, pair, blends, must_blend, options, reporter)
        except UserError as error:
            if len(models) == 1:
                raise
            failed.append(pair.name)
            LOGGER.error("%s: %s", pair.name, error)
    if failed:
        raise UserError(f"the searches on these pairs failed: {', '.join(failed)}")
    return results


def _search_pair(
    models: Sequence[str],
    pair: "DomainPair",
    blends: bool,
    must_blend: bool,
    options: Mapping[str, Any],
    reporter: Terminal,
) -> "list[SearchResult]":
    from darec.api import stack
    from darec.api.search_all import SomeFailed, search_all

    failure: UserError | None = None
    try:
        results = search_all(models, pair, reporter=reporter, **options)
    except KeyboardInterrupt:
        reporter.line(f"interrupted; continue with: {this_command()} --resume")
        raise
    except SomeFailed as error:
        results, failure = error.finished, error
    if results and not results[-1].finished:
        reporter.line(f"interrupted; continue with: {this_command()} --resume")
        print("interrupted", file=sys.stderr)
        raise typer.Exit(INTERRUPTED)
    if blends and results:
        try:
            results.append(stack.stack(results, pair, fit=options["fit"], reporter=reporter))
        except UserError as error:  # the searches are finished
            if must_blend:
                failure = failure or error
            else:
                LOGGER.warning("no stack: %s", error)
    for result in results:
        answer_winner(reporter, result)
    if len(results) > 1:
        reporter.table(f"Winners on {pair.name}, best first", winners(results))
    if failure is not None:
        raise failure
    return results


def winners(results: "Sequence[SearchResult]") -> "pd.DataFrame":
    """Return a row per winner by its validation error, and below them both baselines once."""
    import pandas as pd

    from darec.tuning.study.progress import MEASURES

    in_order = sorted(results, key=lambda result: result.error)
    bests, errors = [each.best for each in in_order], [each.error for each in in_order]
    by, base = f"validation {MEASURES[bests[0].metric]}", bests[0].hierarchical_valid_rmse
    rows = {
        best.model: {
            by: f"{error:.4f}",
            "validation RMSE": f"{best.valid_rmse:.4f}",
            "minus hierarchical": f"{round(best.valid_rmse - base, 4) + 0.0:+.4f}",
            "trials": str(best.trials),
            "winner": _named(best),
        }
        for best, error in zip(bests, errors, strict=True)
    }
    baselines = {"bias, untuned": bests[0].bias_valid_rmse}
    baselines |= {} if "hierarchical_bias" in rows else {"hierarchical biases": base}
    for name, rmse in baselines.items():
        rows[name] = {"validation RMSE": f"{rmse:.4f}"}
    return pd.DataFrame.from_dict(rows, orient="index").fillna("-").rename_axis("model")


def _named(best: "Best") -> str:
    """Return the number of the winning trial, or how many members a stack has."""
    from darec.api.names import STACK

    if best.model != STACK:
        return best.trial_id
    members = len(best.config["members"])
    return f"{members} member{'s' if members > 1 else ''}"


def report_winners(
    reporter: Terminal,
    results: "Sequence[SearchResult]",
    same: Mapping[str, object],
    holdout: str,
) -> None:
    """Tell the winners, and the commands that use them.

    ``same`` and ``holdout`` are the options that those commands share with this one.
    """
    from darec.tuning import storage

    best = min(results, key=lambda result: result.error)
    model = storage.join(best.path, "model")
    following = [
        f"{command_line(called('evaluate'), same)} {holdout}",
        *([command_line(called("recommend"), {"--user": "ID"}, model)] if _has(best) else []),
        command_line("tensorboard", {"--logdir": same["--out"]}),
    ]
    reporter.line("next:  " + "\n       ".join(following))


def answer_winner(reporter: Terminal, result: "SearchResult") -> None:
    """Give the winner of a search as the result of a command."""
    from darec.tuning import storage

    best = result.best
    reporter.answer(
        {
            "pair": best.pair,
            "model": best.model,
            "valid_rmse": best.valid_rmse,
            "bias_valid_rmse": best.bias_valid_rmse,
            "hierarchical_valid_rmse": best.hierarchical_valid_rmse,
            "trial": best.trial_id,
            "epoch": best.epoch,
            "config": best.config,
            "study": result.path,
            "model_folder": storage.join(result.path, "model") if _has(result) else None,
        },
        f"{best.model} on {best.pair}: validation RMSE {best.valid_rmse:.4f} "
        f"(bias {best.bias_valid_rmse:.4f}, hierarchical_bias "
        f"{best.hierarchical_valid_rmse:.4f}); {result.path}",
    )


def _has(result: "SearchResult") -> bool:
    from darec.api.fit import has_model

    return has_model(result, of_this_winner=True)


def this_command() -> str:
    """Return the command line that runs now, without ``--resume``."""
    program, *words = sys.argv
    if not program.endswith("tune.py"):
        words.remove("tune")  # the subcommand is the first word that is not an option
    options = shlex.join(word for word in words if word != "--resume")
    return f"{called('tune')} {options}"
