# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Lower traced graphs to the text of one function in linalg on tensors.

torch-mlir lowers each graph; what it leaves in dialects of its own becomes
loops (scatter.py); a text may call the graphs, and everything is inlined.
"""

import re
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch._decomp import get_decompositions
from torch.fx import GraphModule

from plait.errors import UnsupportedError
from plait.torch.decompositions import step_decompositions
from plait.torch.modules import where
from plait.torch.scatter import scatter_function

INSTALL = 'pip install "torch==2.13.0" "torch-mlir==20261001"'

#: What a step may consist of: what upstream MLIR can say about tensors.
DIALECTS = frozenset({"arith", "builtin", "func", "linalg", "math", "scf", "tensor"})

#: aten ops that torch-mlir lowers to its own dialect, if it does not abort the
#: process (sort and topk).
_UNLOWERED = frozenset(
    "sort topk kthvalue cumsum cumprod cummax cummin logcumsumexp scatter_reduce".split()
)

#: Ops that write into an operand.
_INSERTIONS = frozenset(("tensor.insert_slice", "tm_tensor.scatter"))

#: From torch-mlir's form of a graph to linalg.
_PIPELINE = (
    "builtin.module(torchdynamo-export-to-torch-backend-pipeline{extra-library=},"
    "torch-backend-to-linalg-on-tensors-backend-pipeline{allow-non-finites=true})"
)


def decompositions() -> dict[Any, Any]:
    """What a graph is decomposed by before torch-mlir sees it."""
    with _needs_torch_mlir():
        from torch_mlir.extras.fx_decomp_util import get_decomposition_table
    # Lowered by torch-mlir itself, the tanh form's gradients were off by 1e-5.
    exact = get_decompositions([torch.ops.aten.gelu, torch.ops.aten.gelu_backward])
    return {**get_decomposition_table(), **exact, **step_decompositions()}


def lower(graphs: Mapping[str, GraphModule], texts: Sequence[str] = (), entry: str = "main") -> str:
    """The text of a module with one function.

    Args:
        graphs: by the name of the function that each becomes.
        texts: modules whose functions call those, which they declare.
        entry: the function that is left; all others are inlined into it.

    Raises:
        UnsupportedError: an op has no lowering to upstream dialects.
        ImportError: there is no torch-mlir.
    """
    with _needs_torch_mlir():
        from torch_mlir import ir
        from torch_mlir.dialects import torch as torch_dialect
        from torch_mlir.passmanager import PassManager

    context = ir.Context()
    torch_dialect.register_dialect(context)
    with context, ir.Location.unknown():
        program = ir.Module.create()
        for name, graph in graphs.items():
            _append(program, _lowered(graph, name, context))
        for text in texts:
            _append(program, ir.Module.parse(text))
        for function in program.body.operations:
            if function.attributes["sym_name"].value != entry:
                function.attributes["sym_visibility"] = ir.StringAttr.get("private")
        pipeline = "builtin.module(inline,symbol-dce,canonicalize,cse)"
        PassManager.parse(pipeline).run(program.operation)
        _check_ops(program, ir)
        return program.operation.get_asm()


def _append(program: Any, module: Any) -> None:
    """Append a module's functions, but not those it only declares."""
    for function in module.body.operations:
        if len(function.operation.regions[0].blocks):
            program.body.append(function.operation.clone())


def _lowered(graph: GraphModule, name: str, context: Any) -> Any:
    """The module with the graph in linalg as function `name`."""
    from torch_mlir.extras.fx_importer import FxImporter
    from torch_mlir.passmanager import PassManager

    _reject_unlowered(graph)
    try:
        importer = FxImporter(context=context)
        importer.import_stateless_graph(graph.graph, func_name=name)
        PassManager.parse(_PIPELINE).run(importer.module.operation)
    except Exception as error:
        # MLIR's error with its diagnostics, or whatever the importer raises.
        reason = str(error).strip() or type(error).__name__
        said = re.search(r"^ *error: .*?: (.*)$", reason, re.MULTILINE)
        said = said[1] if said else reason.splitlines()[0]
        place = _op_in(reason, graph)
        raise UnsupportedError(f"torch-mlir cannot lower {place}: {said[:300]}") from error
    _erase_assertions(importer.module)
    _fill_targets(importer.module, name)
    _replace_scatters(importer.module, name)
    return importer.module


