"""The data card: a page that shows what a prepared pair is like, beside the pair's file."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

from darec.data.facts import QUANTILES, DomainFacts, Facts
from darec.data.selection import REASONS
from darec.data.store import Prepared
from darec.files import write
from darec.page.picture import ITEM, USER, Draw, picture
from darec.page.render import render
from darec.page.section import Section, Table, TableCell

DOMAINS = {"source": USER, "target": ITEM}
"""The domains, and their colours."""
DATE_BINS = 40
MILLISECONDS = 1e11
"""Times above are milliseconds since 1970, others seconds."""


def write_card(made: Prepared, found: Facts, path: Path) -> None:
    """Write the page of a prepared pair, of which these facts were found."""
    sections = [
        _size(found),
        _ratings(found),
        _activity(found),
        _held_out(found),
        *_dates(found),
        _copies(found),
        _removed(made),
    ]
    about = (
        f"{found.source.ratings:,} source and {found.target.ratings:,} target ratings, "
        f"{found.both:,} users of both domains."
    )
    text = render(f"Data card: {made.pair.name}", about, [], sections)
    write(path, partial(Path.write_text, data=text))


def summary(found: Facts) -> pd.DataFrame:
    """Return the card in short, as a table for the console: a row per fact, a column per domain."""
    columns = {name: _in_short(domain) for name, domain in found.by_domain.items()}
    return pd.DataFrame(columns)


def _in_short(domain: DomainFacts) -> dict[str, str]:
    times = domain.times
    return {
        "mean rating ± sd": f"{domain.mean:.2f} ± {domain.sd:.2f}",
        "density": f"{domain.density:.2%}",
        "ratings per user": _span(domain.per_user),
        "ratings per item": _span(domain.per_item),
        "dates": "none" if times is None else f"{_date(times[0])} to {_date(times[-1])}",
    }


def cold_line(found: Facts) -> str:
    """Return how cold the test ratings are under each split, in one line."""
    each = [f"{cold.cold_items:.1%} ({cold.split})" for cold in found.cold]
    return f"Test ratings of cold items: {', '.join(each)}"


def _span(n: npt.NDArray[np.int64]) -> str:
    return f"{n[0]} to {n[-1]}, median {np.median(n):g}"


def _date(time: float) -> str:
    """Return a time as a date; as a number if it is not one of 1973 to 2100."""
    seconds = time / 1000 if time > MILLISECONDS else time
    if not 1e8 < seconds < 4.1e9:
        return f"{time:g}"
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()


def _by_domain(
    caption: str, rows: Mapping[str, Sequence[str | float]], head: Sequence[str] = tuple(DOMAINS)
) -> Table:
    """Return a table with a row per fact; the first column is its name."""
    lines = [[TableCell(name), *map(_cell, values)] for name, values in rows.items()]
    return Table(caption, ["", *head], lines)


def _cell(value: str | float) -> TableCell:
    if isinstance(value, str):
        return TableCell(value, value or "-")
    return TableCell(f"{value:,}", float(value))


def _share(value: float) -> TableCell:
    return TableCell(f"{value:.2%}", value)


def _size(found: Facts) -> Section:
    both = [found.source, found.target]
    rows: dict[str, Sequence[str | float]] = {
        "users": [d.users for d in both],
        "of them in this domain alone": [d.users - found.both for d in both],
        "items": [d.items for d in both],
        "ratings": [d.ratings for d in both],
        "density": [f"{d.density:.3%}" for d in both],
        "mean rating": [f"{d.mean:.3f}" for d in both],
        "standard deviation": [f"{d.sd:.3f}" for d in both],
    }
    text = [
        f"{found.both:,} users have ratings in both domains; only theirs are held out, "
        "unless a split file names others."
    ]
    return Section("size", "Size", text, [_by_domain("counts", rows)])


def _ratings(found: Facts) -> Section:
    def histogram(domain: str) -> Draw:
        counts = found.by_domain[domain].histogram

        def draw(axes: Axes) -> None:
            levels = list(counts)
            gap = float(np.diff(levels).min()) if len(levels) > 1 else 1.0
            total = sum(counts.values())
            shares = [100 * n / total for n in counts.values()]
            axes.bar(levels, shares, width=0.8 * gap, color=DOMAINS[domain])
            axes.set_xlabel("rating")
            axes.set_ylabel("% of the ratings")

        return draw

    messages = []
    for name, domain in found.by_domain.items():
        counts = ", ".join(f"{n:,} of {level:g}" for level, n in domain.histogram.items())
        messages.append(f"{name} {counts}")
    alt = f"Number of ratings by level: {'; '.join(messages)}"
    panels = {domain: histogram(domain) for domain in DOMAINS}
    drawn = picture("ratings", "How often each rating was given.", alt, panels)
    return Section("ratings", "Ratings", [], [], [drawn])


def _activity(found: Facts) -> Section:
    names = ["least", *(f"{q:.0%}" for q in QUANTILES[1:-1]), "most"]
    rows = {}
    for name, domain in found.by_domain.items():
        for label, n in _numbers(domain).items():
            values = np.quantile(n, QUANTILES, method="lower")
            rows[f"{name}: {label}"] = [int(value) for value in values]
    table = _by_domain("numbers of ratings and their quantiles", rows, names)
    panels = {label: _at_least(found, label) for label in _numbers(found.source)}
    medians = ", ".join(f"{name} {values[2]}" for name, values in rows.items())
    drawn = picture(
        "activity",
        "Share of the users, and of the items, that have at least this many ratings.",
        f"Ratings per user and per item, medians: {medians}",
        panels,
    )
    return Section("activity", "Ratings per user and item", [], [table], [drawn])


def _numbers(domain: DomainFacts) -> dict[str, npt.NDArray[np.int64]]:
    return {"per user": domain.per_user, "per item": domain.per_item}


def _at_least(found: Facts, label: str) -> Draw:
    def draw(axes: Axes) -> None:
        for domain, colour in DOMAINS.items():
            numbers = _numbers(found.by_domain[domain])[label]
            n, fewer = np.unique(numbers, return_index=True)
            axes.step(n, 100 * (1 - fewer / len(numbers)), where="pre", color=colour, label=domain)
        axes.set_xscale("log")
        axes.set_yscale("log")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
            axis.set_major_formatter(StrMethodFormatter("{x:g}"))
            axis.set_minor_formatter(NullFormatter())
        axes.set_xlabel("ratings")
        axes.set_ylabel("% that have at least as many")
        axes.legend(loc="lower left")

    return draw


def _held_out(found: Facts) -> Section:
    text = [
        "Test ratings of an item without training ratings are cold: no model can know the item, "
        "and the cold policy predicts them. Where many are cold, that policy decides the error."
    ]
    rows = [
        [
            TableCell(cold.split),
            TableCell(f"{cold.test:,}", cold.test),
            _share(cold.cold_items),
            _share(cold.cold_users),
        ]
        for cold in found.cold
    ]
    head = ["split", "test ratings of the target", "with a cold item", "with a cold user"]
    table = Table("splits", head, rows)
    return Section("cold", "What is held out, and how cold it is", text, [table])


def _dates(found: Facts) -> Iterator[Section]:
    """Yield the section on dates, if there are any."""
    known = {name: domain.times for name, domain in found.by_domain.items()}
    rows = {
        domain: ["none", "none", "none"]
        if times is None
        else [_date(times[0]), _date(float(np.median(times))), _date(times[-1])]
        for domain, times in known.items()
    }
    table = _by_domain("dates of the ratings", rows, ["first", "median", "last"])
    there = {domain: times for domain, times in known.items() if times is not None}
    if not there:
        return
    low, high = min(t[0] for t in there.values()), max(t[-1] for t in there.values())
    edges = np.linspace(low, high, DATE_BINS + 1)

    def draw(axes: Axes) -> None:
        for domain, times in there.items():
            shares = 100 * np.histogram(times, edges)[0] / len(times)
            axes.stairs(shares, edges, color=DOMAINS[domain], label=domain)
        ticks = np.linspace(low, high, 5)
        axes.set_xticks(ticks, [_date(tick) for tick in ticks])
        axes.set_ylabel("% of the ratings")
        axes.set_ylim(bottom=0)
        axes.legend(loc="lower left")

    message = "; ".join(f"{domain} {' to '.join(row[::2])}" for domain, row in rows.items())
    drawn = picture("dates", "When the ratings were given.", f"Dates: {message}", {"": draw}, 7.0)
    yield Section("dates", "Dates", [], [table], [drawn])


def _copies(found: Facts) -> Section:
    rows = [
        [
            TableCell(domain),
            _share(copies.copyable),
            _share(copies.copyable_by_chance),
            TableCell("yes" if copies.shows_copies else "no"),
        ]
        for domain, copies in ((name, each.copies) for name, each in found.by_domain.items())
    ]
    head = ["domain", "test ratings that can be copied", "by chance", "shows copies"]
    text = [
        "Twins are items that nearly the same users rated, editions of one product for example. "
        "Where their ratings are equal more often than by chance, models can copy test ratings; "
        "darec prepare --drop-twins keeps one item of each group."
    ]
    return Section("copies", "Copies", text, [Table("ratings that equal a twin's", head, rows)])


def _removed(made: Prepared) -> Section:
    removed = made.removed
    rows: dict[str, Sequence[str | float]] = {
        f"rows that {why}": [removed.source.get(reason, 0), removed.target.get(reason, 0)]
        for reason, why in REASONS.items()
    }
    if made.twins:
        twins = made.twins
        rows["items that copy a twin"] = [twins.source_items, twins.target_items]
    kept = (
        f"Before anything was dropped, {removed.shared_users:,} users and "
        f"{removed.shared_items:,} item ids were in both domains."
    )
    text = [
        f"Kept: {made.rules.in_words}. {kept}",
        *(f"{line[:1].upper()}{line[1:]}." for line in made.scale_notes),
        *(f"Read {line}." for line in made.notes),
        f"SHA-256: {made.pair.digest}",
    ]
    table = _by_domain("dropped rows, counted under the first reason that applies", rows)
    return Section("made", "What was dropped, and where it is from", text, [table])
