#!/usr/bin/env bash
# Builds the wheel, installs it into an empty environment, without PyTorch or JAX,
# and trains there.
#   run.sh <build folder of Plait> <python with scikit-build-core and nanobind>
#
# The wheel's own build stays in the build folder, so that a second run is short.
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=$(cd "$here/../../.." && pwd)
build_dir=$1 python=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
"$python" -m pip wheel "$root" --no-deps --no-build-isolation -w "$work/wheel" \
          --disable-pip-version-check -C build-dir="$build_dir/wheel"
"$python" -m venv "$work/venv"
"$work/venv/bin/python" -m pip install -q --disable-pip-version-check "$work"/wheel/plait-*.whl
cd "$work"
# Nothing of the checkout is in reach.
env -u PYTHONPATH -u PLAIT_OPT -u PLAIT_RUN \
  "$work/venv/bin/python" -I "$here/train.py"
