# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Models to export, and the checks that hold for every exported step.

With PLAIT_OPT set to a built plait-opt, each text is parsed and verified with
it; without, the text is parsed by torch-mlir's bindings with the `train` ops
rewritten to the generic form, which checks values, types and dominance only.
Importing this file skips the tests where PyTorch or torch-mlir is missing.
"""

import os
import re
import subprocess
from collections import OrderedDict

import pytest

import plait

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to export")
pytest.importorskip("torch_mlir", reason="torch-mlir is not installed: nothing to export")

from torch import nn  # noqa: E402
from torch.func import functional_call  # noqa: E402

from plait.torch import export_step  # noqa: E402
from plait.torch.capture import LossModule, trace_gradients  # noqa: E402

#: Targets that are no class labels, [4, 3].
REAL = torch.rand(4, 3, generator=torch.Generator().manual_seed(2))

OP = re.compile(
    r"^    (?P<results>.*) = (?P<op>train\.\w+) ins\((?P<ins>.*) : (?P<in_types>.*)\)\n"
    r"      outs\((?P<outs>.*) : (?P<out_types>.*)\)"
    r"(?:\n      \{(?P<attributes>.*)\})?$",
    re.MULTILINE,
)


def mlp(*, width: int = 5, activation: nn.Module | None = None) -> nn.Module:
    """6 -> width -> 3, with the layers named fc1 and fc2."""
    torch.manual_seed(0)
    layers = [("fc1", nn.Linear(6, width)), ("act", activation or nn.ReLU())]
    return nn.Sequential(OrderedDict([*layers, ("fc2", nn.Linear(width, 3))]))


def batch() -> tuple[torch.Tensor, torch.Tensor]:
    """x [4, 6] and class labels y [4]."""
    generator = torch.Generator().manual_seed(1)
    return torch.randn(4, 6, generator=generator), torch.tensor([0, 2, 1, 2])


def export(model: nn.Module, optimizer: torch.optim.Optimizer, **options) -> plait.ExportedStep:
    return checked(export_step(model, nn.CrossEntropyLoss(), optimizer, batch(), **options))


def checked(step: plait.ExportedStep) -> plait.ExportedStep:
    """The step, after the checks that hold for every step."""
    parse(step.module_text)
    arguments = re.findall(
        r"%\S+: tensor<(\S+)> \{train\.role = #train\.(\w+)<(.*)>\}[,)]\n?", step.module_text
    )
    named = {}
    for shape, kind, names in arguments:
        owner, state = [*re.findall(r'"([^"]*)"', names), None][:2]
        name = {"param": owner, "input": owner}.get(kind)
        named[name or (f"state.{owner}.{state}" if owner else state)] = (kind, shape)
    values = {name: shape for name, (kind, shape) in named.items() if kind != "input"}
    assert list(values) == list(step.tensors)
    for name, shape in values.items():
        assert shape.split("x")[:-1] == [str(size) for size in step.tensors[name].shape]
    assert [n for n, (kind, _) in named.items() if kind == "input"] == list(step.inputs)
    nexts = re.findall(r"#train\.next<(.*?)>\}", step.module_text)
    carried = re.findall(r"#train\.(?:param|state)<(.*?)>\}", step.module_text)
    assert nexts == carried
    return step


def parse(text: str) -> None:
    from torch_mlir import ir
    from torch_mlir.dialects import torch as _  # noqa: F401

    def generic(op: re.Match[str]) -> str:
        return (
            f"    {op['results']} = \"{op['op']}\"({op['ins']}, {op['outs']}) {{{op['attributes'] or ''}}}"
            f" : ({op['in_types']}, {op['out_types']}) -> ({op['out_types']})"
        )

    with ir.Context() as context:
        context.allow_unregistered_dialects = True
        module = ir.Module.parse(OP.sub(generic, text))
        assert module.operation.verify()
    if tool := os.environ.get("PLAIT_OPT"):
        run = subprocess.run([tool, "-"], input=text, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr


def ops(step: plait.ExportedStep) -> dict[str, re.Match[str]]:
    """The update of each parameter, by the parameter's value name."""
    return {op["outs"].split(", ")[0]: op for op in OP.finditer(step.module_text)}


def attributes(op: re.Match[str]) -> dict[str, float | bool | list[float]]:
    """The attributes of an update, read back."""
    found = {}
    for piece in re.findall(r"\w+(?: = (?:array<f64: [^>]*>|\S+ : f64))?", op["attributes"]):
        name, _, value = piece.partition(" = ")
        if value.startswith("array"):
            found[name] = [float(v) for v in value[len("array<f64: ") : -1].split(", ")]
        else:
            found[name] = float(value.removesuffix(" : f64")) if value else True
    return found


def states(op: re.Match[str]) -> list[str]:
    first, *rest = op["outs"].split(", ")
    return [value.removeprefix(f"{first}.") for value in rest]


def same_as_eager(model, loss_fn, inputs):
    """The traced graph has eager mode's loss and gradients."""
    loss = LossModule(model, loss_fn, 1)
    parameters, buffers = dict(loss.named_parameters()), dict(loss.named_buffers())
    graph = trace_gradients(loss, parameters, buffers, dict(zip("xy", inputs))).graph
    value, *rest = graph(*parameters.values(), *buffers.values(), *inputs)
    expected = functional_call(loss, (parameters, buffers), inputs, tie_weights=True)
    grads = torch.autograd.grad(expected, list(parameters.values()))
    torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-6)
    for grad, reference in zip(rest, grads):
        torch.testing.assert_close(grad, reference, rtol=1e-4, atol=1e-6)


class Tied(nn.Module):
    """Encoder and decoder with one weight."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.up, self.down = nn.Linear(6, 6), nn.Linear(6, 6)
        self.down.weight = self.up.weight

    def forward(self, x):
        return self.down(torch.tanh(self.up(x)))
