# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Run a loss before it is traced, and see what it depends on and what it changes.

A step is a function of what it carries and what it is given. So the loss runs
twice on the same values: what comes out must be the same, and whatever it has
changed in between must be something that the step carries, or that nobody reads.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call

from plait.errors import UnsupportedError
from plait.torch.modules import marked
from plait.torch.outside import (
    NUMPY_RANDOM,
    PYTHON_RANDOM,
    public,
    put_back,
    python_state,
)
from plait.torch.writes import Watch

Tensors = Mapping[str, Tensor]

_REENTRANT = (
    "torch.utils.checkpoint with use_reentrant=True has no import: use_reentrant=False has"
)


@dataclass(frozen=True)
class Probed:
    """What two runs showed.

    Attributes:
        used: the names of the parameters that the loss depends on. torch gives
            the others no gradient, and its optimizers pass them over; a traced
            gradient would be a zero that still decays and counts steps.
        kept: what the forward pass keeps for later, by the place it is kept in.
            A trace that reads one of them has a constant that is none.
    """

    used: set[str]
    kept: dict[str, Tensor]


@dataclass(frozen=True)
class _Run:
    loss: Tensor
    grads: dict[str, Tensor]
    after: dict[str, Tensor]
    watch: Watch


@contextmanager
def probed(
    loss: Any, trained: Tensors, carried: Tensors, inputs: Sequence[Tensor]
) -> Iterator[Probed]:
    """Run the loss twice, on copies. While open, what the forward pass keeps is as
    these runs left it; in the end all is as it was, torch's generator as well.

    Raises:
        UnsupportedError: the loss is not a scalar, depends on no parameter, or
            on what a step cannot have; the message names it.
    """
    with put_back(loss) as before:
        first = _run(loss, trained, carried, inputs)
        between = python_state(loss)
        changed = public(before.changed(between))
        for source in (PYTHON_RANDOM, NUMPY_RANDOM):
            if source in changed:
                raise UnsupportedError(
                    f"the forward pass or the loss changes {source}, whose numbers would be the"
                    " same in each step: draw with torch (torch.rand), or give them as an input"
                )
        second = _run(loss, trained, carried, inputs)
        end = python_state(loss)
        again = between.changed(end)
        _check_pure(changed, first, second)
        for place in again:
            if not all(isinstance(s.values.get(place), Tensor) for s in (between, end)):
                raise UnsupportedError(_told(place))
        kept = {p: end.values[p] for p in again}
        kept |= {
            p: v for p in before.changed(end)
            if isinstance(v := end.values.get(p), Tensor) and first.watch.depends_on_step(v)
        }  # fmt: skip
        used = set(first.grads)
        # Copies of the parameters, and their gradients, twice.
        del first, second
        yield Probed(used, {public([p])[0]: v for p, v in kept.items()})


def _run(
    loss: Any, trained: Tensors, carried: Tensors, inputs: Sequence[Tensor]
) -> _Run:
    leaves = {name: leaf(value.detach().clone(), value) for name, value in trained.items()}
    copies = {name: value.detach().clone() for name, value in carried.items()}
    given = tuple(value.clone() for value in inputs)
    with torch.random.fork_rng(devices=[]), torch.enable_grad(), marked(loss.model) as running:
        originals = {n.removeprefix("model."): v for n, v in {**trained, **carried}.items()}
        fixed = {n.removeprefix("model."): v for n, v in leaves.items()}
        watch = Watch(fixed, [*copies.values(), *given], originals, running)

        def differentiate(value: Tensor) -> tuple[Tensor, list[Tensor | None]]:
            _check_loss(value)
            with watch.backward():
                return value.detach(), _gradients(value, list(leaves.values()))

        with watch:
            (loss_value, grads), after = called(loss, leaves, copies, given, differentiate)
    for name, value in leaves.items():
        if not watch.is_fixed(value):
            raise UnsupportedError(_replaced(name))
    for name, carry in after.items():
        _check_next(name, copies[name], carry)
    found = {n: grad for n, grad in zip(leaves, grads) if grad is not None}
    return _Run(loss_value, found, after, watch)


def leaf(value: Tensor, original: Tensor) -> Tensor:
    """A tensor to find the gradient of, with the hooks that another one has."""
    value.requires_grad_()
    for hook in (original._backward_hooks or {}).values():
        value.register_hook(hook)
    return value


