"""Rating files on any scale, and pairs of them."""

from dataclasses import replace

from darec.data import store
from darec.data.scale import STARS, Scale
from darec.data.selection import Selection

SCALES = {
    "0.5-5": Scale(0.5, 5),
    "1-10": Scale(1, 10),
    "0-100": Scale(0, 100),
    "-10..10": Scale(-10, 10),
    "0/1": Scale(0, 1),
}
"""Scales beside that from 1 to 5."""


def on(pair, source=STARS, target=STARS):
    """The same pair, as if its ratings had been given on other scales."""
    return replace(
        pair,
        source=replace(pair.source, scale=source),
        target=replace(pair.target, scale=target),
    )


def written(pair, folder):
    """Write the ratings of a pair in own units, and return both files."""
    files = []
    for domain, ids in (("source", pair.source_item_ids), ("target", pair.target_item_ids)):
        ratings = getattr(pair, domain)
        values = ratings.scale.from_stars(ratings.values).tolist()
        rows = zip(pair.user_ids[ratings.users], ids[ratings.items], values, strict=True)
        files.append(folder / f"{pair.name}-{domain}.csv")
        text = "".join(f"{user},{item},{value!r}\n" for user, item, value in rows)
        files[-1].write_text("user,item,rating\n" + text)
    return files


def prepared(pair, folder, name):
    """Return a pair that was prepared from files of its ratings in own units."""
    return store.prepare(name, folder, *written(pair, folder), Selection(min_ratings=1)).pair
