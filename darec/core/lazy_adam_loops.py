"""Compiled loops of `darec.core.lazy_adam`: Adam's steps of the columns of a weight.

Shapes: M columns of the rating matrix, T of them touched by a batch, K units, n ratings of a batch,
L readings of the same ratings, S steps of an epoch. Of an embedding table a step reads B of M rows,
T of them distinct. Steps are numbered within their epoch.
"""

from typing import Any, NamedTuple

import numpy as np

from darec.core.numba_kernels import Array, column_sum, compiled


class Rates(NamedTuple):
    """Adam's constants, in the precision of the weights."""

    shrink: Any
    """The factor on the weights at each step. It is 1 with coupled decay."""
    l2: Any
    """The gradient of L2 divided by the weight. It is 0 with decoupled decay."""
    keep1: Any
    """The factor on the first moment at each step, Adam's beta 1."""
    take1: Any
    """The factor on the gradient in the first moment, 1 - beta 1."""
    keep2: Any
    """The factor on the second moment at each step, Adam's beta 2."""
    take2: Any
    """The factor on the squared gradient in the second moment, 1 - beta 2."""
    eps: Any
    step_size_S: Array
    """The learning rate divided by the first moment's bias correction."""
    scale_S: Array
    """1 divided by the root of the second moment's bias correction."""
    sum_to_end_S1: Array
    """For each step, what `sums_to_end` returns."""
    power_4S1: Array
    """Powers 0 to S of ``keep1``, ``keep2``, ``shrink`` and the ``ratio`` of `joint_effect`."""


class State(NamedTuple):
    """Weights [M, K], and the first and the second moment of each row side by side [M, 2, K]."""

    weight_MK: Array
    moments_M2K: Array


@compiled
def step_column(state: State, j: int, grad_K: Array, t: int, end: int, rates: Rates) -> None:
    """Do step t of column j, then the steps up to ``end - 1``, which have no gradient.

    A step is ``w -= step_size m / (scale sqrt(v) + eps)``. Without coupled L2 all of these steps
    change a weight by a multiple of ``m / sqrt(v)``, so that one pass over the column does them.
    """
    weight_K = state.weight_MK[j]
    moment_K, square_K = state.moments_M2K[j, 0], state.moments_M2K[j, 1]
    step_size, scale = rates.step_size_S[t], rates.scale_S[t]
    if rates.l2 > 0:
        for k in range(len(grad_K)):
            grad = grad_K[k] + rates.l2 * weight_K[k]
            moment = rates.keep1 * moment_K[k] + rates.take1 * grad
            square = rates.keep2 * square_K[k] + rates.take2 * grad * grad
            moment_K[k], square_K[k] = moment, square
            weight_K[k] -= step_size * moment / (scale * np.sqrt(square) + rates.eps)
        skip_steps(state, j, t + 1, end, rates)
    else:
        total, keep1, keep2, shrink = joint_effect(t + 1, end, rates)
        real = weight_K.dtype.type
        change, eps = real(shrink * step_size / scale + total), real(rates.eps / scale)
        keep_m, keep_v, keep_w = real(keep1), real(keep2), real(shrink * rates.shrink)
        for k in range(len(grad_K)):
            grad = grad_K[k]
            moment = rates.keep1 * moment_K[k] + rates.take1 * grad
            square = rates.keep2 * square_K[k] + rates.take2 * grad * grad
            moment_K[k], square_K[k] = keep_m * moment, keep_v * square
            weight_K[k] = keep_w * weight_K[k] - change * moment / (np.sqrt(square) + eps)


@compiled
def joint_effect(begin: int, end: int, rates: Rates) -> tuple[float, float, float, float]:
    """Return what the steps ``begin`` to ``end - 1`` do without any gradient.

    Each changes a weight by a multiple of ``m / sqrt(v)``. From one step to the next this multiple,
    relative to the shrinking weight, falls by ``ratio = keep1 / (sqrt(keep2) shrink)``. So after
    all n steps the change is ``shrink^n`` times the sum of ``step_size / scale ratio^s`` over s = 1
    to n, which is a difference of two of `sums_to_end`.

    Returns the change in units of ``m / sqrt(v)``, and the factors that remain on m, v and w. The
    value of ``eps`` is taken as at the first of the steps.
    """
    n = end - begin
    keep1, keep2 = rates.power_4S1[0, n], rates.power_4S1[1, n]
    shrink, ratio = rates.power_4S1[2, n], rates.power_4S1[3, n]
    change = shrink * (rates.sum_to_end_S1[begin] - ratio * rates.sum_to_end_S1[end])
    return change, keep1, keep2, shrink


