# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Products with one dimension of each kind.

[batch, time, width] by [width, heads, head] is a product of [batch * time, width]
by [width, heads * head]. Written so it is packed and tiled as any product; with
two dimensions of a kind it would be a plain loop nest. Dimensions that are
neighbours in an array are one by a reshape, which moves nothing; others, and
batch dimensions, stay as they are.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

from jax import Array, lax

#: ((contracted left, right), (batch left, right)), as in lax.dot_general.
Numbers = tuple[tuple[Sequence[int], Sequence[int]], tuple[Sequence[int], Sequence[int]]]


def is_mergeable(left_rank: int, right_rank: int, numbers: Numbers) -> bool:
    """Whether `merged` has less dimensions."""
    left, right = _groups(left_rank, right_rank, numbers)
    return len(left) < left_rank or len(right) < right_rank


def merged(left: Array, right: Array, *, dimension_numbers: Numbers, **params: Any) -> Array:
    """lax.dot_general, with neighbouring dimensions of a kind as one."""
    (left_k, right_k), (left_batch, right_batch) = dimension_numbers
    left_groups, right_groups = _groups(left.ndim, right.ndim, dimension_numbers)
    kept = [left.shape[d] for d in left_batch]
    kept += [left.shape[d] for d in _free(left.ndim, left_k, left_batch)]
    kept += [right.shape[d] for d in _free(right.ndim, right_k, right_batch)]

    def places(groups: list[list[int]], dims: Sequence[int]) -> tuple[int, ...]:
        """Where dims are now, each once."""
        found = [next(i for i, group in enumerate(groups) if d in group) for d in dims]
        return tuple(dict.fromkeys(found))

    numbers = (
        (places(left_groups, left_k), places(right_groups, right_k)),
        (places(left_groups, left_batch), places(right_groups, right_batch)),
    )
    product = lax.dot_general(
        _merge(left, left_groups), _merge(right, right_groups), numbers, **params
    )
    return product.reshape(kept)


def _groups(
    left_rank: int, right_rank: int, numbers: Numbers
) -> tuple[list[list[int]], list[list[int]]]:
    """The dimensions of both operands, in order, with those together that are
    of one kind and neighbours."""
    (left_k, right_k), (left_batch, right_batch) = numbers
    pairs = sorted(zip(left_k, right_k))
    left_k, right_k = [l for l, _ in pairs], [r for _, r in pairs]
    contracted = _are_neighbours(left_k) and _are_neighbours(right_k)
    return (
        _grouped(left_rank, _free(left_rank, left_k, left_batch), left_k if contracted else []),
        _grouped(right_rank, _free(right_rank, right_k, right_batch), right_k if contracted else []),
    )


def _grouped(rank: int, *kinds: list[int]) -> list[list[int]]:
    together = [kind for kind in kinds if kind and _are_neighbours(kind)]
    alone = [[d] for d in range(rank) if not any(d in kind for kind in together)]
    return sorted([*together, *alone])


def _free(rank: int, contracted: Sequence[int], batch: Sequence[int]) -> list[int]:
    return [d for d in range(rank) if d not in contracted and d not in batch]


def _are_neighbours(dims: Sequence[int]) -> bool:
    return all(b == a + 1 for a, b in zip(dims, dims[1:]))


def _merge(array: Array, groups: list[list[int]]) -> Array:
    return array.reshape([prod(array.shape[d] for d in group) for group in groups])
