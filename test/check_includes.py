#!/usr/bin/env python3
"""Checks the direction of includes: Dialect <- Analysis <- passes; Dialect <-
Codegen; Target is plain data; Runtime alone; Driver, like the tools, sees all;
bindings only the C API.

    check_includes.py [ROOT]

An include counts as the file that it names, however it is spelled: by its path
below include/, relative to the file that has it, or by a name that only another
folder has. Prints one line per offence; exit code 1 if any."""
import re
import sys
from pathlib import Path

ROOT = (Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1]).resolve()
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)
FOLDERS = ("include", "lib", "passes", "python", "tools")

# Layer -> the layers of plait/ that it may include, beside itself.
ALLOWED = {
    "Dialect": set(),
    "Analysis": {"Dialect"},
    # What passes and code generator take from a machine: no library to link.
    "Target": set(),
    "Codegen": {"Dialect", "Target"},
    "Runtime": set(),
    "passes": {"Dialect", "Analysis", "Target"},
    # Runs the passes and the code they make; see docs/Rationale.md.
    "Driver": {"Dialect", "Analysis", "Codegen", "Target", "Runtime", "passes"},
    # For C and Python; the header is plain C.
    "CAPI": {"Driver", "Runtime", "plait-c"},
    "plait-c": set(),
    "bindings": {"plait-c"},
    "tools": {"Dialect", "Analysis", "Codegen", "Target", "Runtime", "passes", "Driver"},
}
#: Layers that know nothing of MLIR.
ALONE = ("Runtime", "Target", "plait-c", "bindings")


def layer_of(parts):
    """The layer of a file, by its path below the root; None if it has none."""
    if parts[0] == "include":
        parts = parts[1:]
        if parts[0] == "plait-c":
            return "plait-c"
        if parts[0] != "plait":
            return None
        # plait/Passes.h and plait/Transforms.h belong to the passes.
        return "passes" if len(parts) == 2 else parts[1]
    return parts[1] if parts[0] in ("lib", "python") else parts[0]


def resolve(path, header, names):
    """The path below the root of what `header` names in file `path`; None for a
    header that is not ours."""
    beside = (path.parent / header).resolve()
    if beside.is_file() and beside.is_relative_to(ROOT):
        return beside.relative_to(ROOT).parts
    # TableGen's are below include/ in the build folder only.
    if header.startswith(("plait/", "plait-c/")):
        return ("include", *header.split("/"))
    # A bare name finds whatever folder a build adds to the search path.
    found = names.get(Path(header).name, [])
    matches = [parts for parts in found if "/".join(parts).endswith("/" + header)]
    return matches[0] if matches else None


def check(path, names):
    layer = layer_of(path.relative_to(ROOT).parts)
    if layer not in ALLOWED:
        return [f"is in the unknown layer '{layer}'"]
    problems = []
    for header in INCLUDE.findall(path.read_text()):
        if layer in ALONE and header.split("/")[0] in ("mlir", "llvm"):
            problems.append(f"{layer} includes {header}: it knows nothing of MLIR")
            continue
        parts = resolve(path, header, names)
        target = layer_of(parts) if parts else None
        if target and target not in ALLOWED[layer] | {layer}:
            problems.append(f"{layer} includes {header}, of {target}")
    return problems


def main():
    files = [path
             for folder in FOLDERS
             for path in sorted((ROOT / folder).rglob("*"))
             if path.suffix in (".h", ".cpp")]
    names = {}
    for path in files:
        names.setdefault(path.name, []).append(path.relative_to(ROOT).parts)
    offences = [f"{path.relative_to(ROOT)}: {problem}"
                for path in files for problem in check(path, names)]
    print("\n".join(offences) or f"{len(files)} files include in the right direction")
    return bool(offences) or not files


if __name__ == "__main__":
    sys.exit(main())
