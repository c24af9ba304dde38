# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From a traced step to the text of `@step` in linalg on tensors.

jax lowers to StableHLO, with Plait's rules for what StableHLO's own passes
leave over (rules.py); those passes, which jaxlib brings along, do the rest.
Everything private of jax that Plait uses is named here and in rules.py.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jax._src import core as jax_core
from jax._src import source_info_util
from jax._src.interpreters import mlir as jax_mlir
from jax._src.interpreters import partial_eval
from jaxlib.mlir import ir
from jaxlib.mlir._mlir_libs import _jax_mlir_ext
from jaxlib.mlir.dialects import stablehlo
from jaxlib.mlir.passmanager import PassManager

from plait.errors import UnsupportedError
from plait.jax.rules import LOWERING_RULES

#: What a step may consist of: what upstream MLIR can say about tensors.
DIALECTS = frozenset({"arith", "builtin", "func", "linalg", "math", "scf", "tensor"})

PIPELINE = (
    "builtin.module(symbol-dce,func.func(chlo-legalize-to-stablehlo),canonicalize,"
    "stablehlo-legalize-to-linalg,canonicalize,cse)"
)


def lower_to_stablehlo(traced: Any) -> ir.Operation:
    """The module of a `jax.stages.Traced`, for the CPU, with one function.

    Raises:
        UnsupportedError: the step has side effects.
    """
    _reject_effects(traced.jaxpr.jaxpr)
    parameters = jax_mlir.LoweringParameters(
        override_lowering_rules=LOWERING_RULES, hoist_constants_as_args=False
    )
    lowered = traced.lower(lowering_platforms=("cpu",), _private_parameters=parameters)
    # jax keeps the module for the next lowering of the same function.
    module = lowered.compiler_ir("stablehlo").operation.clone()
    with module.context, ir.Location.unknown():
        _inline_calls(module)
        _drop_barriers(module)
        _settle_empty(module)
    return module


def used_inputs(traced: Any, wanted: Sequence[bool]) -> list[bool]:
    """Which inputs the wanted outputs of a `jax.stages.Traced` depend on."""
    return partial_eval.dce_jaxpr(traced.jaxpr.jaxpr, wanted)[1]


def lower_to_linalg(
    module: ir.Operation, argument_roles: Sequence[str], result_roles: Sequence[str]
) -> str:
    """The text of a module with `@step` in linalg on tensors.

    Raises:
        UnsupportedError: an op has no lowering to upstream dialects; the
            message names it and the line of the user's code.
    """
    stablehlo.register_stablehlo_passes()
    module.context.allow_unregistered_dialects = True
    try:
        with module.context, ir.Location.unknown():
            PassManager.parse(PIPELINE).run(module)
    except ir.MLIRError as error:
        first = error.error_diagnostics[0]
        raise UnsupportedError(
            f"no lowering to upstream dialects: {first.message}{_place(first.location)}"
        ) from error
    _keep_main(module)
    _check_ops(_functions(module)[0])
    _annotate(module, argument_roles, result_roles)
    return module.get_asm()


def _reject_effects(jaxpr: Any) -> None:
    for equation in jaxpr.eqns:
        if not equation.effects:
            continue
        inner = [p for p in jax_core.jaxprs_in_params(equation.params) if p.effects]
        for nested in inner:
            _reject_effects(nested)
        place = source_info_util.summarize(equation.source_info)
        raise UnsupportedError(
            f"{equation.primitive} has side effects, which a step cannot have ({place})"
        )


def _functions(module: ir.Operation) -> list[ir.Operation]:
    """The functions of a module, and jax's sharding meshes."""
    return [op.operation for op in module.regions[0].blocks[0].operations]


def _inline_calls(module: ir.Operation) -> None:
    """Inline every call in `main`. jaxlib's inliner leaves calls alone."""
    functions = {ir.StringAttr(op.attributes["sym_name"]).value: op for op in _functions(module)}
    main = functions["main"]
    while calls := _ops(main, "func.call"):
        for call in calls:
            callee = ir.FlatSymbolRefAttr(call.attributes["callee"]).value
            with ir.InsertionPoint(call):
                values = _jax_mlir_ext.inlined_func_call(
                    functions[callee], list(call.operands), call.location
                )
            for result, value in zip(call.results, values):
                result.replace_all_uses_with(value)
            call.erase()


def _drop_barriers(module: ir.Operation) -> None:
    """jax.checkpoint bars the compiler from finding values computed twice."""
    for barrier in _ops(module, "stablehlo.optimization_barrier"):
        for result, operand in zip(barrier.results, barrier.operands):
            result.replace_all_uses_with(operand)
        barrier.erase()


