# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The step of any optimizer, traced.

The real `step` runs on a copy of the optimizer that holds the trace's tensors;
what it does to parameters and states becomes a graph. A state that is a Python
number becomes a tensor first, f64 as Python has it: as a number it would be a
constant of the graph. What a step changes besides parameters and states is
refused, as it would stay what it was.
"""

import copy
import importlib
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.func import functionalize
from torch.fx import GraphModule, Interpreter
from torch.optim import Optimizer

from plait.errors import UnsupportedError
from plait.torch import adafactor
from plait.torch.half import Widening
from plait.torch.tracing import decompositions, trace

States = dict[str, dict[str, Tensor]]

#: What a learning rate scheduler and torch itself keep in an optimizer.
_BOOKKEEPING = frozenset(("_step_count", "_opt_called"))


class _Initialized(Exception):
    """Raised when states are there, so that nothing is updated."""


def initial_states(optimizer: Optimizer, trained: Mapping[str, Tensor]) -> States:
    """The states of each parameter, as they are or as a first step makes them.

    Raises:
        UnsupportedError: the optimizer makes its states in the course of its
            first step, or keeps something that is no tensor or number.
    """
    fresh = {name: value.detach().clone().requires_grad_() for name, value in trained.items()}
    for value in fresh.values():
        value.grad = torch.zeros_like(value)
    held = {name: dict(optimizer.state.get(value, {})) for name, value in trained.items()}
    clone = _copy(optimizer, trained, fresh, copy.deepcopy(held), {})
    if hasattr(clone, "_init_group"):
        _only_initialize(clone)
    states = {name: clone.state[value] for name, value in fresh.items()}
    return {
        name: {key: _as_tensor(optimizer, key, value) for key, value in state.items()}
        for name, state in states.items()
    }


def _only_initialize(clone: Optimizer) -> None:
    initialize = clone._init_group

    def only(*arguments: Any, **options: Any) -> Any:
        initialize(*arguments, **options)
        raise _Initialized

    clone._init_group = only
    groups = clone.param_groups
    for group in groups:
        clone.param_groups = [group]
        try:
            with _traceable(clone):
                type(clone).step(clone)
        except _Initialized:
            pass
    clone.param_groups = groups


def _as_tensor(optimizer: Optimizer, key: str, value: Any) -> Tensor:
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return torch.tensor(float(value), dtype=torch.float64)
    raise UnsupportedError(
        f"{type(optimizer).__name__} keeps {type(value).__name__} '{key}' as a state;"
        " only tensors and numbers can be carried"
    )


def _widened(key: str, value: Tensor) -> Tensor:
    """A copy of a state, for the step to write to. torch's optimizers keep `step`
    as an f32, but read it back and go on with Python's numbers."""
    if key == "step" and value.dim() == 0:
        return value.to(torch.float64, copy=True)
    return value.clone()


def trace_update(
    optimizer: Optimizer,
    trained: Mapping[str, Tensor],
    states: States,
    rates: Mapping[int, str],
) -> GraphModule:
    """The graph of (for each parameter: it, its states; gradients...; learning
    rates...) -> (for each parameter: its next value, those of its states).

    Args:
        rates: for each group whose learning rate is an argument, its name.

    Raises:
        UnsupportedError: the step cannot be traced, or changes something else.
    """
    names = list(dict.fromkeys(rates.values()))

    def update(*values: Tensor) -> list[Tensor]:
        rest = iter(values)
        parameters, held = {}, {}
        for name in trained:
            # The step writes to these: they are its own copies.
            parameters[name] = next(rest).clone()
            held[name] = {key: _widened(key, next(rest)) for key in states[name]}
        for parameter in parameters.values():
            parameter.grad = next(rest)
        lr = dict(zip(names, rest))
        clone = _copy(optimizer, trained, parameters, held, {g: lr[n] for g, n in rates.items()})
        with torch.no_grad(), _traceable(clone), _nothing_else_changes(clone):
            type(clone).step(clone)
        results = []
        for name, parameter in parameters.items():
            added = sorted(set(clone.state[parameter]) - set(states[name]))
            if added:
                raise UnsupportedError(
                    f"{_name(optimizer)} makes the state '{added[0]}' in its first step:"
                    " take a step before the export"
                )
            nexts = clone.state[parameter]
            results += [parameter, *(nexts[key].to(v.dtype) for key, v in states[name].items())]
        return results

    arguments = []
    for name, parameter in trained.items():
        arguments += [parameter.detach(), *states[name].values()]
    arguments += [torch.zeros_like(parameter) for parameter in trained.values()]
    arguments += [torch.tensor(0.5) for _ in names]
    try:
        graph = trace(update, arguments)
        graph = trace(functionalize(Interpreter(graph).run, remove="mutations"), arguments)
        return trace(Widening(graph).run, arguments, decompositions())
    except (UnsupportedError, ImportError):
        raise
    except Exception as error:
        reason = (str(error).strip() or type(error).__name__).split("\n")[0]
        hint = ", or with lr_input=False" if rates else ""
        raise UnsupportedError(
            f"cannot trace the step of {_name(optimizer)}: {reason}. It must not read"
            f" values back, nor branch on them; write it as a train.update{hint}"
            " (docs/Tutorial/new-optimizer.md)"
        ) from error


