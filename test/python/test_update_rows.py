# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Of an embedding, only the rows are updated that a step reads, where the optimizer
allows it; with the bits of an update of all rows, which `forward` still does."""

import os
import subprocess
from functools import partial

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: NOT verified")

from plait_run import needs_plait_run
from torch import nn
from torch.nn import functional as F
from training import STEPS, compare_training, run, train

pytestmark = needs_plait_run

ROWS, WIDTH, TOKENS, BATCH = 613, 24, 7, 5


class Classifier(nn.Module):
    """Tokens [B, T] to logits [B, 3]."""

    def __init__(self, padding_idx=None):
        super().__init__()
        self.table = nn.Embedding(ROWS, WIDTH, padding_idx=padding_idx)
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, x):
        return self.head(torch.tanh(self.table(x)).mean(1))


class Pair(Classifier):
    """Reads the table twice."""

    def forward(self, x):
        return self.head(self.table(x).mean(1) * self.table(x + 1).mean(1))


def data(few):
    """Tokens of all steps, from all rows or from so few that each is there twice."""
    generator = torch.Generator().manual_seed(3)
    size = (STEPS * BATCH, TOKENS)
    tokens = torch.randint(11 if few else ROWS - 1, size, generator=generator)
    return tokens, torch.randint(3, size[:1], generator=generator)


def updates_rows(text, schedule="backward"):
    """Whether the table's gradient has no buffer, and nothing copies the table."""
    command = [os.environ["PLAIT_OPT"], "-", f"--plait-to-llvm=policy={schedule}"]
    command += ["--mlir-print-ir-after=train-plan-arena", "--mlir-disable-threading"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, check=True)
    buffers = done.stderr
    assert f"memref<{ROWS}x{WIDTH}xf32>" in buffers
    assert not any(
        "memref.copy" in line and f"memref<{ROWS}x{WIDTH}xf32>" in line
        for line in buffers.splitlines()
    )
    stored = f"to memref<{ROWS}x{WIDTH}xf32>" in buffers
    assert stored != (f"to memref<{ROWS}xi32>" in buffers)
    return not stored


ADAPTED = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.5),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.05),
    "adagrad-decay": lambda p: torch.optim.Adagrad(
        p, lr=0.05, lr_decay=0.1, initial_accumulator_value=0.5
    ),
}
ALL = {
    "momentum": lambda p: torch.optim.SGD(p, lr=0.5, momentum=0.9),
    "weight-decay": lambda p: torch.optim.SGD(p, lr=0.5, weight_decay=0.1),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01),
    "maximize": lambda p: torch.optim.SGD(p, lr=0.5, maximize=True),
    "no-epsilon": lambda p: torch.optim.Adagrad(p, lr=0.05, eps=0, initial_accumulator_value=0.5),
}


@pytest.mark.parametrize("few", [False, True])
@pytest.mark.parametrize("kind", ADAPTED)
def test_rows(tmp_path, kind, few):
    torch.manual_seed(0)
    model = Classifier()
    optimizer = ADAPTED[kind](model.parameters())
    tensors, before = data(few), model.table.weight.detach().clone()
    step = compare_training(tmp_path, model, F.cross_entropy, tensors, optimizer=optimizer)
    assert updates_rows(step.module_text)
    results, _ = run(tmp_path, step, tensors)
    dense, _ = run(tmp_path, step, tensors, "forward")
    for name, value in results.items():
        assert value.tobytes() == dense[name].tobytes(), name
    unread = sorted(set(range(ROWS)) - set(tensors[0].unique().tolist()))
    assert unread
    assert before.numpy()[unread].tobytes() == results["table.weight"][unread].tobytes()


@pytest.mark.parametrize("kind", ALL)
def test_optimizers_that_move_all_rows(tmp_path, kind):
    torch.manual_seed(0)
    model = Classifier()
    optimizer = ALL[kind](model.parameters())
    step = compare_training(tmp_path, model, F.cross_entropy, data(True), optimizer=optimizer)
    assert not updates_rows(step.module_text)


@pytest.mark.parametrize("options", [{"clip_grad_norm": 0.1}, {"accumulation_steps": 5}])
def test_gradients_with_other_readers(tmp_path, options):
    """A norm reads it whole, a sum of micro-batches is carried: nothing is lost."""
    torch.manual_seed(0)
    model = Classifier()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    if "clip_grad_norm" in options:
        clip = partial(nn.utils.clip_grad_norm_, [*model.parameters()], 0.1)
        options = options | {"reference": partial(train, after_backward=clip)}
    compare_training(
        tmp_path, model, F.cross_entropy, data(True), optimizer=optimizer, **options
    )


@pytest.mark.parametrize("make", [Pair, lambda: Classifier(padding_idx=4)])
def test_other_reads(tmp_path, make):
    torch.manual_seed(0)
    model = make()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    compare_training(tmp_path, model, F.cross_entropy, data(True), optimizer=optimizer)
