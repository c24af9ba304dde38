# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tensors that a model uses without owning them: masks, class weights, tables.

They keep the values they have now. So what a step changes, or finds the gradient
of, cannot be one. (Writing to them in the forward pass is refused in probe.py.)
"""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor
from torch.func import functionalize
from torch.fx import GraphModule

from plait.errors import UnsupportedError
from plait.torch.modules import where


def check_constants(
    graph: GraphModule, owned: Mapping[str, Tensor], kept: Mapping[str, Tensor]
) -> None:
    """Refuse constants of a trace that are not constant.

    Args:
        owned: the model's parameters and buffers, by their names in the trace.
        kept: what the forward pass keeps for later, by the place it is kept in.

    Raises:
        UnsupportedError: a constant is a parameter or buffer that was not
            reached through the model, or needs a gradient, or is kept from one
            run of the forward pass to the next.
    """
    names = {_memory(value): name.removeprefix("model.") for name, value in owned.items()}
    places = {_memory(value): place for place, value in kept.items()}
    for node in graph.graph.find_nodes(op="get_attr"):
        value = getattr(graph, node.target)
        place = where(next(iter(node.users))) if node.users else node.target
        if _memory(value) in places:
            raise UnsupportedError(
                f"{place} reads what the forward pass keeps in {places[_memory(value)]}, which a"
                " step does not carry, so it would stay what it is now: make it a buffer"
                " (register_buffer)"
            )
        name = names.get(_memory(value)) or _overlapped(value, owned)
        if name is not None:
            raise UnsupportedError(
                f"{place} uses '{name}' as a tensor of its own, so it would not"
                " change: use it as an attribute of its module in the forward pass or the loss"
            )
        if value.requires_grad:
            raise UnsupportedError(
                f"{place} uses a tensor that needs a gradient but is no parameter"
            )


def functional(
    graph: GraphModule, run: Callable[..., Any]
) -> Callable[..., Any]:
    """What `run(graph, *arguments)` computes, without mutation. The constants are
    arguments to torch's transform: what is made of others it does not see, and
    leaves writes to it as they are."""
    names = [node.target for node in graph.graph.find_nodes(op="get_attr")]
    values = [getattr(graph, name) for name in names]

    def inner(constants: list[Tensor], *arguments: Tensor) -> Any:
        held = GraphModule(dict(zip(names, constants)), graph.graph)
        return run(held, *arguments)

    pure = functionalize(inner, remove="mutations")
    return lambda *arguments: pure(values, *arguments)


def _overlapped(value: Tensor, owned: Mapping[str, Tensor]) -> str | None:
    """Whose memory this is, if it came by another way than through torch: numpy's
    view of a parameter, say."""
    start, end = _reach(value)
    for name, other in owned.items():
        first, last = _reach(other)
        if start < last and first < end:
            return name.removeprefix("model.")
    return None


def _reach(value: Tensor) -> tuple[int, int]:
    """The first byte of a tensor's memory, and the one behind it; none if it is a
    stand-in without memory."""
    if isinstance(value, FakeTensor) or value.device.type != "cpu":
        return 0, 0
    storage = value.untyped_storage()
    return storage.data_ptr(), storage.data_ptr() + storage.nbytes()


def _memory(value: Tensor) -> int:
    return value.untyped_storage()._cdata
