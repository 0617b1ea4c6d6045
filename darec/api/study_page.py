"""The page of a search: its winner, its trials, and what mattered; also while it runs."""

import json
import math
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from darec.api import study_figures as figures
from darec.api.stack_page import stack_page
from darec.api.winner import asked_for, gaps
from darec.errors import UserError
from darec.files import write
from darec.models import STACK
from darec.models.best import Best, read_best
from darec.page.picture import Picture, picture
from darec.page.render import render
from darec.page.section import Section, Table, TableCell
from darec.paper import RANGES
from darec.reporter import duration, in_epochs
from darec.tuning.study.algorithms import SCHEDULERS
from darec.tuning.study.importance import DrawnTrials, importances, read_study
from darec.tuning.study.places import place_of
from darec.tuning.study.progress import MEASURES
from darec.tuning.study.record import PAGE, Record, load_study
from darec.tuning.study.trials_table import COST, REJUDGED, TEXTS
from darec.tuning.trial.names import METRIC, nest, trial_id_of

STAGES = {"": "", "stage1_target": ", stage 1, target", "stage1_source": ", stage 1, source"}
"""The folders of a search's studies, and what the titles of their sections end in."""
MOST_CURVES = 10
MOST_ROWS = 200
"""The most trials in the page's table; ``trials.csv`` has all."""
MOST_RUNGS = 12
"""More epochs at which trials are compared are not drawn."""
WATTS_CPU, WATTS_GPU = 15.0, 400.0
"""The power that a CPU core and a GPU are taken to use while a trial trains."""


def write_study_page(folder: Path) -> Path:
    """Write ``study.html`` of a search, finished or not, or of a stack, and return its path.

    Raises `UserError` if there is no search in the folder, or no trial in it yet.
    """
    record = load_study(folder)
    text = stack_page(folder, record) if record.model == STACK else _page(folder, record)
    write(folder / PAGE, partial(Path.write_text, data=text))
    return folder / PAGE


def _page(folder: Path, record: Record) -> str:
    names = STAGES if record.stage1 else [""]
    studies = [each for name in names if (each := _Study.read(folder, name, record))]
    if not studies:
        raise UserError(f"{folder}: no trial has ended yet")
    sections = [section for study in studies for section in study.sections()]
    main = studies[0]
    title = f"{record.model} on {record.pair}"
    return render(title, main.headline if not main.name else _WAITS, _notes(studies), sections)


_WAITS = "The first stage is being searched."


