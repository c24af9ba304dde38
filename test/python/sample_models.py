# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The models of samples/*.mlir, written once more as plain functions.

Each takes parameters and buffers by name, and the inputs, and returns logits
of shape [N, classes] and the next values of the buffers. Names are those of the
sample: `m.fc1.weight` from PyTorch, `['w1']` from JAX.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

Tensors = dict[str, Tensor]
Model = Callable[[Tensors, Tensors, Tensor], tuple[Tensor, Tensors]]


def _linear(p: Tensors, name: str, x: Tensor) -> Tensor:
    return x @ p[f"m.{name}.weight"].T + p[f"m.{name}.bias"]


def torch_mlp(p: Tensors, buffers: Tensors, x: Tensor) -> tuple[Tensor, Tensors]:
    return _linear(p, "fc2", _linear(p, "fc1", x).relu()), {}


def jax_mlp(p: Tensors, buffers: Tensors, x: Tensor) -> tuple[Tensor, Tensors]:
    hidden = (x @ p["['w1']"] + p["['b1']"]).relu()
    return hidden @ p["['w2']"] + p["['b2']"], {}


def torch_cnn(p: Tensors, buffers: Tensors, x: Tensor) -> tuple[Tensor, Tensors]:
    after = {name: value.clone() for name, value in buffers.items()}

    def norm(name: str, x: Tensor) -> Tensor:
        after[f"m.{name}.num_batches_tracked"] += 1
        mean, var = after[f"m.{name}.running_mean"], after[f"m.{name}.running_var"]
        return F.batch_norm(x, mean, var, p[f"m.{name}.weight"], p[f"m.{name}.bias"], True)

    x = F.conv2d(x, p["m.conv1.weight"], p["m.conv1.bias"], padding=1)
    x = F.max_pool2d(norm("bn1", x).relu(), 2)
    x = norm("bn2", F.conv2d(x, p["m.conv2.weight"], stride=2, padding=1)).relu()
    return _linear(p, "fc", x.flatten(1)), after


def jax_cnn(p: Tensors, buffers: Tensors, x: Tensor) -> tuple[Tensor, Tensors]:
    after = {}

    def norm(layer: str, x: Tensor) -> Tensor:
        mean, var = x.mean((0, 2, 3)), x.var((0, 2, 3), unbiased=False)
        for kind, value in (("m", mean), ("v", var)):
            name = f"['{kind}{layer}']"
            after[name] = 0.9 * buffers[name] + 0.1 * value
        gain, bias = p[f"['g{layer}']"], p[f"['h{layer}']"]
        return F.batch_norm(x, None, None, gain, bias, True)

    x = F.conv2d(x, p["['c1']"], p["['b1']"], padding=1)
    x = F.max_pool2d(norm("1", x).relu(), 2)
    x = norm("2", F.conv2d(x, p["['c2']"], stride=2, padding=1)).relu()
    return x.flatten(1) @ p["['w']"] + p["['b']"], after


def _attention(qkv: Tensor) -> Tensor:
    """[B, T, 3 D] to [B, T, D]: four causal heads."""
    batch, length, width = qkv.shape
    heads = [
        t.reshape(batch, length, 4, width // 12).transpose(1, 2) for t in qkv.chunk(3, -1)
    ]
    scores = heads[0] @ heads[1].transpose(-1, -2) * (width // 12) ** -0.5
    later = torch.ones(length, length, dtype=torch.bool).triu(1)
    weights = scores.masked_fill(later, -1e9).softmax(-1)
    return (weights @ heads[2]).transpose(1, 2).reshape(batch, length, width // 3)


def torch_block(p: Tensors, buffers: Tensors, x: Tensor) -> tuple[Tensor, Tensors]:
    def norm(name: str, h: Tensor) -> Tensor:
        return F.layer_norm(h, h.shape[-1:], p[f"m.{name}.weight"], p[f"m.{name}.bias"])

    h = p["m.tok.weight"][x] + p["m.pos"]
    h = h + _linear(p, "proj", _attention(_linear(p, "qkv", norm("ln1", h))))
    h = h + _linear(p, "down", F.gelu(_linear(p, "up", norm("ln2", h))))
    return (norm("lnf", h) @ p["m.tok.weight"].T).flatten(0, 1), {}


def jax_block(p: Tensors, buffers: Tensors, x: Tensor) -> tuple[Tensor, Tensors]:
    def norm(name: str, h: Tensor) -> Tensor:
        return F.layer_norm(h, h.shape[-1:], p[f"['{name}g']"], p[f"['{name}b']"])

    h = p["['tok']"][x] + p["['pos']"]
    h = h + _attention(norm("l1", h) @ p["['qkv']"]) @ p["['proj']"]
    h = h + F.gelu(norm("l2", h) @ p["['up']"]) @ p["['down']"]
    return (h @ p["['tok']"].T).flatten(0, 1), {}


MODELS: dict[str, Model] = {
    f.__name__: f for f in (torch_mlp, jax_mlp, torch_cnn, jax_cnn, torch_block, jax_block)
}
