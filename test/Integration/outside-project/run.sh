#!/usr/bin/env bash
# Installs a build of Plait into a temporary prefix, and builds a project of
# somebody else with find_package(Plait) against it; then the program that
# docs/Embedding.md prints.
#   run.sh <build folder of Plait>
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build_dir=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cmake --install "$build_dir" --prefix "$work/prefix"
cmake -S "$here" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
      -DCMAKE_PREFIX_PATH="$work/prefix"
cmake --build "$work/build"
"$work/build/outside" "$here/../../../examples/mlp.mlir" >"$work/out"
grep -q 'update of "fc1.weight":' "$work/out"
grep -q 'train.cluster <backward>' "$work/out"
"$work/build/outside-runtime"
# The document's program, built by the document's CMake file.
root=$(cd "$here/../../.." && pwd)
doc_block() { python3 "$root/test/doc_block.py" "$root/docs/Embedding.md" "$@"; }
mkdir "$work/doc"
doc_block '2. `find_package(Plait)`' cmake >"$work/doc/CMakeLists.txt"
doc_block '3. Without a pass manager' c++ >"$work/doc/my-compiler.cpp"
cmake -S "$work/doc" -B "$work/doc/build" -G Ninja -DCMAKE_BUILD_TYPE=Release \
      -DCMAKE_PREFIX_PATH="$work/prefix"
cmake --build "$work/doc/build"
"$work/doc/build/my-compiler" "$root/examples/mlp.mlir" >"$work/doc/out"
grep -q '^// update of "fc1.weight" waits for ' "$work/doc/out"
grep -q 'scf.forall' "$work/doc/out"
if grep -q 'train.cluster' "$work/doc/out"; then
  echo "the document's program leaves clusters" >&2
  exit 1
fi
"$work/build/outside-c" "$here/../../../examples/mlp.mlir" forward >"$work/out"
grep -qx 'loss 0' "$work/out"
# Folders of the build, without a file that is installed.
if find "$work/prefix" -type d -empty | grep .; then
  echo "these installed folders are empty" >&2
  exit 1
fi
# The installed plugin and tools run from where they are.
"$work/prefix/bin/plait-opt" --version | grep -q Plait
test -e "$work/prefix/lib/plait-plugin.so"
if grep -rn "$build_dir" "$work/prefix/lib/cmake"; then
  echo "the installed package names the build folder" >&2
  exit 1
fi
