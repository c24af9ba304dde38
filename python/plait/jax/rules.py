# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How primitives are lowered whose own lowering StableHLO's passes leave over.

The rules are handed to one lowering, in which they come before jax's own;
nothing is registered, so jax itself lowers as ever.
"""

from collections.abc import Sequence
from typing import Any

from jax import lax
from jax._src.interpreters import mlir as jax_mlir
from jax._src.lax import slicing, windowed_reductions
from jax._src.lax.control_flow import conditionals
from jax._src.lax.control_flow import loops as jax_loops
from jax._src.random import threefry2x32

from plait.jax import loops
from plait.jax.conversions import convert
from plait.jax.pooling import select_and_scatter_add
from plait.jax.products import is_mergeable, merged
from plait.jax.scatter import scatter

_SCATTERS = (
    slicing.scatter_p,
    slicing.scatter_add_p,
    slicing.scatter_sub_p,
    slicing.scatter_mul_p,
    slicing.scatter_min_p,
    slicing.scatter_max_p,
)
_POOL_GRADIENT = windowed_reductions.select_and_scatter_add_p
_REDUCTIONS = (
    lax.reduce_sum_p,
    lax.reduce_prod_p,
    lax.reduce_max_p,
    lax.reduce_min_p,
    lax.reduce_or_p,
    lax.reduce_and_p,
    lax.reduce_xor_p,
)


def _of(function: Any) -> Any:
    """A rule for a primitive of one result, from a function of arrays."""
    return jax_mlir.lower_fun(function, multiple_results=False)


def _reduction(primitive: Any) -> Any:
    """jax's rule, but for the sum of a scalar: a reduction over nothing."""

    def rule(ctx: Any, operand: Any, *, axes: Sequence[int], **params: Any) -> Any:
        if not axes:
            return [operand]
        return jax_mlir._lowerings[primitive].rule(ctx, operand, axes=axes, **params)

    return rule


def _product(ctx: Any, left: Any, right: Any, *, dimension_numbers: Any, **params: Any) -> Any:
    """jax's rule, for as few dimensions as it can be."""
    rule = jax_mlir._platform_specific_lowerings["cpu"][lax.dot_general_p].rule
    if is_mergeable(ctx.avals_in[0].ndim, ctx.avals_in[1].ndim, dimension_numbers):
        rule = _of(merged)
    return rule(ctx, left, right, dimension_numbers=dimension_numbers, **params)


def _max_pool_gradient(
    ctx: Any, *args: Any, window_dimensions: Sequence[int], window_strides: Sequence[int], **params: Any
) -> Any:
    """jax's rule, but for windows that overlap."""
    rule = jax_mlir._platform_specific_lowerings["cpu"][_POOL_GRADIENT].rule
    if any(stride < size for stride, size in zip(window_strides, window_dimensions)):
        rule = _of(select_and_scatter_add)
    return rule(
        ctx, *args, window_dimensions=window_dimensions, window_strides=window_strides, **params
    )


#: Pairs of a primitive and its rule.
LOWERING_RULES = (
    (jax_loops.scan_p, loops.scan),
    (jax_loops.while_p, loops.while_loop),
    (conditionals.cond_p, loops.cond),
    # For the CPU jax lowers it to a loop, of scalars that are not signless.
    (threefry2x32.threefry2x32_p, threefry2x32._threefry2x32_lowering_rule),
    (lax.dot_general_p, _product),
    (lax.convert_element_type_p, convert),
    (_POOL_GRADIENT, _max_pool_gradient),
    *((primitive, _of(scatter)) for primitive in _SCATTERS),
    *((primitive, _reduction(primitive)) for primitive in _REDUCTIONS),
)
