# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Functions of tensors as graphs of core aten ops."""

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._decomp import get_decompositions
from torch.fx import GraphModule, traceback
from torch.fx.experimental.proxy_tensor import make_fx

from plait.torch.decompositions import step_decompositions

INSTALL = 'pip install "torch==2.13.0" "torch-mlir==20261001"'


def trace(
    function: Callable[..., Any], arguments: Sequence[Tensor], table: dict[Any, Any] | None = None
) -> GraphModule:
    """The graph of a function of tensors, with the ops in `table` decomposed.

    Other tensors that the function uses become constants of the graph.
    """
    tracer = make_fx(
        function, decomposition_table=table or {}, tracing_mode="fake", _allow_non_fake_inputs=True
    )
    with traceback.preserve_node_meta():
        graph = tracer(*arguments)
    # Marks for profilers (torch's own in each optimizer) compute nothing.
    for node in reversed(graph.graph.nodes):
        if getattr(node.target, "namespace", None) == "profiler":
            graph.graph.erase_node(node)
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph


def decompositions() -> dict[Any, Any]:
    """What a graph is decomposed by before torch-mlir sees it.

    Raises:
        ImportError: there is no torch-mlir.
    """
    with needs_torch_mlir():
        from torch_mlir.extras.fx_decomp_util import get_decomposition_table
    # Lowered by torch-mlir itself, the tanh form's gradients were off by 1e-5.
    exact = get_decompositions([torch.ops.aten.gelu, torch.ops.aten.gelu_backward])
    return {**get_decomposition_table(), **exact, **step_decompositions()}


@contextmanager
def uncompiled() -> Iterator[None]:
    """While open, what torch.compile has wrapped runs as it was written."""
    # Loaded by torch.compile itself; to load it takes a second.
    dynamo = sys.modules.get("torch._dynamo")
    if dynamo is None:
        yield
        return
    with dynamo.config.patch(error_on_nested_fx_trace=False):
        with torch.compiler.set_stance("force_eager"):
            yield


@contextmanager
def needs_torch_mlir() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ImportError(f"plait.torch needs torch-mlir: {INSTALL}") from error
