# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""One process with three copies of MLIR (ours, torch-mlir's, jaxlib's) and two
OpenMP runtimes (LLVM's and torch's), imported in any order.

Each order is a process. In it, all of them work, one after the other, and
Plait before and after the others.
"""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

for module in ("torch", "torch_mlir", "jax", "plait._plait"):
    pytest.importorskip(module, reason=f"{module} is not there: NOT verified")

MODULES = {
    "torch": "torch",
    "torch-mlir": "torch_mlir.fx",
    "jax": "jax",
    "plait": "plait._plait",
}

PROGRAM = """
import numpy as np
from test_compiled_step import batch, compiled, reference

def check_plait(schedule):
    step = compiled(schedule=schedule, threads=2)
    losses = [step(*batch(i))["loss"] for i in range(8)]
    expected, w = reference(8)
    np.testing.assert_allclose(losses, expected, rtol=1e-4)
    np.testing.assert_allclose(step.state_dict()["w"], w, rtol=0, atol=1e-4)

def check_torch():
    import torch
    torch.set_num_threads(2)
    a = torch.ones(400, 300, requires_grad=True)
    (a @ torch.ones(300, 200)).sum().backward()
    assert torch.equal(a.grad, torch.full((400, 300), 200.0))

def check_torch_mlir():
    from torch_mlir import ir
    from torch_mlir.passmanager import PassManager
    text = "func.func @f(%x: i32) -> i32 { %0 = arith.constant 0 : i32\\n"
    text += "%1 = arith.addi %x, %0 : i32\\n return %1 : i32 }"
    with ir.Context():
        module = ir.Module.parse(text)
        PassManager.parse("builtin.module(canonicalize)").run(module.operation)
        assert "addi" not in str(module), module

def check_jax():
    import jax, jax.numpy as jnp
    assert float(jax.jit(lambda x: jnp.sin(x @ x.T).sum())(jnp.ones((4, 3)))) == np.float32(
        jnp.sin(jnp.full((4, 4), 3.0)).sum())

check_plait("forward")
for check in (check_torch, check_torch_mlir, check_jax):
    check()
    check_plait("backward")
print("all work")
"""


@pytest.mark.parametrize("order", itertools.permutations(MODULES), ids=" ".join)
def test_import_order(order):
    imports = "".join(f"import {MODULES[name]}\n" for name in order)
    path = os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])
    run = subprocess.run(
        [sys.executable, "-c", imports + PROGRAM],
        env=os.environ | {"PYTHONPATH": path, "JAX_PLATFORMS": "cpu"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert run.returncode == 0 and run.stdout == "all work\n", run.stdout + run.stderr
    assert "OMP:" not in run.stderr