class _Study:
    """One study of a search, read from its files."""

    def __init__(self, folder: Path, name: str, record: Record, trials: pd.DataFrame) -> None:
        self.folder, self.name, self.record, self.trials = folder, name, record, trials
        finished = (folder / "best.json").is_file()
        self.best: Best | None = read_best(folder) if finished else None
        self.errors = trials["best_valid_rmse"].astype(float)

    @classmethod
    def read(cls, top: Path, name: str, record: Record) -> "_Study | None":
        """Return a study of a search; None if no trial has a finite error yet."""
        folder = top / name
        path = folder / "trials.csv"
        if not path.is_file():
            return None
        try:
            trials = pd.read_csv(path, dtype=dict.fromkeys(TEXTS, "str"))
        except (OSError, ValueError) as error:
            raise UserError(f"{path}: cannot be read: {error}") from error
        trials["failures"] = trials["failures"].fillna("")
        known = trials["best_epoch"].gt(0).any()
        return cls(folder, name, record, trials) if known else None

    @property
    def baselines(self) -> dict[str, float]:
        """The baselines on the same validation ratings; a first stage has none until it ends."""
        if self.best is None:
            return {} if self.name else self.record.baselines
        return {
            "bias": self.best.bias_valid_rmse,
            "hierarchical_bias": self.best.hierarchical_valid_rmse,
        }

    @property
    def headline(self) -> str:
        """Who won, by how much, and at what cost."""
        first = self.trials.iloc[0]
        message = (
            f"Validation RMSE {self.errors.iloc[0]:.4f}: trial {first['trial_id']}, "
            f"epoch {first['best_epoch']}"
        )
        if self.best is None:
            message += ", so far"
        told_gaps = gaps(float(self.errors.iloc[0]), self.baselines)
        if self.best is not None and self.best.stage1_valid_rmse is not None:
            told_gaps.append(f"its own first stage has {self.best.stage1_valid_rmse:.4f}")
        return f"{'; '.join([message, *filter(None, [', '.join(told_gaps)])])}. {self.cost}"

    @property
    def cost(self) -> str:
        """How many trials there were and what they cost."""
        ends = self.trials["ended"].str.partition(":")[0].value_counts()
        counts = ", ".join(f"{n} {end}" for end, n in ends.items())
        n = len(self.trials)
        return f"{n} trial{'s' if n != 1 else ''}: {counts}."

    def spent(self, column: str) -> float:
        """Return the sum of a column of `COST`; 0 if an earlier version wrote the table."""
        return float(self.trials[column].sum()) if column in self.trials else 0.0

    def sections(self) -> Iterator[Section]:
        """Yield the sections of this study; a first stage has fewer."""
        stage, prefix = self.name, f"{self.name}-" if self.name else ""
        of = STAGES[stage]
        shown = self.headline if stage else "Lower is better."
        yield Section(f"{prefix}search", f"Search{of}", [shown], [], list(self._search(prefix)))
        if not stage:
            yield self._winner()
        drawn = read_study(self.folder)
        if found := list(self._what_mattered(drawn, prefix)):
            text = [
                "Importance: which hyper-parameters tell the best quarter of the trials from the "
                "others. With fewer than 50 trials it is rough."
            ]
            yield Section(f"{prefix}mattered", f"What mattered{of}", text, [], found)
        if failures := self._failures():
            yield Section(f"{prefix}failures", f"Failures{of}", [], [failures])
        if not stage:
            yield Section("trials", "Trials", [], [self._table()])

    def _winner(self) -> Section:
        config = nest(asked_for(self.best)) if self.best else self._config_so_far()
        text = ["The configuration of the best trial, to copy:"]
        return Section("winner", "Winner", text, code=json.dumps(config, indent=2, default=str))

    def _config_so_far(self) -> dict[str, Any]:
        first = self.trials.iloc[0]
        names = list(self.trials.columns)[list(self.trials.columns).index("at_edge") + 1 :]
        others = (METRIC, REJUDGED, *COST)
        drawn = [name for name in names if name not in others and pd.notna(first[name])]
        plain = {name: first[name] for name in drawn}
        return nest({n: v.item() if hasattr(v, "item") else v for n, v in plain.items()})

    def _search(self, prefix: str) -> Iterator[Picture]:
        numbers = pd.to_numeric(self.trials["trial_id"], errors="coerce")
        in_order = self.trials.assign(number=numbers.fillna(0).astype(int))
        in_order = in_order[in_order["best_epoch"] > 0].sort_values("number")
        errors = in_order["best_valid_rmse"].astype(float).tolist()
        panels = {"trials": figures.history(in_order["number"].tolist(), errors, self.baselines)}
        found = _curves(self.folder, self.trials["trial_id"].tolist()[:MOST_CURVES])
        caption = "The best epoch of each trial"
        if any(len(epochs) > 1 for epochs, _ in found.values()):
            caption += f", and the learning curves of the best {len(found)} trials"
            panels["learning curves of the best trials"] = figures.curves(
                found, self._rungs(), self.baselines
            )
        alt = f"best validation RMSE {min(errors):.4f} among {len(errors)} trials"
        yield picture(f"{prefix}history", f"{caption}.", alt, panels, inches=4.6)

    def _rungs(self) -> list[int]:
        most = self.record.budget.max_epochs
        at = SCHEDULERS[self.record.scheduler].decides_at(most)
        rungs = [epoch for epoch in range(1, most) if epoch in at]
        return rungs if len(rungs) <= MOST_RUNGS else []

    def _what_mattered(self, drawn: DrawnTrials, prefix: str) -> Iterator[Picture]:
        shares = importances(drawn)
        if not shares:
            return
        panels = {"importance": figures.bars(shares, "importance (PED-ANOVA)")}
        for name in list(shares)[:2]:
            values = [trial[name] for trial in drawn.trials]
            own = drawn.distributions[name], values, drawn.errors
            panels[name] = figures.slice_of(name, *own, RANGES.get(name.rpartition("/")[2]))
        message = ", ".join(f"{name} {share:.0%}" for name, share in shares.items())
        caption = "Importances, and errors against the two most important ones (winner filled)."
        yield picture(f"{prefix}importance", caption, f"importances: {message}", panels, inches=3.4)
        places = {
            name: [place_of(each, trial[name]) for trial in drawn.trials]
            for name, each in drawn.distributions.items()
        }
        if len(places) > 1:
            caption = "Each line is a trial: where its hyper-parameters lie in their ranges."
            alt = f"places of {len(drawn.trials)} trials in {len(places)} ranges"
            panels = {"best trials in colour, the winner thick": figures.parallel(places)}
            yield picture(f"{prefix}parallel", caption, alt, panels, inches=8.0)

    def _failures(self) -> Table | None:
        failed = self.trials[self.trials["failures"] != ""]
        if not len(failed):
            return None
        rows = [
            [TableCell(str(row["trial_id"])), TableCell(row["ended"]), TableCell(row["failures"])]
            for _, row in failed.iterrows()
        ]
        return Table("Trials with failed attempts", ["trial", "ended", "reasons"], rows)

    def _table(self) -> Table:
        names = list(self.trials.columns)
        varied = [
            name
            for name in names[names.index("at_edge") + 1 :]
            if name not in COST and self.trials[name].astype(str).nunique() > 1
        ]
        rows = [
            [
                TableCell(str(row["trial_id"])),
                _number(float(row["best_valid_rmse"]), ".4f"),
                _number(float(row["best_epoch"]), ".0f"),
                _number(float(row["seconds"]), ".1f"),
                TableCell(str(row["ended"])),
                *(_value(row[name]) for name in varied),
            ]
            for _, row in self.trials.head(MOST_ROWS).iterrows()
        ]
        head = ["trial", "valid RMSE", "best epoch", "seconds", "ended", *varied]
        left = len(self.trials) - len(rows)
        caption = "Best first" + (f"; trials.csv has {left} more" if left > 0 else "")
        return Table(caption, head, rows)