def _copy(
    optimizer: Optimizer,
    trained: Mapping[str, Tensor],
    parameters: Mapping[str, Tensor],
    held: Mapping[str, dict[str, Any]],
    rates: Mapping[int, Tensor],
) -> Optimizer:
    """The optimizer with other tensors, and settings that can be traced."""
    # Not copy.copy: what torch pickles of an optimizer lacks its own attributes.
    clone = object.__new__(type(optimizer))
    vars(clone).update(vars(optimizer))
    # Schedulers and hooks wrap `step` on the instance.
    vars(clone).pop("step", None)
    names = {value: name for name, value in trained.items()}
    clone.param_groups = []
    for i, group in enumerate(optimizer.param_groups):
        own = copy.deepcopy({key: value for key, value in group.items() if key != "params"})
        own["params"] = [parameters[names[p]] for p in group["params"] if p in names]
        if i in rates:
            own["lr"] = rates[i]
        elif isinstance(own.get("lr"), Tensor):
            own["lr"] = float(own["lr"])
        for key, value in (("foreach", False), ("fused", False), ("capturable", True)):
            if key in own:
                own[key] = value
        clone.param_groups.append(own)
    clone.state = defaultdict(dict, {parameters[name]: held[name] for name in parameters})
    return clone


@contextmanager
def _traceable(clone: Optimizer) -> Iterator[None]:
    """torch's optimizers keep to tensors on some devices only, and Adafactor
    on none."""
    module = importlib.import_module(type(clone).__module__)
    changes: list[tuple[Any, str, Callable[..., Any]]] = [
        (owner, "_get_capturable_supported_devices", lambda *_, **__: ["cpu"])
        for owner in {module, *_modules_of(clone)}
        if hasattr(owner, "_get_capturable_supported_devices")
    ]
    changes += adafactor.REPLACED
    saved = [(owner, name, getattr(owner, name)) for owner, name, _ in changes]
    for owner, name, value in changes:
        setattr(owner, name, value)
    try:
        yield
    finally:
        for owner, name, value in saved:
            setattr(owner, name, value)


def _modules_of(clone: Optimizer) -> list[Any]:
    """The modules of an optimizer's base classes."""
    return [importlib.import_module(base.__module__) for base in type(clone).__mro__[:-1]]


@contextmanager
def _nothing_else_changes(clone: Optimizer) -> Iterator[None]:
    def snapshot() -> list[tuple[str, Any]]:
        found = []
        for i, group in enumerate(clone.param_groups):
            found += [(f"param_groups[{i}]['{k}']", v) for k, v in group.items() if k != "params"]
        found += [(k, v) for k, v in vars(clone).items() if isinstance(v, (int, float, str))]
        return [
            (name, (id(value), value._version) if isinstance(value, Tensor) else repr(value))
            for name, value in found
            if name not in _BOOKKEEPING
        ]

    before = snapshot()
    yield
    changed = set(snapshot()) ^ set(before)
    if changed:
        raise UnsupportedError(
            f"{_name(clone)} changes its {sorted(changed)[0][0]} in each step,"
            " which would stay as it is now"
        )


def _name(optimizer: Optimizer) -> str:
    return type(optimizer).__name__
