# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What of a model, an optimizer or inputs cannot be in a step at all."""

from collections.abc import Collection, Iterable, Mapping

import torch
from torch import Tensor
from torch.optim import Optimizer

from plait.errors import UnsupportedError
from plait.step_text import own_name
from plait.torch.assemble import ELEMENT_TYPES, UNSIGNED
from plait.torch.capture import LossModule, public
from plait.torch.modules import describe

_FLOATS = (torch.float32, torch.float64)


def checked_inputs(
    examples: Iterable[Tensor], num_targets: int, taken: Collection[str]
) -> dict[str, Tensor]:
    """The example inputs by the names they have in the step, which are not among
    those of the model's tensors."""
    if isinstance(examples, Tensor) or not isinstance(examples, Iterable):
        raise TypeError(
            "example_inputs must be a sequence, the model's inputs and then the targets: (x, y);"
            f" it is one {type(examples).__name__}"
        )
    examples = list(examples)
    for value in examples:
        if not isinstance(value, Tensor):
            raise TypeError(f"example inputs must be tensors, not {type(value).__name__}")
    if not 0 <= num_targets < len(examples):
        raise ValueError(
            f"{len(examples)} example inputs cannot be at least one input"
            f" and {num_targets} targets"
        )
    split = len(examples) - num_targets
    named = {
        own_name(letter if len(part) == 1 else f"{letter}{i}", taken): value.detach()
        for letter, part in (("x", examples[:split]), ("y", examples[split:]))
        for i, value in enumerate(part)
    }
    for name, value in named.items():
        if value.is_nested:
            raise UnsupportedError(f"input '{name}' is nested: pad it to one shape")
        if value.layout != torch.strided:
            raise UnsupportedError(f"input '{name}' is {value.layout}: convert it with to_dense()")
        if value.device.type != "cpu":
            raise UnsupportedError(f"input '{name}' is on {value.device}: move it to the CPU")
        if value.dtype not in ELEMENT_TYPES:
            raise UnsupportedError(
                f"input '{name}' is {value.dtype}, which a step does not take: convert it before"
                " the step (x.float()), and in it if it must compute in that type"
            )
    return named


def check_kinds(model: object, loss_fn: object, optimizer: object) -> None:
    """Refuse arguments in another order.

    Raises:
        TypeError: one is not what it should be.
    """
    for name, value, right, what in (
        ("model", model, isinstance(model, torch.nn.Module), "a torch.nn.Module"),
        ("loss_fn", loss_fn, callable(loss_fn), "a function or module"),
        ("optimizer", optimizer, isinstance(optimizer, Optimizer), "a torch.optim.Optimizer"),
    ):
        if not right:
            raise TypeError(
                f"{name} must be {what}, not {type(value).__name__}; the order is (model, loss_fn,"
                " optimizer, example_inputs)"
            )


def check_modules(model: torch.nn.Module) -> None:
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


def check_tensors(parameters: Mapping[str, Tensor], buffers: Mapping[str, Tensor]) -> None:
    """Refuse parameters and buffers that the step's text has no type for."""
    for name, value in {**parameters, **buffers}.items():
        name = public(name)
        if torch.nn.parameter.is_lazy(value):
            raise UnsupportedError(
                f"'{name}' has no shape yet (a lazy module): call the model on a batch first"
            )
        if value.device.type != "cpu":
            raise UnsupportedError(f"'{name}' is on {value.device}: move the model to the CPU")
        if value.is_complex() or (value.is_floating_point() and value.dtype not in _FLOATS):
            raise UnsupportedError(f"'{name}' is {value.dtype}: only float32 and float64 are known")
        if value.dtype not in ELEMENT_TYPES or value.dtype in UNSIGNED:
            raise UnsupportedError(
                f"'{name}' is {value.dtype}, which a step does not carry: make it a signed type"
            )
    _check_memory({public(n): v for n, v in {**parameters, **buffers}.items()})
    for name, value in parameters.items():
        if getattr(value, "_post_accumulate_grad_hooks", None):
            raise UnsupportedError(
                f"'{public(name)}' has hooks that follow the accumulation of its gradient, which a"
                " step does not have: change the gradient with register_hook"
            )


def _check_memory(tensors: Mapping[str, Tensor]) -> None:
    """Refuse tensors that have a byte in common: torch changes both at once, a
    step, which has copies, would not."""
    held = {name: value for name, value in tensors.items() if value.numel()}
    reach: dict[str, tuple[int, int]] = {}
    for name, value in held.items():
        last = sum((n - 1) * s for n, s in zip(value.shape, value.stride()))
        reach[name] = (value.data_ptr(), value.data_ptr() + (last + 1) * value.element_size())
        if last + 1 < value.numel():
            raise UnsupportedError(
                f"'{name}' has elements that share memory (an expanded tensor): clone() it"
            )
    open_ones: list[str] = []
    for name in sorted(reach, key=reach.__getitem__):
        start, _ = reach[name]
        open_ones = [other for other in open_ones if reach[other][1] > start]
        for other in open_ones:
            if not set(_bytes(held[name])).isdisjoint(_bytes(held[other])):
                first, second = sorted((name, other), key=list(held).index)
                raise UnsupportedError(
                    f"'{second}' shares memory with '{first}' but is another tensor: tie weights"
                    " by assigning the parameter itself, or clone() one of them"
                )
        open_ones.append(name)


def _bytes(value: Tensor) -> list[int]:
    """The addresses of a tensor's bytes. Slow: asked only of tensors that lie
    between each other's elements."""
    places = torch.tensor(value.data_ptr())
    for size, stride in zip(value.shape, value.stride()):
        places = places.unsqueeze(-1) + torch.arange(size) * stride * value.element_size()
    return (places.unsqueeze(-1) + torch.arange(value.element_size())).flatten().tolist()


def trained_parameters(loss: LossModule, optimizer: Optimizer) -> dict[str, Tensor]:
    """The parameters that the optimizer updates, by their names in `loss`."""
    if optimizer._optimizer_step_pre_hooks or optimizer._optimizer_step_post_hooks:
        raise UnsupportedError("the optimizer has step hooks; a step cannot call back into Python")
    owned = {p for group in optimizer.param_groups for p in group["params"]}
    parameters = dict(loss.named_parameters())
    if owned - set(parameters.values()):
        raise UnsupportedError("the optimizer has a parameter that is not one of the model's")
    trained = {n: p for n, p in parameters.items() if p in owned and p.requires_grad}
    if not trained:
        raise UnsupportedError("the optimizer has no trainable parameter of the model")
    for name, parameter in trained.items():
        if parameter.dtype != torch.float32:
            raise UnsupportedError(
                f"'{public(name)}' is {parameter.dtype}: updates are computed in float32,"
                " convert the model with model.float()"
            )
    return trained


def names(loss: LossModule) -> set[str]:
    """All names that parameters and buffers have."""
    listings = (loss.named_parameters, loss.named_buffers)
    return {public(name) for listing in listings for name, _ in listing(remove_duplicate=False)}


def ties(loss: LossModule) -> dict[str, str]:
    """For each further name of a parameter or buffer, its first name."""
    found: dict[str, str] = {}
    first: dict[Tensor, str] = {}
    for listing in (loss.named_parameters, loss.named_buffers):
        for name, value in listing(remove_duplicate=False):
            name = public(name)
            if first.setdefault(value, name) != name:
                found[name] = first[value]
    return found
