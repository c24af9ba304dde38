# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Loops and branches, lowered to `scf` at once.

A scan is an `scf.for` that carries tensors: it stays a loop, takes its slice of
each stacked array by the loop's own index, and inserts what it stacks.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from jax._src.interpreters import mlir as jax_mlir
from jaxlib.mlir import ir
from jaxlib.mlir.dialects import arith, scf
from jaxlib.mlir.dialects import stablehlo as hlo

from plait.errors import UnsupportedError

Values = list[ir.Value]
_DYNAMIC = ir.ShapedType.get_dynamic_size()


def scan(
    ctx: Any,
    *args: Any,
    jaxpr: Any,
    length: int,
    reverse: bool,
    num_consts: int,
    num_carry: int,
    unroll: int,
    **_: Any,
) -> Sequence[Any]:
    """lax.scan. `unroll` is followed only where it is the whole loop."""
    flat = _flat(args)
    consts, carry = flat[:num_consts], flat[num_consts : num_consts + num_carry]
    stacked = flat[num_consts + num_carry :]
    out_types = [jax_mlir.aval_to_ir_type(ctx.module_context, a) for a in ctx.avals_out]
    outs = [_empty(_signless(t)) for t in out_types[num_carry:]]

    def body(index: ir.Value, values: Values) -> Values:
        if reverse:
            index = arith.subi(_index(length - 1), index)
        carry = _typed(values[:num_carry], out_types)
        slices = _typed(
            [_slice(x, index) for x in map(_to_signless, stacked)],
            [_element_type(x.type) for x in stacked],
        )
        results = _inline(ctx, jaxpr, "scan", [*consts, *carry, *slices])
        stacks = [
            _insert(_to_signless(y), out, index)
            for y, out in zip(results[num_carry:], values[num_carry:])
        ]
        return [*map(_to_signless, results[:num_carry]), *stacks]

    values = [*map(_to_signless, carry), *outs]
    if unroll >= length:
        for i in range(length):
            values = body(_index(i), values)
    else:
        values = _for(length, values, body)
    return _typed(values, out_types)


def while_loop(
    ctx: Any,
    *args: Any,
    cond_jaxpr: Any,
    cond_nconsts: int,
    body_jaxpr: Any,
    body_nconsts: int,
) -> Sequence[Any]:
    """lax.while_loop, whose number of iterations depends on values."""
    if cond_jaxpr.out_avals[0].shape:
        raise UnsupportedError("a lax.while_loop under jax.vmap has a condition per element")
    flat = _flat(args)
    consts = flat[:cond_nconsts], flat[cond_nconsts : cond_nconsts + body_nconsts]
    carry = flat[cond_nconsts + body_nconsts :]
    types = [value.type for value in carry]
    signless = [_to_signless(value) for value in carry]
    loop = scf.WhileOp([value.type for value in signless], signless)
    before = loop.before.blocks.append(*(value.type for value in signless))
    with ir.InsertionPoint(before):
        inner = _typed(list(before.arguments), types)
        (holds,) = _inline(ctx, cond_jaxpr, "while_cond", [*consts[0], *inner])
        scf.condition(_extract(holds), list(before.arguments))
    after = loop.after.blocks.append(*(value.type for value in signless))
    with ir.InsertionPoint(after):
        inner = _typed(list(after.arguments), types)
        results = _inline(ctx, body_jaxpr, "while_body", [*consts[1], *inner])
        scf.yield_(list(map(_to_signless, results)))
    return _typed(list(loop.results), types)


def cond(ctx: Any, index: ir.Value, *args: Any, branches: Any, **params: Any) -> Sequence[Any]:
    """lax.cond and lax.switch. jax has clamped the index."""
    if params.get("branches_platforms") is not None:
        branches = [_cpu_branch(branches, params["branches_platforms"])]
    types = [jax_mlir.aval_to_ir_type(ctx.module_context, a) for a in ctx.avals_out]
    operands = _flat(args)
    if len(branches) == 1:
        return _inline(ctx, branches[0], "branch_0", operands)

    def branch(position: int) -> None:
        results = _inline(ctx, branches[position], f"branch_{position}", operands)
        scf.yield_(list(map(_to_signless, results)))

    return _typed(_choose(_extract(index), 0, len(branches), list(map(_signless, types)), branch), types)


def _choose(
    index: ir.Value, first: int, end: int, types: list[ir.Type], branch: Callable[[int], None]
) -> Values:
    """The results of branch `index`, by `scf.if` in each other's else."""
    constant = arith.constant(index.type, first)
    is_first = arith.cmpi(arith.CmpIPredicate.eq, index, constant)
    choice = scf.IfOp(is_first, types, has_else=True)
    with ir.InsertionPoint(choice.then_block):
        branch(first)
    with ir.InsertionPoint(choice.else_block):
        if first + 2 == end:
            branch(first + 1)
        else:
            scf.yield_(_choose(index, first + 1, end, types, branch))
    return list(choice.results)


