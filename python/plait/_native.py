# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The compiler's extension module, loaded when it is first needed.

Importers and converters work without it.
"""

import importlib
from types import ModuleType

import plait

_HOW = (
    "`pip install .` builds and installs it (it needs LLVM 22); from a build folder,"
    " put <build>/python on PYTHONPATH beside the sources' python folder"
)


def extension() -> ModuleType:
    """`plait._plait`.

    Raises:
        ImportError: it was not built, a library that it needs is missing, or it
            is of another version; the message says which, and what to do.
    """
    try:
        module = importlib.import_module("plait._plait")
    except ModuleNotFoundError as error:
        raise ImportError(
            f"compiling a step needs plait._plait, which is not there. {_HOW}"
        ) from error
    except ImportError as error:
        raise ImportError(f"plait._plait cannot be loaded: {error}. {_HOW}") from error
    if module.__version__ != plait.__version__:
        raise ImportError(
            f"plait._plait is of version {module.__version__}, the package of"
            f" {plait.__version__}: {module.__file__} is of another build. {_HOW}"
        )
    return module
