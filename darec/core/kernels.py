"""The loops over ratings and over columns of rating-sized weights, compiled for one CPU thread.

Shapes: B rows of a batch, M columns of the rating matrix, T of them touched by the batch, K units,
n observed ratings. All run in the precision of their arrays. Machine code is kept on disk: a node
compiles once.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar, cast

import numba
import numpy as np

Kernel = TypeVar("Kernel", bound=Callable[..., None])
Array = np.ndarray[Any, Any]


class Rates(NamedTuple):
    """Adam's constants, as scalars of the weights' precision."""

    shrink: Any
    """Factor on the weights each step: 1 with coupled decay."""
    l2: Any
    """The gradient of L2 per unit of weight: 0 with decoupled decay."""
    keep1: Any
    take1: Any
    keep2: Any
    take2: Any
    eps: Any


def compiled(function: Kernel) -> Kernel:
    """Compile a loop at its first call, or load it from the disk."""
    compile_ = numba.njit(cache=True, nogil=True, fastmath=True, error_model="numpy")
    return cast(Kernel, compile_(function))


@compiled
def gather_sum(
    offsets_B: Array, columns_n: Array, factors_n: Array, weight_MK: Array, out_BK: Array
) -> None:
    """Set ``out[b]`` to the sum of ``factor * weight[column]`` over the ratings of row b."""
    out_BK[:] = 0
    for b in range(len(offsets_B)):
        end = offsets_B[b + 1] if b + 1 < len(offsets_B) else len(columns_n)
        out_K = out_BK[b]
        for p in range(offsets_B[b], end):
            factor, weight_K = factors_n[p], weight_MK[columns_n[p]]
            for k in range(len(out_K)):
                out_K[k] += factor * weight_K[k]


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
def scatter_sum(
    row_of_n: Array, slots_n: Array, factors_n: Array, rows_BK: Array, out_TK: Array
) -> None:
    """Add ``factor * row`` of every rating to its column's slot."""
    for p in range(len(slots_n)):
        factor, row_K, out_K = factors_n[p], rows_BK[row_of_n[p]], out_TK[slots_n[p]]
        for k in range(len(out_K)):
            out_K[k] += factor * row_K[k]


@compiled
def adam_update(
    columns_T: Array,
    grad_TK: Array,
    weight_MK: Array,
    moment_MK: Array,
    square_MK: Array,
    step_size: Any,
    scale: Any,
    rates: Rates,
) -> None:
    """Do one step on these columns: ``w -= step_size m / (scale sqrt(v) + eps)``."""
    for i in range(len(columns_T)):
        j, grad_K = columns_T[i], grad_TK[i]
        weight_K, moment_K, square_K = weight_MK[j], moment_MK[j], square_MK[j]
        for k in range(len(grad_K)):
            grad = grad_K[k] + rates.l2 * weight_K[k]
            moment = rates.keep1 * moment_K[k] + rates.take1 * grad
            square = rates.keep2 * square_K[k] + rates.take2 * grad * grad
            moment_K[k], square_K[k] = moment, square
            change = step_size * moment / (scale * np.sqrt(square) + rates.eps)
            weight_K[k] = rates.shrink * weight_K[k] - change


@compiled
def replay_coupled(
    columns_T: Array,
    done_M: Array,
    until: int,
    weight_MK: Array,
    moment_MK: Array,
    square_MK: Array,
    step_sizes: Array,
    scales: Array,
    rates: Rates,
) -> None:
    """Do the steps ``done[column]`` to ``until - 1``, whose only gradient is that of L2."""
    for j in columns_T:
        weight_K, moment_K, square_K = weight_MK[j], moment_MK[j], square_MK[j]
        for t in range(done_M[j], until):
            step_size, scale = step_sizes[t], scales[t]
            for k in range(len(weight_K)):
                grad = rates.l2 * weight_K[k]
                moment = rates.keep1 * moment_K[k] + rates.take1 * grad
                square = rates.keep2 * square_K[k] + rates.take2 * grad * grad
                moment_K[k], square_K[k] = moment, square
                weight_K[k] -= step_size * moment / (scale * np.sqrt(square) + rates.eps)
        done_M[j] = until


@compiled
def replay_decoupled(
    columns_T: Array,
    done_M: Array,
    until: int,
    weight_MK: Array,
    moment_MK: Array,
    square_MK: Array,
    step_sizes: Array,
    scales: Array,
    rates: Rates,
) -> None:
    """Do the same steps at once: without gradients, moments only shrink by constant factors.

    The s-th of them changes a weight by ``step_size keep1^s m / (scale sqrt(keep2^s v) + eps)``,
    which all later ones shrink; ``eps`` is taken at the first.
    """
    for j in columns_T:
        if done_M[j] == until:
            continue
        total, keep1, keep2, shrink = 0.0, 1.0, 1.0, 1.0
        for t in range(done_M[j], until):
            keep1, keep2, shrink = keep1 * rates.keep1, keep2 * rates.keep2, shrink * rates.shrink
            total = total * rates.shrink + step_sizes[t] * keep1 / (scales[t] * np.sqrt(keep2))
        weight_K, moment_K, square_K = weight_MK[j], moment_MK[j], square_MK[j]
        real = weight_K.dtype.type
        change, keep_m, keep_v, keep_w = real(total), real(keep1), real(keep2), real(shrink)
        eps = real(rates.eps / scales[done_M[j]])
        for k in range(len(weight_K)):
            weight_K[k] *= keep_w
            weight_K[k] -= change * moment_K[k] / (np.sqrt(square_K[k]) + eps)
            moment_K[k] *= keep_m
            square_K[k] *= keep_v
        done_M[j] = until