def _curves(folder: Path, trials: list[str]) -> dict[str, figures.Curve]:
    """Return the learning curves of some trials whose files are here."""
    found: dict[str, figures.Curve] = {}
    paths = {trial_id_of(path.parent.name): path for path in folder.glob("tune/*/progress.csv")}
    for name in trials:
        path = paths.get(name)
        if path is None or not path.stat().st_size:
            continue
        table = pd.read_csv(path, usecols=["epoch", "valid_rmse"]).drop_duplicates("epoch")
        if len(table):
            found[name] = table["epoch"].tolist(), table["valid_rmse"].tolist()
    return found


def _notes(studies: list[_Study]) -> list[str]:
    record = studies[0].record
    cpu_s, gpu_s = (sum(study.spent(name) for study in studies) for name in COST)
    kwh = (cpu_s * WATTS_CPU + gpu_s * WATTS_GPU) / 3.6e6
    spent, watts = f"{duration(cpu_s)} of CPU cores", f"{WATTS_CPU:g} W a CPU core"
    if gpu_s:
        spent, watts = (
            f"{spent} and {duration(gpu_s)} of GPUs",
            f"{watts} and {WATTS_GPU:g} W a GPU",
        )
    by = "" if record.metric == "rmse" else f" The search selects by {MEASURES[record.metric]}."
    if record.rejudge:
        by += (
            f" The best {record.rejudge} configurations are judged again on other validation "
            "ratings; the lowest mean wins."
        )
    return [
        f"Cost of all trials: {spent}, about {kwh:.2g} kWh at {watts}.",
        f"{record.holdout.in_words}, seed {record.seed}; {record.sampler}, {record.scheduler}, "
        f"at most {in_epochs(record.budget.max_epochs)}. Test ratings have no part "
        f"in this page.{by}",
    ]


def _number(value: float, form: str) -> TableCell:
    return TableCell(format(value, form), value) if math.isfinite(value) else TableCell("none", 1e9)


def _value(value: Any) -> TableCell:
    if isinstance(value, float):
        return TableCell("" if math.isnan(value) else f"{value:.3g}", value)
    return TableCell(str(value), value if isinstance(value, int) else "")
