# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Random numbers of a step: the n-th number of the s-th op that draws in step t
is a hash of (seed, t, s, n).

seed and t are carried in the buffer `rng`, two i64, and t grows by one in each
step; so steps draw anew, and a run can be repeated, resumed and replayed. The
hash is the finalizer of splitmix64 (Steele, Lea, Flood: Fast splittable
pseudorandom number generators, 2014), applied to one part after the other. The
numbers are not those of torch's generator.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter, Node

from plait.errors import UnsupportedError
from plait.torch.modules import where

aten = torch.ops.aten

#: The name of the buffer.
RNG = "rng"



def _signed(number: int) -> int:
    """Modulo 2**64, as i64 has it."""
    return (number + 2**63) % 2**64 - 2**63


_GOLDEN = _signed(0x9E3779B97F4A7C15)
_FIRST = _signed(0xBF58476D1CE4E5B9)
_SECOND = _signed(0x94D049BB133111EB)


def initial_state(seed: int) -> Tensor:
    """The `rng` of a run that has not begun."""
    return torch.tensor([_signed(seed), 0])


def _shifted(z: Tensor, places: int) -> Tensor:
    """Right, as unsigned numbers."""
    return (z >> places) & ((1 << (64 - places)) - 1)


def _mix(z: Tensor) -> Tensor:
    z = (z ^ _shifted(z, 30)) * _FIRST
    z = (z ^ _shifted(z, 27)) * _SECOND
    return z ^ _shifted(z, 31)


def uniform(rng: Tensor, site: int, shape: Sequence[int]) -> Tensor:
    """Numbers in [0, 1), f32 with 24 random bits, for the draw numbered `site`
    of the step that rng [2] is in."""
    # Offset by one each: nothing is hashed that is zero for a seed of zero.
    key = _mix(_mix(rng[0] + _GOLDEN) + (rng[1] + 1) * _GOLDEN)
    key = _mix(key + _signed((site + 1) * _GOLDEN))
    place = torch.arange(1, math.prod(shape) + 1, device=rng.device).reshape(shape)
    return _shifted(_mix(key + place * _GOLDEN), 40).to(torch.float32) * 2**-24


class Drawing(Interpreter):
    """Runs a graph with draws from `rng` in place of torch's generator."""

    def __init__(self, graph: GraphModule, rng: Tensor) -> None:
        super().__init__(graph)
        self._rng, self._draws = rng, 0

    def call_function(self, target: Any, args: Any, kwargs: Any) -> Any:
        form = _FORMS.get(target)
        if form is None:
            return super().call_function(target, args, kwargs)
        return form(self, *args, **kwargs)

    def uniform(self, shape: Sequence[int]) -> Tensor:
        self._draws += 1
        return uniform(self._rng, self._draws - 1, shape)

    def normal(self, shape: Sequence[int]) -> Tensor:
        """Box and Muller's transform of two uniform numbers."""
        radius = (-2 * torch.log1p(-self.uniform(shape))).sqrt()
        return radius * torch.cos(2 * math.pi * self.uniform(shape))


def draws(graph: GraphModule) -> bool:
    """Whether a graph draws random numbers.

    Raises:
        UnsupportedError: it draws numbers that a step cannot draw.
    """
    random = [node for node in graph.graph.nodes if _is_random(node)]
    for node in random:
        if node.target not in _FORMS:
            packet = node.target.overloadpacket
            raise UnsupportedError(undrawn(where(node), INSTEAD.get(packet, _AS_INPUT)))
    return bool(random)


def undrawn(place: str, instead: str) -> str:
    """The message about an op that draws numbers that a step cannot draw."""
    return f"{place} draws random numbers that a step cannot draw: {instead}"


def _is_random(node: Node) -> bool:
    tags = getattr(node.target, "tags", ())
    return node.op == "call_function" and torch.Tag.nondeterministic_seeded in tags


_AS_INPUT = "give them as an input"
_INTEGERS = "write (torch.rand(shape) * (high - low)).long() + low"

#: What to write in place of ops without a form here; it has the same distribution.
INSTEAD = {
    aten.exponential_: "write -torch.log1p(-torch.rand_like(x)) / rate",
    aten.cauchy_: "write median + sigma * torch.tan(torch.pi * (torch.rand_like(x) - 0.5))",
    aten.log_normal_: "write (mean + std * torch.randn_like(x)).exp()",
    aten.geometric_: "write (torch.log1p(-torch.rand_like(x)) / math.log1p(-p)).floor() + 1",
    aten.normal: "write mean + std * torch.randn(shape)",
    aten.random_: _INTEGERS,
    aten.randint: _INTEGERS,
    aten.randint_like: _INTEGERS,
    aten.multinomial: "give them as an input, or draw one a row,"
    " (p.log() - (-torch.rand_like(p).log()).log()).argmax(-1)",
    aten.rrelu_with_noise: "write torch.where(x < 0, x * (lower + (upper - lower)"
    " * torch.rand_like(x)), x)",
    aten.randperm: "it needs sorting; give the order as an input",
    aten.poisson: _AS_INPUT,
    aten.binomial: _AS_INPUT,
    aten._standard_gamma: _AS_INPUT,
    aten._sample_dirichlet: _AS_INPUT,
}


def _bernoulli(draw: Drawing, x: Tensor, p: Any = 0.5, **_: Any) -> Tensor:
    """1 with probability p; of the shape of x."""
    # A graph does not say an argument that has its default value.
    return (draw.uniform(x.shape) < p).to(x.dtype)


def _bernoulli_of(draw: Drawing, x: Tensor, **_: Any) -> Tensor:
    """1 with the probability in x."""
    return _bernoulli(draw, x, x)


def _rand(draw: Drawing, size: Sequence[int], *, dtype: Any = None, **_: Any) -> Tensor:
    return draw.uniform(size).to(dtype or torch.float32)


def _randn(draw: Drawing, size: Sequence[int], *, dtype: Any = None, **_: Any) -> Tensor:
    return draw.normal(size).to(dtype or torch.float32)


def _uniform(draw: Drawing, x: Tensor, low: float = 0.0, high: float = 1.0, **_: Any) -> Tensor:
    return (low + (high - low) * draw.uniform(x.shape)).to(x.dtype)


def _normal(draw: Drawing, x: Tensor, mean: float = 0.0, std: float = 1.0, **_: Any) -> Tensor:
    return (mean + std * draw.normal(x.shape)).to(x.dtype)


def _rand_like(draw: Drawing, x: Tensor, *, dtype: Any = None, **_: Any) -> Tensor:
    return draw.uniform(x.shape).to(dtype or x.dtype)


def _randn_like(draw: Drawing, x: Tensor, *, dtype: Any = None, **_: Any) -> Tensor:
    return draw.normal(x.shape).to(dtype or x.dtype)


def _in_place(form: Any) -> Any:
    return lambda draw, x, *arguments, **options: x.copy_(form(draw, x, *arguments, **options))


_FORMS = {
    aten.bernoulli.default: _bernoulli_of,
    aten.bernoulli.p: _bernoulli,
    aten.bernoulli_.float: _in_place(_bernoulli),
    aten.bernoulli_.Tensor: _in_place(_bernoulli),
    aten.rand.default: _rand,
    aten.rand_like.default: _rand_like,
    aten.randn.default: _randn,
    aten.randn_like.default: _randn_like,
    aten.uniform.default: _uniform,
    aten.uniform_.default: _in_place(_uniform),
    aten.normal_.default: _in_place(_normal),
}
