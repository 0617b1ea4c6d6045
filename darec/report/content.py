"""The page's sections: each says what it shows, and shows only what was scored."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

import numpy as np

from darec.evaluation.summary import summarise
from darec.models import MODELS
from darec.paper import RANGES
from darec.report import figures, texts
from darec.report.cells import DAREC, PARTS, Cell, Results
from darec.report.claims import judge
from darec.report.figures import Picture, picture
from darec.report.importance import importances, places, searched
from darec.report.numbers import (
    VIEW_TITLES,
    Entry,
    cold_share,
    column,
    errors,
    stage1_entries,
    stage1_row,
)
from darec.report.sections import Request
from darec.report.statistics import holm, p_shown, paired_p
from darec.report.tables import Column, Table, TableCell, by_column, shown, signed


@dataclass(frozen=True)
class Section:
    """A part of the page."""

    id: str
    title: str
    text: list[str]
    tables: list[Table] = field(default_factory=list)
    pictures: list[Picture] = field(default_factory=list)
    foot: str = ""
    """Said under the tables."""


Views = dict[str, dict[Column, dict[str, Entry]]]


def table2_views(request: Request, results: Results) -> Views:
    """Return Table 2's entries by view, column and model."""
    return {
        view: {
            (request.label(pair), train): column(results, request.table2(pair, train), view)
            | stage1_entries(results, request.table2(pair, train), view)
            for pair in request.pairs
            for train in request.train
        }
        for view in VIEW_TITLES
    }


def table2_tables(request: Request, views: Views) -> list[Table]:
    """Return Table 2 in each view: a row for every model asked for, and its stage 1 if it has."""
    names = [cell.model for cell in request.table2("", 90)]
    names = [row for name in names for row in (name, stage1_row(name))]
    found = []
    for view, columns in views.items():
        known = {row for entries in columns.values() for row in entries}
        rows = [name for name in names if name in MODELS or name in known]
        found.append(by_column(VIEW_TITLES[view], rows, columns))
    return found


def budget(request: Request) -> str:
    """Say what every search could spend."""
    each = request.budget
    return (
        f"The same budget for every model: {each.trials} trials of at most {each.max_epochs} "
        f"epochs (one trial where nothing is drawn; a whole fit of a library is one epoch). DARec "
        f"had {each.stage1_trials} more in each of its two stage-1 studies. Winners are chosen by "
        f"validation RMSE and scored on {each.seeds} seeds."
    )


def sections(request: Request, results: Results, views: Views, folder: Path) -> Iterator[Section]:
    """Yield the sections that were asked for and have something to show."""
    yield from _claims(request, results)
    if request.has("table2"):
        yield _table2(request, views)
    if request.has("fig3"):
        yield from _figure3(request, results, folder)
    if request.has("fig2"):
        yield from _figure2(request, results, folder)
    if request.what == "all":
        yield from _cold_items(request, results, folder)
        yield from _cold_users(request, results, folder)
        yield from _parts(request, results, folder)
        yield from _hyper_parameters(request, results, folder)


def _claims(request: Request, results: Results) -> Iterator[Section]:
    found = judge(request, results)
    if found:
        rows = [
            [TableCell(text) for text in (each.claim, each.pair, each.verdict, each.evidence)]
            for each in found
        ]
        table = Table("claims of the paper", ["claim", "on", "verdict", "evidence"], rows)
        yield Section("claims", "Which of the paper's claims hold", [texts.CLAIMS], [table])


def _table2(request: Request, views: Views) -> Section:
    title, tables = "Table 2: cross-domain models", table2_tables(request, views)
    return Section("table2", title, texts.TABLE_2, tables, foot=budget(request))


