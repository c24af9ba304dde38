# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What values the integer arguments of a step may have.

torch checks each index when it uses it; a compiled step has no way to report an
error, and reads or writes elsewhere instead. So every index in the trace is
followed back: to an argument of the step, whose range then goes into the text
and is checked before the step runs; or to values that are known now. An index
that comes from anything else is refused.

A whole argument is checked, even if only a part of it is an index.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.fx import GraphModule, Interpreter, Node

from plait.errors import UnsupportedError
from plait.step_text import IndexRange
from plait.torch.modules import where

aten = torch.ops.aten


@dataclass(frozen=True)
class _Source:
    """Values of an argument, times sign, plus a number; but for those of the
    argument that were replaced."""

    argument: str
    sign: int = 1
    added: int = 0
    replaced: frozenset[int] = frozenset()

    def back(self, value: int) -> int:
        """The argument's value that gives `value`."""
        return self.sign * (value - self.added)

    def allowing(self, allowed: IndexRange) -> IndexRange:
        """What the argument's values may be, if these must be `allowed`."""
        ends = sorted((self.back(allowed.low), self.back(allowed.high - 1)))
        low, high = ends[0], ends[1] + 1
        others = {self.back(other) for other in allowed.others} | self.replaced
        return IndexRange(low, high, tuple(sorted(v for v in others if not low <= v < high)))


@dataclass(frozen=True)
class _Bounds:
    """Values that are at least low, and below high."""

    low: int
    high: int


_Origins = frozenset[_Source | _Bounds]

#: Ops whose result has elements of their first operand, and no others.
_MOVES = frozenset(
    "view _unsafe_view reshape clone alias detach slice select unsqueeze squeeze expand permute"
    " transpose t lift_fresh_copy index index_select gather flip roll repeat diagonal split"
    " unbind split_with_sizes as_strided _to_copy".split()
)

#: Ops whose result, or second result, is the place of something along a
#: dimension; of the latter, which argument that dimension is.
_PLACES = frozenset("argmax argmin".split())
_PLACES_SECOND = {"max": 1, "min": 1, "sort": 1, "topk": 2}

#: Ops that index by value and are not followed here.
_UNFOLLOWED = frozenset(
    "take put index_fill index_copy index_reduce scatter_reduce _embedding_bag"
    " _embedding_bag_forward_only masked_scatter bincount multi_margin_loss"
    " multilabel_margin_loss_forward _ctc_loss _unsafe_masked_index"
    " _unsafe_masked_index_put_accumulate".split()
)


def index_ranges(graph: GraphModule, arguments: Mapping[Node, str]) -> dict[str, IndexRange]:
    """The range of each argument that is used as an index or label.

    Args:
        graph: functional; what its placeholders outside `arguments` hold is
            not known.

    Raises:
        UnsupportedError: an index that comes from elsewhere, or an argument
            that no value would satisfy.
    """
    follow, ranges = _Follow(arguments), {}
    for node in graph.graph.nodes:
        if _name(node) in _UNFOLLOWED:
            raise UnsupportedError(f"{where(node)} chooses by index in a way that is not checked")
        for index, allowed in _uses(node):
            for origin in follow.origins(index):
                if isinstance(origin, _Source):
                    own = origin.allowing(allowed)
                    old = ranges.get(origin.argument)
                    ranges[origin.argument] = own.meet(old) if old else own
                elif not allowed.contains(origin.low, origin.high):
                    raise UnsupportedError(_unchecked(node, allowed))
            if not follow.origins(index):
                raise UnsupportedError(_unchecked(node, allowed))
    for name, allowed in ranges.items():
        if allowed.low >= allowed.high:
            raise UnsupportedError(f"the index '{name}' is used in ways that no value satisfies")
    return ranges


def _unchecked(node: Node, allowed: IndexRange) -> str:
    return (
        f"{where(node)} has an index that may be outside [{allowed.low}, {allowed.high}):"
        " it must come from an input or buffer by views, or adding a number, or be clamped"
    )


def may_be_negative(graph: GraphModule, arguments: Mapping[Node, str]) -> set[Node]:
    """The index operands of aten.index and index_put that torch would wrap."""
    follow, found = _Follow(arguments), set()
    for node in graph.graph.nodes:
        for index, allowed in _uses(node):
            if allowed.low < 0 and not follow.is_natural(index):
                found.add(index)
    return found


class Wrapping(Interpreter):
    """Runs a graph with negative indices made positive, as torch reads them."""

    def __init__(self, graph: GraphModule, wrapped: set[Node]) -> None:
        super().__init__(graph)
        self._wrapped = {node.name for node in wrapped}

    def run_node(self, node: Node) -> Any:
        if _name(node) not in ("index", "index_put") or not self._wrapped:
            return super().run_node(node)
        (x, indices, *rest), options = self.fetch_args_kwargs_from_env(node)
        kept = []
        for dim, (index, made_by) in enumerate(zip(indices, node.args[1])):
            if index is not None and made_by.name in self._wrapped:
                index = torch.where(index < 0, index + x.shape[dim], index)
            kept.append(index)
        with self._set_current_node(node):
            return node.target(x, kept, *rest, **options)


def _name(node: Node) -> str | None:
    """The op without its overload, functional or in place."""
    packet = getattr(node.target, "overloadpacket", None)
    return packet and packet.__name__


def _shape(node: Node) -> torch.Size:
    return node.meta["val"].shape


