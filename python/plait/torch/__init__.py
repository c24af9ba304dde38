# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Import a PyTorch training step: `plait.torch.export_step`."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import wraps
from threading import RLock
from typing import ParamSpec

import numpy as np

from plait.errors import UnsupportedError
from plait.exported import ExportedStep
from plait.printed import Function, parse_functions
from plait.step_text import StepCheck, TracedUpdate, Update, compose_step, own_name

try:
    import torch
except ImportError as error:
    raise ImportError(
        'plait.torch needs PyTorch: pip install "torch==2.13.0" "torch-mlir==20261001"'
    ) from error

from plait.torch.assemble import UNSIGNED, Plan, tensor_type
from plait.torch.capture import Gradients, LossModule, public, trace_gradients
from plait.torch.checks import (
    check_kinds,
    check_modules,
    check_tensors,
    checked_inputs,
    names,
    ties,
    trained_parameters,
)
from plait.torch.clipping import Clipping
from plait.torch.compile import TorchStep, compile  # noqa: A004
from plait.torch.lowering import lower
from plait.torch.optimizers import has_named_op, optimizer_ops
from plait.torch.probe import probed
from plait.torch.randomness import RNG, initial_state
from plait.torch.traced_optimizer import States, initial_states, trace_update
from plait.torch.tracing import uncompiled

__all__ = ["TorchStep", "compile", "export_step"]

Tensors = Mapping[str, torch.Tensor]

#: One export at a time.
_TRACING = RLock()


_P = ParamSpec("_P")


def _with_copies(export: Callable[_P, ExportedStep]) -> Callable[_P, ExportedStep]:
    """An exporter whose tensors are its own. Without, they may be the memory of the
    model and of the optimizer: for whoever copies them at once."""

    @wraps(export)
    def exported(*args: _P.args, **kwargs: _P.kwargs) -> ExportedStep:
        step = export(*args, **kwargs)
        return replace(step, tensors={n: np.array(v, order="C") for n, v in step.tensors.items()})

    return exported


@_with_copies
def export_step(
    model: torch.nn.Module,
    loss_fn: Callable[..., torch.Tensor],
    optimizer: torch.optim.Optimizer,
    example_inputs: Sequence[torch.Tensor],
    *,
    num_targets: int = 1,
    lr_input: bool = False,
    clip_grad_norm: float | None = None,
    clip_norm_type: float = 2.0,
    clip_grad_value: float | None = None,
    accumulation_steps: int = 1,
    seed: int | None = None,
) -> ExportedStep:
    """Export one training step: forward, backward and update, with its state.

    The step computes `loss = loss_fn(model(*inputs), *targets)`, its gradients,
    and `optimizer.step()`. The model is taken in the mode it is in
    (`model.train()` first, if it has batch-norm or dropout). Nothing is
    changed: not the model, the optimizer, nor torch's random generator.

    A parameter under several names (tied weights) stays one, under the first.
    One that the optimizer does not update (frozen, not in any group, without
    influence on the loss) is carried like a buffer.

    SGD, Adagrad, RMSprop, Adadelta, Adam and AdamW become ops of the `train`
    dialect. The `step` of any other optimizer is traced.

    Dropout and other draws use a generator of the step's own, whose state is
    the buffer `rng`, i64 [2]: a seed, and the number of micro-batches so far.

    Args:
        model: on the CPU; the trained parameters must be float32.
        loss_fn: a function or module; its result must be a scalar.
        optimizer: over parameters of the model, fresh or not.
        example_inputs: the model's arguments, then the targets. Their shapes
            are the step's; one input is named `x` (several `x0`, `x1`, ...),
            one target `y` (several `y0`, `y1`, ...). Where the model has a
            tensor of such a name, the input is `step.x`; so with `step.lr`,
            `step.rng` and the result `step.loss`. Bytes (uint8) cross the
            step's boundary as int8 of the same bits.
        num_targets: how many of the last example inputs are targets.
        lr_input: make the learning rate an input, `lr`, of shape [], for use
            with a scheduler. Several groups get `lr.0`, `lr.1`, ...
        clip_grad_norm: clip_grad_norm_'s `max_norm`, over the gradients of all
            parameters that the step trains.
        clip_norm_type: clip_grad_norm_'s `norm_type`.
        clip_grad_value: clip_grad_value_'s `clip_value`; beside clip_grad_norm it
            comes second, whatever the order of the arguments.
        accumulation_steps: how many micro-batches go into one update. The
            example inputs are one of them; the step takes that many behind one
            another, along the first dimension of each input (a scalar is the
            same for all), which is what a DataLoader with a batch size larger
            by this factor gives. The loss is the mean over them, as in the loop
            that calls `(loss / accumulation_steps).backward()`.
        seed: of the step's random numbers; torch.initial_seed() if not given.

    Raises:
        UnsupportedError: something in the step has no import; the message
            names the module, op or option.
        ImportError: torch-mlir is missing; the message says how to install it.
        TypeError, ValueError: the arguments do not fit together.
    """
    clipping = Clipping(clip_grad_norm, clip_norm_type, clip_grad_value)
    for option, value in (("accumulation_steps", accumulation_steps), ("seed", seed or 0)):
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{option} must be an int, not {value!r}")
    if accumulation_steps < 1:
        raise ValueError(f"accumulation_steps must be at least 1, got {accumulation_steps}")
    check_kinds(model, loss_fn, optimizer)
    # Tracing replaces functions of torch's modules, which all threads see.
    with _TRACING, torch.inference_mode(False), uncompiled():
        return _exported(
            model, loss_fn, optimizer, example_inputs, num_targets, lr_input, clipping,
            accumulation_steps, seed,
        )  # fmt: skip


