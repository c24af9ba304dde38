#!/usr/bin/env python3
"""Checks the direction of includes: Dialect <- Analysis <- passes; Dialect <-
Codegen; Runtime alone; Driver, like the tools, sees all; bindings only the C API.
Prints one line per offence; exit code 1 if any."""
import re
import sys
from pathlib import Path

ROOT = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parents[1]
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.M)

# Layer -> the layers of plait/ that it may include, beside itself.
ALLOWED = {
    "Dialect": set(),
    "Analysis": {"Dialect"},
    "Codegen": {"Dialect"},
    "Runtime": set(),
    "passes": {"Dialect", "Analysis"},
    # Runs the passes and the code they make; see docs/Rationale.md.
    "Driver": {"Dialect", "Analysis", "Codegen", "Runtime", "passes"},
    # For C and Python; the header is plain C.
    "CAPI": {"Driver", "Runtime", "plait-c"},
    "plait-c": set(),
    "bindings": {"plait-c"},
    "tools": {"Dialect", "Analysis", "Codegen", "Runtime", "passes", "Driver"},
}
# Plain data: no includes of MLIR, no library to link.
PLAIN_DATA = {"plait/Codegen/TargetOptions.h"}


def layer_of_header(header):
    """The layer of an include path such as plait/Analysis/X.h; None if not ours."""
    parts = header.split("/")
    if parts[0] == "plait-c":
        return "plait-c"
    if parts[0] != "plait":
        return None
    # plait/Passes.h and plait/Transforms.h belong to the passes.
    return "passes" if len(parts) == 2 else parts[1]


def layer_of_file(path):
    parts = path.relative_to(ROOT).parts
    if parts[0] == "include":
        return layer_of_header("/".join(parts[1:]))
    return parts[1] if parts[0] in ("lib", "python") else parts[0]


def check(path):
    layer = layer_of_file(path)
    if layer not in ALLOWED:
        return [f"is in the unknown layer '{layer}'"]
    problems = []
    for header in INCLUDE.findall(path.read_text()):
        target = layer_of_header(header)
        if layer == "Runtime" and header.split("/")[0] in ("mlir", "llvm"):
            problems.append(f"Runtime includes {header}: it stands alone")
        elif layer in ("plait-c", "bindings") and header.split("/")[0] in ("mlir", "llvm"):
            problems.append(f"{layer} includes {header}: it knows the C API alone")
        elif target and target not in ALLOWED[layer] | {layer}:
            if header not in PLAIN_DATA or layer == "Runtime":
                problems.append(f"{layer} includes {header}")
    return problems


def main():
    files = [path
             for folder in ("include", "lib", "passes", "python", "tools")
             for path in sorted((ROOT / folder).rglob("*"))
             if path.suffix in (".h", ".cpp")]
    offences = [f"{path.relative_to(ROOT)}: {problem}"
                for path in files for problem in check(path)]
    print("\n".join(offences) or f"{len(files)} files include in the right direction")
    return bool(offences) or not files


if __name__ == "__main__":
    sys.exit(main())
