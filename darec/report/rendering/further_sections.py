"""The sections beyond the paper: cold items, cold users, DARec's parts, hyper-parameters."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from darec.api.study_figures import bars
from darec.core.cold import COLD
from darec.errors import UserError
from darec.evaluation.summary import summarise
from darec.page.picture import USER, Draw
from darec.page.section import Section, Table, TableCell
from darec.paper import RANGES
from darec.report.analysis.effects import cold_item_levels, cold_user_errors, part_effects
from darec.report.analysis.statistics import LEAST_SPLITS, p_shown
from darec.report.matrix.cells import BIASES, DAREC, PARTS, printed
from darec.report.matrix.request import Request
from darec.report.matrix.results import Results
from darec.report.rendering import figures, texts
from darec.report.rendering.figures import picture
from darec.report.rendering.tables import NO_SCORE, of_range, shown, signed
from darec.reporter import LOGGER
from darec.tuning.study.importance import importances, places, read_study


def cold_items(request: Request, results: Results, folder: Path) -> Iterator[Section]:
    """Yield the errors under each cold policy against the cold share, over pairs."""
    levels = cold_item_levels(request, results, (*BIASES, *DAREC))
    if not levels:
        return
    panels = {model: figures.cold_shares(by_pair) for model, by_pair in levels.items()}
    numbers = "; ".join(
        f"{model} on {pair}: {100 * each.cold_share:.0f} % cold, "
        f"{each.hierarchical:.2f}, {each.fallback:.2f} and {each.floor:.2f}"
        for model, by_pair in levels.items()
        for pair, each in by_pair.items()
    )
    caption = "RMSE with cold items at three predictions (the cold policies), by pair."
    drawn = picture(folder, "cold-items", caption, f"RMSE by cold share: {numbers}", panels)
    title = "Beyond the paper: cold items and the level of the errors"
    yield Section("cold-items", title, [texts.COLD_ITEMS], [], [drawn])


def cold_users(request: Request, results: Results, folder: Path) -> Iterator[Section]:
    """Yield the errors on users whose target ratings are all withheld."""
    rows, panels, numbers = [], {}, []
    unit = "RMSE minus that of hierarchical_bias"
    for pair in request.pairs:
        label, gaps = request.label(pair), {}
        for cell in request.cold_users(pair):
            scores = results.scores(cell, COLD)
            if not scores:
                continue
            errors = cold_user_errors(scores)
            gaps[cell.row] = errors.gaps
            numbers.append(f"{cell.row} on {label} {np.mean(errors.gaps):+.4f}")
            compared = errors.model, errors.mae, errors.shuffled, errors.hierarchical, errors.bias
            means = [summarise(each) for each in compared]
            cells = [TableCell(shown(each.mean, each.sd), each.mean) for each in means]
            if (share := scores[0].scale.share(means[0].mean)) is not None:
                cells[0] = replace(cells[0], note=of_range(share))
            cells += [_p_cell(p) for p in (errors.p_shuffled, errors.p_hierarchical)]
            rows.append([TableCell(label), TableCell(cell.row), *cells])
        if gaps:
            panels[label] = figures.gaps(gaps, unit, USER)
    if not rows:
        return
    head = ["pair", "model", "RMSE", "MAE", "source shuffled", "hierarchical_bias"]
    head += ["bias, untuned (mu + item)", "p, against shuffled", "p, against hierarchical_bias"]
    table = Table(
        f"target ratings of users with source ratings only, {request.cold_share} % of the users",
        head,
        rows,
    )
    caption = "Below zero: better than the hierarchical biases, which know the users' levels."
    alt = f"{unit}: " + ", ".join(numbers)
    drawn = picture(folder, "cold-users", caption, alt, panels)
    title = "Beyond the paper: cold users"
    yield Section("cold-users", title, [texts.COLD_USERS], [table], [drawn])


def parts(request: Request, results: Results, folder: Path) -> Iterator[Section]:
    """Yield how the error of DARec changes if one of its parts is changed."""
    rows, pictures, unit = [], [], "RMSE minus the whole model's"
    for pair, model in product(request.pairs, PARTS):
        label, effects = request.label(pair), part_effects(request, results, pair, model)
        for change, effect in effects.items():
            cells = [TableCell(text) for text in (label, model, change)]
            cells.append(TableCell(signed(effect.mean), effect.mean))
            rows.append([*cells, _p_cell(effect.p)])
        if effects:
            numbers = "; ".join(f"{change}: {signed(e.mean)}" for change, e in effects.items())
            alt = f"Change of {model}'s RMSE on {label}: {numbers}"
            caption = f"{label}: right of zero, {model} is worse with the change."
            gaps = {change: effect.gaps for change, effect in effects.items()}
            panel = {f"{model} on {label}": figures.gaps(gaps, unit, figures.colour(model))}
            name = f"parts-{label}-{model}"
            pictures.append(picture(folder, name, caption, alt, panel, inches=7.0))
    if rows:
        table = Table("differences over seeds", ["pair", "model", "changed", unit, "p"], rows)
        title = "Beyond the paper: what each part of DARec is worth"
        yield Section("parts", title, [texts.PARTS], [table], pictures)


def hyper_parameters(request: Request, results: Results, folder: Path) -> Iterator[Section]:
    """Yield the importances of DARec's hyper-parameters, and where the good trials lie."""
    rows, pictures = [], []
    for pair, model in product(request.pairs, DAREC):
        cell, label = printed(pair, 90, model, request.synthetic), request.label(pair)
        if cell not in request.whole_models(pair, 90) or results.winner(cell) is None:
            continue
        own = cell.folder(results.out)
        try:
            studies = {
                "stage 1": read_study(own / "stage1_target"),
                "stage 2": read_study(own),
            }
        except UserError as error:
            LOGGER.warning("%s; the page leaves its hyper-parameters out", error)
            rows.append([TableCell(text) for text in (label, model, str(error), "", "", "")])
            continue
        panels: dict[str, Draw] = {}
        best: dict[str, float] = {}
        for stage, study in studies.items():
            if spots := places(study):
                panels[f"{stage}, {len(study.trials)} trials"] = figures.ranges(spots)
            of_stage1 = "stage 1's " if stage == "stage 1" else ""
            best |= {f"{of_stage1}{name}": each[0] for name, each in spots.items()}
            ranked = ", ".join(f"{name} {share:.2f}" for name, share in importances(study).items())
            edges = ", ".join(study.at_edge) or "none"
            said = (label, model, stage, str(len(study.trials)), ranked or "too few", edges)
            rows.append([TableCell(text) for text in said])
        if shares := importances(studies["stage 2"]):
            panels["stage 2: importance"] = bars(shares, "importance (PED-ANOVA)")
        if panels:
            numbers = ", ".join(f"{name} {place:.2f}" for name, place in best.items())
            caption = f"{model} on {label}: where the best quarter of the trials lies."
            alt = f"The winners' places in their ranges, 0 low and 1 high: {numbers}"
            pictures.append(picture(folder, f"ranges-{label}-{model}", caption, alt, panels))
    if rows:
        paper = ", ".join(f"{name} {low:g} to {high:g}" for name, (low, high) in RANGES.items())
        head = ["pair", "model", "study", "trials", "importance (PED-ANOVA)", "winner at an edge"]
        table = Table("trials that did not diverge", head, rows)
        text = [texts.RANGES + paper]
        yield Section("ranges", "Beyond the paper: hyper-parameters", text, [table], pictures)


def _p_cell(p: float | None) -> TableCell:
    if p is None:
        return TableCell(f"fewer than {LEAST_SPLITS} seeds", NO_SCORE)
    return TableCell(p_shown(p), p)
