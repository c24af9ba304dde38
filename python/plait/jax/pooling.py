# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The gradient of max pooling, in terms of what has a lowering.

StableHLO's passes lower it for windows that do not overlap; here is the general
form, as two loops over the positions in a window.
"""

from collections.abc import Sequence
from itertools import product
from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax


def select_and_scatter_add(
    source: Array,
    operand: Array,
    *,
    select_prim: Any,
    window_dimensions: Sequence[int],
    window_strides: Sequence[int],
    padding: Sequence[tuple[int, int]],
) -> Array:
    """Each value of `source` added to where its window's first extreme value is.

    Args:
        source: [*windows], the gradient of the pooled values.
        operand: what was pooled.
        select_prim: lax.ge_p for the largest value, lax.le_p for the smallest.
    """
    worst = -jnp.inf if select_prim is lax.ge_p else jnp.inf
    if not jnp.issubdtype(operand.dtype, jnp.floating):
        info = jnp.iinfo(operand.dtype)
        worst = info.min if select_prim is lax.ge_p else info.max
    config = [(low, high, 0) for low, high in padding]
    padded = lax.pad(operand, jnp.asarray(worst, operand.dtype), config)
    spans = [(n - 1) * s + 1 for n, s in zip(source.shape, window_strides)]
    positions = np.array([*product(*map(range, window_dimensions))], np.int32)
    numbers = np.arange(len(positions), dtype=np.int32)

    def select(best: tuple[Array, Array], at: Any) -> tuple[tuple[Array, Array], None]:
        number, position = at
        span = lax.dynamic_slice(padded, list(position), spans, allow_negative_indices=False)
        value = lax.slice(span, [0] * span.ndim, span.shape, window_strides)
        keep = select_prim.bind(best[0], value)
        chosen = jnp.where(keep, best[1], number)
        return (jnp.where(keep, best[0], value), chosen), None

    first = lax.slice(padded, [0] * padded.ndim, spans, window_strides)
    (_, chosen), _ = lax.scan(
        select, (first, jnp.zeros(source.shape, jnp.int32)), (numbers, positions)
    )
    spread = [(0, 0, stride - 1) for stride in window_strides]

    def scatter(sums: Array, at: Any) -> tuple[Array, None]:
        number, position = at
        share = lax.pad(
            jnp.where(chosen == number, source, 0), jnp.asarray(0, source.dtype), spread
        )
        corner = list(position)
        new = share + lax.dynamic_slice(sums, corner, spans, allow_negative_indices=False)
        return lax.dynamic_update_slice(sums, new, corner, allow_negative_indices=False), None

    sums, _ = lax.scan(scatter, jnp.zeros(padded.shape, source.dtype), (numbers, positions))
    low = [l for l, _ in padding]
    return lax.slice(sums, low, [l + n for l, n in zip(low, operand.shape)])
