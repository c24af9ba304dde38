# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Limits, tables and plots of the benchmark, of given times: nothing is timed."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: NOT verified")
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))

import bench  # noqa: E402
import kernels  # noqa: E402
import limits  # noqa: E402
import numpy as np  # noqa: E402
import steps  # noqa: E402

MACHINE = {"threads": 2, "gflops": 500.0, "cache_gbs": 400.0, "memory_gbs": 100.0,
           "cache_read_gbs": 200.0, "memory_read_gbs": 50.0, "cache_bytes": 32 << 20}  # fmt: skip


def test_limit():
    memory = limits.limit(limits.Work(flops=1e9, once=0, both=400e6), MACHINE)
    assert (memory.bound, memory.ms) == ("memory", pytest.approx(8))
    assert str(memory) == "8.00 ms (memory: 800 MB at 100 GB/s)"
    cache = limits.limit(limits.Work(flops=1e6, once=0, both=20e6), MACHINE)
    assert (cache.bound, cache.ms) == ("cache", pytest.approx(0.1))
    flops = limits.limit(limits.Work(flops=5e9, once=0, both=400e6), MACHINE)
    assert str(flops) == "10.00 ms (arithmetic: 5 GFLOP at 500 GFLOP/s)"
    mixed = limits.limit(limits.Work(flops=1, once=100e6, both=100e6), MACHINE)
    assert mixed.ms == pytest.approx(2 + 2) and mixed.amount == 300e6
    assert limits.limit(limits.Work(1, 1, 1), {}) is None


def test_ranges():
    later = MACHINE | {"memory_gbs": 60.0}
    assert "100 and 50 in memory" in limits.ranges([MACHINE])
    assert "500 GFLOP/s" in limits.ranges([later, MACHINE])
    assert "60 to 100 and 50 in memory" in limits.ranges([later, MACHINE])
    assert limits.ranges([{}, {}]) == "not measured"


def test_the_better_of_two_measurements():
    both = limits.better([{"gflops": 1, "memory_gbs": 5}, {"gflops": 2, "memory_gbs": 4}])
    assert both == {"gflops": 2, "memory_gbs": 5}
    assert limits.better([{}, {}]) == {}


def test_work_of_a_step():
    """Two layers have a gradient of their input, all one of their weight."""
    weights = [(784, 1024), (1024, 1024), (1024, 10)]
    products = [a * b for a, b in weights]
    parameters = sum(products) + sum(b for _, b in weights)
    work = steps.work(("mlp_a", "adamw", 8))
    assert work.flops == 2 * 8 * (2 * sum(products) + sum(products[1:]))
    assert (work.once, work.both) == (0, 4 * 3 * parameters)


def test_rows_of_an_embedding_that_no_token_reads_are_not_moved():
    whole, rows = (steps.work(("enc_c", optimizer, 1)).both for optimizer in ("rmsprop", "adagrad"))
    assert whole - rows == 4 * 2 * 512 * (8192 - 64)


def test_work_of_a_kernel():
    assert kernels.work("gemm:nt:2x3x5") == limits.Work(60, 4 * (10 + 15 + 6), 0)
    assert kernels.work("update:adamw:10:2") == limits.Work(400, 4 * 2 * 20, 4 * 3 * 100)
    # 64 to 128 channels, 3x3 by 2, 32x32.
    layer = kernels.work("conv:resnet-64-128-by-2:dW")
    assert layer.flops == 2 * 32 * (128 * 64 * 9) * 16 * 16
    assert layer.once == 4 * (128 * 64 * 9 + 32 * (64 * 32 * 32 + 128 * 16 * 16))


def test_cases():
    of_steps, of_kernels = bench.cases_of(["mlp_a:sgd:4", "gemm", "gemm:nn:2048x2048x2048"], None)
    assert of_steps == [("mlp_a", "sgd", 4)]
    assert of_kernels == kernels.FAMILIES["gemm"].standing
    assert bench.cases_of([], "steps") == (steps.STANDING, [])
    of_steps, of_kernels = bench.cases_of([], "kernels")
    assert not of_steps and {"gemm:tn:64x4096x4096", "update:adadelta:4096:32"} < set(of_kernels)
    for case in of_kernels:
        assert kernels.parse(case) == [case]


def kernel_result(**errors):
    def way(name, ms, tuned=False):
        times = {"error": errors[name]} if name in errors else {"min_ms": ms, "median_ms": ms}
        return {"name": name.replace("_", "-"), "tuned": tuned, **times}

    ways = [way("plait_baseline", 4.0), way("plait_backward", 3.0), way("torch_fused", 12.0),
            way("plait_baseline", 4.0, True), way("plait_backward", 2.0, True), way("torch_fused", 8.0, True)]  # fmt: skip
    limit = limits.Limit(1.6, "memory", 160e6, 100e9)._asdict()
    row = {"case": "update:sgd:4096:1", "ways": ways, "limit": limit}
    return {"family": "update", "threads": 2, "limits": [MACHINE], "rows": [row]}


