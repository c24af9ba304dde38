# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trace the gradients of a loss.

A traced function is pure: whatever a forward pass writes to a buffer comes back
as a result, and random numbers come from an argument.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from traceback import extract_tb
from typing import Any

import torch
from torch import Tensor
from torch._decomp.decompositions import native_batch_norm_decomposition
from torch._subclasses.fake_tensor import DataDependentOutputException
from torch.func import grad_and_value
from torch.fx import GraphModule, Interpreter, Node
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode
from torch.nn.attention import SDPBackend, sdpa_kernel

from plait.errors import UnsupportedError
from plait.step_text import IndexRange
from plait.torch.assemble import UNSIGNED
from plait.torch.constants import check_constants, functional
from plait.torch.index_check import Check, trace_check
from plait.torch.indices import Use, Wrapping, index_uses, may_be_negative
from plait.torch.modules import marked
from plait.torch.one_hot import OneHot
from plait.torch.probe import NO_CHECKPOINTS, called
from plait.torch.randomness import RNG, Drawing, draws, initial_state
from plait.torch.recurrent import RecurrentLoops
from plait.torch.tracing import decompositions, trace

#: What the tracer raises where Python needs a number that a tensor holds.
_VALUE_NEEDED = (GuardOnDataDependentSymNode, DataDependentOutputException)

_COPIES = frozenset({torch.ops.aten.clone.default, torch.ops.aten.alias.default})


class LossModule(torch.nn.Module):
    """A model and its loss function as one module.

    Its forward takes the model's inputs followed by `num_targets` targets and
    returns the loss. A loss function that is a module brings its parameters
    and buffers (class weights, say) along: as `loss_fn.weight`, or as
    `step.loss_fn.weight` beside a model that has another module of that name.
    """

    def __init__(self, model: torch.nn.Module, loss_fn: Callable[..., Tensor], num_targets: int):
        super().__init__()
        self.model = model
        holder: torch.nn.Module = self
        own = getattr(model, "loss_fn", loss_fn)
        if isinstance(own, torch.nn.Module) and own is not loss_fn:
            holder = self.step = torch.nn.Module()
        holder.loss_fn = loss_fn
        self._num_targets = num_targets

    def forward(self, *values: Tensor) -> Tensor:
        split = len(values) - self._num_targets
        holder = self.step if hasattr(self, "step") else self
        return holder.loss_fn(self.model(*values[:split]), *values[split:])


def public(name: str) -> str:
    """A name in LossModule as it is in `model.state_dict()`."""
    return name.removeprefix("model.")


@dataclass(frozen=True)
class Gradients:
    """A traced gradient function.

    Attributes:
        graph: (trained..., carried..., inputs...) -> (loss, gradients..., next
            carried...), in core aten ops and without mutation.
        random: whether the last carried value is the state of the generator,
            which was added.
        ranges: what the values of integer inputs and buffers may be, where they
            are used as indices; by public name.
        check: of the indices that are computed, if any.
    """

    graph: GraphModule
    random: bool = False
    ranges: dict[str, IndexRange] = field(default_factory=dict)
    check: Check | None = None


