# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The benchmark of whole steps and of kernels runs, and its ways compute the same.
Times are not judged."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
pytest.importorskip("torch_mlir", reason="torch-mlir is not installed: nothing to compile")
pytest.importorskip("plait._plait", reason="plait._plait is not built: NOT verified")

BENCH = Path(__file__).parents[2] / "benchmarks" / "bench.py"
#: Of lr, after three steps of momentum: far above the rounding of f32 gradients
#: (1e-5 of their size), far below a step left out (about 1).
LIMIT = 1e-3


def bench(folder, *arguments):
    command = [sys.executable, BENCH, *arguments, f"--out={folder}", "--rounds=1", "--block=1"]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_ways_of_steps_agree(tmp_path):
    ways = ["plait-baseline", "plait-forward", "loop", "fused", "hook"]
    run = bench(tmp_path, "mlp_a:momentum:2", "--no-tuned", "--ways", *ways)
    assert run.returncode == 0, run.stderr
    (result,) = json.loads((tmp_path / "steps.json").read_text())
    assert [way["name"] for way in result["ways"]] == ways
    for way in result["ways"]:
        assert way["difference_per_lr"] < LIMIT, way
        assert 0 < way["min_ms"] <= way["median_ms"] and way["peak_mb"] > 1
    assert "| plait-forward |" in (tmp_path / "steps.md").read_text()
    assert "| plait-forward |" in run.stdout


def test_both_mallocs(tmp_path):
    run = bench(tmp_path, "mlp_a:sgd:1", "--ways", "plait-baseline")
    assert run.returncode == 0, run.stderr
    (result,) = json.loads((tmp_path / "steps.json").read_text())
    assert [way["name"] for way in result["ways"]] == ["plait-baseline", "plait-baseline tuned"]


def test_a_way_that_cannot_be_had_is_named(tmp_path):
    pytest.importorskip("jax", reason="JAX is not installed: NOT verified")
    run = bench(tmp_path, "vgg11:sgd:1", "--no-tuned", "--ways", "loop", "jax")
    assert run.returncode == 0, run.stderr
    assert "| jax | NotImplementedError: vgg11 is not written for JAX |" in run.stdout


def test_kernels(tmp_path):
    """Results that differ from torch's would be errors. One of each family, each
    form of a product, every optimizer."""
    optimizers = ["sgd", "momentum", "adagrad", "rmsprop", "adadelta", "adamw"]
    cases = [f"gemm:{form}:3x20x18" for form in ("nn", "nt", "tn")]
    cases += [f"update:{optimizer}:24:3" for optimizer in optimizers]
    cases += [f"conv:depthwise-128:{form}" for form in ("forward", "relu", "dX", "dW")]
    ways = ["plait", "plait-baseline", "plait-backward", "torch", "torch-foreach", "torch-fused"]
    run = bench(tmp_path, *cases, "--no-tuned", "--ways", *ways)
    assert run.returncode == 0, run.stderr
    families = json.loads((tmp_path / "kernels.json").read_text())
    assert [family["family"] for family in families] == ["gemm", "update", "conv"]
    assert [row["case"] for family in families for row in family["rows"]] == cases
    for row in (row for family in families for row in family["rows"]):
        for way in row["ways"]:
            if way.get("error") != "not run":
                assert 0 < way["min_ms"] <= way["median_ms"], (row["case"], way)
    assert "| nt 3x20x18 |" in run.stdout
    assert "| adamw 24 3 |" in (tmp_path / "kernels.md").read_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mlp_a:adamw"], "'mlp_a:adamw' is not workload:optimizer:batch"),
        (["mlp_a:lion:1"], "no 'lion': sgd, momentum"),
        (["mlp_a:sgd:0"], "'mlp_a:sgd:0': a batch has at least one row"),
        (["mlp_a:sgd:1", "--ways", "nowhere"], "invalid choice: 'nowhere'"),
        (["gem"], "'gem' is not workload:optimizer:batch, and no family of kernels (gemm, update, conv)"),
        (["gemm:nn"], "'gemm:nn' is not gemm:FORM:MxNxK"),
        (["gemm:tt:1x2x3"], "'gemm:tt:1x2x3' is not gemm:FORM:MxNxK: no 'tt' among nn, nt, tn"),
        (["gemm:nn:1x0x3"], "'0' is not a size"),
        (["update:lion:8:1"], "is not update:OPTIMIZER:WIDTH:BATCH: no 'lion' among sgd, momentum"),
        (["update:sgd:8"], "'update:sgd:8' is not update:OPTIMIZER:WIDTH:BATCH"),
        (["conv:nothing:dX"], "is not conv:LAYER:FORM: no 'nothing' among vgg-64-128"),
        (["conv", "--ways", "plait-baseline"], "--ways has none of conv: plait, torch"),
        (["gemm", "--only", "steps"], "--only chooses from the standing set"),
    ],
)
def test_a_case_that_is_none_is_refused(tmp_path, arguments, message):
    run = bench(tmp_path, *arguments)
    assert run.returncode == 2
    assert message in run.stderr
