# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""From a PyTorch model to trained parameters: export_step, save, plait-run.

Ten steps on ten different batches, beside ten steps of PyTorch. A parameter may
differ by 1e-3 of what the learning rate moves it in all steps (lr * steps):
sums in another order, and Adam divides by the root of small squares. The
optimizer has stepped before, so that no square is near zero.
"""

from collections import OrderedDict
from copy import deepcopy

import numpy as np
import pytest
from plait_run import needs_plait_run, run_step

torch = pytest.importorskip("torch", reason="PyTorch is not installed: nothing to export")
pytest.importorskip("torch_mlir", reason="torch-mlir is not installed: nothing to export")

from safetensors.numpy import load_file  # noqa: E402
from torch import nn  # noqa: E402

from plait.torch import export_step  # noqa: E402

pytestmark = needs_plait_run

STEPS, BATCH = 10, 8
OPTIMIZERS = {
    "AdamW": lambda p, lr: torch.optim.AdamW(p, lr=lr, weight_decay=0.1),
    "SGD": lambda p, lr: torch.optim.SGD(p, lr=lr, momentum=0.9, nesterov=True),
}
RATES = {"AdamW": 1e-3, "SGD": 0.05}


def mlp():
    torch.manual_seed(0)
    layers = [("fc1", nn.Linear(20, 33)), ("act", nn.ReLU()), ("fc2", nn.Linear(33, 5))]
    return nn.Sequential(OrderedDict(layers))


def data(steps, seed=1):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(steps * BATCH, 20, generator=generator)
    return x, torch.randint(0, 5, (steps * BATCH,), generator=generator)


def train(model, optimizer, x, y, rates=None):
    """PyTorch's loop; the loss of the last step."""
    for i in range(len(x) // BATCH):
        rows = slice(i * BATCH, (i + 1) * BATCH)
        if rates is not None:
            optimizer.param_groups[0]["lr"] = float(rates[i])
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
        loss.backward()
        optimizer.step()
    return loss.item()


@pytest.mark.parametrize("schedule", ["baseline", "backward", "forward"])
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("scheduled", [False, True], ids=["constant", "scheduled"])
def test_ten_steps(tmp_path, name, schedule, scheduled):
    model, lr = mlp(), RATES[name]
    optimizer = OPTIMIZERS[name](model.parameters(), lr)
    train(model, optimizer, *data(3, seed=2))
    x, y = data(STEPS)
    example = (x[:BATCH], y[:BATCH])
    step = export_step(model, nn.CrossEntropyLoss(), optimizer, example, lr_input=scheduled)
    step.save(tmp_path)

    inputs = {"x": x.numpy(), "y": y.numpy()}
    rates = lr * np.linspace(1, 0.1, STEPS, dtype=np.float32) if scheduled else None
    if scheduled:
        inputs["lr"] = rates
    results = run_step(
        tmp_path,
        (tmp_path / "step.mlir").read_text(),
        load_file(tmp_path / "state.safetensors") | inputs,
        STEPS,
        f"--schedule={schedule}",
    )
    before = deepcopy(model.state_dict())
    loss = train(model, optimizer, x, y, rates)

    assert results["loss"] == pytest.approx(loss, rel=1e-4)
    tolerance = 1e-3 * lr * STEPS
    for parameter, value in model.state_dict().items():
        assert (value - before[parameter]).abs().max() > 10 * tolerance, "has not moved"
        np.testing.assert_allclose(results[parameter], value.numpy(), rtol=0, atol=tolerance)
    weights = {n: torch.from_numpy(v) for n, v in results.items() if n in before}
    mlp().load_state_dict(weights, strict=True)