def trace_gradients(
    loss: LossModule,
    trained: Mapping[str, Tensor],
    carried: Mapping[str, Tensor],
    inputs: Mapping[str, Tensor],
    divisor: int = 1,
    kept: Mapping[str, Tensor] | None = None,
) -> Gradients:
    """The gradients of the loss over `divisor`, traced.

    Args:
        kept: what the forward pass keeps for later, as `Probed` has it.

    Raises:
        UnsupportedError: the model cannot be traced, or does what a pure
            function cannot; the message names the module.
    """

    def gradients(*values: Tensor) -> tuple[Tensor, ...]:
        parameters = dict(zip(trained, values))
        held = dict(zip(carried, values[len(trained) :]))
        fresh = values[len(trained) + len(carried) :]

        def value_of(parameters: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
            # The forward pass may write to these: they are its own copies.
            copies = {name: value.clone() for name, value in held.items()}
            arguments = tuple(value.clone() for value in fresh)
            value, after = called(loss, parameters, copies, arguments)
            return value if divisor == 1 else value / divisor, after

        grads, (value, after) = grad_and_value(value_of, has_aux=True)(parameters)
        return (value, *(grads[name] for name in trained), *(after[name] for name in carried))

    values = (*trained.values(), *carried.values(), *inputs.values())
    arguments = [value.detach() for value in values]
    fresh = len(trained) + len(carried)
    # Three traces, because batch-norm hides what it writes to its running
    # statistics until it is decomposed, and the writes are lost unless they
    # become functional before anything else is decomposed.
    visible = {torch.ops.aten.native_batch_norm.default: native_batch_norm_decomposition}
    with _traceable(loss):
        graph = trace(gradients, arguments, visible)
    check_constants(graph, {**trained, **carried}, kept or {})
    random = draws(graph)
    if random:
        arguments.insert(fresh, initial_state(0))
        fresh += 1
    function = _with_draws(fresh - 1) if random else _run
    with _traceable(loss):
        graph = trace(functional(graph, function), arguments)
    names = [public(n) for n in (*trained, *carried, *([RNG] if random else []), *inputs)]
    ranges, uses, wrapping = _followed(graph, names, fresh)
    check = None
    with _traceable(loss):
        if uses:
            # The parameters come first; they are never known, as their updates may wait.
            known = set(range(len(trained), len(names)))
            known &= known if divisor == 1 else {*_fixed(graph, fresh)}
            check = trace_check(wrapping, uses, arguments, known, fresh, divisor)
        graph = trace(wrapping.run, arguments, decompositions())
    return Gradients(graph, random, ranges, check)


def _followed(
    graph: GraphModule, names: Sequence[str], fresh: int
) -> tuple[dict[str, IndexRange], list[Use], Wrapping]:
    """The ranges of arguments, the indices that are computed, and how to run the
    graph with the negative ones made positive."""
    integers = _integers(graph, _fixed(graph, fresh), names)
    ranges, uses = index_uses(graph, integers)
    return ranges, uses, Wrapping(graph, may_be_negative(graph, integers))


def _run(graph: GraphModule, *arguments: Tensor) -> Any:
    return Interpreter(graph).run(*arguments)


def _with_draws(position: int) -> Callable[..., Any]:
    """Runs a graph that draws from its argument at `position`, and returns the
    next value of that in the same place."""

    def run(graph: GraphModule, *arguments: Tensor) -> tuple[Tensor, ...]:
        rng = arguments[position]
        results = Drawing(graph, rng).run(*arguments[:position], *arguments[position + 1 :])
        # The loss comes first, and a result for each argument so far.
        return (*results, rng + torch.arange(2, device=rng.device))

    return run


def _fixed(graph: GraphModule, fresh: int) -> list[int]:
    """The arguments that keep their value during a run: inputs, which begin at
    `fresh`, and buffers that no step changes."""
    (output,) = graph.graph.find_nodes(op="output")
    nexts = output.args[0][1:]
    placeholders = graph.graph.find_nodes(op="placeholder")
    return [i for i, node in enumerate(placeholders) if i >= fresh or _same(nexts[i], node)]


def _integers(graph: GraphModule, fixed: Sequence[int], names: Sequence[str]) -> dict[Node, str]:
    """Those of the arguments `fixed` that can be an index."""
    placeholders = graph.graph.find_nodes(op="placeholder")
    types = {i: placeholders[i].meta["val"].dtype for i in fixed}
    return {
        placeholders[i]: names[i]
        for i, dtype in types.items()
        if not dtype.is_floating_point and dtype not in (torch.bool, *UNSIGNED)
    }


def _same(node: Any, other: Node) -> bool:
    while isinstance(node, Node) and node is not other and node.target in _COPIES:
        node = node.args[0]
    return node is other


@contextmanager
def _traceable(loss: LossModule) -> Iterator[None]:
    """Settings under which torch shows what it does, and errors with a place."""
    fast_attention = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with marked(loss.model) as running, sdpa_kernel(SDPBackend.MATH):
            # Its checks of gradients branch on them.
            with torch.autograd.set_detect_anomaly(False), RecurrentLoops(), OneHot():
                yield
    except (ImportError, UnsupportedError):
        raise
    except Exception as error:
        # The eager run has succeeded: what fails here is the tracing itself.
        # torch and the tracer raise many unrelated classes.
        place = running.failed or f"the loss of {type(loss.model).__name__}, or its gradients"
        reason = (str(error).strip() or type(error).__name__).split("\n")[0]
        if isinstance(error, _VALUE_NEEDED):
            reason += ". A forward pass must not branch on values, nor take sizes from them"
            if any("/torch/distributions/" in f.filename for f in extract_tb(error.__traceback__)):
                reason += ": give the torch.distributions object validate_args=False"
        if "saved tensor hooks" in reason:
            reason = NO_CHECKPOINTS
        raise UnsupportedError(f"cannot trace {place}: {reason}") from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_attention)
