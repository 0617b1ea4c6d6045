"""Predictions and recommendations of many users, written in chunks: memory does not grow with them.

A file gets its name when it is complete (`darec.files.write`).
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from darec.errors import UserError
from darec.files import write
from darec.reporter import SILENT, Reporter
from darec.serving.columns import TITLE, read_chunks, read_columns
from darec.serving.ids import Unknown
from darec.serving.model import LoadedModel

WRITERS = {".parquet": pq.ParquetWriter, ".csv": pacsv.CSVWriter}
PREDICTIONS = pa.schema(
    [("user", pa.string()), ("item", pa.string()), ("prediction", pa.float32())]
)
RECOMMENDATIONS = pa.schema(
    [("user", pa.string()), ("item", pa.string()), ("score", pa.float32()), ("rank", pa.int32())]
)


def predict_file(
    model: LoadedModel,
    pairs: Path,
    out: Path,
    *,
    unknown: Unknown = "cold",
    std: bool = False,
    reporter: Reporter = SILENT,
) -> int:
    """Predict the pairs of a file with the columns user and item; return their number.

    Writes user, item and prediction, in the target's units, in the order of the file, as Parquet or
    CSV; with ``std`` also the standard deviation of each rating around its prediction.
    Raises `UserError` before anything is predicted, for a bad line, for an ``out`` that cannot be
    written, and if ``unknown`` is ``raise``, for the first user or item that the model has not.
    """
    check_out(out, pairs)
    n_chunks, total, cold = _check_pairs(model, pairs, unknown)
    reporter.line(
        f"Plan: {total:,} pairs of {pairs}, {cold:,} of them with a user or item that the model "
        "does not know: these are predicted by the cold policy"
    )
    schema = PREDICTIONS.append(pa.field("std", pa.float32())) if std else PREDICTIONS

    def save(temporary: Path) -> None:
        with (
            WRITERS[out.suffix](temporary, schema) as writer,
            reporter.progress("predict", n_chunks) as advance,
        ):
            for chunk in read_chunks(pairs, "user", "item"):
                pairs_of = (column.to_pylist() for column in chunk.columns)
                found = model.predict(*pairs_of, return_std=std)
                values = found if std else (found,)
                writer.write(pa.table([*chunk.columns, *values], schema=schema))
                advance()

    write(out, save)
    return total


def recommend_file(
    model: LoadedModel,
    users: Sequence[str],
    out: Path,
    *,
    n: int = 10,
    exclude_seen: bool = True,
    unknown: Unknown = "cold",
    lower_bound: float = 0.0,
    titles: Mapping[str, str] | None = None,
    reporter: Reporter = SILENT,
) -> int:
    """Write the top ``n`` items of users, best first; return the number of rows.

    The columns are user, item, score (in the target's units, unclipped) and rank, and title if
    there are ``titles``. Raises `UserError` for an ``out`` that cannot be written, and as
    `LoadedModel.recommend` does.
    """
    check_out(out)
    rows, n_items = 0, len(model.item_ids)
    reporter.line(f"Plan: the top {n} of {n_items:,} items for {len(users):,} users")

    def save(temporary: Path) -> None:
        nonlocal rows
        n_chunks = -(-len(users) // model.users_at_once)
        with (
            WRITERS[out.suffix](temporary, schema_of(titles)) as writer,
            reporter.progress("recommend", n_chunks) as advance,
        ):
            for table in recommended(model, users, n, exclude_seen, unknown, lower_bound, titles):
                writer.write(table)
                rows += len(table)
                advance()

    write(out, save)
    return rows


def recommended(
    model: LoadedModel,
    users: Sequence[str],
    n: int,
    exclude_seen: bool,
    unknown: Unknown,
    lower_bound: float,
    titles: Mapping[str, str] | None,
) -> Iterator[pa.Table]:
    """Yield recommendations, `LoadedModel.users_at_once` users at a time."""
    at_once = model.users_at_once
    for begin in range(0, len(users), at_once):
        some = users[begin : begin + at_once]
        found = model.recommend(
            some, n, exclude_seen=exclude_seen, unknown=unknown, lower_bound=lower_bound
        )
        if titles is not None:
            found = with_titles(found, titles)
        yield pa.Table.from_pandas(found, schema_of(titles), preserve_index=False)


def schema_of(titles: Mapping[str, str] | None) -> pa.Schema:
    """Return the columns of recommendations, with or without titles."""
    title = pa.field(TITLE, pa.string())
    return RECOMMENDATIONS if titles is None else RECOMMENDATIONS.append(title)


def with_titles(found: pd.DataFrame, titles: Mapping[str, str]) -> pd.DataFrame:
    """Return recommendations with a column of titles, which is empty for an item without one."""
    return found.assign(**{TITLE: found["item"].map(titles)})


def check_out(out: Path, *inputs: Path) -> None:
    """Raise `UserError` unless a file of this name may be written, and is none of the inputs."""
    if out.suffix not in WRITERS:
        raise UserError(f"--out must end in {' or '.join(WRITERS)}, but got {out}")
    if out.is_dir():
        raise UserError(f"--out must be a file, but {out} is a folder")
    for given in inputs:
        if out.resolve() == given.resolve():
            raise UserError(f"--out must be another file than the one that is read, {given}")


def _check_pairs(model: LoadedModel, path: Path, unknown: Unknown) -> tuple[int, int, int]:
    """Read every line; return the number of chunks, of pairs, and of pairs with an unknown id."""
    chunks = pairs = cold = 0
    for chunk in read_chunks(path, "user", "item"):
        users, items = (column.to_pylist() for column in chunk.columns)
        is_cold = model.user_ids.positions(users, "cold") < 0
        is_cold |= model.item_ids.positions(items, "cold") < 0
        chunks, pairs, cold = chunks + 1, pairs + len(users), cold + int(is_cold.sum())
        if unknown == "raise" and cold:
            raise _unknown(model, path)
    return chunks, pairs, cold


def _unknown(model: LoadedModel, path: Path) -> UserError:
    """Return the error of the first row with an unknown user or item; one is there."""
    for place, ids in read_columns(path, "user", "item"):
        for name, known, one in zip(
            ("user", "item"), (model.user_ids, model.item_ids), ids, strict=True
        ):
            if known.positions([one], "cold")[0] < 0:
                rule = f"the model must know the {name}, but has no {one!r}"
                return UserError(f"{place}: {rule}; --unknown cold predicts by the cold policy")
    raise AssertionError(path)
