# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Plait's Python side: import training steps, convert tensor files.

`plait.torch` needs PyTorch and torch-mlir, `plait.jax` needs JAX; each is loaded
when first used. Everything else needs only numpy and safetensors.
"""

import importlib
from types import ModuleType

from plait.errors import UnsupportedError
from plait.exported import ExportedStep

__all__ = ["ExportedStep", "UnsupportedError"]


def __getattr__(name: str) -> ModuleType:
    """Load `plait.torch` or `plait.jax` on first use."""
    if name in ("torch", "jax"):
        return importlib.import_module(f"plait.{name}")
    raise AttributeError(f"module 'plait' has no attribute '{name}'")
