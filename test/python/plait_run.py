# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Running plait-run from tests: PLAIT_RUN names the binary."""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

needs_plait_run = pytest.mark.skipif(
    "PLAIT_RUN" not in os.environ, reason="PLAIT_RUN is not set: NOT verified"
)


def run_step(
    directory: Path,
    text: str,
    tensors: dict[str, np.ndarray],
    steps: int,
    *options: str,
) -> dict[str, np.ndarray]:
    """Run `steps` steps of the module; everything carried and the last outputs.

    Files are written into `directory`. `tensors` holds parameters, states and
    inputs; an input with more rows than a step takes is a data set.
    """
    (directory / "step.mlir").write_text(text, encoding="utf-8")
    inputs = {name: np.array(value, order="C") for name, value in tensors.items()}
    save_file(inputs, str(directory / "in.safetensors"))
    command = [
        os.environ["PLAIT_RUN"],
        str(directory / "step.mlir"),
        f"--inputs={directory / 'in.safetensors'}",
        f"--results={directory / 'out.safetensors'}",
        f"--steps={steps}",
        *options,
    ]
    run = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert run.returncode == 0, f"{' '.join(command)}\n{run.stdout}{run.stderr}"
    return load_file(str(directory / "out.safetensors"))


def print_ir(text: str, options: str, moment: str) -> str:
    """The module at a moment of `plait-to-llvm{options}`, such as `after=train-x`."""
    command = [
        os.environ["PLAIT_OPT"],
        f"--pass-pipeline=builtin.module(plait-to-llvm{{{options}}})",
        f"--mlir-print-ir-{moment}",
        "-o",
        os.devnull,
    ]
    run = subprocess.run(command, input=text, capture_output=True, text=True, timeout=300)
    assert run.returncode == 0, run.stderr
    return run.stderr
