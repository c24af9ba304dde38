# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Import a PyTorch training step: `plait.torch.export_step`."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from plait.errors import UnsupportedError
from plait.exported import ExportedStep
from plait.step_text import Update, compose_step, parse_function

try:
    import torch
except ImportError as error:
    raise ImportError(
        'plait.torch needs PyTorch: pip install "torch==2.13.0" "torch-mlir==20261001"'
    ) from error

from plait.torch.capture import LossModule, public, trace_gradients, used_parameters
from plait.torch.lowering import lower
from plait.torch.modules import describe
from plait.torch.optimizers import OptimizerOp, optimizer_ops
from plait.torch.randomness import RNG, initial_state

__all__ = ["export_step"]

_ELEMENT_TYPES = {
    np.dtype(np.float32): "f32",
    np.dtype(np.float64): "f64",
    np.dtype(np.int64): "i64",
    np.dtype(np.int32): "i32",
    np.dtype(np.int16): "i16",
    np.dtype(np.int8): "i8",
    np.dtype(np.uint8): "ui8",
    np.dtype(np.bool_): "i1",
}
_FLOATS = (torch.float32, torch.float64)


def export_step(
    model: torch.nn.Module,
    loss_fn: Callable[..., torch.Tensor],
    optimizer: torch.optim.Optimizer,
    example_inputs: Sequence[torch.Tensor],
    *,
    num_targets: int = 1,
    lr_input: bool = False,
    seed: int | None = None,
) -> ExportedStep:
    """Export one training step: forward, backward and update, with its state.

    The step computes `loss = loss_fn(model(*inputs), *targets)`, its gradients,
    and `optimizer.step()`. The model is taken in the mode it is in
    (`model.train()` first, if it has batch-norm). Nothing is changed: not the
    model, the optimizer, nor torch's random generator.

    A parameter under several names (tied weights) stays one, under the first.
    One that the optimizer does not update (frozen, not in any group, without
    influence on the loss) is carried like a buffer.

    Args:
        model: on the CPU; the trained parameters must be float32.
        loss_fn: a function or module; its result must be a scalar.
        optimizer: a torch.optim SGD, Adagrad, RMSprop, Adadelta, Adam or AdamW
            over parameters of the model, fresh or not.
        example_inputs: the model's arguments, then the targets. Their shapes
            are the step's; one input is named `x` (several `x0`, `x1`, ...),
            one target `y` (several `y0`, `y1`, ...).
        num_targets: how many of the last example inputs are targets.
        lr_input: make the learning rate an input, `lr`, of shape [], for use
            with a scheduler. Groups whose rates differ get `lr.0`, `lr.1`, ...

    Raises:
        UnsupportedError: something in the step has no import; the message
            names the module, op or option.
        ImportError: torch-mlir is missing; the message says how to install it.
        TypeError, ValueError: the arguments do not fit together.
    """
    values = _checked_inputs(example_inputs, num_targets)
    _reject_modules(model)
    loss = LossModule(model, loss_fn, num_targets)
    parameters, buffers = dict(loss.named_parameters()), dict(loss.named_buffers())
    _check_tensors(parameters, buffers)

    ops = optimizer_ops(optimizer)
    known = set(parameters.values())
    if any(tensor not in known for tensor in ops):
        raise UnsupportedError("the optimizer has a parameter that is not one of the model's")
    trained = {n: p for n, p in parameters.items() if p in ops and p.requires_grad}
    if not trained:
        raise UnsupportedError("the optimizer has no trainable parameter of the model")
    rest = {n: p for n, p in parameters.items() if n not in trained} | buffers
    for name, parameter in trained.items():
        if parameter.dtype != torch.float32:
            raise UnsupportedError(
                f"'{public(name)}' is {parameter.dtype}: updates are computed in float32,"
                " convert the model with model.float()"
            )
    used = used_parameters(loss, trained, rest, list(values.values()))
    rest = {n: p for n, p in parameters.items() if n not in used} | buffers
    trained = {n: p for n, p in trained.items() if n in used}

    gradients = trace_gradients(loss, trained, rest, values)
    if gradients.random:
        rest[RNG] = initial_state(torch.initial_seed() if seed is None else seed)
    function = parse_function(lower({"main": gradients.graph}))
    rates = _rate_names([ops[p] for p in trained.values()]) if lr_input else {}
    updates = [_update(public(name), ops[p], rates) for name, p in trained.items()]
    text = compose_step(function, updates, [public(name) for name in rest], list(values), gradients.ranges)

    carried = _carried({public(n): p for n, p in trained.items()}, ops)
    carried |= {public(name): _array(value) for name, value in rest.items()}
    inputs = {name: _array(value) for name, value in values.items()}
    for name, op in zip([u.lr_input for u in updates], map(ops.get, trained.values())):
        if name is not None:
            inputs[name] = np.array(op.lr, np.float32)
    return ExportedStep(text, carried, inputs, _ties(loss))