def _exported(
    model: torch.nn.Module,
    loss_fn: Callable[..., torch.Tensor],
    optimizer: torch.optim.Optimizer,
    example_inputs: Sequence[torch.Tensor],
    num_targets: int,
    lr_input: bool,
    clipping: Clipping,
    accumulation_steps: int,
    seed: int | None,
) -> ExportedStep:
    """What `export_step` does, after its options have been looked at."""
    check_modules(model)
    loss = LossModule(model, loss_fn, num_targets)
    parameters, buffers = dict(loss.named_parameters()), dict(loss.named_buffers())
    check_tensors(parameters, buffers)
    taken = names(loss)
    values = checked_inputs(example_inputs, num_targets, taken)
    trained = trained_parameters(loss, optimizer)
    rest = {n: p for n, p in parameters.items() if n not in trained} | buffers
    with probed(loss, trained, rest, list(values.values())) as run:
        trained = {n: p for n, p in trained.items() if n in run.used}
        rest = {n: p for n, p in parameters.items() if n not in run.used} | buffers
        gradients = trace_gradients(loss, trained, rest, values, accumulation_steps, run.kept)
    if gradients.random:
        rest[own_name(RNG, taken)] = initial_state(torch.initial_seed() if seed is None else seed)
    rates = _rates(optimizer, trained, taken) if lr_input else {}
    named = has_named_op(optimizer)
    states = None if named else initial_states(optimizer, trained)
    functions = _lowered(
        gradients, optimizer, trained, rest, values, clipping, states, rates, accumulation_steps
    )
    updates = _updates(optimizer, trained, states, {g: name for g, (name, _) in rates.items()})
    inputs = {name: _array(value.clone(), accumulation_steps) for name, value in values.items()}
    lrs = {name: np.array(rate, np.float32) for name, rate in rates.values()}
    buffer_names = [public(name) for name in rest]
    fresh = [*inputs, *([] if named else lrs)]
    tied = ties(loss)
    keys = _model_keys(model, {*map(public, trained), *buffer_names}, tied)
    check = None
    if gradients.check:
        arguments = [public(name) for name in (*trained, *rest, *values)]
        taken_by_check = [arguments[i] for i in gradients.check.arguments]
        check = StepCheck(functions["check"], taken_by_check, gradients.check.complaints)
    text = compose_step(
        functions["main"], updates, buffer_names, fresh, gradients.ranges, keys, check
    )
    carried = _carried(optimizer, trained, states)
    carried |= {public(name): _array(value) for name, value in rest.items()}
    unsigned = frozenset(name for name, value in values.items() if value.dtype in UNSIGNED)
    return ExportedStep(text, carried, inputs | lrs, tied, unsigned)


def _model_keys(
    model: torch.nn.Module, carried: set[str], tied: Mapping[str, str]
) -> dict[str, str]:
    """For each key of the model's state_dict, the parameter or buffer it names.
    Empty where they are the step's, each under its own name."""
    keys = {key: tied.get(key, key) for key in model.state_dict()}
    return {} if carried == keys.keys() else {k: n for k, n in keys.items() if n in carried}


