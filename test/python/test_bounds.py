# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""No product reads behind the end of a tensor.

A register tile may be larger than what is left of its operands. What it reads then
is used for nothing, so that only a page that nobody may touch shows it (guard.c).
"""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from plait_run import needs_plait_run
from test_layout import step_text

CC = shutil.which("cc") or shutil.which("gcc") or shutil.which("c++")


@pytest.fixture(scope="module")
def guard(tmp_path_factory):
    library = tmp_path_factory.mktemp("guard") / "guard.so"
    source = Path(__file__).with_name("guard.c")
    language = ["-x", "c"]
    subprocess.run([CC, *language, "-shared", "-fPIC", "-O1", "-o", library, source], check=True)
    return library


@needs_plait_run
@pytest.mark.skipif(CC is None, reason="there is no C compiler: NOT verified")
@pytest.mark.parametrize("schedule", ["backward", "forward"])
@pytest.mark.parametrize("layout", ["auto", "row-major"])
@pytest.mark.parametrize("cpu", ["", "--mcpu=x86-64-v3"])
@pytest.mark.parametrize(
    ("batch", "outputs", "width"),
    [(4, 160, 160), (4, 320, 70), (5, 1000, 96), (7, 224, 300), (16, 352, 161), (70, 160, 129)],
)
def test_nothing_is_read_behind_a_tensor(tmp_path, guard, batch, outputs, width, cpu, layout, schedule):
    file = tmp_path / "step.mlir"
    file.write_text(step_text(batch, outputs, width), encoding="utf-8")
    command = [os.environ["PLAIT_RUN"], str(file), "--random-inputs", "--steps=2", "--threads=1"]
    command += [f"--layout={layout}", f"--schedule={schedule}", *filter(None, [cpu])]
    run = subprocess.run(
        command, env={**os.environ, "LD_PRELOAD": str(guard)}, capture_output=True, text=True
    )
    assert run.returncode == 0, f"{run.returncode}: {' '.join(command)}\n{run.stderr[-2000:]}"


@needs_plait_run
@pytest.mark.skipif(CC is None, reason="there is no C compiler: NOT verified")
@pytest.mark.parametrize("cpu", ["", "--mcpu=x86-64-v3"])
@pytest.mark.parametrize(
    "case", ["a stride", "one tile", "depthwise", "depthwise, a stride", "few channels"]
)
def test_nothing_is_read_behind_an_image(tmp_path, guard, case, cpu):
    pytest.importorskip("torch", reason="torch is not installed: NOT verified")
    from test_convolution_epilogues import make_step

    file = tmp_path / "step.mlir"
    file.write_text(make_step(case, "relu")[-1].module_text, encoding="utf-8")
    command = [os.environ["PLAIT_RUN"], str(file), "--random-inputs", "--steps=2", "--threads=1"]
    command += filter(None, [cpu])
    run = subprocess.run(
        command, env={**os.environ, "LD_PRELOAD": str(guard)}, capture_output=True, text=True
    )
    assert run.returncode == 0, f"{run.returncode}: {' '.join(command)}\n{run.stderr[-2000:]}"


@needs_plait_run
@pytest.mark.skipif(CC is None, reason="there is no C compiler: NOT verified")
def test_the_guard_works(tmp_path, guard):
    """A program that reads behind what it has allocated is killed."""
    source = tmp_path / "bad.c"
    source.write_text(
        "#include <stdlib.h>\n"
        "int main(void) { volatile char *p = aligned_alloc(64, 8192); return p[8191] + p[8192]; }\n"
    )
    program = tmp_path / "bad"
    subprocess.run([CC, "-x", "c", "-O0", "-o", program, source], check=True)
    assert subprocess.run([program]).returncode >= 0
    killed = subprocess.run([program], env={**os.environ, "LD_PRELOAD": str(guard)})
    assert killed.returncode < 0