def _settle_empty(module: ir.Operation) -> None:
    """Upstream's slices must begin within their operand, also empty ones. jax's
    scans of associative functions slice, and pad, empty arrays at the end."""
    for op in _ops(module, "stablehlo.slice"):
        shape = ir.RankedTensorType(op.result.type).shape
        for name in ("start_indices", "limit_indices"):
            indices = list(ir.DenseI64ArrayAttr(op.attributes[name]))
            moved = [index if size else 0 for index, size in zip(indices, shape)]
            op.attributes[name] = ir.DenseI64ArrayAttr.get(moved)
    for op in _ops(module, "stablehlo.pad"):
        operand, padding = op.operands
        if 0 in ir.RankedTensorType(operand.type).shape:
            with ir.InsertionPoint(op), op.location:
                only = stablehlo.broadcast_in_dim(op.result.type, padding, [])
            op.result.replace_all_uses_with(only)
            op.erase()


def _keep_main(module: ir.Operation) -> None:
    for op in _functions(module):
        if ir.StringAttr(op.attributes["sym_name"]).value != "main":
            op.erase()


def _ops(root: ir.Operation, name: str) -> list[ir.Operation]:
    found = []

    def visit(op: ir.Operation) -> ir.WalkResult:
        if op.name == name:
            found.append(op)
        return ir.WalkResult.ADVANCE

    root.walk(visit)
    return found


def _check_ops(function: ir.Operation) -> None:
    """Refuse what upstream MLIR does not know, or gets wrong."""
    problems: list[str] = []
    casts: list[str] = []

    def visit(op: ir.Operation) -> ir.WalkResult:
        if problem := _problem(op):
            # A cast is there because of another op, which says more.
            is_cast = op.name == "builtin.unrealized_conversion_cast"
            (casts if is_cast else problems).append(problem + _place(op.location))
        return ir.WalkResult.INTERRUPT if problems else ir.WalkResult.ADVANCE

    function.walk(visit, ir.WalkOrder.PRE_ORDER)
    if problems or casts:
        raise UnsupportedError([*problems, *casts][0])


def _problem(op: ir.Operation) -> str | None:
    dialect, _, name = op.name.partition(".")
    types = [str(value.type) for value in (*op.operands, *op.results)]
    if op.name == "builtin.unrealized_conversion_cast" or dialect not in DIALECTS:
        return f"{_spelled(op)} has no lowering to upstream dialects"
    if any("complex<" in t for t in types) and op.name != "arith.constant":
        return f"{op.name} is on complex numbers"
    if half := re.search(r"bf16|f16|f8\w+|f4\w+", " ".join(types)):
        return f"{op.name} is on {half[0]}; there is no mixed precision, compute in float32"
    if any("?" in t for t in types):
        return f"{op.name} has a shape that is not static"
    if dialect == "linalg" and name not in ("generic", "fill", "transpose", "broadcast"):
        # Generalized, such an op converts its operand as signed: true is -1.
        if any("xi1>" in str(operand.type) for operand in op.operands):
            return f"{op.name} is on booleans"
    return None


def _spelled(op: ir.Operation) -> str:
    if "call_target_name" in op.attributes:
        return f"{op.name} @{ir.StringAttr(op.attributes['call_target_name']).value}"
    return op.name


def _place(location: ir.Location) -> str:
    """Where in the user's code an op comes from: ` (model.py:12 in loss)`.

    A location has the frames that are not jax's, the innermost first. Those of
    installed packages (optax, flax) count only if there is no other.
    """
    frames = re.findall(r'"([^"]*)"\("([^"]*)":(\d+):\d+', str(location))
    frames = [frame for frame in frames if Path(frame[1]).parent != Path(__file__).parent]
    own = [frame for frame in frames if "site-packages" not in frame[1]]
    for function, file, line in [*own, *frames][:1]:
        return f" ({file}:{line} in {function})"
    return ""


def _annotate(
    module: ir.Operation, argument_roles: Sequence[str], result_roles: Sequence[str]
) -> None:
    """Name the function, give it its roles, and drop what jax noted."""
    (function,) = _functions(module)
    with module.context, ir.Location.unknown():

        def attributes(roles: Sequence[str]) -> ir.ArrayAttr:
            dicts = [{"train.role": ir.Attribute.parse(role)} for role in roles]
            return ir.ArrayAttr.get([ir.DictAttr.get(role) for role in dicts])

        for name in list(module.attributes):
            del module.attributes[name]
        function.attributes["sym_name"] = ir.StringAttr.get("step")
        function.attributes["arg_attrs"] = attributes(argument_roles)
        function.attributes["res_attrs"] = attributes(result_roles)
        function.attributes["train.step"] = ir.UnitAttr.get()
        if "sym_visibility" in function.attributes:
            del function.attributes["sym_visibility"]
        assert module.verify()
