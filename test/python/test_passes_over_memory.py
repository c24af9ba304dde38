# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""How often the parts of a step between its products walk over their rows.

Counted are loops over as many elements as the activations have, forward and backward
together, and the activations that are stored beside what is asked for.
"""

import os
import re
from math import prod

import pytest
import torch
from plait_run import print_ir
from torch.nn import functional

pytestmark = pytest.mark.skipif(
    "PLAIT_OPT" not in os.environ, reason="PLAIT_OPT is not set: NOT verified"
)

ROWS, WIDTH = 256, 1000


def activations(*shape):
    return torch.randn(*shape, requires_grad=True)


def cross_entropy(logits, labels):
    loss = functional.cross_entropy(logits, labels)
    return loss, *torch.autograd.grad(loss, logits)


def nll_of_sum(logits, labels):
    loss = functional.nll_loss(logits.log_softmax(-1), labels, ignore_index=3, reduction="sum")
    return loss, *torch.autograd.grad(loss, logits)


def layer_norm(x, weight, bias, dy):
    y = functional.layer_norm(x, (WIDTH,), weight, bias)
    return y, *torch.autograd.grad(y, (x, weight, bias), dy)


def batch_norm(x, weight, bias, dy):
    y = functional.batch_norm(x, None, None, weight, bias, training=True)
    return y, *torch.autograd.grad(y, (x, weight, bias), dy)


def gelu(x, dy):
    y = functional.gelu(x)
    return y, *torch.autograd.grad(y, x, dy)


def softmax(x, dy):
    y = x.softmax(-1)
    return y, *torch.autograd.grad(y, x, dy)


MATRIX, VECTOR, IMAGES = (ROWS, WIDTH), (WIDTH,), (16, 32, 25, 20)
LABELS = torch.arange(ROWS)
CASES = {
    # The maximum, the sum of exponentials, the gradient; the loss is read at the labels.
    "cross entropy": (cross_entropy, [activations(*MATRIX), LABELS], 3, 1),
    "nll": (nll_of_sum, [activations(*MATRIX), LABELS], 3, 1),
    # Mean; variance; two sums for dx; y and dx; the gradients of weight and bias.
    "layer norm": (
        layer_norm,
        [activations(*MATRIX), activations(*VECTOR), activations(*VECTOR), torch.randn(MATRIX)], 5, 2),
    # Two means, of f32 and f64; the variance with both sums of the gradient; y and dx.
    "batch norm": (
        batch_norm, [activations(*IMAGES), activations(32), activations(32), torch.randn(IMAGES)], 3, 2),
    # erf is not computed twice: stored, for y and for dx, which are one loop here.
    "gelu": (gelu, [activations(*MATRIX), torch.randn(MATRIX)], 2, 3),
    # Maximum; exponentials and their sum; y; dy y and its sum; dx. Attention has none of
    # these (BlockAttention.cpp).
    "softmax": (softmax, [activations(*MATRIX), torch.randn(MATRIX)], 7, 4),
}  # fmt: skip


def step_text(function, arguments):
    from plait.torch.lowering import lower
    from plait.torch.tracing import decompositions, trace

    text = lower({"kernel": trace(function, arguments, decompositions())}, entries=("kernel",))
    head, brace, body = text.partition(" {\n    ")
    return f"{head} attributes {{train.step}}{brace}{body}"


def count_passes(text, elements):
    """Loops over `elements`, and the tensors of that size that they write."""
    ir = print_ir(text, "policy=baseline", "after=train-merge-siblings")
    passes = written = 0
    for ins, outs in re.findall(r"linalg\.\w+ (.*) outs\((.*)", ir):
        written += _count_large(outs, elements)
        passes += _count_large(ins + outs, elements) > 0
    return passes, written


def _count_large(types, elements):
    shapes = re.findall(r"tensor<([\dx]+)xf32>", types.partition(" -> ")[0])
    return sum(prod(map(int, shape.split("x"))) >= elements for shape in shapes)


@pytest.mark.parametrize("case", CASES)
def test_passes(case):
    function, arguments, passes, written = CASES[case]
    found = count_passes(step_text(function, arguments), arguments[0].numel())
    assert found == (passes, written)
