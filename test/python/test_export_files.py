# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Exported steps as files, conversion of tensor files, missing packages."""

import os
import subprocess
import sys

import numpy as np
import pytest
from exported import export, mlp, parse, torch
from plait_run import needs_plait_run, run_step
from safetensors.numpy import load_file

import plait
import plait.torch
from plait import convert

def test_save(tmp_path):
    model = mlp()
    step = export(model, torch.optim.Adam(model.parameters()))
    step.save(tmp_path / "new" / "folder")
    assert (tmp_path / "new/folder/step.mlir").read_text() == step.module_text
    loaded = load_file(tmp_path / "new/folder/state.safetensors")
    assert loaded.keys() == step.tensors.keys()
    for name, value in step.tensors.items():
        assert loaded[name].shape == value.shape and loaded[name].dtype == value.dtype
        np.testing.assert_array_equal(loaded[name], value)
    weights = {n: torch.from_numpy(v) for n, v in loaded.items() if not n.startswith("state.")}
    model.load_state_dict(weights, strict=True)


def test_save_writes_transposed_tensors_row_major(tmp_path):
    # safetensors writes the memory of an array as it lies.
    value = np.arange(6.0, dtype=np.float32).reshape(2, 3).T
    plait.ExportedStep("", {"w": value}).save(tmp_path)
    np.testing.assert_array_equal(load_file(tmp_path / "state.safetensors")["w"], value)


def test_convert(tmp_path):
    tensors = {"file": np.arange(6.0).reshape(2, 3).T, "a.b": np.array(3, np.int64)}
    paths = [tmp_path / name for name in ("1.npz", "2.safetensors", "3.npz")]
    convert.write(paths[0], tensors)
    for source, target in zip(paths, paths[1:]):
        assert convert.main([str(source), str(target)]) == 0
    for name, value in convert.read(paths[2]).items():
        assert value.shape == tensors[name].shape and value.dtype == tensors[name].dtype
        np.testing.assert_array_equal(value, tensors[name])


def test_convert_refuses(tmp_path, capsys):
    assert convert.main([str(tmp_path / "a.txt"), str(tmp_path / "b.npz")]) == 1
    assert ".safetensors" in capsys.readouterr().err
    bad = tmp_path / "bad.safetensors"
    bad.write_bytes(b"not a tensor file")
    assert convert.main([str(bad), str(tmp_path / "b.npz")]) == 1
    assert "bad.safetensors" in capsys.readouterr().err


@pytest.mark.parametrize("missing", ["torch", "torch_mlir"])
def test_missing_package(missing):
    code = f"""
import sys; sys.modules[{missing!r}] = None
import plait
try:
    step = plait.torch.export_step
    import torch
    model = torch.nn.Linear(2, 2)
    step(model, lambda z: z.sum(), torch.optim.SGD(model.parameters()), [torch.ones(1, 2)],
         num_targets=0)
except ImportError as error:
    assert "pip install" in str(error), error
else:
    sys.exit("no ImportError")
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr


@pytest.mark.skipif("PLAIT_OPT" not in os.environ, reason="PLAIT_OPT is not set: NOT verified")
def test_plait_opt_is_used():
    with pytest.raises(AssertionError):
        parse('module {\n  "no.such_op"() : () -> ()\n}\n')


class Tied(torch.nn.Module):
    """Tied weights, dropout, buffers that are and are not in the state_dict."""

    def __init__(self):
        super().__init__()
        self.a, self.b = torch.nn.Linear(4, 4), torch.nn.Linear(4, 4)
        self.b.weight = self.a.weight
        self.drop, self.norm = torch.nn.Dropout(0.1), torch.nn.BatchNorm1d(4)
        self.register_buffer("shift", torch.ones(4), persistent=False)

    def forward(self, x):
        return self.b(self.norm(self.drop(self.a(x) + self.shift)))


@needs_plait_run
@pytest.mark.parametrize("schedule", ["backward", "forward"])
def test_saved_model_loads_strictly(tmp_path, schedule):
    model = Tied()
    loss = torch.nn.CrossEntropyLoss(weight=torch.tensor([1.0, 2.0, 1.0, 1.0]))
    data = torch.randn(8, 4), torch.randint(4, (8,))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    step = plait.torch.export_step(model, loss, optimizer, data)
    inputs = {"x": data[0].numpy(), "y": data[1].numpy()}
    options = [f"--schedule={schedule}", f"--save={tmp_path}/saved"]
    run_step(tmp_path, step.module_text, step.tensors | inputs, 3, *options)
    saved = load_file(tmp_path / "saved/model.safetensors")
    model.load_state_dict({k: torch.from_numpy(v) for k, v in saved.items()}, strict=True)
    np.testing.assert_array_equal(saved["a.weight"], saved["b.weight"])
    rest = load_file(tmp_path / "saved/optimizer.safetensors")
    assert {"rng", "shift", "loss_fn.weight"} <= rest.keys()
    # And it goes on.
    options = [f"--schedule={schedule}", f"--resume={tmp_path}/saved"]
    run_step(tmp_path, step.module_text, step.tensors | inputs, 2, *options)
