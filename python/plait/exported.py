# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""What an importer hands over: the text of a step, and its tensors."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file


@dataclass(frozen=True)
class ExportedStep:
    """A training step outside the framework it came from.

    Attributes:
        module_text: an MLIR module with the function `@step`, and `@step_check` if
            there are indices that are computed.
        tensors: everything the step carries from one run to the next, in the
            order of its arguments: a parameter or buffer under its name in
            `model.state_dict()`, the state `s` of parameter `p` under
            `state.p.s`. Shapes and element types are those of the text.
        inputs: an example value for each argument that is fresh in each step
            (`x`, `y`, `lr`), by its name. Not saved.
        ties: for each further name of a tied parameter or buffer, the name
            that stands for it in `tensors`.
        unsigned: the inputs that were unsigned integers; in `inputs`, and at the
            boundary of the step, they are signed ones of the same bits.
    """

    module_text: str
    tensors: dict[str, np.ndarray]
    inputs: dict[str, np.ndarray] = field(default_factory=dict)
    ties: dict[str, str] = field(default_factory=dict)
    unsigned: frozenset[str] = frozenset()

    def save(self, directory: str | Path) -> None:
        """Write `step.mlir` and `state.safetensors` into `directory`.

        The directory is made if need be; files of these names are replaced.

        Raises:
            OSError: the directory or a file cannot be written.
        """
        directory = Path(directory)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "step.mlir").write_text(self.module_text, encoding="utf-8")
        save_file(
            {name: np.array(value, order="C") for name, value in self.tensors.items()},
            str(directory / "state.safetensors"),
        )
