# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trace the gradients of a loss, and lower the trace to linalg text.

A traced function is pure: whatever a forward pass writes to a buffer comes
back as a result. The optimizer is not traced; see optimizers.py.
"""

import re
from collections.abc import Callable, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch._decomp import get_decompositions
from torch._decomp.decompositions import native_batch_norm_decomposition
from torch.fx import GraphModule
from torch.fx.experimental.proxy_tensor import make_fx
from torch.func import functional_call, functionalize, grad_and_value

from plait.errors import UnsupportedError
from plait.torch.decompositions import step_decompositions

INSTALL = 'pip install "torch==2.13.0" "torch-mlir==20261001"'

#: What a step may consist of: what upstream MLIR can say about tensors.
DIALECTS = frozenset({"arith", "builtin", "func", "linalg", "math", "scf", "tensor"})

#: aten ops that torch-mlir lowers to its own dialect, if it does not abort the
#: process (sort and topk). The last line is what gathers differentiate to.
_UNLOWERED = frozenset(
    "sort topk kthvalue cumsum cumprod cummax cummin logcumsumexp"
    " scatter scatter_add scatter_reduce index_put _unsafe_index_put index_add".split()
)


class LossModule(torch.nn.Module):
    """A model and its loss function as one module.

    Its forward takes the model's inputs followed by `num_targets` targets and
    returns the loss. A loss function that is a module brings its parameters
    and buffers (class weights, say) along.
    """

    def __init__(self, model: torch.nn.Module, loss_fn: Callable[..., Tensor], num_targets: int):
        super().__init__()
        self.model = model
        self.loss_fn = loss_fn
        self._num_targets = num_targets

    def forward(self, *values: Tensor) -> Tensor:
        split = len(values) - self._num_targets
        return self.loss_fn(self.model(*values[:split]), *values[split:])


def used_parameters(
    loss: LossModule,
    trained: dict[str, Tensor],
    carried: dict[str, Tensor],
    inputs: Sequence[Tensor],
) -> set[str]:
    """The names in `trained` that the loss depends on.

    torch gives the others no gradient, and its optimizers pass them over; a
    traced gradient would be a zero that still decays and counts steps. Runs
    the loss once, on copies, and leaves torch's generator as it was.

    Raises:
        UnsupportedError: the loss is not a scalar, or depends on none of them.
    """
    leaves = {name: value.detach().clone().requires_grad_() for name, value in trained.items()}
    copies = {name: value.detach().clone() for name, value in carried.items()}
    with torch.random.fork_rng(devices=[]), torch.enable_grad():
        value = functional_call(loss, (leaves, copies), tuple(inputs), tie_weights=True)
        if not isinstance(value, Tensor) or value.dim() != 0 or not value.is_floating_point():
            got = f"{list(value.shape)} of {value.dtype}" if isinstance(value, Tensor) else type(value)
            raise UnsupportedError(f"the loss must be a scalar of a floating-point type, not {got}")
        if not value.requires_grad:
            raise UnsupportedError("the loss depends on no parameter that the optimizer updates")
        grads = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
    return {name for name, grad in zip(leaves, grads) if grad is not None}


def trace_gradients(
    loss: LossModule,
    trained: dict[str, Tensor],
    carried: dict[str, Tensor],
    inputs: Sequence[Tensor],
) -> GraphModule:
    """The graph of (trained..., carried..., inputs...) -> (loss, gradients...,
    next carried...), in core aten ops and without mutation.

    Raises:
        UnsupportedError: the model cannot be traced, or draws random numbers.
    """

    def gradients(*values: Tensor) -> tuple[Tensor, ...]:
        parameters = dict(zip(trained, values))
        held = dict(zip(carried, values[len(trained) :]))
        fresh = values[len(trained) + len(carried) :]

        def value_of(parameters: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
            # The forward pass may write to these: they are its own copies.
            copies = {name: value.clone() for name, value in held.items()}
            return functional_call(loss, (parameters, copies), fresh, tie_weights=True), copies

        grads, (value, after) = grad_and_value(value_of, has_aux=True)(parameters)
        return (value, *(grads[name] for name in trained), *(after[name] for name in carried))

    arguments = [value.detach() for value in (*trained.values(), *carried.values(), *inputs)]

    def trace(function: Callable[..., Any], table: dict[Any, Any]) -> GraphModule:
        return make_fx(function, decomposition_table=table, tracing_mode="fake")(*arguments)

    # Three traces, because batch-norm hides what it writes to its running
    # statistics until it is decomposed, and the writes are lost unless they
    # become functional before anything else is decomposed.
    visible = {torch.ops.aten.native_batch_norm.default: native_batch_norm_decomposition}
    try:
        graph = trace(gradients, visible)
        _reject_random(graph)
        graph = trace(functionalize(graph, remove="mutations"), {})
        graph = trace(graph, _decompositions())
    except (UnsupportedError, ImportError):
        raise
    except Exception as error:
        # The eager run has succeeded: what fails here is the tracing itself.
        # torch and the tracer raise many unrelated classes.
        raise UnsupportedError(
            f"cannot trace {type(loss.model).__name__}: {_first_line(error)}. A forward pass"
            " must not branch on values, nor use tensors other than parameters, buffers and inputs"
        ) from error
    graph.graph.eliminate_dead_code()
    graph.recompile()
    return graph


def lower_to_linalg(graph: GraphModule) -> str:
    """The text of a module with one function: the graph in linalg on tensors.

    Raises:
        UnsupportedError: an op has no lowering to upstream dialects.
        ImportError: there is no torch-mlir.
    """
    with _needs_torch_mlir():
        from torch_mlir import compiler_utils, fx, ir
        from torch_mlir.dialects import torch as torch_dialect
        from torch_mlir.extras.fx_importer import FxImporter
        from torch_mlir.passmanager import PassManager

    _reject_unlowered(graph)
    context = ir.Context()
    torch_dialect.register_dialect(context)
    messages: list[str] = []

    def note(diagnostic: Any) -> bool:
        messages.append(str(diagnostic.message))
        return True

    try:
        context.attach_diagnostic_handler(note)
        module = fx.stateless_fx_import(
            graph,
            output_type=compiler_utils.OutputType.LINALG_ON_TENSORS,
            fx_importer=FxImporter(context=context),
        )
        with context:
            _erase_assertions(module, ir)
            PassManager.parse("builtin.module(canonicalize,cse)").run(module.operation)
    except Exception as error:
        # torch-mlir raises its own class, RuntimeError, TypeError, ...; the
        # diagnostics say what it was about.
        reason = messages[0] if messages else _first_line(error)
        raise UnsupportedError(f"torch-mlir cannot lower {_op_in(reason)}: {reason[:300]}") from error
    _check_ops(module, ir)
    return module.operation.get_asm()


def _decompositions() -> dict[Any, Any]:
    with _needs_torch_mlir():
        from torch_mlir.extras.fx_decomp_util import get_decomposition_table
    # Lowered by torch-mlir itself, the tanh form's gradients were off by 1e-5.
    exact = get_decompositions([torch.ops.aten.gelu, torch.ops.aten.gelu_backward])
    return {**get_decomposition_table(), **exact, **step_decompositions()}


@contextmanager
def _needs_torch_mlir():
    try:
        yield
    except ImportError as error:
        raise ImportError(f"plait.torch needs torch-mlir: {INSTALL}") from error


def _reject_random(graph: GraphModule) -> None:
    for node in graph.graph.nodes:
        tags = getattr(node.target, "tags", ())
        if node.op == "call_function" and torch.Tag.nondeterministic_seeded in tags:
            raise UnsupportedError(
                f"{node.target} draws random numbers, which a step has no generator for"
                " (dropout? set its probability to 0, or pass a mask as an input)"
            )


def _reject_unlowered(graph: GraphModule) -> None:
    for node in graph.graph.nodes:
        packet = getattr(node.target, "overloadpacket", None)
        if packet is not None and packet.__name__ in _UNLOWERED:
            raise UnsupportedError(
                f"{node.target} has no lowering to upstream dialects; it is in the model,"
                " or the gradient of something in the model that selects by index"
            )


def _erase_assertions(module: Any, ir: Any) -> None:
    """Erase torch-mlir's run-time checks: they are side effects in the bodies
    of structured ops, which no pass can fuse."""
    assertions = []

    def visit(op: Any) -> Any:
        if op.name == "cf.assert":
            assertions.append(op)
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit)
    for op in assertions:
        op.erase()


def _check_ops(module: Any, ir: Any) -> None:
    problems = []

    def visit(op: Any) -> Any:
        dialect, _, name = op.name.partition(".")
        if dialect not in DIALECTS:
            problems.append(f"the lowered step has {op.name}, which upstream MLIR does not know")
        elif dialect == "linalg" and name not in ("generic", "fill", "transpose", "broadcast"):
            # Generalized, such an op converts its operand as signed: true is -1.
            if any("xi1>" in str(operand.type) for operand in op.operands):
                problems.append(f"the lowered step has {op.name} on booleans")
        return ir.WalkResult.ADVANCE

    module.operation.walk(visit, ir.WalkOrder.PRE_ORDER)
    if problems:
        raise UnsupportedError(problems[0])


def _op_in(message: str) -> str:
    """The torch op that a diagnostic is about, as well as it says."""
    names = re.findall(r"torch\.(?:aten|prims|prim)\.[\w.]+", message)
    return names[-1] if names else "an op"


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).split("\n")[0]
