# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Decompositions that keep a traced step within upstream MLIR, by family.

torch-mlir lowers some ops to dialects of its own, some to tensors of f64, and
some not at all. These say each in terms of others.
"""

from collections.abc import Callable
from typing import Any

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
    return {op: form for family in families for op, form in family.DECOMPOSITIONS.items()}


def indexed() -> dict[Any, Callable[..., Any]]:
    """Ops that index by value, as others whose indices are followed (indices.py)."""
    return dict(embedding.INDEXED)
