# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""LSTM, GRU and plain recurrent layers as loops over time.

Only what depends on the last iteration is in the loop: one product with the
recurrent weight forward, one backward. The products with the inputs, and the
gradients of all weights, are over all times at once, outside.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from plait.errors import UnsupportedError
from plait.torch.scan import cell, scan

Parts = list[Tensor]


@cell
def lstm_forward(constants: Parts, parts: Parts, carried: Parts) -> tuple[Parts, Parts]:
    (weight,), (gates,), (h, c) = constants, parts, carried
    i, f, g, o = (gates + h @ weight.t()).chunk(4, -1)
    i, f, g, o = i.sigmoid(), f.sigmoid(), g.tanh(), o.sigmoid()
    c = f * c + i * g
    h = o * c.tanh()
    return [h, c], [h, c, torch.cat([i, f, g, o], -1)]


@cell
def lstm_backward(constants: Parts, parts: Parts, carried: Parts) -> tuple[Parts, Parts]:
    (weight,), (grad, gates, c, before), (dh, dc) = constants, parts, carried
    i, f, g, o = gates.chunk(4, -1)
    dh, t = dh + grad, c.tanh()
    dc = dc + dh * o * (1 - t * t)
    slopes = torch.cat([
        dc * g * i * (1 - i), dc * before * f * (1 - f), dc * i * (1 - g * g), dh * t * o * (1 - o),
    ], -1)  # fmt: skip
    return [slopes @ weight, dc * f], [slopes]


@cell
def gru_forward(constants: Parts, parts: Parts, carried: Parts) -> tuple[Parts, Parts]:
    (weight, bias), (gates,), (h,) = constants, parts, carried
    own = h @ weight.t() + bias
    (r, z, n), (hr, hz, hn) = gates.chunk(3, -1), own.chunk(3, -1)
    r, z = (r + hr).sigmoid(), (z + hz).sigmoid()
    n = (n + r * hn).tanh()
    h = n + z * (h - n)
    return [h], [h, torch.cat([r, z, n, hn], -1)]


@cell
def gru_backward(constants: Parts, parts: Parts, carried: Parts) -> tuple[Parts, Parts]:
    (weight,), (grad, gates, before), (dh,) = constants, parts, carried
    r, z, n, hn = gates.chunk(4, -1)
    dh = dh + grad
    dn = dh * (1 - z) * (1 - n * n)
    dr = dn * hn * r * (1 - r)
    dz = dh * (before - n) * z * (1 - z)
    own = torch.cat([dr, dz, dn * r], -1)
    return [dh * z + own @ weight], [torch.cat([dr, dz, dn], -1), own]


@cell
def tanh_forward(constants: Parts, parts: Parts, carried: Parts) -> tuple[Parts, Parts]:
    h = (parts[0] + carried[0] @ constants[0].t()).tanh()
    return [h], [h]


@cell
def tanh_backward(constants: Parts, parts: Parts, carried: Parts) -> tuple[Parts, Parts]:
    grad, h = parts
    slope = (carried[0] + grad) * (1 - h * h)
    return [slope @ constants[0]], [slope]


@cell
def relu_forward(constants: Parts, parts: Parts, carried: Parts) -> tuple[Parts, Parts]:
    h = (parts[0] + carried[0] @ constants[0].t()).relu()
    return [h], [h]


@cell
def relu_backward(constants: Parts, parts: Parts, carried: Parts) -> tuple[Parts, Parts]:
    grad, h = parts
    slope = torch.where(h > 0, carried[0] + grad, grad.new_zeros(()))
    return [slope @ constants[0]], [slope]


def _behind(first: Tensor, rest: Tensor) -> Tensor:
    """What each iteration began with: [T, ...]."""
    return torch.cat([first.unsqueeze(0), rest[:-1]])


def _over_time(slopes: Tensor, values: Tensor) -> Tensor:
    """The gradient of a weight that is used at each time."""
    return slopes.flatten(0, 1).t() @ values.flatten(0, 1)


class _Lstm(torch.autograd.Function):
    """(gates [T, B, 4H], h [B, H], c [B, H], weight [4H, H]) -> (all h [T, B, H],
    last h, last c)."""

    @staticmethod
    def forward(gates: Tensor, h: Tensor, c: Tensor, weight: Tensor) -> Any:
        return tuple(scan("lstm_forward", False, [weight], [gates], [h, c]))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        _, h, c, weight = inputs
        _, _, hs, cs, gates = output
        ctx.save_for_backward(h, c, weight, hs, cs, gates)
        ctx.mark_non_differentiable(cs, gates)

    @staticmethod
    def backward(ctx: Any, dh: Tensor, dc: Tensor, dhs: Tensor, *_: Tensor) -> Any:
        h, c, weight, hs, cs, gates = ctx.saved_tensors
        sequences = [dhs, gates, cs, _behind(c, cs)]
        dh, dc, slopes = scan("lstm_backward", True, [weight], sequences, [dh, dc])
        return slopes, dh, dc, _over_time(slopes, _behind(h, hs))


