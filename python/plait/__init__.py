# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Plait's Python side: import training steps, convert tensor files.

`plait.torch` needs PyTorch and torch-mlir, `plait.jax` needs JAX; each is loaded
when first used. Everything else needs only numpy and safetensors. Compiling a
step needs the extension `plait._plait`, which is loaded when first used, too.
"""

import importlib
from pkgutil import extend_path
from types import ModuleType

# In a build folder, the extension is in a folder plait of its own on the path.
__path__ = extend_path(__path__, __name__)
__version__ = "0.1.0"

from plait.compiled import CompiledStep  # noqa: E402
from plait.errors import CompileError, UnsupportedError  # noqa: E402
from plait.exported import ExportedStep  # noqa: E402

__all__ = ["CompileError", "CompiledStep", "ExportedStep", "UnsupportedError"]


def __getattr__(name: str) -> ModuleType:
    """Load `plait.torch` or `plait.jax` on first use."""
    if name in ("torch", "jax"):
        return importlib.import_module(f"plait.{name}")
    raise AttributeError(f"module 'plait' has no attribute '{name}'")
