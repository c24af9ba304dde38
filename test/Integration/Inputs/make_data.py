# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Writes tensors for step.mlir: make_data.py FILE [--OPTION=N ...] [KEY=VALUE ...]

`x` and `y` with --rows (14, three batches of 4 and a rest), `lr`, the parameters
and their states. With --rates, `lr` is a vector over so many steps; with
--explode, that of this step, counted from 1, is far too high. Each
KEY=VALUE replaces what is written: `drop=NAME` leaves a tensor out,
`rename=OLD:NEW`, `shape=NAME:2,3` and `type=NAME:float64` change one.
"""

import sys

import numpy as np
from safetensors.numpy import save_file


def main(file: str, *options: str) -> None:
    numbers, changes = {"--rows": 14, "--rates": 0, "--explode": 0}, []
    for option in options:
        key, _, value = option.partition("=")
        if key in numbers:
            numbers[key] = int(value)
        else:
            changes.append((key, *value.split(":")))
    random = np.random.default_rng(0)

    def uniform(*shape: int) -> np.ndarray:
        return random.uniform(-0.5, 0.5, shape).astype(np.float32)

    tensors = {
        "fc1.weight": uniform(5, 8),
        "fc2.weight": uniform(3, 5),
        "x": uniform(numbers["--rows"], 8),
        "y": uniform(numbers["--rows"], 3),
        "lr": np.array(0.05, np.float32),
        "state.fc1.weight.exp_avg": np.zeros((5, 8), np.float32),
        "state.fc1.weight.exp_avg_sq": np.zeros((5, 8), np.float32),
        "state.fc1.weight.step": np.zeros((), np.float32),
        "state.fc2.weight.momentum_buffer": np.zeros((3, 5), np.float32),
        "state.fc2.weight.initialized": np.zeros((), np.float32),
    }
    if numbers["--rates"]:
        tensors["lr"] = np.linspace(0.1, 0.01, numbers["--rates"]).astype(np.float32)
    if numbers["--explode"]:
        tensors["lr"][numbers["--explode"] - 1] = 3e38
    for key, name, *value in changes:
        if key == "drop":
            del tensors[name]
        elif key == "rename":
            tensors[value[0]] = tensors.pop(name)
        elif key == "shape":
            tensors[name] = np.zeros([int(n) for n in value[0].split(",")], np.float32)
        elif key == "type":
            tensors[name] = tensors[name].astype(value[0])
        else:
            sys.exit(f"make_data.py: what is {key}?")
    save_file(tensors, file)


main(*sys.argv[1:])
