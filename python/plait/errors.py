# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The errors of Plait's importers and of its compiler."""


class UnsupportedError(Exception):
    """Something in a training step that has no import.

    The message names the module, op or option, and what to do instead where
    there is something to do.
    """


class CompileError(Exception):
    """A step that cannot be compiled.

    The message is that of the compiler, a line for each error and note, with
    lines and columns of the step's text.
    """
