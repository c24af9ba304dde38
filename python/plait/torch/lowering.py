# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Lower traced graphs to text in linalg on tensors.

torch-mlir lowers the graphs (backend.py); texts may call them, and all is
inlined. Only ops that upstream MLIR knows are let through.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from torch.fx import GraphModule

from plait.errors import UnsupportedError
from plait.torch.backend import to_linalg
from plait.torch.segments import has_loops, split
from plait.torch.tracing import needs_torch_mlir
from plait.torch.ways_out import instead_of

#: What a step may consist of: what upstream MLIR can say about tensors.
DIALECTS = frozenset({"arith", "builtin", "func", "linalg", "math", "scf", "tensor"})

#: Ops that write into an operand.
_WRITERS = frozenset(("tensor.insert_slice", "scf.for"))


def lower(
    graphs: Mapping[str, GraphModule],
    texts: Sequence[str] = (),
    entries: Collection[str] = ("main",),
) -> str:
    """The text of a module with these functions.

    Args:
        graphs: by the name of the function that each becomes.
        texts: modules whose functions call those, which they declare.
        entries: the functions that are left; all others are inlined into them.

    Raises:
        UnsupportedError: an op has no lowering to upstream dialects.
        ImportError: there is no torch-mlir.
    """
    with needs_torch_mlir():
        from torch_mlir import ir
        from torch_mlir.dialects import torch as torch_dialect
        from torch_mlir.passmanager import PassManager

    whole, calling = dict[str, GraphModule](), list(texts)
    for name, graph in graphs.items():
        if has_loops(graph):
            parts, text = split(graph, name)
            whole |= parts
            calling.append(text)
        else:
            whole[name] = graph
    context = ir.Context()
    torch_dialect.register_dialect(context)
    with context, ir.Location.unknown():
        program = ir.Module.parse(to_linalg(whole))
        for text in calling:
            _append(program, ir.Module.parse(text))
        _erase_assertions(program)
        for function in program.body.operations:
            if function.attributes["sym_name"].value not in entries:
                function.attributes["sym_visibility"] = ir.StringAttr.get("private")
        pipeline = PassManager.parse("builtin.module(inline,symbol-dce,canonicalize,cse)")
        pipeline.run(program.operation)
        _fill_targets(program)
        pipeline.run(program.operation)
        _check_ops(program, ir)
        return program.operation.get_asm()


def _append(program: Any, module: Any) -> None:
    """Append a module's functions, but not those it only declares."""
    for function in module.body.operations:
        if len(function.operation.regions[0].blocks):
            program.body.append(function.operation.clone())


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


def _fill_targets(module: Any) -> None:
    """Make a fill of each constant that something is inserted into, or that a
    loop begins with: as a constant it would be memory to copy from."""
    from torch_mlir import ir

    count = 0
    for op in [op for op in _walk(module) if op.name == "arith.constant"]:
        uses = [u for u in op.results[0].uses if u.owner.name in _WRITERS]
        shape = op.results[0].type
        if not uses or not isinstance(shape, ir.RankedTensorType):
            continue
        value = ir.DenseElementsAttr(op.attributes["value"])
        if not value.is_splat:
            continue
        # Kept until the end of the round: its ops die with it.
        parsed = ir.Module.parse(f"""
  func.func private @fill_{count}() -> {shape} {{
    %value = arith.constant {value.get_splat_value()}
    %empty = tensor.empty() : {shape}
    %filled = linalg.fill ins(%value : {shape.element_type}) outs(%empty : {shape}) -> {shape}
    return %filled : {shape}
  }}
""")
        module.body.append(parsed.body.operations[0].operation.clone())
        call = ir.Operation.create(
            "func.call",
            results=[shape],
            attributes={"callee": ir.FlatSymbolRefAttr.get(f"fill_{count}")},
            ip=ir.InsertionPoint(op),
        )
        for use in uses:
            use.owner.operation.operands[use.operand_number] = call.results[0]
        count += 1


def _check_ops(module: Any, ir: Any) -> None:
    for op in _walk(module):
        dialect, _, name = op.name.partition(".")
        if dialect not in DIALECTS:
            raise UnsupportedError(
                f"the lowered step has {op.name}, which upstream MLIR does not know:"
                f" {instead_of(dialect)}"
            )
        if dialect == "linalg" and name not in ("generic", "fill", "transpose", "broadcast"):
            # Generalized, such an op converts its operand as signed: true is -1.
            if any("xi1>" in str(operand.type) for operand in op.operands):
                raise UnsupportedError(f"the lowered step has {op.name} on booleans")
