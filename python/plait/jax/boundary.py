# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Element types at the boundary of a step.

MLIR's tensors have no unsigned integers and no random keys, so these cross it
as signed integers of the same bits: a key as the array of its words.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from plait.errors import UnsupportedError

#: What a step may take and return.
KNOWN = frozenset(
    map(np.dtype, (np.float32, np.float64, np.int64, np.int32, np.int16, np.int8, np.bool_))
)
_SIGNED = {np.dtype(f"uint{bits}"): np.dtype(f"int{bits}") for bits in (8, 16, 32, 64)}


def to_boundary(name: str, value: jax.Array) -> jax.Array:
    """The value as it crosses the boundary. Traceable.

    Raises:
        UnsupportedError: there is no such type at the boundary.
    """
    if _is_key(value.dtype):
        value = jax.random.key_data(value)
    if value.dtype in _SIGNED:
        value = jax.lax.bitcast_convert_type(value, _SIGNED[value.dtype])
    if value.dtype not in KNOWN:
        raise UnsupportedError(
            f"'{name}' is of {value.dtype}: a step takes and returns float32, float64,"
            " integers, booleans and random keys. Convert inside the step"
        )
    return value


def from_boundary(value: jax.Array, like: Any) -> jax.Array:
    """The value as the step knows it: of the element type of `like`."""
    if _is_key(like.dtype):
        words = jax.lax.bitcast_convert_type(value, jnp.uint32)
        return jax.random.wrap_key_data(words, impl=jax.random.key_impl(like))
    if like.dtype in _SIGNED:
        return jax.lax.bitcast_convert_type(value, like.dtype)
    return value


def _is_key(dtype: Any) -> bool:
    return jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key)
