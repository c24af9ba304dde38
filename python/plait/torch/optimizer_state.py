# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A compiled step's optimizer, as torch sees it.

The options of the optimizer (but for learning rates) are constants of the
compiled step; its states are the step's. This file watches the options, and
translates states between the step's tensors, `state.<parameter>.<state>`, and
`optimizer.state_dict()`, which numbers parameters.
"""

import copy
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch.optim import Optimizer

#: Options of how torch computes a step, not of what.
_IRRELEVANT = frozenset(("params", "lr", "foreach", "fused", "capturable", "differentiable"))

#: What inputs for learning rates are called.
RATE = re.compile(r"(step\.)*lr(\.\d+)?")

#: What a scheduler keeps in a group.
_SCHEDULERS = frozenset(("initial_lr", "max_lr", "min_lr"))

#: Optimizers whose states are zero before the first step, whatever the options.
_START_AT_ZERO = (
    torch.optim.SGD,
    torch.optim.Adam,
    torch.optim.AdamW,
    torch.optim.RMSprop,
    torch.optim.Adadelta,
)


class OptimizerState:
    """The optimizer a step was compiled with, and how many steps it took.

    Args:
        optimizer: as it is when the step is compiled.
        trained: the parameters that the step updates, by name.
        tensors: every `state.<parameter>.<state>`, as it was exported.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        trained: Mapping[str, torch.Tensor],
        tensors: Mapping[str, np.ndarray],
    ):
        self._optimizer = optimizer
        self._groups = [list(group["params"]) for group in optimizer.param_groups]
        self._options = [_options(group) for group in optimizer.param_groups]
        self._active = [
            i for i, group in enumerate(self._groups) if not set(group).isdisjoint(trained.values())
        ]
        numbered = [p for group in self._groups for p in group]
        position = {p: i for i, p in enumerate(numbered)}
        #: The number of each trained parameter in optimizer.state_dict().
        self._position = {name: position[p] for name, p in trained.items()}
        self._states = {
            name: [key.rpartition(".")[2] for key in tensors if key.startswith(f"state.{name}.")]
            for name in trained
        }
        # Of parameters that the step does not update, torch's state is kept.
        held = optimizer.state_dict()["state"]
        ours = set(self._position.values())
        self._rest = {i: copy.deepcopy(state) for i, state in held.items() if i not in ours}
        self._kinds = {
            name: {key: type(value) for key, value in held.get(i, {}).items()}
            for name, i in self._position.items()
        }
        self._fresh = {
            _key(name, state): _compact(tensors[_key(name, state)])
            for name, i in self._position.items()
            for state in self._states[name]
            if not held.get(i)
        }
        self._steps = {name: _steps(held.get(i, {})) for name, i in self._position.items()}

    def rate(self, name: str) -> float:
        """The learning rate for the input `lr`, of the only group that is
        trained, or `lr.i`."""
        group = int(name.rpartition(".")[2]) if name[-1].isdigit() else self._active[0]
        return float(self._optimizer.param_groups[group]["lr"])

    def note_step(self) -> None:
        """A step was taken: states that the step does not carry count it, and a
        scheduler does not warn that there was none."""
        self._steps = {name: count + 1 for name, count in self._steps.items()}
        self._optimizer._opt_called = True

    def check_unchanged(self) -> None:
        """Refuse options that are not those the step was compiled with.

        Raises:
            RuntimeError: naming the group, the option and both values.
        """
        problem = self._difference(self._optimizer.param_groups, "the optimizer", identical=True)
        if problem:
            raise RuntimeError(
                f"{problem}. A compiled step has all options but the learning rate built in:"
                " compile it again (of a scheduler that changes momentum or betas: set"
                " cycle_momentum=False)"
            )

    def state_dict(self, states: Mapping[str, np.ndarray]) -> dict[str, Any]:
        """What `optimizer.state_dict()` would be.

        Args:
            states: every `state.<parameter>.<state>` of the step.
        """
        numbered = {i: copy.deepcopy(state) for i, state in self._rest.items()}
        for name, position in self._position.items():
            held = {state: states[_key(name, state)] for state in self._states[name]}
            numbered[position] = self._to_torch(name, held)
        return {
            "state": {i: numbered[i] for i in sorted(numbered) if numbered[i]},
            "param_groups": copy.deepcopy(self._optimizer.state_dict()["param_groups"]),
        }

    def states_of(self, state_dict: Mapping[str, Any]) -> dict[str, np.ndarray]:
        """Every `state.<parameter>.<state>` of the step, from torch's dict. A
        parameter without state gets that of an optimizer which has not stepped.

        Raises:
            ValueError: it is of other groups or options, or lacks a state.
        """
        absent = {"state", "param_groups"} - set(state_dict)
        if absent:
            raise ValueError(f"the state dict has no '{min(absent)}': is it an optimizer's?")
        problem = self._difference(state_dict["param_groups"], "the state dict", identical=False)
        if problem:
            raise ValueError(problem)
        held, numbers = state_dict["state"], _numbers(state_dict)
        return {
            _key(name, state): self._from_torch(name, state, held.get(numbers[position], {}))
            for name, position in self._position.items()
            for state in self._states[name]
        }

    def accept(self, state_dict: Mapping[str, Any]) -> None:
        """Take over what is not the step's, after `states_of`: learning rates,
        step counts, and the states of other parameters."""
        held, numbers = state_dict["state"], _numbers(state_dict)
        for name, position in self._position.items():
            self._steps[name] = _steps(held.get(numbers[position], {}))
        ours = set(self._position.values())
        self._rest = {
            i: copy.deepcopy(held[number])
            for i, number in enumerate(numbers)
            if i not in ours and number in held
        }
        for group, saved in zip(self._optimizer.param_groups, state_dict["param_groups"]):
            for key in ("lr", *_SCHEDULERS):
                if key in saved:
                    group[key] = copy.deepcopy(saved[key])

    def _difference(self, groups: Any, owner: str, identical: bool) -> str:
        """How groups differ from the compiled ones; empty if they do not."""
        if len(groups) != len(self._groups):
            return (
                f"{owner} has {len(groups)} parameter groups,"
                f" and had {len(self._groups)} when the step was compiled"
            )
        for i, (group, own, options) in enumerate(zip(groups, self._groups, self._options)):
            given = group["params"]
            if len(given) != len(own) or (
                identical and any(one is not two for one, two in zip(given, own))
            ):
                return f"{owner} has other parameters in group {i} than when the step was compiled"
            for key, value in options.items():
                if key not in group or not _equal(group[key], value):
                    return (
                        f"{owner} has {key} = {group.get(key)} in group {i},"
                        f" the step was compiled with {value}"
                    )
        return ""

    def _to_torch(self, name: str, held: dict[str, np.ndarray]) -> dict[str, Any]:
        """The states of one parameter in torch's form."""
        kind = type(self._optimizer)
        if kind is torch.optim.SGD:
            # torch has no buffer until there was a gradient.
            started = held.pop("initialized", None)
            if started is None or started == 0:
                return {}
        elif kind in (torch.optim.RMSprop, torch.optim.Adadelta):
            # The step has no use for the count, torch wants one.
            held["step"] = np.array(self._steps[name], np.float32)
        return {state: self._value(name, state, array) for state, array in held.items()}

    def _value(self, name: str, state: str, array: np.ndarray) -> Any:
        """A number where torch had a number, or where it would have one: a step
        carries those as f64, which no tensor of an f32 parameter's state is."""
        kind = self._kinds[name].get(state)
        if kind in (int, float):
            return kind(array)
        if kind is None and array.ndim == 0 and array.dtype == np.float64:
            return float(array)
        return torch.from_numpy(array.copy())

    def _from_torch(self, name: str, state: str, held: Mapping[str, Any]) -> np.ndarray:
        """One state of one parameter, from those that torch holds of it."""
        if type(self._optimizer) is torch.optim.SGD:
            buffer = held.get("momentum_buffer")
            if state == "initialized":
                return np.array(buffer is not None, np.float32)
            held = {} if buffer is None else held
        value = held.get(state)
        if value is not None:
            return value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else np.array(value)
        if held:
            raise ValueError(f"the state dict has no '{state}' of '{name}', but other states")
        key = _key(name, state)
        if key in self._fresh:
            return self._fresh[key]
        if isinstance(self._optimizer, _START_AT_ZERO):
            return self._zeros(name, state)
        raise ValueError(
            f"the state dict has no state of '{name}', and how {type(self._optimizer).__name__}"
            " begins is not known: give the state after one step"
        )

    def _zeros(self, name: str, state: str) -> np.ndarray:
        if state == "step":
            return np.zeros((), np.float32)
        parameters = [p for group in self._groups for p in group]
        shape = tuple(parameters[self._position[name]].shape)
        return np.broadcast_to(np.float32(0), shape)


def _key(name: str, state: str) -> str:
    return f"state.{name}.{state}"


def _numbers(state_dict: Mapping[str, Any]) -> list[int]:
    """The numbers that a state dict uses, in the order of the parameters."""
    return [number for group in state_dict["param_groups"] for number in group["params"]]


def _options(group: Mapping[str, Any]) -> dict[str, Any]:
    ignored = _IRRELEVANT | _SCHEDULERS
    return {key: copy.deepcopy(value) for key, value in group.items() if key not in ignored}


def _compact(array: np.ndarray) -> np.ndarray:
    """A first state is one value everywhere, as a rule, and needs no memory."""
    value = array.reshape(-1)[:1]
    if array.size and np.array_equal(array, np.broadcast_to(value[0], array.shape)):
        return np.broadcast_to(value[0], array.shape)
    return array.copy()


def _steps(held: Mapping[str, Any]) -> float:
    return float(held.get("step", 0))


def _equal(one: Any, two: Any) -> bool:
    if isinstance(one, torch.Tensor) or isinstance(two, torch.Tensor):
        return torch.equal(torch.as_tensor(one), torch.as_tensor(two))
    return bool(one == two)
