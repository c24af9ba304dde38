# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""torch.optim optimizers as the named ops of the `train` dialect.

One function per op says which attributes and states it has, with torch's names
(torch 2.13). The states of an optimizer that has stepped are taken as they
are; the others start as torch starts them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

Attributes = dict[str, float | bool | tuple[float, ...]]


@dataclass(frozen=True)
class OptimizerOp:
    """What one optimizer does to one parameter.

    Attributes:
        op: the op's name without the dialect (`adam`).
        attributes: all but the learning rate, in the order to write them.
        states: initial values in operand order; each has the parameter's shape
            or is a scalar.
        lr: the learning rate.
    """

    op: str
    attributes: Attributes
    states: dict[str, np.ndarray]
    lr: float


class _Parameter:
    """A parameter with its group's options and what the optimizer holds of it."""

    def __init__(self, tensor: torch.Tensor, group: Mapping[str, Any], state: Mapping[str, Any]):
        self._tensor, self._group, self._state = tensor, group, state

    def flag(self, name: str) -> bool:
        return bool(self._group.get(name, False))

    def number(self, name: str) -> float:
        return float(self._group[name])

    def pair(self, name: str) -> tuple[float, ...]:
        return tuple(float(value) for value in self._group[name])

    def nonzero(self, *names: str) -> Attributes:
        """The options of these names that are not zero, torch's default."""
        return {name: self.number(name) for name in names if self.number(name) != 0}

    def flags(self, *names: str) -> Attributes:
        return {name: True for name in names if self.flag(name)}

    def has(self, name: str) -> bool:
        return self._state.get(name) is not None

    def like(self, name: str, initial: float = 0.0) -> dict[str, np.ndarray]:
        """A state of the parameter's shape: the optimizer's own, or one value seen
        everywhere, which takes no memory."""
        if self.has(name):
            return {name: self._state[name].detach().cpu().numpy()}
        value = torch.full((), initial, dtype=self._tensor.dtype).numpy()
        return {name: np.broadcast_to(value, tuple(self._tensor.shape))}

    def scalar(self, name: str) -> dict[str, np.ndarray]:
        """A scalar state; older checkpoints hold it as a Python number."""
        return {name: np.array(float(self._state.get(name, 0.0)), np.float32)}


def _sgd(p: _Parameter) -> tuple[str, Attributes, dict[str, np.ndarray]]:
    states = {}
    attributes: Attributes = {}
    if p.number("momentum") != 0:
        attributes = p.nonzero("momentum", "dampening")
        # torch's first momentum buffer is the gradient itself, undamped.
        started = np.array(p.has("momentum_buffer"), np.float32)
        states = {**p.like("momentum_buffer"), "initialized": started}
    attributes |= p.nonzero("weight_decay") | p.flags("nesterov", "maximize")
    return "sgd", attributes, states


def _adagrad(p: _Parameter) -> tuple[str, Attributes, dict[str, np.ndarray]]:
    attributes = p.nonzero("lr_decay", "weight_decay")
    attributes |= {"eps": p.number("eps")} | p.flags("maximize")
    initial = p.number("initial_accumulator_value")
    return "adagrad", attributes, {**p.like("sum", initial), **p.scalar("step")}


def _rmsprop(p: _Parameter) -> tuple[str, Attributes, dict[str, np.ndarray]]:
    attributes: Attributes = {"alpha": p.number("alpha"), "eps": p.number("eps")}
    attributes |= p.nonzero("weight_decay", "momentum") | p.flags("centered", "maximize")
    states = p.like("square_avg")
    if p.flag("centered"):
        states |= p.like("grad_avg")
    if p.number("momentum") != 0:
        states |= p.like("momentum_buffer")
    return "rmsprop", attributes, states


def _adadelta(p: _Parameter) -> tuple[str, Attributes, dict[str, np.ndarray]]:
    attributes: Attributes = {"rho": p.number("rho"), "eps": p.number("eps")}
    attributes |= p.nonzero("weight_decay") | p.flags("maximize")
    return "adadelta", attributes, {**p.like("square_avg"), **p.like("acc_delta")}


def _adam(p: _Parameter) -> tuple[str, Attributes, dict[str, np.ndarray]]:
    attributes: Attributes = {"betas": p.pair("betas"), "eps": p.number("eps")}
    attributes |= p.nonzero("weight_decay")
    attributes |= p.flags("amsgrad", "decoupled_weight_decay", "maximize")
    states = {**p.like("exp_avg"), **p.like("exp_avg_sq")}
    if p.flag("amsgrad"):
        states |= p.like("max_exp_avg_sq")
    return "adam", attributes, {**states, **p.scalar("step")}


#: By exact class: a subclass may step differently.
_KNOWN: dict[type, Callable[[_Parameter], tuple[str, Attributes, dict[str, np.ndarray]]]] = {
    torch.optim.SGD: _sgd,
    torch.optim.Adagrad: _adagrad,
    torch.optim.RMSprop: _rmsprop,
    torch.optim.Adadelta: _adadelta,
    torch.optim.Adam: _adam,
    torch.optim.AdamW: _adam,
}


def has_named_op(optimizer: torch.optim.Optimizer) -> bool:
    return type(optimizer) in _KNOWN


def optimizer_ops(optimizer: torch.optim.Optimizer) -> dict[torch.Tensor, OptimizerOp]:
    """What an optimizer that has a named op does to each of its parameters."""
    describe = _KNOWN[type(optimizer)]
    ops = {}
    for group in optimizer.param_groups:
        for tensor in group["params"]:
            state = optimizer.state.get(tensor, {})
            op, attributes, states = describe(_Parameter(tensor, group, state))
            ops[tensor] = OptimizerOp(op, attributes, states, float(group["lr"]))
    return ops
