# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Convolutions and both their gradients, by JAX's.

One step with a rate of 1, so that filter and image move by their gradients.
"""

import numpy as np
import plait
import pytest

jax = pytest.importorskip("jax", reason="JAX is not installed: nothing to export")

from jax import lax  # noqa: E402
from plait.jax import export_step  # noqa: E402

NHWC = ("NHWC", "HWIO", "NHWC")
#: Shapes of image and filter, strides, padding, and more.
CASES = {
    "same": ((2, 9, 8, 16), (3, 3, 16, 24), (1, 1), "SAME", {}),
    # More than 32768 elements: the reversed filter is divided among threads.
    "large filter": ((2, 6, 5, 64), (3, 3, 64, 72), (1, 1), "SAME", {}),
    "stride": ((2, 12, 11, 8), (3, 3, 8, 12), (2, 2), "SAME", {}),
    "stride without padding": ((2, 12, 11, 8), (3, 3, 8, 12), (2, 3), "VALID", {}),
    "one tap": ((2, 12, 11, 8), (1, 1, 8, 12), (2, 2), "VALID", {}),
    "large filter and stride": ((2, 8, 9, 64), (3, 3, 64, 96), (2, 2), "SAME", {}),
    "dilation": ((2, 12, 11, 8), (3, 3, 8, 12), (1, 1), "SAME", {"rhs_dilation": (2, 2)}),
    "both": ((2, 15, 14, 8), (3, 3, 8, 12), (2, 2), "SAME", {"rhs_dilation": (2, 2)}),
    "groups": ((2, 9, 8, 32), (3, 3, 16, 24), (1, 1), "SAME", {"feature_group_count": 2}),
    "depthwise": ((2, 9, 8, 16), (3, 3, 1, 16), (2, 2), "SAME", {"feature_group_count": 16}),
    "channels first": (
        (2, 8, 12, 11),
        (12, 8, 3, 3),
        (2, 2),
        "SAME",
        {"dimension_numbers": ("NCHW", "OIHW", "NCHW")},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_gradients(case):
    image, filter, strides, padding, options = CASES[case]
    options = {"dimension_numbers": NHWC} | options
    random = np.random.default_rng(0)
    x = random.standard_normal(image, np.float32)
    w = random.standard_normal(filter, np.float32)

    def loss(x, w):
        y = lax.conv_general_dilated(x, w, strides, padding, **options)
        return (y * y).mean()

    def step(x, w):
        value, (dx, dw) = jax.value_and_grad(loss, (0, 1))(x, w)
        return value, x - dx, w - dw

    exported = export_step(step, (x, w), carry={0: 1, 1: 2})
    results = []
    for threads in (1, 2):
        compiled = plait.CompiledStep(exported, threads=threads)
        results.append({"loss": compiled(), **compiled.state_dict()})
    for name, value in results[0].items():
        np.testing.assert_array_equal(value, results[1][name], err_msg=name)

    with jax.default_matmul_precision("highest"):
        value, *expected = jax.jit(step)(x, w)
    moved = list(results[0].values())
    np.testing.assert_allclose(moved[0], value, rtol=1e-4)
    for before, now, wanted in zip((x, w), moved[1:], expected):
        largest = np.abs(np.asarray(wanted) - before).max()
        allowed = 1e-5 * largest + np.spacing(np.abs(now).max())
        assert np.abs(now - np.asarray(wanted)).max() <= allowed