def _figure3(request: Request, results: Results, folder: Path) -> Iterator[Section]:
    columns = {
        (request.label(pair), train): found
        for pair in request.pairs
        for train in request.train
        if (found := column(results, request.figure3(pair, train)))
    }
    if not columns:
        return
    drawn = [
        picture(
            folder,
            f"fig3-{pair}-{train}",
            f"{pair}, {train} % training: mean and standard deviation over seeds, cold=fallback.",
            f"Test RMSE on {pair}: " + ", ".join(f"{m} {e.mean:.4f}" for m, e in entries.items()),
            {f"{pair}, {train} %": figures.models(entries)},
        )
        for (pair, train), entries in columns.items()
    ]
    names = [cell.model for cell in request.figure3("", 90)]
    title = "Fig. 3: models of the target alone, beside DARec"
    table = by_column(VIEW_TITLES["fallback"], names, columns)
    yield Section("fig3", title, [texts.FIGURE_3], [table], drawn, budget(request))


def _figure2(request: Request, results: Results, folder: Path) -> Iterator[Section]:
    pictures = []
    for pair in request.pairs:
        found = {
            key: values
            for key, cell in request.figure2(pair).items()
            if (values := errors(results, cell))
        }
        if found:
            told = ", ".join(
                f"{model} {size}: {np.mean(v):.4f}" for (model, size), v in found.items()
            )
            label = request.label(pair)
            pictures.append(
                picture(
                    folder,
                    f"fig2-{label}",
                    f"{label}: extractor 100, all else searched at every size; 90 % training.",
                    f"Test RMSE by embedding size on {label}: {told}",
                    {label: figures.sizes(found)},
                )
            )
    if pictures:
        title = "Fig. 2: the size of the embedding"
        yield Section("fig2", title, [texts.FIGURE_2], [], pictures, budget(request))


def _cold_items(request: Request, results: Results, folder: Path) -> Iterator[Section]:
    names = ("bias", *DAREC)
    points: dict[str, dict[str, tuple[float, float, float]]] = {name: {} for name in names}
    for pair in request.pairs:
        cells = [cell for cell in request.whole(pair, 90) if cell.model in names]
        share = cold_share(results, cells)
        for cell in cells:
            both = [errors(results, cell, view) for view in ("fallback", "floor")]
            if share is not None and all(both):
                means = [float(np.mean(values)) for values in both]
                points[cell.model][request.label(pair)] = (share, means[0], means[1])
    panels = {name: figures.cold_shares(found) for name, found in points.items() if found}
    if not panels:
        return
    told = "; ".join(
        f"{name} on {pair}: {100 * share:.0f} % cold, {fallback:.2f} and {floor:.2f}"
        for name, found in points.items()
        for pair, (share, fallback, floor) in found.items()
    )
    caption = "RMSE with cold items at the bias prediction and at the lowest rating, by pair."
    drawn = picture(folder, "cold-items", caption, f"RMSE by cold share: {told}", panels)
    yield Section(
        "cold-items", "Beyond: what cold items do to the level", [texts.COLD_ITEMS], [], [drawn]
    )


def _cold_users(request: Request, results: Results, folder: Path) -> Iterator[Section]:
    rows, panels, told = [], {}, []
    for pair in request.pairs:
        label, found = request.label(pair), {}
        for cell in request.cold_users(pair):
            scores = results.cold(cell)
            if not scores:
                continue
            over = {
                name: [getattr(s, f"{name}rmse") for s in scores]
                for name in ("", "shuffled_", "bias_")
            }
            found[cell.model] = [s.rmse - s.bias_rmse for s in scores]
            p_values = [paired_p(over[""], over[other]) for other in ("shuffled_", "bias_")]
            p_values = holm(p_values)
            told.append(f"{cell.model} on {label} {np.mean(found[cell.model]):+.4f}")
            means = [summarise(values) for values in over.values()]
            numbers = [TableCell(shown(each.mean, each.sd), each.mean) for each in means]
            numbers += [TableCell(p_shown(p), p) for p in p_values]
            rows.append([TableCell(label), TableCell(cell.model), *numbers])
        if found:
            panels[label] = figures.gaps(found, "RMSE minus the bias baseline's", figures.USER)
    if not rows:
        return
    head = ["pair", "model", "RMSE", "source shuffled", "bias, untuned (mu + item)"]
    head += ["p, against shuffled", "p, against bias"]
    caption = "RMSE on the target ratings of users of whom only source ratings were seen"
    drawn = picture(
        folder,
        "cold-users",
        "Below zero: better than knowing the items alone.",
        "RMSE minus the bias baseline's: " + ", ".join(told),
        panels,
    )
    table = Table(caption, head, rows)
    yield Section("cold-users", "Beyond: cold users", [texts.COLD_USERS], [table], [drawn])


