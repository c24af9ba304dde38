# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""Convert tensor files: `python -m plait.convert FROM TO`.

The suffix says the format: `.npz`, `.npy` (one tensor) or `.safetensors`.
Names, shapes and element types are kept.
"""

import argparse
import sys
import zipfile
from pathlib import Path
from typing import BinaryIO

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file, save_file

#: The name of the tensor of a `.npy` file, which has none of its own, is the
#: file's name without the suffix.
SUFFIXES = (".npz", ".npy", ".safetensors")


def read(path: Path) -> dict[str, np.ndarray]:
    """The tensors of a file by name.

    Raises:
        ValueError: unknown suffix, or a file that is not of its format.
        OSError: the file cannot be read.
    """
    if path.suffix == ".safetensors":
        try:
            return load_file(str(path))
        except SafetensorError as error:
            raise ValueError(f"{path}: {error}") from error
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    if path.suffix == ".npy":
        return {path.stem: np.load(path, allow_pickle=False)}
    raise ValueError(f"{path}: the suffix must be one of {', '.join(SUFFIXES)}")


def write(path: Path, tensors: dict[str, np.ndarray]) -> None:
    """Write tensors to a file, in row-major order.

    Raises:
        ValueError: unknown suffix, an element type that safetensors lacks, or
            not exactly one tensor for a `.npy` file.
        OSError: the file cannot be written.
    """
    # Not np.ascontiguousarray: it makes a scalar a vector of one element.
    tensors = {name: np.array(value, order="C") for name, value in tensors.items()}
    if path.suffix == ".safetensors":
        try:
            save_file(tensors, str(path))
        except (KeyError, SafetensorError) as error:
            raise ValueError(f"{path}: cannot hold these tensors: {error}") from error
    elif path.suffix == ".npz":
        with path.open("wb") as file:
            _write_npz(file, tensors)
    elif path.suffix == ".npy":
        if len(tensors) != 1:
            raise ValueError(f"{path}: holds one tensor, but there are {len(tensors)}")
        np.save(path, next(iter(tensors.values())), allow_pickle=False)
    else:
        raise ValueError(f"{path}: the suffix must be one of {', '.join(SUFFIXES)}")


def _write_npz(file: BinaryIO, tensors: dict[str, np.ndarray]) -> None:
    # np.savez takes the names as keywords and so has no tensor named "file".
    with zipfile.ZipFile(file, "w") as archive:
        for name, value in tensors.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, value, allow_pickle=False)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m plait.convert", description=__doc__)
    parser.add_argument("source", type=Path, metavar="FROM")
    parser.add_argument("target", type=Path, metavar="TO")
    options = parser.parse_args(arguments)
    try:
        write(options.target, read(options.source))
    except (OSError, ValueError) as error:
        print(f"plait.convert: error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
