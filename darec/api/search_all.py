"""Search several models with the same options, and share one budget of time between them."""

import time
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from typing import Any

from darec.api.checks import holdout_of
from darec.api.result import SearchResult, result_at
from darec.api.search import search
from darec.data.ratings import DomainPair
from darec.errors import UserError
from darec.models import kind_of
from darec.reporter import LOGGER, Reporter
from darec.tuning import storage
from darec.tuning.cluster.connection import connected
from darec.tuning.study.protocol import STAGE1_SHARE
from darec.tuning.study.record import load_study

SHORTEST_S = 40.0
"""The least share of the budget, in seconds: the time of one study. On a busy machine, its
processes take more than half of it to start. If earlier models overran the budget, the later ones
still get this much."""


class SomeFailed(UserError):
    """Some of several models have no winner; ``finished`` are the results of the others."""

    def __init__(self, failed: Sequence[str], finished: list[SearchResult]) -> None:
        n_models = len(failed) + len(finished)
        super().__init__(f"{len(failed)} of {n_models} models have no winner: {', '.join(failed)}")
        self.finished = finished


def check_budget(budget: float | None, models: Sequence[str], options: Mapping[str, Any]) -> None:
    """Raise `UserError` for a budget too small for these models, or beside other options."""
    if budget is None:
        return
    n_shares = sum(_shares(model, options) for model in models)
    if budget < SHORTEST_S * n_shares:
        of = f"{n_shares} shares of {len(models)} models"
        rule = f"at least {SHORTEST_S * n_shares:g} seconds, {SHORTEST_S:g} for each of {of}"
        raise UserError(f"--budget must be {rule}, but got {budget:g}")
    if options.get("time_budget") is not None:
        raise UserError("--budget cannot go with --time-budget, which is the time of each model")
    if options.get("reproducible"):
        raise UserError(f"--reproducible cannot go with --budget, but got {budget:g}")
    if options.get("rejudge"):
        message = "its time is not part of the budget"
        raise UserError(f"--rejudge cannot go with --budget {budget:g}: {message}")


def search_all(
    models: Sequence[str],
    pair: DomainPair,
    *,
    reporter: Reporter,
    budget: float | None = None,
    **options: Any,
) -> list[SearchResult]:
    """Search several models with the same options (`darec.search`); a failure stops no other model.

    ``budget`` is the time in seconds for all of them. Each study may use an equal share of what is
    left when its model's turn comes, so that costly models have what cheap ones before them did not
    need. A two-stage model has four shares: one for each first stage, two for the second. A search
    that is continued keeps its first share.

    Stops at the first search that is interrupted; that result is not finished. Raises `SomeFailed`
    in the end if a model has no winner.
    """
    results: list[SearchResult] = []
    failed, left_s, first_s = [], budget, None
    alone = len(models) == 1  # then the search connects itself, after it has checked its record
    address, insecure = options.get("address"), options.get("insecure", False)
    with nullcontext() if alone else connected(address, insecure=insecure):
        for position, model in enumerate(models):
            begin, known_s = time.monotonic(), None
            if not alone:
                reporter.line(f"Model {position + 1} of {len(models)}: {model}")
            if budget is not None and left_s is not None:
                known_s = _share_before(model, pair, options)
                own, *later = (_shares(each, options) for each in models[position:])
                n_shares = own + sum(later)
                if known_s is not None:  # its share tells what was left when it began
                    then_s = known_s / own * n_shares
                    first_s = first_s or then_s
                    left_s = budget - (first_s - then_s)
                share_s = known_s or own * max(SHORTEST_S, left_s / n_shares)
                options["time_budget"] = share_s
                reporter.line(f"{model}: {share_s:.0f} of the {budget:.0f} s of all models")
            try:
                results.append(search(model, pair, reporter=reporter, **options))
            except UserError as error:
                if alone:
                    raise
                failed.append(model)
                LOGGER.error("%s: %s", model, error)
                continue
            finally:
                if left_s is not None:
                    left_s -= known_s or time.monotonic() - begin
            if not results[-1].finished:
                return results
    if failed:
        raise SomeFailed(failed, results)
    return results


def _shares(model: str, options: Mapping[str, Any]) -> int:
    """Return how many shares of the budget a model has; a first stage has one of them."""
    has_first_stages = kind_of(model).stage1 is not None and options.get("stages") != "joint"
    return round(1 / STAGE1_SHARE) if has_first_stages else 1


def _share_before(model: str, pair: DomainPair, options: Mapping[str, Any]) -> float | None:
    """Return the time budget of a search that is continued; None for a new one."""
    if not options.get("resume"):
        return None
    out = str(options["out"])
    holdout = holdout_of(*(options[name] for name in ("train", "task", "cold_share", "split")))
    before = result_at(out, storage.working_folder(out), pair.name, holdout, model)
    record = before.folder / "study.json"
    if storage.is_uri(out):
        storage.fetch_file(storage.join(before.path, record.name), record)
    return load_study(before.folder, before.path).budget.time_budget if record.is_file() else None