def test_table_of_kernels():
    text = kernels.table(kernel_result())
    assert "| / own baseline | / torch | / limit |" in text
    assert (
        "| sgd 4096 1 | 1.60 memory | 4.00 / 4.00 | 3.00 / 2.00 | 12.00 / 8.00 | 0.50 | 0.25 | 1.25 |" in text
    )


def test_kernels_that_are_wrong():
    result = kernel_result(plait_backward="differs from torch-fused by 1.0e+00 of the largest")
    assert kernels.wrong(result)[0].startswith("update:sgd:4096:1: plait-backward: differs from torch")
    assert "| differs from torch-fused by 1.0e+00 of the largest |" in kernels.table(result)
    assert kernels.wrong(kernel_result(torch_fused=kernels.NOT_RUN)) == []
    assert "| 3.00 / 2.00 |  | 0.50 |  | 1.25 |" in kernels.table(kernel_result(torch_fused=kernels.NOT_RUN))


def test_a_way_that_differs_is_not_timed():
    def way(name, value, error=""):
        values = {"result": np.full(4, value, np.float32)}
        return SimpleNamespace(name=name, title=name, error=error, results=lambda: values)

    ways = [way("plait", 1), way("plait-off", 1.01), way("torch-dead", 5, "died"), way("torch", 1)]
    kernels.check(ways)
    assert [way.error for way in ways] == ["", "differs from torch by 1.0e-02 of the largest", "died", ""]


def test_difference():
    one = np.ones(3, np.float32)
    assert kernels.difference(one, one, 1) == 0
    assert kernels.difference(np.array([1, 1.5, 1]), one, 2) == 0.25
    assert kernels.difference(np.array([1, np.nan, 1]), one, 1) == np.inf


def step_result():
    def way(name, ms, is_peer):
        tuned = name.endswith(" tuned")
        return {"name": name, "is_peer": is_peer, "tuned": tuned, "min_ms": ms, "median_ms": ms,
                "compile_s": 1.0, "peak_mb": 2.0}  # fmt: skip

    ways = [way("plait-baseline", 4.0, False), way("plait-backward", 2.0, False),
            way("plait-baseline tuned", 5.0, False), way("plait-backward tuned", 1.5, False),
            way("fused", 8.0, True), way("fused tuned", 6.0, True),
            {"name": "jax", "is_peer": True, "tuned": False, "error": "no jax"}]  # fmt: skip
    return {"workload": "mlp_b", "optimizer": "sgd", "batch": 1, "threads": 2, "limits": [MACHINE],
            "limit": limits.Limit(1.0, "memory", 100e6, 100e9)._asdict(), "ways": ways}  # fmt: skip


def test_table_of_steps():
    head, _, measured, *rows = steps.table(step_result()).splitlines()
    assert head == "### mlp_b, sgd, batch 1, 2 threads; limit 1.00 ms (memory: 100 MB at 100 GB/s)"
    assert measured.startswith("Limits, measured before each round: 500 GFLOP/s; ")
    assert "| plait-backward | 2.000 | 2.000 | 0.33 | 0.50 | 2.00 | 1.0 | 2 |  |" in rows
    assert "| plait-backward tuned | 1.500 | 1.500 | 0.25 | 0.30 | 1.50 | 1.0 | 2 |  |" in rows
    assert "| fused | 8.000 | 8.000 | 1.33 |  | 8.00 | 1.0 | 2 |  |" in rows
    assert "| jax | no jax | | | | | | | |" in rows
    assert steps.bars(step_result()) == (
        [("plait-baseline", 4.0), ("plait-backward", 1.5), ("fused tuned", 6.0)], "fused tuned",
    )  # fmt: skip


@pytest.mark.parametrize("measured", [True, False], ids=["limits", "no limits"])
def test_files(tmp_path, measured):
    pytest.importorskip("matplotlib", reason="matplotlib is not installed: no plot")
    for part, result in ((steps, step_result()), (kernels, kernel_result())):
        if not measured:
            result["limits"] = [{}]
            for row in result.get("rows", [result]):
                row["limit"] = None
            assert "not measured" in part.table(result)
        path = tmp_path / part.__name__
        bench.write(path, [result], part)
        assert path.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
        assert path.with_suffix(".md").read_text() == part.table(result) + "\n"
