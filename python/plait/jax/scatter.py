# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Scatters, in terms of what has a lowering.

One update per row is a select, which fuses with its neighbours (the gradient of
`take_along_axis` in a cross-entropy); anything else is a loop over the updates
(the gradient of an embedding), whose cost does not grow with the table.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import jax
import jax.numpy as jnp
from jax import Array, lax
from jax._src import core
from jax.lax import GatherScatterMode, ScatterDimensionNumbers


def scatter(
    operand: Array,
    indices: Array,
    updates: Array,
    *,
    update_jaxpr: Any,
    update_consts: Sequence[Any],
    dimension_numbers: ScatterDimensionNumbers,
    mode: GatherScatterMode,
    **_: Any,
) -> Array:
    """Any of lax.scatter, scatter_add, scatter_sub, _mul, _min, _max, _apply.

    As in jax, an update whose window is not within the operand is dropped,
    unless the mode is to clip.
    """

    def combine(old: Array, new: Array) -> Array:
        if update_jaxpr is None:
            return new

        def combined(a: Array, b: Array) -> Array:
            return core.eval_jaxpr(update_jaxpr, update_consts, a, b)[0]

        for _ in range(old.ndim):
            combined = jax.vmap(combined)
        return combined(old, new)

    numbers = dimension_numbers
    sizes = _window_sizes(operand, updates, numbers)
    starts, valid = _starts(operand, indices, sizes, numbers, mode)
    batch = [d for d in range(updates.ndim) if d not in numbers.update_window_dims]
    rows = updates.transpose(*batch, *numbers.update_window_dims)

    scattered = numbers.scatter_dims_to_operand_dims
    rows_per_batch = prod(indices.shape[:-1]) // prod(
        indices.shape[d] for d in numbers.scatter_indices_batching_dims
    )
    if numbers.operand_batching_dims and rows_per_batch == 1 and len(scattered) == 1:
        if sizes[scattered[0]] == 1:
            return _select(operand, rows, starts[scattered[0]], valid, sizes, numbers, combine)

    def update(out: Array, row: tuple[Array, Array, dict[int, Array]]) -> tuple[Array, None]:
        new, is_valid, start = row
        corner = [start.get(d, 0) for d in range(operand.ndim)]
        old = lax.dynamic_slice(out, corner, sizes, allow_negative_indices=False)
        new = jnp.where(is_valid, combine(old, new), old)
        return lax.dynamic_update_slice(out, new, corner, allow_negative_indices=False), None

    count = prod(indices.shape[:-1])
    flat = (
        rows.reshape(count, *sizes),
        valid.ravel(),
        {d: start.ravel() for d, start in starts.items()},
    )
    if count == 1:
        return update(operand, jax.tree.map(lambda x: x[0], flat))[0]
    return lax.scan(update, operand, flat)[0]


def _window_sizes(
    operand: Array, updates: Array, numbers: ScatterDimensionNumbers
) -> list[int]:
    """The extent of one update in each dimension of the operand."""
    window = iter(updates.shape[d] for d in numbers.update_window_dims)
    single = {*numbers.inserted_window_dims, *numbers.operand_batching_dims}
    return [1 if d in single else next(window) for d in range(operand.ndim)]


def _starts(
    operand: Array,
    indices: Array,
    sizes: Sequence[int],
    numbers: ScatterDimensionNumbers,
    mode: GatherScatterMode,
) -> tuple[dict[int, Array], Array]:
    """Where each window begins, by dimension of the operand, and whether it is
    within the operand; each of the shape of `indices` without its last dim."""
    if indices.dtype.itemsize < 4 or jnp.issubdtype(indices.dtype, jnp.unsignedinteger):
        indices = indices.astype(jnp.int32)
    shape = indices.shape[:-1]
    starts, valid = {}, jnp.ones(shape, bool)
    for i, d in enumerate(numbers.scatter_dims_to_operand_dims):
        start, last = indices[..., i], operand.shape[d] - sizes[d]
        if mode == GatherScatterMode.CLIP:
            start = jnp.clip(start, 0, last)
        starts[d] = start
        valid &= (start >= 0) & (start <= last)
    batching = zip(numbers.operand_batching_dims, numbers.scatter_indices_batching_dims)
    for d, i in batching:
        starts[d] = lax.broadcasted_iota(indices.dtype, shape, i)
    return starts, valid


def _select(
    operand: Array,
    rows: Array,
    start: Array,
    valid: Array,
    sizes: Sequence[int],
    numbers: ScatterDimensionNumbers,
    combine: Any,
) -> Array:
    """The scatter of one row per batch element, along one dimension."""
    batching = dict(zip(numbers.operand_batching_dims, numbers.scatter_indices_batching_dims))
    order = [batching[d] for d in sorted(batching)]
    rest = [d for d in range(start.ndim) if d not in order]

    def spread(x: Array, windows: Sequence[int]) -> Array:
        """[*batch, ...] to the operand's rank, with extents of 1 or its own."""
        x = x.transpose(*order, *rest, *range(start.ndim, x.ndim))
        # A batching dimension has no window of its own, so order is kept
        # by moving each batch dimension to its place.
        x = x.reshape(*(operand.shape[d] for d in sorted(batching)), *windows)
        return jnp.moveaxis(x, range(len(order)), sorted(batching))

    windows = [size for d, size in enumerate(sizes) if d not in batching]
    ones = [1] * len(windows)
    (along,) = numbers.scatter_dims_to_operand_dims
    here = lax.broadcasted_iota(start.dtype, operand.shape, along) == spread(start, ones)
    new = jnp.broadcast_to(spread(rows, windows), operand.shape)
    return jnp.where(here & spread(valid, ones), combine(operand, new), operand)