@compiled
def sums_to_end(step_size_S: Array, scale_S: Array, ratio: float) -> Array:
    """Return for each step the sum of ``step_size / scale ratio^s`` until the end of the epoch.

    s is 1 for the step itself, 2 for the next one, and so on. A zero follows the last step.
    """
    sum_S1 = np.zeros(len(step_size_S) + 1)
    for t in range(len(step_size_S) - 1, -1, -1):
        sum_S1[t] = ratio * (step_size_S[t] / scale_S[t] + sum_S1[t + 1])
    return sum_S1


@compiled
def skip_steps(state: State, j: int, begin: int, end: int, rates: Rates) -> None:
    """Do the steps ``begin`` to ``end - 1`` of column j, whose only gradient is that of L2."""
    weight_K = state.weight_MK[j]
    moment_K, square_K = state.moments_M2K[j, 0], state.moments_M2K[j, 1]
    if rates.l2 > 0:
        for t in range(begin, end):
            step_size, scale = rates.step_size_S[t], rates.scale_S[t]
            for k in range(len(weight_K)):
                grad = rates.l2 * weight_K[k]
                moment = rates.keep1 * moment_K[k] + rates.take1 * grad
                square = rates.keep2 * square_K[k] + rates.take2 * grad * grad
                moment_K[k], square_K[k] = moment, square
                weight_K[k] -= step_size * moment / (scale * np.sqrt(square) + rates.eps)
    elif begin < end:
        total, keep1, keep2, shrink = joint_effect(begin, end, rates)
        real = weight_K.dtype.type
        change, keep_m, keep_v, keep_w = real(total), real(keep1), real(keep2), real(shrink)
        eps = real(rates.eps / rates.scale_S[begin])
        for k in range(len(weight_K)):
            moved = change * moment_K[k] / (np.sqrt(square_K[k]) + eps)
            weight_K[k] = keep_w * weight_K[k] - moved
            moment_K[k] *= keep_m
            square_K[k] *= keep_v


@compiled
def skip_to_first(state: State, first_M: Array, rates: Rates) -> None:
    """Do the steps of every column before its first gradient of the epoch."""
    for j in range(len(first_M)):
        skip_steps(state, j, 0, first_M[j], rates)


@compiled
def step_columns(
    state: State,
    columns_T: Array,
    next_T: Array,
    grad_TK: Array,
    t: int,
    rates: Rates,
) -> None:
    """Do step t of the touched columns, then the steps of each up to its next gradient."""
    for i in range(len(columns_T)):
        step_column(state, columns_T[i], grad_TK[i], t, next_T[i], rates)


@compiled
def read_rows(
    state: State,
    index_B: Array,
    slot_M: Array,
    done_M: Array,
    t: int,
    rates: Rates,
    found: tuple[Array, Array, Array],
) -> int:
    """Read some rows before step t, after the steps that each has missed.

    ``found`` are arrays of length B. They get the T distinct rows, the values of each, and for each
    reading its row's place among them. Returns T; ``slot_M`` keeps the places for `step_rows`.
    """
    row_B, value_BK, place_B = found
    n = 0
    for b in range(len(index_B)):
        j = index_B[b]
        if slot_M[j] < 0:
            skip_steps(state, j, done_M[j], t, rates)
            slot_M[j] = n
            row_B[n] = j
            value_BK[n] = state.weight_MK[j]
            n += 1
        place_B[b] = slot_M[j]
    return n


@compiled
def step_rows(
    state: State,
    row_T: Array,
    grad_TK: Array,
    slot_M: Array,
    done_M: Array,
    t: int,
    rates: Rates,
) -> None:
    """Do step t of the rows that `read_rows` has read."""
    for i in range(len(row_T)):
        j = row_T[i]
        step_column(state, j, grad_TK[i], t, t + 1, rates)
        slot_M[j], done_M[j] = -1, t + 1


@compiled
def skip_all_to(state: State, done_M: Array, end: int, rates: Rates) -> None:
    """Do the steps before ``end`` that each row has missed."""
    for j in range(len(done_M)):
        skip_steps(state, j, done_M[j], end, rates)
        done_M[j] = end


@compiled
def step_column_sums(
    state: State,
    columns_T: Array,
    next_T: Array,
    starts_T1: Array,
    ratings_n: Array,
    row_of_n: Array,
    factors_Ln: Array,
    rows_LBK: Array,
    t: int,
    rates: Rates,
) -> None:
    """Do `step_columns` with gradients that are summed over ratings and readings on the way."""
    grad_K = np.empty_like(rows_LBK[0, 0])
    for i in range(len(columns_T)):
        of_column = ratings_n[starts_T1[i] : starts_T1[i + 1]]
        grad_K[:] = 0
        for reading in range(len(rows_LBK)):
            column_sum(of_column, row_of_n, factors_Ln[reading], rows_LBK[reading], grad_K)
        step_column(state, columns_T[i], grad_K, t, next_T[i], rates)
