# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""`plait.CompiledStep` with numpy alone: the step of the C API's tests."""

import re
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("plait._plait", reason="plait._plait is not built: NOT verified")

import plait  # noqa: E402
from plait import CompiledStep, ExportedStep, _native  # noqa: E402

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "test/Unit/CAPI/step.mlir").read_text()


def tensors():
    generator = np.random.default_rng(0)
    return {
        "w": generator.standard_normal((4, 3)).astype(np.float32),
        "state.w.momentum_buffer": np.zeros((4, 3), np.float32),
        "state.w.initialized": np.zeros((), np.float32),
        "count": np.zeros((), np.float32),
    }


def compiled(ties=None, **options):
    return CompiledStep(ExportedStep(TEXT, tensors(), ties=ties or {}), **options)


def batch(i):
    generator = np.random.default_rng(i)
    x = generator.standard_normal((2, 3)).astype(np.float32)
    y = generator.standard_normal((2, 4)).astype(np.float32)
    return x, y, np.array([True, i % 3 != 1]), np.array(i % 3), np.array(0.05, np.float32)


def reference(steps):
    """The losses and w in float64."""
    table, w, m, losses = (0.0, 0.5, 1.5), tensors()["w"].astype(np.float64), None, []
    for i in range(steps):
        x, y, mask, row, lr = (np.float64(v) if v.dtype == np.float32 else v for v in batch(i))
        error = np.where(mask[:, None], x @ w.T - y, 0)
        losses.append((error**2).sum() + table[int(row)])
        grad = 2 * error.T @ x
        m = grad if m is None else 0.9 * m + grad
        w = w - lr * m
    return losses, w


@pytest.mark.parametrize("schedule", ["baseline", "backward", "forward", "auto"])
def test_trains(schedule):
    step = compiled(schedule=schedule)
    results = [step(*batch(i)) for i in range(12)]
    losses, w = reference(12)
    assert list(results[0]) == ["loss", "error"] and results[0]["error"].shape == (2, 4)
    np.testing.assert_allclose([r["loss"] for r in results], losses, rtol=1e-4)
    np.testing.assert_allclose(step.state_dict()["w"], w, rtol=0, atol=1e-4 * 0.05 * 12)
    assert abs(w - tensors()["w"]).max() > 0.1
    assert step.state_dict()["count"] == 12
    assert set(step.optimizer_state_dict()) == {"state.w.momentum_buffer", "state.w.initialized"}


def test_state_goes_out_and_in():
    one, two = compiled(schedule="forward"), compiled(schedule="backward")
    for i in range(5):
        one(*batch(i))
    two.load_state_dict(one.state_dict())
    two.load_optimizer_state_dict(one.optimizer_state_dict())
    assert one(*batch(5))["loss"] == two(*batch(5))["loss"]
    with pytest.raises(RuntimeError, match='Missing key.s. in optimizer_state_dict: "state.w.ini'):
        two.load_optimizer_state_dict({"state.w.momentum_buffer": np.zeros((4, 3))})
    with pytest.raises(ValueError, match="'w' is complex128, the step's is float32"):
        two.load_state_dict({"w": np.zeros((4, 3), complex), "count": np.zeros(())})


def test_tied_names():
    step = compiled(ties={"v": "w", "other": "not there"})
    state = step.state_dict()
    assert state["v"] is state["w"] and "other" not in state
    with pytest.raises(RuntimeError, match="v is tied to w, but has other values"):
        step.load_state_dict({**state, "v": state["v"] + 1})


def test_refuses():
    step = compiled()
    x, y, mask, row, lr = batch(0)
    with pytest.raises(ValueError, match=r"takes 5 inputs \(x, y, mask, row, lr\), not 2"):
        step(x, y)
    with pytest.raises(TypeError, match="input 'lr' is float64, the step was compiled for float32"):
        step(x, y, mask, row, np.array(0.1))
    with pytest.raises(ValueError, match="'row': .*used as an index"):
        step(x, y, mask, np.array(3), lr)
    with pytest.raises(plait.CompileError, match=r"step.mlir:1:1: error: "):
        CompiledStep(ExportedStep("nonsense", {}))
    few = {name: value for name, value in tensors().items() if name != "count"}
    with pytest.raises(ValueError, match='no tensor "count" among those of the exported step'):
        CompiledStep(ExportedStep(TEXT, few))
    with pytest.raises(ValueError, match=r"'w' has shape \[3\], the step's is \[4, 3\]"):
        CompiledStep(ExportedStep(TEXT, {**tensors(), "w": np.zeros(3, np.float32)}))


