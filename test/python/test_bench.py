# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The benchmark of steps runs, and its ways compute the same. Times are not judged."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="PyTorch is not installed: nothing to compare with")
pytest.importorskip("torch_mlir", reason="torch-mlir is not installed: nothing to compile")
pytest.importorskip("plait._plait", reason="plait._plait is not built: NOT verified")

STEPS = Path(__file__).parents[2] / "benchmarks" / "steps.py"
#: Of lr, after three steps of momentum: far above the rounding of f32 gradients
#: (1e-5 of their size), far below a step left out (about 1).
LIMIT = 1e-3


def bench(folder, *arguments):
    command = [sys.executable, STEPS, *arguments, f"--out={folder}", "--rounds=1", "--block=1"]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


def test_ways_agree(tmp_path):
    ways = ["plait-baseline", "plait-forward", "loop", "fused", "hook"]
    run = bench(tmp_path, "mlp_a:momentum:2", "--no-tuned", "--ways", *ways)
    assert run.returncode == 0, run.stderr
    (result,) = json.loads((tmp_path / "steps.json").read_text())["results"]
    assert [way["name"] for way in result["ways"]] == ways
    for way in result["ways"]:
        assert way["difference_per_lr"] < LIMIT, way
        assert 0 < way["min_ms"] <= way["median_ms"] and way["peak_mb"] > 1
    assert "| plait-forward |" in (tmp_path / "steps.md").read_text()
    assert "| plait-forward |" in run.stdout


def test_a_way_that_cannot_be_had_is_named(tmp_path):
    pytest.importorskip("jax", reason="JAX is not installed: NOT verified")
    run = bench(tmp_path, "vgg11:sgd:1", "--no-tuned", "--ways", "loop", "jax")
    assert run.returncode == 0, run.stderr
    assert "| jax | NotImplementedError: vgg11 is not written for JAX |" in run.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["mlp_a:adamw"], "'mlp_a:adamw' is not workload:optimizer:batch"),
        (["mlp_a:lion:1"], "no 'lion': sgd, momentum"),
        (["mlp_a:sgd:1", "--ways", "nowhere"], "invalid choice: 'nowhere'"),
    ],
)
def test_a_step_that_is_none_is_refused(tmp_path, arguments, message):
    run = bench(tmp_path, *arguments)
    assert run.returncode == 2
    assert message in run.stderr
