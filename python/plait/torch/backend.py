# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""torch-mlir: graphs of aten ops in, linalg on tensors out; its scatters as loops.

The passes run in torch-mlir's own tool, a process apart: some ops make them
abort, and this one must live on to say which.
"""

import re
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch.fx import Graph, GraphModule, Node

from plait.errors import UnsupportedError
from plait.torch.modules import where
from plait.torch.scatter import with_loops
from plait.torch.ways_out import instead_of

#: aten ops that torch-mlir lowers to a dialect of its own, if it does not abort.
_UNLOWERED = frozenset(
    (
        "sort topk kthvalue cummax cummin scatter_reduce"
        " as_strided_scatter"
    ).split()
)

#: From torch-mlir's form of a graph to linalg.
_PIPELINE = (
    "builtin.module(torchdynamo-export-to-torch-backend-pipeline{extra-library=},"
    "torch-backend-to-linalg-on-tensors-backend-pipeline{allow-non-finites=true})"
)


def to_linalg(graphs: Mapping[str, GraphModule]) -> str:
    """The text of a module with a function of each name.

    Raises:
        UnsupportedError: an op has no lowering; the message names it and its
            module.
    """
    nodes = [node for graph in graphs.values() for node in graph.graph.nodes]
    for node in nodes:
        packet = getattr(node.target, "overloadpacket", None)
        if packet is not None and packet.__name__ in _UNLOWERED:
            raise UnsupportedError(
                f"{where(node)} has no lowering to upstream dialects: {instead_of(packet.__name__)}"
            )
        if packet is not None and _rounds_a_quotient(node, packet.__name__):
            # torch's rest is exact; here it would need a type wider than f64.
            raise UnsupportedError(
                f"{where(node)} of float64 has no exact import: convert to float32, or take"
                " torch.floor(x / y)"
            )
    try:
        run = _run(_imported({name: graph.graph for name, graph in graphs.items()}))
    except Exception as error:
        # The importer raises NotImplementedError, TypeError, ...
        reason = (str(error).strip() or type(error).__name__).split("\n")[0]
        raise UnsupportedError(f"torch-mlir cannot import a graph: {reason}") from error
    if run.returncode == 0:
        return with_loops(run.stdout)
    raise UnsupportedError(_refusal(run, nodes))


def _refusal(run: subprocess.CompletedProcess[str], nodes: list[Node]) -> str:
    """What a run of torch-mlir's tool failed at, and what to write instead."""
    crashed = run.returncode < 0
    node = None if crashed else _node_in(run.stderr, nodes)
    node = node or next(_failing(nodes, crashed), None)
    packet = getattr(node and node.target, "overloadpacket", None)
    op, advice = where(node) if node else "an op", instead_of(packet.__name__ if packet else "")
    if crashed:
        return f"torch-mlir crashes when it lowers {op}: {advice}"
    said = re.search(r"error: (.*)", run.stderr)
    return f"torch-mlir cannot lower {op}: {advice} ({(said[1] if said else run.stderr)[:200]})"


def _rounds_a_quotient(node: Node, name: str) -> bool:
    """Whether it is a remainder or floor division of f64."""
    value = node.meta.get("val")
    if not isinstance(value, torch.Tensor) or value.dtype != torch.float64:
        return False
    return name in ("fmod", "remainder", "floor_divide") or (
        name == "div" and node.kwargs.get("rounding_mode") == "floor"
    )


def _imported(graphs: Mapping[str, Graph]) -> str:
    """The graphs in torch-mlir's own dialect."""
    from torch_mlir import ir
    from torch_mlir.dialects import torch as torch_dialect
    from torch_mlir.extras.fx_importer import FxImporter

    context = ir.Context()
    torch_dialect.register_dialect(context)
    importer = FxImporter(context=context)
    for name, graph in graphs.items():
        importer.import_stateless_graph(graph, func_name=name)
    return importer.module.operation.get_asm()


def _tool() -> Path:
    from torch_mlir import ir

    return Path(ir.__file__).parent / "_mlir_libs" / "torch-mlir-opt"


def _run(text: str) -> subprocess.CompletedProcess[str]:
    command = [str(_tool()), f"--pass-pipeline={_PIPELINE}", "-"]
    return subprocess.run(command, input=text, capture_output=True, text=True)


def _failing(nodes: list[Node], crash: bool) -> Iterator[Node]:
    """The ops that make torch-mlir abort, or just fail, even if they are alone."""
    tried: set[Any] = set()
    for node in nodes:
        if node.op != "call_function" or node.target in tried:
            continue
        tried.add(node.target)
        graph, copies = Graph(), {}
        for read in node.all_input_nodes:
            copies[read] = graph.placeholder(read.name)
            copies[read].meta = dict(read.meta)
        result = graph.node_copy(node, copies.__getitem__)
        try:
            graph.output((result,))
            code = _run(_imported({"main": graph})).returncode
            if code < 0 if crash else code != 0:
                yield node
        except Exception:  # an op of several results, whose choice is a node of its own
            continue


def _node_in(message: str, nodes: list[Node]) -> Node | None:
    """The op that a diagnostic is about, as well as it says; None where it is about
    a number."""
    names = re.findall(r"torch\.((?:aten|prims|prim)\.[\w.]+)", message)
    for node in nodes:
        if names and str(node.target) in (names[-1], f"{names[-1]}.default"):
            return node
    return None
