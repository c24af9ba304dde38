# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Decompositions that keep a traced step within upstream MLIR, by family.

torch-mlir lowers some ops to dialects of its own, some to tensors of f64, and
some not at all. These say each in terms of others.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from plait.torch.decompositions import (
    activations,
    comparisons,
    convolution,
    embedding,
    geometry,
    interpolation,
    losses,
    normalization,
    pooling,
    running,
)


def step_decompositions() -> dict[Any, Callable[..., Any]]:
    """For each op that needs one, the op in terms of others."""
    families = (
        activations, comparisons, convolution, embedding, geometry, interpolation, losses,
        normalization, pooling, running,
    )  # fmt: skip
    return {
        op: contiguous(form) for family in families for op, form in family.DECOMPOSITIONS.items()
    }


def contiguous(form: Callable[..., Any]) -> Callable[..., Any]:
    """The form with its results behind one another, as the op gives them: a view may
    follow, which a transpose or a slice does not have."""

    @wraps(form)
    def laid_out(*args: Any, **kwargs: Any) -> Any:
        return tree_map_only(Tensor, _laid_out, form(*args, **kwargs))

    return laid_out


def _laid_out(value: Tensor) -> Tensor:
    if value.is_contiguous() or value.is_contiguous(memory_format=torch.channels_last):
        return value
    return value.clone(memory_format=torch.contiguous_format)


def indexed() -> dict[Any, Callable[..., Any]]:
    """Ops that index by value, as others whose indices are followed (indices.py)."""
    return dict(embedding.INDEXED)