class _Gru(torch.autograd.Function):
    """(gates [T, B, 3H], h [B, H], weight [3H, H], bias [3H]) -> (last h, all h)."""

    @staticmethod
    def forward(gates: Tensor, h: Tensor, weight: Tensor, bias: Tensor) -> Any:
        return tuple(scan("gru_forward", False, [weight, bias], [gates], [h]))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        _, h, weight, _ = inputs
        _, hs, gates = output
        ctx.save_for_backward(h, weight, hs, gates)
        ctx.mark_non_differentiable(gates)

    @staticmethod
    def backward(ctx: Any, dh: Tensor, dhs: Tensor, _: Tensor) -> Any:
        h, weight, hs, gates = ctx.saved_tensors
        sequences = [dhs, gates, _behind(h, hs)]
        dh, slopes, own = scan("gru_backward", True, [weight], sequences, [dh])
        return slopes, dh, _over_time(own, _behind(h, hs)), own.sum((0, 1))


class _Plain(torch.autograd.Function):
    """(kind, sums [T, B, H], h [B, H], weight [H, H]) -> (last h, all h)."""

    @staticmethod
    def forward(kind: str, sums: Tensor, h: Tensor, weight: Tensor) -> Any:
        return tuple(scan(f"{kind}_forward", False, [weight], [sums], [h]))

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.kind, _, h, weight = inputs
        ctx.save_for_backward(h, weight, output[1])

    @staticmethod
    def backward(ctx: Any, dh: Tensor, dhs: Tensor) -> Any:
        h, weight, hs = ctx.saved_tensors
        dh, slopes = scan(f"{ctx.kind}_backward", True, [weight], [dhs, hs], [dh])
        return None, slopes, dh, _over_time(slopes, _behind(h, hs))


Layer = Callable[[Tensor, Sequence[Tensor], Sequence[Tensor]], tuple[Tensor, list[Tensor]]]


def _lstm_layer(x: Tensor, states: Sequence[Tensor], weights: Sequence[Tensor]) -> Any:
    own, recurrent, *biases = weights
    gates = functional.linear(x, own, sum(biases) if biases else None)
    h, c, hs, _, _ = _Lstm.apply(gates, *states, recurrent)
    return hs, [h, c]


def _gru_layer(x: Tensor, states: Sequence[Tensor], weights: Sequence[Tensor]) -> Any:
    own, recurrent, *biases = weights
    first, second = biases or (None, x.new_zeros(recurrent.shape[0]))
    h, hs, _ = _Gru.apply(functional.linear(x, own, first), states[0], recurrent, second)
    return hs, [h]


def _plain_layer(kind: str) -> Layer:
    def layer(x: Tensor, states: Sequence[Tensor], weights: Sequence[Tensor]) -> Any:
        own, recurrent, *biases = weights
        sums = functional.linear(x, own, sum(biases) if biases else None)
        h, hs = _Plain.apply(kind, sums, states[0], recurrent)
        return hs, [h]

    return layer


def _stack(
    layer: Layer, x: Tensor, states: Sequence[Tensor], weights: Sequence[Tensor], biases: bool,
    layers: int, dropout: float, training: bool, bidirectional: bool, batch_first: bool,
) -> tuple[Tensor, list[Tensor]]:  # fmt: skip
    """torch's recurrent functions, given what one layer in one direction does."""
    x = x.transpose(0, 1) if batch_first else x
    each = 4 if biases else 2
    directions = 2 if bidirectional else 1
    finals: list[list[Tensor]] = []
    for i in range(layers):
        outputs = []
        for direction in range(directions):
            at = i * directions + direction
            own = weights[at * each : (at + 1) * each]
            source = x.flip(0) if direction else x
            hs, last = layer(source, [state[at] for state in states], own)
            outputs.append(hs.flip(0) if direction else hs)
            finals.append(last)
        x = torch.cat(outputs, -1) if bidirectional else outputs[0]
        if i < layers - 1:
            x = functional.dropout(x, dropout, training)
    x = x.transpose(0, 1) if batch_first else x
    return x, [torch.stack(last) for last in zip(*finals)]


class RecurrentLoops(TorchFunctionMode):
    """While active, torch's recurrent layers trace to loops."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        layer = _LAYERS.get(func) if getattr(func, "__name__", "") in _NAMES else None
        if layer is None:
            return func(*args, **(kwargs or {}))
        x, states, weights, *options = args
        states = list(states) if func is torch._VF.lstm else [states]
        if func is torch._VF.lstm and states[0].shape[-1] != states[1].shape[-1]:
            raise UnsupportedError("proj_size has no import")
        output, finals = _stack(layer, x, states, weights, *options)
        return (output, *finals)


_LAYERS: dict[Any, Layer] = {
    torch._VF.lstm: _lstm_layer,
    torch._VF.gru: _gru_layer,
    torch._VF.rnn_tanh: _plain_layer("tanh"),
    torch._VF.rnn_relu: _plain_layer("relu"),
}
_NAMES = frozenset(func.__name__ for func in _LAYERS)
