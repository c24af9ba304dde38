# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Export of PyTorch models and losses: what is carried, and gradients as eager
mode's."""

import re
from collections import OrderedDict

import numpy as np
import pytest
from exported import REAL, Tied, batch, checked, export, mlp, ops, same_as_eager, torch
from torch import nn

from plait.torch import export_step
from plait.torch.capture import LossModule, trace_gradients

def test_frozen_parameters_and_buffers_are_carried():
    model = nn.Sequential(OrderedDict(mlp=mlp(), bn=nn.BatchNorm1d(3)))
    model.mlp.fc1.weight.requires_grad_(False)
    step = export(model, torch.optim.SGD(model.parameters()))
    text = step.module_text
    assert '#train.state<"", "mlp.fc1.weight">' in text
    assert '#train.next<"", "bn.running_var">' in text
    assert "%mlp.fc1.weight" not in ops(step)
    assert set(step.tensors) == set(model.state_dict())
    returned = re.search(r"^    return (.*) : ", text, re.MULTILINE)[1].split(", ")
    assert "%mlp.fc1.weight" in returned and "%bn.running_var" not in returned


def test_parameter_without_influence_is_not_decayed():
    # torch leaves out a parameter whose gradient is None; a zero gradient
    # would be decayed and would count steps.
    model = mlp()
    model.register_parameter("unused", nn.Parameter(torch.ones(2)))
    step = export(model, torch.optim.AdamW(model.parameters()))
    assert '#train.state<"", "unused">' in step.module_text
    assert "state.unused.step" not in step.tensors


def test_tied_weights_stay_one_parameter():
    model = Tied()
    step = export(model, torch.optim.Adam(model.parameters()))
    assert list(ops(step)) == ["%up.weight", "%up.bias", "%down.bias"]
    assert step.ties == {"down.weight": "up.weight"}
    assert "down.weight" not in step.tensors


ACTIVATIONS = [nn.ReLU(), nn.GELU(), nn.GELU("tanh"), nn.Tanh(), nn.Sigmoid(), nn.SiLU(),
               nn.Softmax(-1), nn.LogSoftmax(-1), nn.Dropout(0.0)]  # fmt: skip
CLASS_WEIGHTS = torch.tensor([1.0, 2.0, 0.5])
LABELS = torch.tensor([0, 2, -100, 2])
LOSSES = [
    (nn.CrossEntropyLoss(), LABELS),
    (nn.CrossEntropyLoss(weight=CLASS_WEIGHTS), LABELS),
    (nn.CrossEntropyLoss(label_smoothing=0.1), LABELS),
    (nn.CrossEntropyLoss(reduction="sum", ignore_index=2), LABELS.clamp(min=0)),
    (nn.CrossEntropyLoss(), REAL),
    (lambda z, y: nn.functional.cross_entropy(z, y, reduction="none").max(), LABELS),
    (lambda z, y: nn.functional.nll_loss(z.log_softmax(-1), y), LABELS),
    (nn.MSELoss(), REAL),
    (nn.BCEWithLogitsLoss(), REAL),
    (nn.BCEWithLogitsLoss(pos_weight=CLASS_WEIGHTS), REAL),
]


@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
def test_activation(activation):
    model = mlp(activation=activation)
    export(model, torch.optim.SGD(model.parameters()))
    same_as_eager(model, nn.CrossEntropyLoss(), batch())


def test_gelu_is_decomposed_before_torch_mlir():
    # torch-mlir 20261001's lowering of gelu_backward("tanh") was off by 1e-5.
    loss = LossModule(mlp(activation=nn.GELU("tanh")), nn.CrossEntropyLoss(), 1)
    graph = trace_gradients(loss, dict(loss.named_parameters()), {}, dict(zip("xy", batch()))).graph
    assert not any("gelu" in str(node.target) for node in graph.graph.nodes)


@pytest.mark.parametrize(("loss_fn", "target"), LOSSES)
def test_loss(loss_fn, target):
    model, x = mlp(), batch()[0]
    optimizer = torch.optim.SGD(model.parameters())
    step = checked(export_step(model, loss_fn, optimizer, (x, target)))
    buffers = {f"loss_fn.{n}" for n, _ in getattr(loss_fn, "named_buffers", list)()}
    assert set(step.tensors) == set(model.state_dict()) | buffers
    same_as_eager(model, loss_fn, (x, target))


def test_tied_gradient_is_the_sum():
    same_as_eager(Tied(), nn.CrossEntropyLoss(), batch())


def test_norms_and_embedding_are_without_f64_tensors():
    model = nn.Sequential(nn.Embedding(7, 6, padding_idx=1), nn.Flatten(), nn.Linear(12, 6),
                          nn.LayerNorm(6), nn.BatchNorm1d(6))  # fmt: skip
    inputs = torch.tensor([[1, 2], [3, 3], [2, 6], [0, 1]]), torch.tensor([0, 5, 2, 3])
    step = export_step(model, nn.CrossEntropyLoss(), torch.optim.SGD(model.parameters()), inputs)
    assert not re.search(r"tensor<[^>]*f64>", checked(step).module_text)
    same_as_eager(model, nn.CrossEntropyLoss(), inputs)


def test_several_inputs_and_targets():
    class Sum(nn.Module):
        def __init__(self):
            super().__init__()
            self.mlp = mlp()

        def forward(self, a, b):
            return self.mlp(a + b)

    def loss_fn(output, target, scale):
        return ((output - target) * scale).square().mean()

    model, x = Sum(), batch()[0]
    inputs = (x, x, REAL, REAL)
    optimizer = torch.optim.SGD(model.parameters())
    step = checked(export_step(model, loss_fn, optimizer, inputs, num_targets=2))
    assert list(step.inputs) == ["x0", "x1", "y0", "y1"]


def test_frozen_float64_parameter_is_carried():
    model = mlp()
    model.register_parameter("scale", nn.Parameter(torch.ones(3).double(), requires_grad=False))
    step = export(model, torch.optim.SGD([p for p in model.parameters() if p.requires_grad]))
    assert step.tensors["scale"].dtype == np.float64
