"""Judge a study's best few configurations again, on reshuffled validation ratings.

With many trials and a few thousand validation ratings, the winner is partly chosen by luck. So the
best configurations are trained again on other divisions of the same ratings into training and
validation ratings. All configurations get the same divisions. The lowest mean validation RMSE wins
(reshuffling: Nagler et al., arXiv 2405.15393). Test ratings are not used.

A trial that was ended early, by the scheduler or a time limit, is judged as it is: its
configuration trains for no more epochs than the trial had.
"""

import itertools
from dataclasses import replace
from statistics import mean
from typing import Any

import ray
from ray.exceptions import RayError

from darec.core.config import parse
from darec.core.fit import trained
from darec.core.recommender import DivergedError, Run
from darec.core.threads import begin_to_train
from darec.data.split import SearchData
from darec.models import ModelKind
from darec.reporter import LOGGER
from darec.seeds import derive
from darec.tuning.study.algorithms import SCHEDULERS
from darec.tuning.study.halt import LOOK_S, stop_asked
from darec.tuning.study.request import Request
from darec.tuning.study.rows import TrialRow
from darec.tuning.study.study import Settings, Study, StudyInterrupted
from darec.tuning.trial.names import key_of, nest
from darec.tuning.trial.travel import send_by_value

SPLITS = 4
"""On how many divisions each configuration is judged again."""
MOST, COST = 5, 5
"""By default at most `MOST` configurations are judged again, for at most 1 / `COST` of the
trainings of the search."""
WHOLE = ("completed", "stalled")
"""How trials end that nothing ended early."""


def affordable(request: Request) -> int:
    """Return how many configurations a search judges again by default; 0 if not even two.

    A search in two stages judges none again, nor does one with a time budget.
    """
    budget = request.budget
    if request.stage1 is not None or budget.time_budget is not None or not request.space.space:
        return 0
    share = SCHEDULERS[request.scheduler].share_of(budget.max_epochs)
    configs = min(MOST, int(budget.trials * share / (COST * SPLITS)))
    return configs if configs > 1 else 0


def rejudged(
    study: Study, rows: list[TrialRow], settings: Settings, configs: int
) -> list[TrialRow]:
    """Return the trials with the winner by the second judgement first.

    The configurations of the best ``configs`` trials are judged again, each once, if these are two
    at least. They get their mean as ``rejudged_rmse``; the order is by that, then by the first
    judgement. A configuration that diverges or fails on a division has the worst RMSE there.
    """
    distinct: dict[str, TrialRow] = {}
    for row in rows[:configs]:
        if row.best_epoch > 0:
            distinct.setdefault(key_of(row.config), row)
    best = list(distinct.values())
    if len(best) < 2:
        return rows
    means = _means(study, best, settings)
    judged = [replace(row, rejudged_rmse=m) for row, m in zip(best, means, strict=True)]
    judged.sort(key=lambda row: row.rejudged_rmse or 0.0)
    _tell(rows[0], judged[0], settings)
    return judged + [row for row in rows if all(row is not each for each in best)]


def _means(study: Study, rows: list[TrialRow], settings: Settings) -> list[float]:
    """Return the mean validation RMSE of each configuration on the other divisions."""
    data = [study.data.reshuffled(derive(settings.seed, "rejudge", n)) for n in range(SPLITS)]
    share = settings.slots
    options = {"num_cpus": share.cpus, "num_gpus": share.gpus, "memory": share.memory}
    task = ray.remote(**options, max_retries=3)(_valid_rmse)
    kind, stored = ray.put(send_by_value(study.kind)), [ray.put(each) for each in data]
    run = Run(derive(settings.seed, "run"), "cuda" if share.gpus else "cpu", settings.cache)
    threads = max(1, int(share.cpus))
    asked = [
        [task.remote(kind, nest(row.config), each, run, epochs, threads) for each in stored]
        for row in rows
        for epochs in [settings.max_epochs if row.ended in WHOLE else row.epochs]
    ]
    worst = study.data.valid.scale.range
    label = f"judging {len(rows)} configurations again, on {SPLITS} other divisions"
    found = []
    try:
        with settings.reporter.progress(label, SPLITS * len(rows)) as advance:
            for answers in asked:
                rmses = []
                for answer in answers:
                    _wait(answer, study)
                    rmses.append(_answer(answer, worst))
                    advance()
                found.append(mean(rmses))
    except BaseException:  # Ctrl-C or `darec stop` above all
        answers = list(itertools.chain.from_iterable(asked))
        # Ray ends this process if a task ends while it is cancelled, so only those left are
        for answer in ray.wait(answers, num_returns=len(answers), timeout=0)[1]:
            ray.cancel(answer)
        raise
    return found


def _wait(answer: "ray.ObjectRef[float]", study: Study) -> None:
    """Wait for the end of a run; raises `StudyInterrupted` if the search is asked to stop."""
    ended: list[Any] = []
    while not ended:
        if stop_asked(study.search_folder):
            raise StudyInterrupted(study.storage)
        ended, _ = ray.wait([answer], timeout=LOOK_S)


def _answer(answer: "ray.ObjectRef[float]", worst: float) -> float:
    """Return the validation RMSE of a run, or the worst one if the run failed."""
    try:
        rmse: float = ray.get(answer)
    except RayError as error:
        LOGGER.warning("a configuration cannot be judged again: %s", error)
        return worst
    return rmse


def _tell(before: TrialRow, now: TrialRow, settings: Settings) -> None:
    found = f"mean validation RMSE {now.rejudged_rmse:.4f}"
    if now.trial_id == before.trial_id:
        settings.reporter.line(f"  judged again: trial {now.trial_id} stays the best, {found}")
    else:
        message = f"trial {now.trial_id} takes the place of {before.trial_id}, {found}"
        settings.reporter.line(f"  judged again: {message}")


def _valid_rmse(
    kind: ModelKind,
    config: dict[str, Any],
    data: SearchData,
    run: Run,
    max_epochs: int,
    threads: int,
) -> float:
    """Return a configuration's lowest validation RMSE on one division; the worst if it diverges."""
    begin_to_train(threads)
    try:
        model = kind.build(parse(kind.config, config), data.training, run)
        return trained(model, data, max_epochs).best_rmse
    except DivergedError:
        return data.valid.scale.range
