# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Trains one layer with what the wheel holds."""

import importlib
import importlib.metadata
from pathlib import Path

import numpy as np
import plait

STEP = """
func.func @step(%w: tensor<4x3xf32> {train.role = #train.param<"w">},
                %x: tensor<4x3xf32> {train.role = #train.input<"x">})
    -> (tensor<f32> {train.role = #train.output<"loss">},
        tensor<4x3xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<f32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<f32>) -> tensor<f32>
  %loss = linalg.reduce { arith.addf } ins(%w : tensor<4x3xf32>) outs(%z : tensor<f32>) dimensions = [0, 1]
  %n = train.sgd ins(%x : tensor<4x3xf32>) outs(%w : tensor<4x3xf32>) {lr = 0.5 : f64}
  return %loss, %n : tensor<f32>, tensor<4x3xf32>
}
"""


def check_training() -> None:
    w, x = np.ones((4, 3), np.float32), np.full((4, 3), 2, np.float32)
    for schedule in ("baseline", "backward", "forward"):
        step = plait.CompiledStep(plait.ExportedStep(STEP, {"w": w}, {"x": x}), schedule=schedule)
        losses = [float(step(x)) for _ in range(3)]
        assert losses == [12.0, 0.0, -12.0], losses
        assert (step.state_dict()["w"] == -2).all()


def check_missing(framework: str, package: str) -> None:
    try:
        importlib.import_module(f"plait.{framework}")
    except ImportError as error:
        assert "pip install" in str(error) and package in str(error), error
    else:
        raise AssertionError(f"plait.{framework} was imported without {package}")


check_training()
check_missing("torch", "torch==")
check_missing("jax", "jax==")
extras = importlib.metadata.metadata("plait").get_all("Provides-Extra")
assert {"torch", "jax"} <= set(extras), extras
assert (Path(plait.__file__).parent / "py.typed").exists(), "the wheel has no py.typed"
print("trained with the wheel in", Path(plait.__file__).parent)