def _uses(node: Node) -> Iterable[tuple[Node, IndexRange]]:
    """The operands that are indices, and what they may be."""
    name, args = _name(node), node.args
    if name == "embedding":
        yield args[1], IndexRange(0, _shape(args[0])[0])
    elif name == "embedding_dense_backward":
        yield args[1], IndexRange(0, args[2])
    elif name in ("index", "_unsafe_index", "index_put", "_unsafe_index_put"):
        lowest = 0 if name.startswith("_unsafe") else -1
        for size, index in zip(_shape(args[0]), args[1]):
            if index is not None:
                yield index, IndexRange(lowest * size, size)
    elif name in ("gather", "index_select", "index_add", "scatter", "scatter_add"):
        shape = _shape(args[0])
        yield args[2], IndexRange(0, shape[args[1]] if shape else 1)
    elif name in ("nll_loss_forward", "nll_loss2d_forward"):
        shape = _shape(args[0])
        yield args[1], IndexRange(0, shape[1 if len(shape) > 1 else 0], (args[4],))


class _Follow:
    """Follows integers back to where they come from."""

    def __init__(self, arguments: Mapping[Node, str]) -> None:
        self._found: dict[Node, _Origins] = {
            node: frozenset({_Source(name)}) for node, name in arguments.items()
        }
        self._values: dict[Node, Any] = {}

    def is_natural(self, index: Node) -> bool:
        origins = self.origins(index)
        return all(isinstance(o, _Bounds) and o.low >= 0 for o in origins)

    def origins(self, node: Node) -> _Origins:
        """Where the values may come from; nothing if that is not known."""
        if node not in self._found:
            self._found[node] = self._compute(node)
        return self._found[node]

    def _compute(self, node: Node) -> _Origins:
        value = self._value(node)
        if isinstance(value, Tensor) and not value.is_floating_point() and value.numel():
            return frozenset({_Bounds(int(value.min()), int(value.max()) + 1)})
        if node.op != "call_function" or not node.args:
            return frozenset()
        name, args = _name(node), node.args
        if name in _MOVES and _is_integer(args[0]):
            return self.origins(args[0])
        if name == "neg":
            return self._linear(args[0], -1, 0)
        if name in ("add", "sub", "rsub") and isinstance(args[1], int) and len(args) == 2:
            added = -args[1] if name == "sub" else args[1]
            return self._linear(args[0], -1 if name == "rsub" else 1, added)
        if name in ("cat", "stack"):
            return self._union(args[0])
        if name == "masked_fill":
            return self._chosen(args[1], args[2], args[0])
        if name == "where" and len(args) == 3:
            return self._chosen(*args)
        return self._bounds(node, name)

    def _chosen(self, condition: Node, yes: Any, no: Any) -> _Origins:
        """The values of `yes` where the condition holds, of `no` elsewhere."""
        kept, replaced = [yes, no], None
        if _name(condition) == "eq" and condition.args[0] is no:
            kept, replaced = [yes], no
        elif _name(condition) == "ne" and condition.args[0] is yes:
            kept, replaced = [no], yes
        if replaced is None or not isinstance(condition.args[1], int):
            return self._union([yes, no])
        rest = frozenset(
            replace(o, replaced=o.replaced | {o.back(condition.args[1])})
            if isinstance(o, _Source)
            else o
            for o in self.origins(replaced)
        )
        others = self._union(kept)
        return rest | others if rest and others else frozenset()

    def _bounds(self, node: Node, name: str | None) -> _Origins:
        args = node.args
        if name == "clamp" and all(isinstance(a, int) for a in args[1:3]) and len(args) == 3:
            return frozenset({_Bounds(args[1], args[2] + 1)})
        if name == "remainder" and isinstance(args[1], int) and args[1] > 0:
            return frozenset({_Bounds(0, args[1])})
        if name in _PLACES:
            shape = _shape(args[0])
            size = shape.numel() if len(args) < 2 or args[1] is None else shape[args[1]]
            return frozenset({_Bounds(0, size)})
        # A second result; the node itself is the choice among results.
        if name is None and len(args) == 2 and args[1] == 1 and isinstance(args[0], Node):
            place, source = _PLACES_SECOND.get(_name(args[0])), args[0].args
            if place is not None:
                dim = source[place] if len(source) > place else -1
                return frozenset({_Bounds(0, _shape(source[0])[dim])})
        return frozenset()

    def _linear(self, node: Any, sign: int, added: int) -> _Origins:
        """The values of a node, times sign, plus a number."""
        found = set()
        for o in self.origins(node):
            if isinstance(o, _Source):
                found.add(replace(o, sign=sign * o.sign, added=sign * o.added + added))
            else:
                ends = sorted((sign * o.low + added, sign * (o.high - 1) + added))
                found.add(_Bounds(ends[0], ends[1] + 1))
        return frozenset(found)

    def _union(self, nodes: Sequence[Any]) -> _Origins:
        parts = [
            self.origins(node) if isinstance(node, Node) else frozenset({_Bounds(node, node + 1)})
            for node in nodes
        ]
        return frozenset().union(*parts) if all(parts) else frozenset()

    def _value(self, node: Any) -> Any:
        """What a node without arguments of the step gives; None if it has any."""
        if node not in self._values:
            self._values[node] = self._evaluate(node)
        return self._values[node]

    def _evaluate(self, node: Node) -> Any:
        if node.op == "get_attr":
            return getattr(node.graph.owning_module, node.target)
        if node.op != "call_function":
            return None
        values = [self._value(read) for read in node.all_input_nodes]
        if any(value is None for value in values):
            return None
        known = dict(zip(node.all_input_nodes, values))
        args, kwargs = torch.fx.map_arg((node.args, node.kwargs), known.__getitem__)
        return node.target(*args, **kwargs)


def _is_integer(node: Any) -> bool:
    value = node.meta.get("val") if isinstance(node, Node) else None
    return isinstance(value, Tensor) and not value.is_floating_point()
