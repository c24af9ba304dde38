# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The training steps that are timed: models, data, optimizers.

    mlp_a   784-1024-1024-10, fits in a last-level cache
    mlp_b   4096-4096-4096-1000, does not
    enc_c   6 pre-norm encoder layers of width 512, 64 tokens, vocabulary 8192
    vgg11   VGG-11 with batch-norm on 32x32 images
    resnet  three residual blocks of 64 to 256 channels on 32x32 images, two with
            a stride

All are float32. Learning rates are tiny: the same few batches are trained on
again and again, and a loss that saturates makes denormal gradients, which some
of the peers are slow with and others flush.
"""

from collections.abc import Callable

import torch
from torch import nn
from torch.nn import functional as F

Batch = tuple[torch.Tensor, torch.Tensor]


class Perceptron(nn.Module):
    """Linear layers with ReLU between; input [B, widths[0]] to logits [B, widths[-1]]."""

    def __init__(self, *widths: int):
        super().__init__()
        self.widths = widths
        self.layers = nn.ModuleList(nn.Linear(a, b) for a, b in zip(widths, widths[1:]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return self.layers[-1](x)

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        x = torch.randn(size, self.widths[0], generator=generator)
        return x, torch.randint(self.widths[-1], (size,), generator=generator)


class EncoderLayer(nn.Module):
    """Pre-norm self-attention and feed-forward; [B, T, width] to the same."""

    def __init__(self, width: int, heads: int, inner: int):
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        size, time, width = x.shape
        qkv = self.qkv(self.norm1(x)).view(size, time, 3, self.heads, width // self.heads)
        heads = F.scaled_dot_product_attention(*qkv.permute(2, 0, 3, 1, 4))
        x = x + self.out(heads.transpose(1, 2).reshape(size, time, width))
        return x + self.down(F.gelu(self.up(self.norm2(x)), approximate="tanh"))


class Encoder(nn.Module):
    """Tokens [B, T] to logits [B * T, vocabulary]."""

    VOCABULARY, TIME, WIDTH = 8192, 64, 512

    def __init__(self) -> None:
        super().__init__()
        self.tokens = nn.Embedding(self.VOCABULARY, self.WIDTH)
        self.places = nn.Parameter(torch.randn(self.TIME, self.WIDTH) * 0.02)
        nn.init.normal_(self.tokens.weight, std=0.02)
        self.blocks = nn.Sequential(*(EncoderLayer(self.WIDTH, 8, 2048) for _ in range(6)))
        self.norm = nn.LayerNorm(self.WIDTH)
        self.head = nn.Linear(self.WIDTH, self.VOCABULARY, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.norm(self.blocks(self.tokens(x) + self.places))).flatten(0, 1)

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        x = torch.randint(self.VOCABULARY, (size, self.TIME), generator=generator)
        return x, torch.randint(self.VOCABULARY, (size * self.TIME,), generator=generator)


class Vgg11(nn.Module):
    """Images [B, 3, 32, 32] to logits [B, 10]."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width in (64, 0, 128, 0, 256, 256, 0, 512, 512, 0, 512, 512, 0):
            if width == 0:
                layers.append(nn.MaxPool2d(2))
                continue
            layers += [nn.Conv2d(channels, width, 3, padding=1, bias=False)]
            layers += [nn.BatchNorm2d(width), nn.ReLU()]
            channels = width
        head = [nn.Flatten(), nn.Linear(512, 512), nn.ReLU(), nn.Linear(512, 10)]
        self.net = nn.Sequential(*layers, *head)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.net(x)

    def batch(self, size: int, generator: torch.Generator) -> Batch:
        x = torch.randn(size, 3, 32, 32, generator=generator)
        return x, torch.randint(10, (size,), generator=generator)


class Residual(nn.Module):
    """Two convolutions with batch-norm, and a way around them."""

    def __init__(self, channels: int, width: int, stride: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU(),
            nn.Conv2d(width, width, 3, 1, 1, bias=False), nn.BatchNorm2d(width),
        )  # fmt: skip
        self.short = nn.Identity()
        if stride != 1:
            project = nn.Conv2d(channels, width, 1, stride, bias=False)
            self.short = nn.Sequential(project, nn.BatchNorm2d(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.relu(self.body(x) + self.short(x))


class ResNet(nn.Module):
    """Images [B, 3, 32, 32] to logits [B, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 64, 3, 1, 1, bias=False), nn.BatchNorm2d(64))
        sizes = (64, 64, 1), (64, 128, 2), (128, 256, 2)
        self.blocks = nn.Sequential(*(Residual(*size) for size in sizes))
        self.head = nn.Linear(256, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.blocks(F.relu(self.stem(x))).mean((2, 3)))

    batch = Vgg11.batch


MODELS: dict[str, Callable[[], nn.Module]] = {
    "mlp_a": lambda: Perceptron(784, 1024, 1024, 10),
    "mlp_b": lambda: Perceptron(4096, 4096, 4096, 1000),
    "enc_c": Encoder,
    "vgg11": Vgg11,
    "resnet": ResNet,
}

OPTIMIZERS = {
    "sgd": (torch.optim.SGD, dict(lr=1e-4)),
    "momentum": (torch.optim.SGD, dict(lr=1e-5, momentum=0.9)),
    "adam": (torch.optim.Adam, dict(lr=1e-6)),
    "adamw": (torch.optim.AdamW, dict(lr=1e-6, weight_decay=0.01)),
    "adagrad": (torch.optim.Adagrad, dict(lr=1e-5)),
    "rmsprop": (torch.optim.RMSprop, dict(lr=1e-6)),
    "adadelta": (torch.optim.Adadelta, dict(lr=1e-3)),
}
#: Those that torch has a fused kernel for.
FUSED = ("sgd", "momentum", "adam", "adamw", "adagrad")
#: How many tensors of a parameter's size an update reads and writes: the
#: parameter and its states.
TENSORS = dict(sgd=1, momentum=2, adam=3, adamw=3, adagrad=2, rmsprop=2, adadelta=3)


def make_model(workload: str) -> nn.Module:
    """The model with the same weights each time."""
    torch.manual_seed(0)
    return MODELS[workload]()


def make_batches(model: nn.Module, size: int, count: int = 4) -> list[Batch]:
    generator = torch.Generator().manual_seed(1)
    return [model.batch(size, generator) for _ in range(count)]
