# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Failed assertions of the modules that tests share say what they compared."""

import pytest

pytest.register_assert_rewrite("exported", "plait_run", "training")