def _parts(request: Request, results: Results, folder: Path) -> Iterator[Section]:
    rows, pictures, unit = [], [], "RMSE minus the whole model's"
    for pair, model in product(request.pairs, PARTS):
        label, cells = request.label(pair), request.parts(pair)
        whole = [e for c in request.whole(pair, 90) if c.model == model for e in errors(results, c)]
        found = {
            called: [a - b for a, b in zip(values, whole, strict=True)]
            for (name, called), cell in cells.items()
            if name == model and whole and (values := errors(results, cell))
        }
        means = {called: float(np.mean(gap)) for called, gap in found.items()}
        corrected = holm([paired_p(gap, [0.0] * len(gap)) for gap in found.values()])
        for (called, _), p in zip(found.items(), corrected, strict=True):
            row = TableCell(signed(means[called]), means[called]), TableCell(p_shown(p), p)
            rows.append([TableCell(label), TableCell(model), TableCell(called), *row])
        if found:
            told = "; ".join(f"{called}: {signed(mean)}" for called, mean in means.items())
            alt = f"Change of {model}'s RMSE on {label}: {told}"
            caption = f"{label}: right of zero, {model} is worse with the change."
            panel = {f"{model} on {label}": figures.gaps(found, unit, figures.colour(model))}
            name = f"parts-{label}-{model}"
            pictures.append(picture(folder, name, caption, alt, panel, inches=7.0))
    if rows:
        table = Table("differences over seeds", ["pair", "model", "changed", unit, "p"], rows)
        title = "Beyond: what each part of DARec is worth"
        yield Section("parts", title, [texts.PARTS], [table], pictures)


def _hyper_parameters(request: Request, results: Results, folder: Path) -> Iterator[Section]:
    rows, pictures = [], []
    for pair in request.pairs:
        for model in DAREC:
            cell, label = Cell(pair, 90, model, request.synthetic), request.label(pair)
            if cell not in request.whole(pair, 90) or results.winner(cell) is None:
                continue
            study, stage1 = (
                searched(cell.folder(results.out) / part) for part in ("", "stage1_target")
            )
            shares, panels = importances(study), {}
            for stage, each in (("stage 1", stage1), ("stage 2", study)):
                if where := places(each):
                    panels[f"{stage}, {len(each.trials)} trials"] = figures.ranges(where)
                ranked = ", ".join(f"{n} {share:.2f}" for n, share in importances(each).items())
                edges = ", ".join(each.at_edge) or "none"
                said = (label, model, stage, str(len(each.trials)), ranked or "too few", edges)
                rows.append([TableCell(text) for text in said])
            if shares:
                panels["stage 2: importance"] = figures.bars(shares)
            if panels:
                spots = {f"stage 1's {name}": spot for name, spot in places(stage1).items()}
                spots |= places(study)
                told = ", ".join(f"{name} {best[0]:.2f}" for name, best in spots.items())
                caption = f"{model} on {label}: where the best quarter of the trials lies."
                alt = f"The winners' places in their ranges, 0 low and 1 high: {told}"
                pictures.append(picture(folder, f"ranges-{label}-{model}", caption, alt, panels))
    if rows:
        paper = ", ".join(f"{name} {low:g} to {high:g}" for name, (low, high) in RANGES.items())
        head = ["pair", "model", "study", "trials", "importance (PED-ANOVA)", "winner at an edge"]
        table = Table("trials that count, of all", head, rows)
        text = [texts.RANGES + paper]
        yield Section("ranges", "Beyond: hyper-parameters", text, [table], pictures)