def _cpu_branch(branches: Sequence[Any], platforms: Sequence[Any]) -> Any:
    """The branch of lax.platform_dependent that is for the CPU."""
    return next(b for b, names in zip(branches, platforms) if names is None or "cpu" in names)


# --- building blocks -------------------------------------------------------


def _for(length: int, values: Values, body: Callable[[ir.Value, Values], Values]) -> Values:
    loop = scf.ForOp(_index(0), _index(length), _index(1), values)
    with ir.InsertionPoint(loop.body):
        scf.yield_(body(loop.induction_variable, list(loop.inner_iter_args)))
    return list(loop.results)


def _inline(ctx: Any, jaxpr: Any, name: str, args: Values) -> Values:
    """The results of a closed jaxpr, lowered where the insertion point is."""
    if jaxpr.effects:
        raise UnsupportedError(f"{name} has side effects: {jaxpr.effects}")
    consts = jax_mlir.ir_consts(jaxpr.consts, [v.aval for v in jaxpr.jaxpr.constvars])
    results, _ = jax_mlir.jaxpr_subcomp(
        ctx.module_context,
        jaxpr.jaxpr,
        ctx.name_stack.extend(name),
        jax_mlir.TokenSet(),
        consts,
        *args,
        dim_var_values=ctx.dim_var_values,
        const_lowering=ctx.const_lowering,
        outer_traceback=ctx.traceback,
    )
    return _flat(results)


def _flat(values: Sequence[Any]) -> Values:
    if not all(isinstance(value, ir.Value) for value in values):
        raise UnsupportedError("a loop or branch carries something other than arrays")
    return list(values)


def _index(value: int) -> ir.Value:
    return arith.constant(ir.IndexType.get(), value)


def _signless(tensor_type: ir.Type) -> ir.RankedTensorType:
    tensor = ir.RankedTensorType(tensor_type)
    element = tensor.element_type
    if isinstance(element, ir.IntegerType) and not element.is_signless:
        element = ir.IntegerType.get_signless(element.width)
    return ir.RankedTensorType.get(tensor.shape, element)


def _to_signless(value: ir.Value) -> ir.Value:
    """`scf` and `tensor` ops are not converted with the arithmetic around
    them, and upstream's arithmetic has signless integers only."""
    wanted = _signless(value.type)
    return value if value.type == wanted else hlo.bitcast_convert(wanted, value)


def _typed(values: Values, types: Sequence[ir.Type]) -> Values:
    """The opposite of `_to_signless`."""
    return [v if v.type == t else hlo.bitcast_convert(t, v) for v, t in zip(values, types)]


def _element_type(stacked: ir.Type) -> ir.RankedTensorType:
    tensor = ir.RankedTensorType(stacked)
    return ir.RankedTensorType.get(tensor.shape[1:], tensor.element_type)


def _extract(scalar: ir.Value) -> ir.Value:
    tensor = ir.RankedTensorType(scalar.type)
    op = ir.Operation.create("tensor.extract", results=[tensor.element_type], operands=[scalar])
    return op.result


def _empty(tensor: ir.Type) -> ir.Value:
    return ir.Operation.create("tensor.empty", results=[tensor]).result


def _row_attributes(tensor: ir.RankedTensorType, segments: list[int]) -> dict[str, ir.Attribute]:
    """Those of a slice of one row at an index that is an operand."""
    rest = tensor.shape[1:]
    return {
        "static_offsets": ir.DenseI64ArrayAttr.get([_DYNAMIC, *(0 for _ in rest)]),
        "static_sizes": ir.DenseI64ArrayAttr.get([1, *rest]),
        "static_strides": ir.DenseI64ArrayAttr.get([1] * len(tensor.shape)),
        "operandSegmentSizes": ir.DenseI32ArrayAttr.get(segments),
    }


def _slice(stacked: ir.Value, index: ir.Value) -> ir.Value:
    """stacked[index]."""
    tensor = ir.RankedTensorType(stacked.type)
    return ir.Operation.create(
        "tensor.extract_slice",
        results=[_element_type(tensor)],
        operands=[stacked, index],
        attributes=_row_attributes(tensor, [1, 1, 0, 0]),
    ).result


def _insert(row: ir.Value, stacked: ir.Value, index: ir.Value) -> ir.Value:
    """stacked with stacked[index] = row."""
    tensor = ir.RankedTensorType(stacked.type)
    return ir.Operation.create(
        "tensor.insert_slice",
        results=[tensor],
        operands=[row, stacked, index],
        attributes=_row_attributes(tensor, [1, 1, 1, 0, 0]),
    ).result
