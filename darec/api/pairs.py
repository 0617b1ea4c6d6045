"""Pairs of rating sets: load one by name, or prepare one from two files."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, get_args

import pandas as pd

from darec.api.checks import check_choice, check_count, check_finite, checked_scale
from darec.data import store
from darec.data.drop_twins import Dropped
from darec.data.facts import Facts, facts
from darec.data.layouts import Layout, ReadOptions
from darec.data.pairs import PAIRS
from darec.data.ratings import DomainPair
from darec.data.scale import Scale
from darec.data.selection import ItemRule, MinIn, Overlap, Selection
from darec.data.split import in_both_domains
from darec.data.store import Prepared
from darec.errors import UserError
from darec.paper import TABLE_1
from darec.reporter import LogReporter, Reporter

Year = Literal[2014, 2018, 2023]
Ends = Scale | tuple[float, float]
"""The lowest and the highest rating of a scale."""


def load_pair(
    name: str,
    data: str | Path = "data",
    synthetic: bool = False,
    reporter: Reporter | None = None,
) -> DomainPair:
    """Return a pair by name; a pair of Table 1 is downloaded and prepared if it is not there yet.

    Args:
        name: A pair of Table 1 (``toys_auto``), or the name under which you prepared your own.
        data: The folder of downloads and prepared pairs.
        synthetic: Whether to generate a synthetic pair with the counts of Table 1 instead.
        reporter: Receives messages; by default they are logged.

    Returns:
        The ratings of the users that both domains share.

    Raises:
        UserError: There is no such pair, or its files are damaged.

    Examples:
        >>> import darec
        >>> pair = darec.load_pair("toys_auto", synthetic=True)
        >>> len(pair.user_ids)
        2885
    """
    return store.obtain(name, Path(data), synthetic, reporter or LogReporter())


def prepare(
    source: str | Path | Sequence[str | Path] | None = None,
    target: str | Path | Sequence[str | Path] | None = None,
    *,
    name: str | None = None,
    pair: str | None = None,
    data: str | Path = "data",
    min_ratings: int = Selection.min_ratings,
    min_ratings_in: MinIn = "each",
    overlap: Overlap = "shared",
    items: ItemRule | None = None,
    min_item_ratings: int = 1,
    sample_users: int | None = None,
    drop_twins: bool = False,
    split_file: str | Path | None = None,
    layout: Layout | None = None,
    columns: Mapping[str, str] | None = None,
    delimiter: str | None = None,
    encoding: str | None = None,
    scale: Ends | None = None,
    source_scale: Ends | None = None,
    target_scale: Ends | None = None,
    unrated: float | None = None,
    year: Year = 2014,
    accept_changed: bool = False,
    synthetic: bool = False,
    reporter: Reporter | None = None,
) -> DomainPair:
    """Read two domains' rating files, choose users by their ratings, save the pair, and return it.

    Args:
        source: The file of your own source ratings, a folder of files, or several of them. Files
            are delimited text, JSON lines or Parquet, plain or packed (docs/ratings.md).
        target: The same of the target ratings.
        name: The name of your own pair.
        pair: A pair of Table 1, instead of files and a name.
        data: The folder of downloads and prepared pairs.
        min_ratings: Users with fewer ratings are left out.
        min_ratings_in: Whether a user's ratings are counted in each domain, or in total.
        overlap: ``shared`` keeps the users with ratings in both domains. ``all`` keeps those of one
            domain as well: they help to train, and none of their ratings is held out.
        items: What an item id in both domains is: ``shared``, one item, which is dropped from both
            (section 1), or ``separate``, an item of each. By default shared, unless that drops more
            than a tenth of a domain's ratings.
        min_item_ratings: Items with fewer ratings are dropped, then users who have too few ratings
            left, and so on until nothing changes (a k-core).
        sample_users: How many users are kept, drawn at random; by default all.
        drop_twins: Whether to keep one item of each group of twins that copy each other's ratings:
            items that nearly the same users rated, nearly always equally.
        split_file: A file that says which ratings train, validate and test, for searches with
            ``split="file"``: the columns user, item and part (docs/splits.md).
        layout: The layout of text files; by default it is recognised.
        columns: The name of the column of ``user``, ``item``, ``rating`` or ``time``, or its
            position from 1; ``{"time": "none"}`` reads no times, and ``{"source.user": "who"}`` is
            for the source's files only. Other columns are recognised by their names.
        delimiter: What stands between two cells of text files; by default it is recognised.
        encoding: The encoding of text files; UTF-8, or UTF-16 after a byte order mark, by default.
        scale: The lowest and highest rating that files may have; by default found from the ratings.
        source_scale: The same of the source alone.
        target_scale: The same of the target alone.
        unrated: A rating that means "not rated": its rows are dropped.
        year: The Amazon release that a pair of Table 1 is taken from; the paper's is 2014.
        accept_changed: Whether to accept a download whose SHA-256 differs from the recorded one.
        synthetic: Whether to generate a synthetic pair instead; it is not saved.
        reporter: Receives messages and counts; by default they are logged.

    Returns:
        The prepared pair. Its data card, ``<data>/pairs/<name>.html``, is a page that shows what
        the pair is like.

    Raises:
        UserError: A file cannot be read, or the arguments contradict each other.

    Example:
        ``darec.prepare("books.csv", "music.csv", name="books_music")``
    """
    reporter, data = reporter or LogReporter(), Path(data)
    check_choice("--min-ratings-in", min_ratings_in, get_args(MinIn))
    check_choice("--overlap", overlap, get_args(Overlap))
    check_choice("--items", items, (None, *get_args(ItemRule)))
    check_choice("--layout", layout, (None, *get_args(Layout)))
    check_choice("--year", year, get_args(Year))
    check_count("--min-ratings", min_ratings)
    check_count("--min-item-ratings", min_item_ratings)
    check_count("--sample-users", sample_users, optional=True)
    both = checked_scale("--scale", scale)
    scales = (
        checked_scale("--source-scale", source_scale) or both,
        checked_scale("--target-scale", target_scale) or both,
    )
    if unrated is not None:
        check_finite("--unrated", unrated)
    own = (source, target, name)
    if (pair is None) == (own == (None, None, None)) or (pair is None and None in own):
        raise UserError("give either --pair, or all of --source, --target and --name")
    if pair is not None and pair not in PAIRS:
        raise UserError(f"--pair must be one of {', '.join(PAIRS)}, but got {pair!r}")
    if synthetic:
        if pair is None:
            raise UserError("--synthetic needs --pair: it stands in for a pair of Table 1")
        of_files = {
            "--min-ratings": min_ratings != Selection.min_ratings,
            "--min-ratings-in": min_ratings_in != "each",
            "--overlap": overlap != "shared",
            "--items": items is not None,
            "--min-item-ratings": min_item_ratings != 1,
            "--sample-users": sample_users is not None,
            "--drop-twins": drop_twins,
            "--scale": any(scales),
            "--unrated": unrated is not None,
            "--layout": layout is not None,
            "--columns": columns is not None,
            "--delimiter": delimiter is not None,
            "--encoding": encoding is not None,
            "--split-file": split_file is not None,
        }
        if given := [option for option, is_given in of_files.items() if is_given]:
            raise UserError(f"{given[0]} needs rating files: a synthetic pair is generated")
        prepared = store.obtain(pair, data, True, reporter)
    else:
        if pair is not None:
            reporter.line(f"Fetching {pair}'s two category files ({year}) unless they are there")
            source, target = store.amazon_files(pair, data, year, accept_changed, reporter)
        name = name or pair
        assert name is not None and source is not None and target is not None
        files = _paths("--source", source), _paths("--target", target)
        rules = Selection(
            min_ratings,
            min_ratings_in,
            overlap,
            items,
            min_item_ratings,
            sample_users,
            unrated,
        )
        shown = " -> ".join(", ".join(str(file) for file in each) for each in files)
        reporter.line(f"Preparing {name}: {shown}, {rules.in_words}")
        options = ReadOptions(layout, columns, delimiter, encoding)
        parts = None if split_file is None else Path(split_file)
        made = store.prepare(name, data, *files, rules, options, drop_twins, scales, parts)
        prepared = made.pair
        for line in _made_lines(made, overlap):
            reporter.line(line)
    from darec.api import data_card  # matplotlib is slow to import

    found = facts(prepared)
    reporter.table("Counts", _counts(prepared, pair))
    reporter.table("Domains", data_card.summary(found))
    reporter.line(data_card.cold_line(found))
    for line in _copies_lines(found, drop_twins):
        reporter.line(line)
    if synthetic:
        reporter.line("not saved: every command generates this pair again")
        return prepared
    path = store.pair_file(data, prepared.name)
    reporter.line(f"saved: {path}")
    card = path.with_suffix(".html")
    data_card.write_card(made, found, card)
    reporter.line(f"card:  {card}")
    return prepared


def _paths(option: str, given: str | Path | Sequence[str | Path]) -> list[Path]:
    several = [given] if isinstance(given, str | Path) else list(given)
    if not several or not all(isinstance(each, str | Path) for each in several):
        raise UserError(f"{option} must be a file, a folder or several, but got {given!r}")
    return [Path(each) for each in several]


def _made_lines(made: Prepared, overlap: Overlap) -> Iterator[str]:
    """Yield what was read as what, what was dropped, and whom the users are."""
    pair, removed = made.pair, made.removed
    yield from (f"Read {line}" for line in made.notes)
    yield from made.scale_notes
    yield removed.sentence("source", len(pair.source))
    yield removed.sentence("target", len(pair.target))
    items = f"{removed.shared_items} item ids in both domains"
    yield f"{removed.shared_users} users and {items} before anything was dropped"
    if overlap == "all":
        yield _overlap_line(pair)
    if made.twins:
        yield _dropped_line(made.twins)


def _overlap_line(pair: DomainPair) -> str:
    n_both = int(in_both_domains(pair).sum())
    n_source, n_target = (int((r.user_counts > 0).sum()) for r in (pair.source, pair.target))
    return (
        f"Users: {n_both} of both domains, {n_source - n_both} of the source alone and "
        f"{n_target - n_both} of the target alone, who only help to train"
    )


def _dropped_line(twins: Dropped) -> str:
    if twins == Dropped():
        return "Dropped no twins: in neither domain are their ratings equal far beyond chance"
    return (
        f"Dropped as copies of a twin: {twins.source_items} source items with "
        f"{twins.source_ratings} ratings and {twins.target_items} target items with "
        f"{twins.target_ratings}; {twins.users} users had too few ratings then and went, too"
    )


def _copies_lines(of_pair: Facts, dropped: bool) -> Iterator[str]:
    copying = False
    for domain, found in (("source", of_pair.source.copies), ("target", of_pair.target.copies)):
        if found.shows_copies:
            copying = True
            yield (
                f"note: {found.copyable:.0%} of the {domain}'s test ratings can be copied from a "
                f"twin, an item that nearly the same users rated (an edition of one product?); "
                f"chance gives {found.copyable_by_chance:.0%}. {found.observed:.0%} of twins' "
                f"ratings are equal, by chance {found.chance:.0%} (z = {found.z:.0f}). Models on "
                f"the item axis can copy them"
            )
    if copying and not dropped:
        yield "note: --drop-twins keeps one item of each group of such twins"


def _counts(prepared: DomainPair, pair: str | None) -> pd.DataFrame:
    counts = store.counts(prepared)
    columns = {prepared.name: [str(count) for count in counts.values()]}
    if pair in TABLE_1:
        columns["Table 1"] = [str(getattr(TABLE_1[pair], kind)) for kind in counts]
    return pd.DataFrame(columns, index=[kind.replace("_", " ") for kind in counts])
