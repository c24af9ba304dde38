# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trace the gradients of a loss.

A traced function is pure: whatever a forward pass writes to a buffer comes back
as a result, and random numbers come from an argument.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from traceback import extract_tb
from typing import Any

import torch
from torch import Tensor
from torch._decomp.decompositions import native_batch_norm_decomposition
from torch._subclasses.fake_tensor import DataDependentOutputException
from torch.fx import GraphModule, Interpreter, Node
from torch.fx.experimental.symbolic_shapes import GuardOnDataDependentSymNode
from torch.nn.attention import SDPBackend, sdpa_kernel

import plait.errors
from plait.errors import UnsupportedError
from plait.step_text import IndexRange
from plait.torch.assemble import UNSIGNED
from plait.torch.constants import check_constants, functional
from plait.torch.decompositions import indexed
from plait.torch.functions import WithoutValues
from plait.torch.index_check import Check, trace_check
from plait.torch.indices import Use, Wrapping, index_uses, may_be_negative
from plait.torch.modules import marked
from plait.torch.probe import called, leaf
from plait.torch.randomness import RNG, Drawing, draws, initial_state
from plait.torch.recurrent import RecurrentLoops
from plait.torch.tracing import decompositions, trace
from plait.torch.ways_out import instead_of

#: What the tracer raises where Python needs a number that a tensor holds.
_VALUE_NEEDED = (GuardOnDataDependentSymNode, DataDependentOutputException)

_COPIES = frozenset(
    {torch.ops.aten.clone.default, torch.ops.aten.alias.default, torch.ops.aten.detach.default}
)


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

    def forward(self, *values: Tensor, then: Callable[[Tensor], Any] | None = None) -> Any:
        """The loss; or what `then` makes of it, while the module still has the tensors
        that it was called with."""
        split = len(values) - self._num_targets
        holder = self.step if hasattr(self, "step") else self
        loss = holder.loss_fn(self.model(*values[:split]), *values[split:])
        return then(loss) if then else loss


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
        # torch's engine, not torch.func, which does not know hooks, checkpoints and
        # older functions with a gradient of their own.
        parameters = {n: leaf(v.detach(), trained[n]) for n, v in zip(trained, values)}
        # The forward pass may write to these: they are its own copies.
        held = values[len(trained) : len(trained) + len(carried)]
        copies = {name: value.clone() for name, value in zip(carried, held)}
        arguments = tuple(v.clone() for v in values[len(trained) + len(carried) :])

        def differentiate(value: Tensor) -> tuple[Tensor, ...]:
            value = value if divisor == 1 else value / divisor
            return (value.detach(), *torch.autograd.grad(value, list(parameters.values())))

        with torch.enable_grad():
            results, after = called(loss, parameters, copies, arguments, differentiate)
        return (*results, *(after[name].detach() for name in carried))

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
        graph = trace(functional(graph, function), arguments, indexed())
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
            with torch.autograd.set_detect_anomaly(False), RecurrentLoops(), WithoutValues():
                yield
    except (ImportError, UnsupportedError):
        raise
    except Exception as error:
        # The eager run has succeeded: what fails here is the tracing itself.
        # torch and the tracer raise many unrelated classes.
        place = running.place_of(error) or (
            f"the loss of {type(loss.model).__name__}, or its gradients"
        )
        raise UnsupportedError(f"cannot trace {place}: {_reason(error)}{_line(error)}") from error
    finally:
        torch.backends.mha.set_fastpath_enabled(fast_attention)


def _reason(error: Exception) -> str:
    """Why a trace fails, and what to do about it."""
    reason = (str(error).strip() or type(error).__name__).split("\n")[0]
    if op := re.fullmatch(r"aten\.(\w+)\.\w+", reason):
        return f"{reason} looks at values: {instead_of(op[1])}"
    if "Recomputed values" in reason:
        return (
            "LSTM, GRU, RNN and one_hot within torch.utils.checkpoint have no import: call the"
            " function itself, without checkpoint"
        )
    if isinstance(error, _VALUE_NEEDED):
        reason += ". A forward pass must not branch on values, nor take sizes from them"
        if any("/torch/distributions/" in f.filename for f in extract_tb(error.__traceback__)):
            reason += ": give the torch.distributions object validate_args=False"
    return reason


def _line(error: Exception) -> str:
    """The innermost line that is neither torch's nor ours: of a hook, say, which the
    engine calls outside of all modules."""
    ours = tuple(f"{Path(p).parent}/" for p in (torch.__file__, plait.errors.__file__))
    for frame in reversed(extract_tb(error.__traceback__)):
        if not frame.filename.startswith((*ours, "<")):
            return f" ({Path(frame.filename).name}, line {frame.lineno})"
    return ""
