# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Single kernels, of Plait and of torch: what kernels.py has timed.

    plait                        a product or a convolution
    plait-baseline               dW, and the update behind it
    plait-backward               both in one loop nest
    torch                        torch.mm; conv2d, and its backward
    torch-fused, torch-foreach   torch.mm, and that form of torch.optim's optimizer
    torch-compile                both as one graph of torch.compile

Plait's are compiled by the extension, as users' steps are: for this machine, with
the compiler's own choice of tiles. Inputs are read where they lie.
"""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from grid import OPTIMIZERS as OPS
from grid import step_text
from torch.nn import functional as F

#: How each form of a product indexes its two operands: nn is A B, nt A B^T, tn A^T B.
PRODUCTS = {"nn": ("mk", "kn"), "nt": ("mk", "nk"), "tn": ("km", "kn")}
#: name: input channels, output channels, groups, kernel, stride, size of an image
LAYERS = {
    "vgg-64-128": (64, 128, 1, 3, 1, 16),
    "vgg-256-256": (256, 256, 1, 3, 1, 8),
    "vgg-512-512": (512, 512, 1, 3, 1, 4),
    "resnet-64-64": (64, 64, 1, 3, 1, 32),
    "resnet-64-128-by-2": (64, 128, 1, 3, 2, 32),
    "resnet-1x1-by-2": (64, 128, 1, 1, 2, 32),
    "depthwise-32": (32, 32, 32, 3, 1, 56),
    "depthwise-128": (128, 128, 128, 3, 1, 14),
    "depthwise-64-by-2": (64, 64, 64, 3, 2, 56),
    "depthwise-5x5-64": (64, 64, 64, 5, 1, 14),
    "grouped-32-64": (32, 64, 32, 3, 1, 56),
    "grouped-4x8": (32, 32, 4, 3, 1, 56),
}
#: Images of a batch.
IMAGES = 32
#: The class and the options that are those of grid.py's texts.
OPTIMIZERS: dict[str, tuple[type[torch.optim.Optimizer], dict[str, Any]]] = {
    "sgd": (torch.optim.SGD, dict(lr=1e-3)),
    "momentum": (torch.optim.SGD, dict(lr=1e-3, momentum=0.9)),
    "adagrad": (torch.optim.Adagrad, dict(lr=1e-2)),
    "rmsprop": (torch.optim.RMSprop, dict(lr=1e-3)),
    "adadelta": (torch.optim.Adadelta, dict(lr=1.0)),
    "adamw": (torch.optim.AdamW, dict(lr=1e-3, weight_decay=1e-2)),
}
#: A step has to train something: a number that stays what it is.
PRODUCT = """
func.func @step(
    %a: tensor<{a}xf32> {{train.role = #train.input<"a">}},
    %b: tensor<{b}xf32> {{train.role = #train.input<"b">}},
    %w: tensor<f32> {{train.role = #train.param<"w">}})
    -> (tensor<{c}xf32> {{train.role = #train.output<"result">}},
        tensor<f32> {{train.role = #train.next<"w">}}) attributes {{train.step}} {{
  %zero = arith.constant 0.0 : f32
  %empty = tensor.empty() : tensor<{c}xf32>
  %fill = linalg.fill ins(%zero : f32) outs(%empty : tensor<{c}xf32>) -> tensor<{c}xf32>
  %c = linalg.matmul indexing_maps = [{maps}]
      ins(%a, %b : tensor<{a}xf32>, tensor<{b}xf32>) outs(%fill : tensor<{c}xf32>) -> tensor<{c}xf32>
  return %c, %w : tensor<{c}xf32>, tensor<f32>
}}
"""

Case = tuple[str, ...]
Tensors = tuple[torch.Tensor, ...]


def product_sizes(form: str, sizes: str) -> tuple[list[int], list[int], list[int]]:
    """Shapes of both operands and of the result; `sizes` is MxNxK."""
    size = dict(zip("mnk", map(int, sizes.split("x"))))
    a, b, c = ([size[i] for i in indices] for indices in (*PRODUCTS[form], "mn"))
    return a, b, c


def inputs(*case: str) -> list[Tensors]:
    """What a kernel is called with. The same each time."""
    generator = torch.Generator().manual_seed(0)

    def values(*shape: int) -> torch.Tensor:
        return torch.rand(shape, generator=generator) - 0.5

    match case:
        case "gemm", form, sizes:
            a, b, _ = product_sizes(form, sizes)
            return [(values(*a), values(*b))]
        case "update", _, width, batch:
            return [(values(int(batch), int(width)), values(int(batch), int(width)))]
        case "conv", layer, form:
            channels, out, groups, kernel, stride, size = LAYERS[layer]
            after = -(-size // stride)
            x = values(IMAGES, channels, size, size)
            w = values(out, channels // groups, kernel, kernel)
            last = values(out) if form in ("forward", "relu") else values(IMAGES, out, after, after)
            return [(x, w, last)]
    raise ValueError(case)


def carried(optimizer: str, width: int) -> dict[str, torch.Tensor]:
    """A weight and its states, as of a training under way: none is zero, where
    the first steps of some optimizers turn on the last bit of a gradient."""
    generator = torch.Generator().manual_seed(1)
    tensors, scalars, *_ = OPS[optimizer]
    values = {"w": 0.02 * (torch.rand(width, width, generator=generator) - 0.5)}
    values |= {name: torch.rand(width, width, generator=generator) + 0.5 for name in tensors}
    return values | {name: torch.tensor(10.0 if name == "step" else 1.0) for name in scalars}


def convolution(layer: str, form: str) -> Callable[..., torch.Tensor]:
    """torch's function of what `inputs` gives: forward with a bias."""
    *_, groups, kernel, stride, _ = LAYERS[layer]
    padding = kernel // 2
    window = [stride] * 2, [padding] * 2, [1, 1], False, [0, 0], groups
    backward = torch.ops.aten.convolution_backward

    def forward(x: torch.Tensor, w: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        return F.conv2d(x, w, b, stride, padding, 1, groups)

    return {
        "forward": forward,
        "relu": lambda x, w, b: F.relu(forward(x, w, b)),
        "dX": lambda x, w, grad: backward(grad, x, w, None, *window, [True, False, False])[0],
        "dW": lambda x, w, grad: backward(grad, x, w, None, *window, [False, True, False])[1],
    }[form]


def kernel_text(function: Callable[..., torch.Tensor], arguments: Tensors) -> str:
    """A step that makes one result, by way of the front end for torch."""
    from plait.torch.lowering import lower
    from plait.torch.tracing import decompositions, trace

    text = lower({"step": trace(function, list(arguments), decompositions())}, entries=("step",))
    head, body = re.fullmatch(r"(.*?@step\(.*?) \{\n(    .*)", text, re.DOTALL).groups()
    head = re.sub(r"(%arg\d+): (tensor<\S+>)", r'\1: \2 {train.role = #train.input<"\1">}', head)
    head = head.replace('<"%', '<"')
    head, result = head.rsplit(") -> ", 1)
    head += (
        ', %w: tensor<f32> {train.role = #train.param<"w">}) -> '
        f'({result} {{train.role = #train.output<"result">}},'
        ' tensor<f32> {train.role = #train.next<"w">}) attributes {train.step}'
    )
    body = re.sub(r"return (%\S+) : (\S+)", r"return \1, %w : \2, tensor<f32>", body)
    return f"{head} {{\n{body}"


class Plait:
    def __init__(self, schedule: str, case: Case):
        from plait._native import extension

        self.case, (operands,) = case, inputs(*case)
        match case:
            case "gemm", form, sizes:
                self.text = self.product(form, sizes)
            case "update", optimizer, width, batch:
                self.text = step_text(optimizer, int(width), int(batch))
            case _, layer, form:
                self.text = kernel_text(convolution(layer, form), operands)
        self.compiled = extension().Step(self.text, schedule=schedule)
        self.slots = self.compiled.slots()
        # In the order of the text's arguments.
        self.inputs = [operand.numpy() for operand in operands]
        if case[0] == "update":
            self.weight = carried(case[1], int(case[2]))
            for i, (kind, name, *_) in enumerate(self.slots):
                if kind in ("param", "state"):
                    self.compiled.write(i, self.weight[name.rpartition(".")[2]].numpy())

    @staticmethod
    def product(form: str, sizes: str) -> str:
        names = ("x".join(map(str, shape)) for shape in product_sizes(form, sizes))
        indices = (", ".join(i) for i in (*PRODUCTS[form], "mn"))
        maps = ", ".join(f"affine_map<(m, n, k) -> ({i})>" for i in indices)
        return PRODUCT.format(**dict(zip("abc", names)), maps=maps)

    def step(self, _: Tensors) -> None:
        self.compiled.run(self.inputs, [])

    def results(self) -> dict[str, np.ndarray]:
        wanted = "w" if self.case[0] == "update" else "result"
        index, shape = next((i, s[3]) for i, s in enumerate(self.slots) if s[1] == wanted)
        value = np.empty(shape, np.float32)
        self.compiled.read(index, value)
        return {"result": value - self.weight["w"].numpy() if wanted == "w" else value}


class Function:
    """torch.mm into a given result, or a convolution."""

    def __init__(self, case: Case):
        (self.operands,) = inputs(*case)
        if case[0] == "conv":
            self.function = convolution(*case[1:])
            return
        left, right = PRODUCTS[case[1]]
        out = torch.empty(product_sizes(*case[1:])[2])
        self.function = lambda a, b: torch.mm(
            a.T if left == "km" else a, b.T if right == "nk" else b, out=out
        )

    def step(self, operands: Tensors) -> None:
        self.value = self.function(*operands)

    def results(self) -> dict[str, np.ndarray]:
        return {"result": self.value.numpy()}


class Update:
    """The gradient into a tensor that is there, and an optimizer of torch.optim."""

    def __init__(self, case: Case, **form: bool):
        _, optimizer, width, _ = case
        kind, options = OPTIMIZERS[optimizer]
        values = carried(optimizer, int(width))
        self.first = values.pop("w")
        self.weight = torch.nn.Parameter(self.first.clone())
        self.weight.grad = torch.empty_like(self.first)
        self.optimizer = kind([self.weight], **options, **form)
        self.optimizer.state[self.weight] = {"step": torch.tensor(10.0), **values}

    def step(self, operands: Tensors) -> None:
        x, dz = operands
        torch.mm(dz.T, x, out=self.weight.grad)
        self.optimizer.step()

    def results(self) -> dict[str, np.ndarray]:
        return {"result": (self.weight.detach() - self.first).numpy()}


class CompiledUpdate:
    def __init__(self, case: Case):
        from peers import update

        _, optimizer, width, _ = case
        options = OPTIMIZERS[optimizer][1]
        values = carried(optimizer, int(width))
        self.first, count = values["w"].clone(), values.pop("step", torch.tensor(10.0))
        self.weight, *states = (value for value in values.values() if value.dim())

        def whole(x: torch.Tensor, dz: torch.Tensor) -> None:
            count.add_(1)
            update(optimizer, options, self.weight, torch.mm(dz.T, x), states, count)

        # Else it counts the cases before as calls of this one with other sizes.
        torch._dynamo.reset()
        self.compiled = torch.compile(whole, dynamic=False, fullgraph=True)

    def step(self, operands: Tensors) -> None:
        with torch.no_grad():
            self.compiled(*operands)

    def results(self) -> dict[str, np.ndarray]:
        return {"result": (self.weight - self.first).numpy()}


def make(name: str, *case: str) -> Any:
    match name:
        case "plait":
            return Plait("baseline", case)
        case "plait-baseline" | "plait-backward":
            return Plait(name.removeprefix("plait-"), case)
        case "torch":
            return Function(case)
        case "torch-compile":
            return CompiledUpdate(case)
    return Update(case, **{name.removeprefix("torch-"): True})