def _checked_inputs(examples: Iterable[torch.Tensor], num_targets: int) -> dict[str, torch.Tensor]:
    """The example inputs by the names they have in the step."""
    examples = list(examples)
    for value in examples:
        if not isinstance(value, torch.Tensor):
            raise TypeError(f"example inputs must be tensors, not {type(value).__name__}")
    if not 0 <= num_targets < len(examples):
        raise ValueError(
            f"{len(examples)} example inputs cannot be at least one input"
            f" and {num_targets} targets"
        )
    split = len(examples) - num_targets
    return {
        (letter if len(part) == 1 else f"{letter}{i}"): value.detach()
        for letter, part in (("x", examples[:split]), ("y", examples[split:]))
        for i, value in enumerate(part)
    }


def _reject_modules(model: torch.nn.Module) -> None:
    """Refuse modules whose effect a pure step cannot have."""
    for name, module in model.named_modules():
        place = describe(name, module)
        if getattr(module, "sparse", False):
            raise UnsupportedError(f"{place} makes sparse gradients: set sparse=False")
        if getattr(module, "max_norm", None) is not None:
            raise UnsupportedError(f"{place} changes its weight in the forward pass (max_norm)")
        if isinstance(module, torch.nn.modules.batchnorm._NormBase):
            if module.track_running_stats and module.momentum is None and module.training:
                raise UnsupportedError(
                    f"{place} averages over all batches (momentum=None), by a count that"
                    " it reads back: set a momentum"
                )


def _check_tensors(
    parameters: dict[str, torch.Tensor], buffers: dict[str, torch.Tensor]
) -> None:
    """Refuse parameters and buffers that the step's text has no type for."""
    storage: dict[int, str] = {}
    for name, value in (parameters | buffers).items():
        name = public(name)
        if value.device.type != "cpu":
            raise UnsupportedError(f"'{name}' is on {value.device}: move the model to the CPU")
        if value.is_complex() or (value.is_floating_point() and value.dtype not in _FLOATS):
            raise UnsupportedError(f"'{name}' is {value.dtype}: only float32 and float64 are known")
        first = storage.setdefault(value.data_ptr(), name)
        if first != name and value.numel():
            raise UnsupportedError(
                f"'{name}' shares memory with '{first}' but is another tensor: tie weights"
                " by assigning the parameter itself"
            )
    for name, value in parameters.items():
        if value._backward_hooks or getattr(value, "_post_accumulate_grad_hooks", None):
            raise UnsupportedError(f"'{public(name)}' has gradient hooks, which are not traced")


def _rate_names(ops: Sequence[OptimizerOp]) -> dict[int, str]:
    """The input that holds the learning rate of each group."""
    groups = {op.group for op in ops}
    if len({op.lr for op in ops}) == 1:
        return dict.fromkeys(groups, "lr")
    return {group: f"lr.{group}" for group in groups}


def _update(name: str, op: OptimizerOp, rates: dict[int, str]) -> Update:
    rate = rates.get(op.group)
    attributes = op.attributes if rate else {"lr": op.lr, **op.attributes}
    types = {state: _tensor_type(value) for state, value in op.states.items()}
    return Update(name, op.op, attributes, types, rate)


def _carried(
    trained: dict[str, torch.Tensor], ops: dict[torch.Tensor, OptimizerOp]
) -> dict[str, np.ndarray]:
    """Each parameter followed by its states, in the order of the arguments."""
    tensors = {}
    for name, parameter in trained.items():
        tensors[name] = _array(parameter)
        for state, value in ops[parameter].states.items():
            tensors[f"state.{name}.{state}"] = value
    return tensors


def _array(value: torch.Tensor) -> np.ndarray:
    return np.array(value.detach().numpy(), order="C")


def _tensor_type(value: np.ndarray) -> str:
    sizes = "".join(f"{size}x" for size in value.shape)
    return f"tensor<{sizes}{_ELEMENT_TYPES[value.dtype]}>"


def _ties(loss: LossModule) -> dict[str, str]:
    """For each further name of a parameter or buffer, its first name."""
    ties, first = {}, {}
    for listing in (loss.named_parameters, loss.named_buffers):
        for name, value in listing(remove_duplicate=False):
            name = public(name)
            if first.setdefault(value, name) != name:
                ties[name] = first[value]
    return ties