def _check_loss(value: Any) -> None:
    if not isinstance(value, Tensor) or value.dim() != 0 or not value.is_floating_point():
        tensor = isinstance(value, Tensor)
        got = f"{list(value.shape)} of {value.dtype}" if tensor else type(value)
        raise UnsupportedError(f"the loss must be a scalar of a floating-point type, not {got}")
    if not value.requires_grad:
        raise UnsupportedError("the loss depends on no parameter that the optimizer updates")


def _gradients(value: Tensor, leaves: list[Tensor]) -> list[Tensor | None]:
    try:
        return list(torch.autograd.grad(value, leaves, allow_unused=True))
    except RuntimeError as error:
        if "use_reentrant" in str(error):
            raise UnsupportedError(_REENTRANT) from error
        raise


def called(
    loss: torch.nn.Module,
    parameters: Tensors,
    carried: Tensors,
    inputs: tuple[Tensor, ...],
    then: Callable[[Tensor], Any],
) -> tuple[Any, dict[str, Tensor]]:
    """What `then` makes of the loss with other tensors in it (the gradients: parts
    of the forward pass may run again for them), and what is in place of `carried`
    after that: what was written to, or what was assigned anew.

    Raises:
        UnsupportedError: a parameter was replaced, or one of tied buffers.
    """
    tensors = {**parameters, **carried}
    aliases = _aliases(loss)
    tensors |= {alias: tensors[name] for alias, name in aliases.items() if name in tensors}
    value = functional_call(loss, tensors, inputs, {"then": then}, tie_weights=True)
    for name, parameter in parameters.items():
        if tensors[name] is not parameter:
            raise UnsupportedError(_replaced(name))
    for alias, name in aliases.items():
        if name in carried and tensors[alias] is not tensors[name]:
            raise UnsupportedError(
                f"the forward pass replaces the buffer '{name.removeprefix('model.')}', but not"
                f" under its other name '{alias.removeprefix('model.')}': write to it in place"
            )
    return value, {name: tensors[name] for name in carried}


def _replaced(name: str) -> str:
    return (
        f"the forward pass replaces the parameter '{name.removeprefix('model.')}', which only the"
        " optimizer may change in a step: use a changed copy of it"
    )


def _aliases(loss: torch.nn.Module) -> dict[str, str]:
    """For each further name of a parameter or buffer, its first."""
    first: dict[int, str] = {}
    found = {}
    for listing in (loss.named_parameters, loss.named_buffers):
        for name, value in listing(remove_duplicate=False):
            if first.setdefault(id(value), name) != name:
                found[name] = first[id(value)]
    return found


def _check_next(name: str, before: Tensor, after: Tensor) -> None:
    name = name.removeprefix("model.")
    if (before.shape, before.dtype) != (after.shape, after.dtype):
        raise UnsupportedError(
            f"the forward pass makes the buffer '{name}' {list(after.shape)} of {after.dtype}; it"
            f" is {list(before.shape)} of {before.dtype}, and must stay so from step to step"
        )
    if after.requires_grad:
        raise UnsupportedError(
            f"the buffer '{name}' needs a gradient after the forward pass, which would reach back"
            " into the last step: detach() what is assigned"
        )


def _check_pure(changed: Sequence[str], first: _Run, second: _Run) -> None:
    """Both runs must have had the same results, but for rounding."""
    # Most often they have the same bits, which takes a tenth of the time to see.
    same = first.grads.keys() == second.grads.keys() and all(
        torch.equal(a, b) or torch.allclose(a, b, rtol=1e-3, atol=1e-6, equal_nan=True)
        for a, b in [
            (first.loss, second.loss),
            *((first.grads[n], second.grads[n]) for n in first.grads),
            *((first.after[n], second.after[n]) for n in first.after),
        ]
    )
    if same:
        return
    if changed:
        raise UnsupportedError(_told(changed[0]))
    raise UnsupportedError(
        "the loss, run twice on the same values, is not the same: it depends on something that"
        " is neither a parameter, a buffer nor an input (a counter, random numbers that are not"
        " torch's), and would stay what it is now. Make that a buffer, or an input"
    )


def _told(place: str) -> str:
    place = public([place])[0]
    return (
        f"the forward pass changes {place}, which a step does not carry, so it would stay what it"
        " is now: make it a buffer (register_buffer), or leave it away"
    )
