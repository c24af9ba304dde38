# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Tensors that a model uses without owning them: masks, class weights, tables.

They keep the values they have now. So what a step changes, or finds the gradient
of, cannot be one. (Writing to them in the forward pass is refused by torch.func.)
"""

from collections.abc import Mapping

from torch import Tensor
from torch.fx import GraphModule

from plait.errors import UnsupportedError
from plait.torch.modules import where


def check_constants(graph: GraphModule, owned: Mapping[str, Tensor]) -> None:
    """Refuse constants of a trace that are not constant.

    Args:
        owned: the model's parameters and buffers, by their names in the trace.

    Raises:
        UnsupportedError: a constant is a parameter or buffer that was not
            reached through the model, or needs a gradient.
    """
    names = {_memory(value): name.removeprefix("model.") for name, value in owned.items()}
    for node in graph.graph.find_nodes(op="get_attr"):
        value = getattr(graph, node.target)
        place = where(next(iter(node.users))) if node.users else node.target
        if _memory(value) in names:
            raise UnsupportedError(
                f"{place} uses '{names[_memory(value)]}' as a tensor of its own, so it would not"
                " change: use it as an attribute of its module in the forward pass or the loss"
            )
        if value.requires_grad:
            raise UnsupportedError(
                f"{place} uses a tensor that needs a gradient but is no parameter"
            )


def _memory(value: Tensor) -> int:
    return value.untyped_storage().data_ptr()
