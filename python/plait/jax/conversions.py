# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Floats that become integers, as XLA has it on the CPU: the nearest that the type
holds, and zero for NaN. Upstream's conversion leaves what it does not hold open."""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jax import Array, lax
from jax._src.interpreters import mlir as jax_mlir


def convert(ctx: Any, operand: Any, *, new_dtype: Any, **params: Any) -> Any:
    """jax's rule, on numbers that the type holds."""
    rule = jax_mlir._lowerings[lax.convert_element_type_p].rule
    (given,) = ctx.avals_in
    # Half precision is refused later on.
    is_float = _is(given.dtype, np.floating) and given.dtype.itemsize >= 4
    if not (is_float and _is(new_dtype, np.integer)):
        return rule(ctx, operand, new_dtype=new_dtype, **params)
    limits = jnp.iinfo(new_dtype)
    # The largest integer need not be a float; the power of two above it is.
    above = given.dtype.type(float(limits.max) + 1)
    largest = np.nextafter(above, given.dtype.type(0))

    def bounded(x: Array) -> Array:
        return jnp.where(x != x, 0, lax.clamp(given.dtype.type(limits.min), x, largest))

    def corrected(x: Array, converted: Array) -> Array:
        return jnp.where(x >= above, new_dtype.type(limits.max), converted)

    (held,) = _emit(bounded, ctx.replace(avals_out=[given]), operand)
    (converted,) = rule(ctx, held, new_dtype=new_dtype, **params)
    pair = ctx.replace(avals_in=[given, *ctx.avals_out])
    return _emit(corrected, pair, operand, converted)


def _is(dtype: Any, kind: Any) -> bool:
    return bool(jnp.issubdtype(dtype, kind))


def _emit(function: Any, ctx: Any, *operands: Any) -> Any:
    return jax_mlir.lower_fun(function, multiple_results=False)(ctx, *operands)
