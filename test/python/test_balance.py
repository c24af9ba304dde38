# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Into how many tiles the large loops of a layer are divided, and what 2 to 64 threads
make of that.

Threads get equal numbers of tiles, as far as that goes, so the largest share tells how
even a loop is. No time is taken here.
"""

import os
import re
from math import ceil

import pytest
from plait_run import print_ir
from test_layout import step_text

pytestmark = pytest.mark.skipif(
    "PLAIT_OPT" not in os.environ, reason="PLAIT_OPT is not set: NOT verified"
)

THREADS = (2, 3, 4, 8, 16, 32, 64)


def tile_counts(text: str, policy: str) -> list[int]:
    """The numbers of tiles of the parallel loops of a step, in its order."""
    options = f"policy={policy} block-parameters=true register-rows=8 register-cols=32"
    ir = print_ir(text, options, "before=train-side-by-side")
    numbers = dict(re.findall(r"(%\w+) = arith\.constant (\d+) : index", ir))
    counts = []
    for loop in re.findall(r"scf\.parallel .* = \((.*)\) to \((.*)\) step \((.*)\) \{", ir):
        begins, ends, steps = ([int(numbers[v]) for v in part.split(", ")] for part in loop)
        counts.append(1)
        for begin, end, step in zip(begins, ends, steps, strict=True):
            counts[-1] *= ceil((end - begin) / step)
    return counts


def imbalance(tiles: int, threads: int) -> float:
    """The largest share of a thread, of what an equal one would be."""
    return ceil(tiles / threads) * threads / tiles


@pytest.mark.parametrize(
    ("batch", "outputs", "width", "policy", "expected"),
    [
        # The product; dx in parts of k, and their sum; dw with the update.
        (1, 4096, 4096, "backward", [64, 64, 16, 256]),
        # The same; dw, and the update.
        (1, 4096, 4096, "baseline", [64, 64, 16, 64, 64]),
        (1, 1024, 784, "backward", [32, 8, 16]),
        # In blocks: the batch is packed by each task of the product, and sums of dx
        # are as large as few parts allow. The last two convert the weight.
        (32, 4096, 4096, "backward", [32, 8, 16, 256, 64, 64]),
        (32, 4096, 4096, "baseline", [32, 8, 16, 64, 64, 64, 64]),
        (32, 1024, 1024, "backward", [8, 4, 16, 16, 64, 64]),
        # Above 64 rows dx is one product.
        (128, 4096, 4096, "backward", [32, 15, 256, 64, 64]),
        (512, 4096, 4096, "baseline", [16, 32, 64, 64]),
    ],
)
def test_tiles(batch, outputs, width, policy, expected):
    assert tile_counts(step_text(batch, outputs, width), policy) == expected


@pytest.mark.parametrize(
    ("tiles", "expected"),
    [
        (256, [1.0, 1.01, 1.0, 1.0, 1.0, 1.0, 1.0]),
        (64, [1.0, 1.03, 1.0, 1.0, 1.0, 1.0, 1.0]),
        (32, [1.0, 1.03, 1.0, 1.0, 1.0, 1.0, 2.0]),
        (16, [1.0, 1.12, 1.0, 1.0, 1.0, 2.0, 4.0]),
        (15, [1.07, 1.0, 1.07, 1.07, 1.07, 2.13, 4.27]),
        (8, [1.0, 1.12, 1.0, 1.0, 2.0, 4.0, 8.0]),
    ],
)
def test_imbalance(tiles, expected):
    """Loops of 64 tiles and more are even on 2 to 64 threads; those of fewer leave some
    idle, for which other loops may be beside them."""
    assert [round(imbalance(tiles, threads), 2) for threads in THREADS] == expected
