# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Type hints: the package's own, and the stub of the extension."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(find_spec("mypy") is None, reason="mypy is not installed: NOT verified")
def test_type_hints(tmp_path):
    command = [sys.executable, "-m", "mypy", f"--cache-dir={tmp_path}"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def test_stub_is_that_of_the_extension(tmp_path):
    pytest.importorskip("nanobind", reason="nanobind is not installed: NOT verified")
    pytest.importorskip("plait._plait", reason="plait._plait is not built: NOT verified")
    made = tmp_path / "_plait.pyi"
    command = [sys.executable, "-m", "nanobind.stubgen", "-q", "-m", "plait._plait", "-o", made]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run(command, check=True, env=environment)
    stub = ROOT / "python" / "plait" / "_plait.pyi"
    assert made.read_text() == stub.read_text(), (
        f"the bindings have changed: {' '.join(map(str, command[:-1]))} {stub.relative_to(ROOT)}"
    )