@contextmanager
def _needs_torch_mlir():
    try:
        yield
    except ImportError as error:
        raise ImportError(f"plait.torch needs torch-mlir: {INSTALL}") from error


def _reject_unlowered(graph: GraphModule) -> None:
    for node in graph.graph.nodes:
        packet = getattr(node.target, "overloadpacket", None)
        if packet is not None and packet.__name__ in _UNLOWERED:
            raise UnsupportedError(f"{where(node)} has no lowering to upstream dialects")


def _walk(module: Any) -> list[Any]:
    """All ops of a module, outer ones first."""
    from torch_mlir import ir

    ops = []

    def visit(op: Any) -> Any:
        ops.append(op)
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit, ir.WalkOrder.PRE_ORDER)
    return ops


def _erase_assertions(module: Any) -> None:
    """Erase torch-mlir's run-time checks: they are side effects in the bodies
    of structured ops, which no pass can fuse. Indices are checked before a step
    runs, see indices.py."""
    for op in _walk(module):
        if op.name == "cf.assert":
            op.erase()


def _fill_targets(module: Any, name: str) -> None:
    """Make a fill of each constant that something is inserted into: as a
    constant it would be memory to copy from."""
    from torch_mlir import ir

    constants = [
        op
        for op in _walk(module)
        if op.name == "arith.constant"
        and any(use.owner.name in _INSERTIONS for use in op.results[0].uses)
    ]
    for i, op in enumerate(constants):
        value = ir.DenseElementsAttr(op.attributes["value"])
        if not value.is_splat:
            continue
        shape = op.results[0].type
        text = f"""
  func.func private @{name}_fill_{i}() -> {shape} {{
    %value = arith.constant {value.get_splat_value()}
    %empty = tensor.empty() : {shape}
    %filled = linalg.fill ins(%value : {shape.element_type}) outs(%empty : {shape}) -> {shape}
    return %filled : {shape}
  }}
"""
        _call_instead(module, op, f"{name}_fill_{i}", text)


def _call_instead(module: Any, op: Any, callee: str, text: str) -> None:
    """Replace an op of one result by a call of the function that `text` defines."""
    from torch_mlir import ir

    # Kept until the end: its ops die with it.
    parsed = ir.Module.parse(text)
    module.body.append(parsed.body.operations[0].operation.clone())
    call = ir.Operation.create(
        "func.call",
        results=[op.results[0].type],
        operands=list(op.operands),
        attributes={"callee": ir.FlatSymbolRefAttr.get(callee)},
        ip=ir.InsertionPoint(op),
    )
    op.results[0].replace_all_uses_with(call.results[0])
    op.erase()


def _replace_scatters(module: Any, name: str) -> None:
    """Make a loop of each `tm_tensor.scatter`."""
    for i, op in enumerate(op for op in _walk(module) if op.name == "tm_tensor.scatter"):
        callee = f"{name}_scatter_{i}"
        body = [inner.name for inner in op.regions[0].blocks[0].operations]
        types = [str(operand.type) for operand in op.operands]
        dims = list(op.attributes["dimension_map"])
        _call_instead(module, op, callee, scatter_function(callee, body, types, dims))


def _check_ops(module: Any, ir: Any) -> None:
    for op in _walk(module):
        dialect, _, name = op.name.partition(".")
        if dialect not in DIALECTS:
            raise UnsupportedError(f"the lowered step has {op.name}, which upstream MLIR does not know")
        if dialect == "linalg" and name not in ("generic", "fill", "transpose", "broadcast"):
            # Generalized, such an op converts its operand as signed: true is -1.
            if any("xi1>" in str(operand.type) for operand in op.operands):
                raise UnsupportedError(f"the lowered step has {op.name} on booleans")


def _op_in(message: str, graph: GraphModule) -> str:
    """The op that a diagnostic is about, with its module, as well as it says."""
    names = re.findall(r"torch\.((?:aten|prims|prim)\.[\w.]+)", message)
    if not names:
        return "an op"
    for node in graph.graph.nodes:
        if str(node.target) in (names[-1], f"{names[-1]}.default"):
            return where(node)
    return f"torch.{names[-1]}"