def test_extension_checks_what_it_is_given():
    """Below Python's checks: a wrong call reads no foreign memory."""
    native = compiled()._native
    x, y, mask, row, lr = batch(0)
    out = [None, None]
    with pytest.raises(ValueError, match="not contiguous"):
        native.run([x.T.copy().T, y, mask, row, lr], out)
    with pytest.raises(ValueError, match=r"'x' has type F32\[2, 4\]"):
        native.run([y, y, mask, row, lr], out)
    with pytest.raises(ValueError, match="not of the slot's type"):
        native.run([x, y, mask, row, lr], [np.empty((), np.float64), None])
    with pytest.raises(ValueError, match="element type that no step takes"):
        native.write(0, np.zeros((4, 3), complex))
    with pytest.raises(ValueError, match="not of the slot's type"):
        native.read(0, np.empty((4, 2), np.float32))
    frozen = np.empty((4, 3), np.float32)
    frozen.flags.writeable = False
    with pytest.raises(TypeError):
        native.read(0, frozen)


def test_two_steps_in_two_threads():
    """At once, and as if alone; and two threads on one step wait for each other."""
    steps = [compiled(schedule="forward"), compiled(schedule="backward")]
    expected = compiled(schedule="baseline")

    def train(step):
        for i in range(200):
            step(*batch(i))

    def together(*targets):
        threads = [threading.Thread(target=train, args=(step,)) for step in targets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    together(*steps)
    train(expected)
    for step in steps:
        np.testing.assert_array_equal(step.state_dict()["w"], expected.state_dict()["w"])
    together(expected, expected)
    assert expected.state_dict()["count"] == 600


def test_python_runs_beside_a_step():
    """Python's lock is free while a step runs. It changes hands only where it is
    given up: without that, the thread of the steps would be through first."""
    text = (ROOT / "examples/mlp.mlir").read_text()
    shapes = re.findall(r"tensor<([\dx]*)f32> \{train.role = #train.(param|state)<([^>]*)>\}", text)
    values = {}
    for shape, kind, names in shapes:
        name = ".".join(re.findall(r'"([^"]*)"', names))
        size = [int(n) for n in shape.split("x") if n]
        values[name if kind == "param" else f"state.{name}"] = np.zeros(size, np.float32)
    step = CompiledStep(ExportedStep(text, values))
    x, y = np.ones((32, 784), np.float32), np.ones((32, 10), np.float32)
    started, order = threading.Event(), []

    def train():
        started.set()
        for _ in range(50):
            step(x, y)
        order.append("steps")

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)
    try:
        thread = threading.Thread(target=train)
        thread.start()
        started.wait()
        order.append("beside")
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert order == ["beside", "steps"]


def test_without_the_extension():
    """The package works without it, until something is to be compiled."""
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'python')!r})\n"
        "sys.modules['plait._plait'] = None\n"
        "import plait, plait.convert\n"
        "try: plait.CompiledStep(plait.ExportedStep('', {}))\n"
        "except ImportError as error: print(error)\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert "compiling a step needs plait._plait, which is not there. `pip install .`" in run.stdout


def test_extension_of_another_version(monkeypatch):
    monkeypatch.setattr(plait, "__version__", "9.9")
    with pytest.raises(ImportError, match="plait._plait is of version .*, the package of 9.9"):
        _native.extension()


def test_versions_agree():
    pyproject = (ROOT / "pyproject.toml").read_text()
    cmake = (ROOT / "CMakeLists.txt").read_text()
    assert f'\nversion = "{plait.__version__}"\n' in pyproject
    assert f"project(Plait VERSION {plait.__version__} " in cmake