def _lowered(
    gradients: Gradients,
    optimizer: torch.optim.Optimizer,
    trained: Tensors,
    rest: Tensors,
    inputs: Tensors,
    clipping: Clipping,
    states: States | None,
    rates: Mapping[int, tuple[str, float]],
    repeats: int,
) -> dict[str, Function]:
    """The whole step as one function, `main`, beside `check` if there is one."""
    graphs, entries = {"gradients": gradients.graph}, ["main"]
    if gradients.check:
        graphs["check"] = gradients.check.graph
        entries.append("check")
    if clipping:
        graphs["clip"] = clipping.trace(list(trained.values()))
    owned = None
    if states is not None:
        named = {group: name for group, (name, _) in rates.items()}
        graphs["update"] = trace_update(optimizer, trained, states, named)
        owned = [[tensor_type(value) for value in states[name].values()] for name in trained]
    (output,) = gradients.graph.graph.find_nodes(op="output")
    plan = Plan(
        loss=tensor_type(output.args[0][0].meta["val"]),
        trained=[tensor_type(value) for value in trained.values()],
        carried=[tensor_type(value) for value in rest.values()],
        inputs=[tensor_type(value) for value in inputs.values()],
        states=owned,
        rates=len({name for name, _ in rates.values()}) if states is not None else 0,
        clips=bool(clipping),
        repeats=repeats,
    )
    return parse_functions(lower(graphs, [plan.text()], entries))


def _rates(
    optimizer: torch.optim.Optimizer, trained: Tensors, taken: Collection[str]
) -> dict[int, tuple[str, float]]:
    """The input that holds the learning rate of each group, and its value."""
    known = set(trained.values())
    groups: dict[int, float] = {}
    for i, group in enumerate(optimizer.param_groups):
        if known.isdisjoint(group["params"]):
            continue
        if "lr" not in group:
            name = type(optimizer).__name__
            raise UnsupportedError(f"{name} has no 'lr': lr_input must be False")
        groups[i] = float(group["lr"])
    # Not by value: rates that are equal now may not stay so.
    if len(groups) == 1:
        return {i: (own_name("lr", taken), rate) for i, rate in groups.items()}
    return {i: (own_name(f"lr.{i}", taken), rate) for i, rate in groups.items()}


def _updates(
    optimizer: torch.optim.Optimizer,
    trained: Tensors,
    states: States | None,
    rates: Mapping[int, str],
) -> list[Update | TracedUpdate]:
    if states is not None:
        return [TracedUpdate(public(name), list(states[name])) for name in trained]
    groups = {p: i for i, group in enumerate(optimizer.param_groups) for p in group["params"]}
    ops = optimizer_ops(optimizer)
    updates: list[Update | TracedUpdate] = []
    for name, parameter in trained.items():
        op, rate = ops[parameter], rates.get(groups[parameter])
        attributes = op.attributes if rate else {"lr": op.lr, **op.attributes}
        types = {key: _type_of(value) for key, value in op.states.items()}
        updates.append(Update(public(name), op.op, attributes, types, rate))
    return updates


def _type_of(value: np.ndarray) -> str:
    dtype = torch.from_numpy(np.empty(0, value.dtype)).dtype
    return tensor_type(torch.empty(value.shape, dtype=dtype, device="meta"))


def _carried(
    optimizer: torch.optim.Optimizer, trained: Tensors, states: States | None
) -> dict[str, np.ndarray]:
    """Each parameter followed by its states, in the order of the arguments."""
    ops = {} if states is not None else optimizer_ops(optimizer)
    tensors = {}
    for name, parameter in trained.items():
        tensors[public(name)] = _array(parameter)
        if states is None:
            held = ops[parameter].states
        else:
            held = {key: _array(value) for key, value in states[name].items()}
        tensors |= {f"state.{public(name)}.{key}": value for key, value in held.items()}
    return tensors


def _array(value: torch.Tensor, repeats: int = 1) -> np.ndarray:
    array = np.asarray(value.detach().numpy(), order="C")
    if value.dtype in UNSIGNED:
        array = array.view(f"i{array.itemsize}")
    return np.concatenate([array] * repeats) if repeats > 1 and array.ndim else array
