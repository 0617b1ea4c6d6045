"""Loops over observed ratings, which numba compiles for one thread of a CPU.

Shapes: B rows of a batch, M columns of the rating matrix, T of them touched by the batch, K units,
n observed ratings, L readings of the same ratings, S batches of an epoch. ``starts_X1`` holds the
X + 1 boundaries between X parts. Each loop runs in the precision of its arrays. Machine code is
kept on disk, so that each node compiles once.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.core.caching import FunctionCache

LOGGER = logging.getLogger(__name__)
Kernel = TypeVar("Kernel", bound=Callable[..., Any])
Array = np.ndarray[Any, Any]
REORDERED = {"contract", "reassoc", "arcp", "nsz"}
"""Sums may be reordered, so that they fill vectors. NaN and infinity stay what they are."""


class _Cache(FunctionCache):
    """Numba's cache of machine code on disk. If the disk is full or damaged, loops compile again.

    Numba compiles a loop again when the file that defines it changes. Loops in other files contain
    loops of this file, so a change of this file makes them compile again, too.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)  # type: ignore[no-untyped-call]
        file: Any = self._cache_file
        file._source_stamp = file._source_stamp, sha256(Path(__file__).read_bytes()).hexdigest()

    @contextmanager
    def _guard_against_spurious_io_errors(self) -> Iterator[None]:
        """Load or save within this context, and go on without if that fails."""
        try:
            yield
        except Exception as error:  # a damaged file may raise anything
            LOGGER.debug("machine code is not kept on the disk: %r", error)


def compiled(function: Kernel) -> Kernel:
    """Compile a loop at its first call, or load it from the disk if it can be kept there."""
    kernel: Any = numba.njit(nogil=True, fastmath=REORDERED, error_model="numpy")(function)
    try:
        kernel._cache = _Cache(function)
    except (RuntimeError, OSError) as error:  # no folder can be written
        LOGGER.debug("machine code is not kept on the disk: %s", error)
    return cast(Kernel, kernel)


@compiled
def gather_sums(
    starts_B1: Array, columns_n: Array, factors_n: Array, weight_MK: Array, out_BK: Array
) -> None:
    """Set ``out[b]`` to the sum of ``factor * weight[column]`` over the ratings of row b."""
    for b in range(len(out_BK)):
        out_K = out_BK[b]
        out_K[:] = 0
        for p in range(starts_B1[b], starts_B1[b + 1]):
            factor, weight_K = factors_n[p], weight_MK[columns_n[p]]
            for k in range(len(out_K)):
                out_K[k] += factor * weight_K[k]


@compiled
def column_sum(
    ratings_n: Array, row_of_n: Array, factors_n: Array, rows_BK: Array, out_K: Array
) -> None:
    """Add to ``out`` the sum of ``factor * row`` over the ratings of one column."""
    for p in ratings_n:
        factor, row_K = factors_n[p], rows_BK[row_of_n[p]]
        for k in range(len(out_K)):
            out_K[k] += factor * row_K[k]


@compiled
def column_sums(
    starts_T1: Array,
    ratings_n: Array,
    row_of_n: Array,
    factors_n: Array,
    rows_BK: Array,
    out_TK: Array,
) -> None:
    """Set ``out[t]`` to the sum of ``factor * row`` over the ratings of touched column t."""
    for t in range(len(out_TK)):
        of_column = ratings_n[starts_T1[t] : starts_T1[t + 1]]
        out_TK[t] = 0
        column_sum(of_column, row_of_n, factors_n, rows_BK, out_TK[t])


@compiled
def sampled_dots(
    row_of_n: Array, columns_n: Array, rows_BK: Array, weight_MK: Array, out_n: Array
) -> None:
    """Set ``out[p]`` to the dot product of a rating's row and its column's weights."""
    for p in range(len(columns_n)):
        row_K, weight_K = rows_BK[row_of_n[p]], weight_MK[columns_n[p]]
        total = row_K.dtype.type(0)
        for k in range(len(row_K)):
            total += row_K[k] * weight_K[k]
        out_n[p] = total


@compiled
def decoder_errors(
    starts_B1: Array,
    columns_n: Array,
    values_n: Array,
    weight_LB: Array,
    hidden_LBK: Array,
    decoder_MK: Array,
    bias_M: Array,
    error_LB: Array,
    slope_Ln: Array,
    slope_LBK: Array,
    slope_M: Array,
) -> None:
    """Set ``error`` to the sum of squared errors of ``hidden . decoder + bias`` in each row.

    The loss is the sum of these, each times its ``weight``. ``slope_Ln`` and ``slope_LBK`` are set
    to the gradients of the loss with respect to the predictions and to ``hidden``. The gradient
    with respect to the biases is added to ``slope_M``, which is empty if the biases are frozen.
    """
    for reading in range(len(hidden_LBK)):
        for b in range(len(starts_B1) - 1):
            hidden_K, slope_K = hidden_LBK[reading, b], slope_LBK[reading, b]
            slope_K[:] = 0
            total = weight_LB.dtype.type(0)
            for p in range(starts_B1[b], starts_B1[b + 1]):
                decoder_K = decoder_MK[columns_n[p]]
                error = bias_M[columns_n[p]] - values_n[p]
                for k in range(len(hidden_K)):
                    error += hidden_K[k] * decoder_K[k]
                total += error * error
                slope = weight_LB[reading, b] * (error + error)
                slope_Ln[reading, p] = slope
                if len(slope_M) > 0:
                    slope_M[columns_n[p]] += slope
                for k in range(len(hidden_K)):
                    slope_K[k] += slope * decoder_K[k]
            error_LB[reading, b] = total


@compiled
def group_by_column(
    cuts_S1: Array,
    columns_n: Array,
    ratings_n: Array,
    touched_n: Array,
    starts_n: Array,
    next_n: Array,
    bounds_S1: Array,
    first_M: Array,
) -> None:
    """Group the ratings of each batch by column, and find the next batch that touches the column.

    Batch s has the ratings ``cuts[s]:cuts[s + 1]`` of the epoch. It writes their positions in the
    batch, column after column, to the same part of ``ratings``. It writes T + 1 entries from
    ``bounds[s]`` on to three arrays: ``touched`` are its columns, ``next`` is the next batch that
    touches each (S if there is none), and ``starts`` is where the ratings of each begin.
    ``first`` is the first batch that touches each column (S if there is none).
    """
    n_batches = len(cuts_S1) - 1
    first_M[:] = n_batches
    count_M = np.zeros(len(first_M), np.int64)
    end = len(touched_n)
    bounds_S1[n_batches] = end
    for s in range(n_batches - 1, -1, -1):
        end -= 1
        starts_n[end] = cuts_S1[s + 1] - cuts_S1[s]
        begin = end
        for p in range(cuts_S1[s], cuts_S1[s + 1]):
            j = columns_n[p]
            if count_M[j] == 0:
                begin -= 1
                touched_n[begin] = j
            count_M[j] += 1
        bounds_S1[s] = begin
        position = 0
        for t in range(begin, end):
            j = touched_n[t]
            starts_n[t], next_n[t] = position, first_M[j]
            first_M[j] = s
            position += count_M[j]
            count_M[j] = starts_n[t]
        for p in range(cuts_S1[s], cuts_S1[s + 1]):
            j = columns_n[p]
            ratings_n[cuts_S1[s] + count_M[j]] = p - cuts_S1[s]
            count_M[j] += 1
        for t in range(begin, end):
            count_M[touched_n[t]] = 0
        end = begin
