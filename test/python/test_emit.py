# Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
# SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
"""The register tile of each cpu fits its registers, and its caches change no bit.

What LLVM makes of a tile that is too large still gives right numbers; only the
innermost loop shows that sums go through the stack.
"""

import os
import re
import subprocess

import pytest
from plait_run import needs_plait_run

STEP = """
func.func @step(%w: tensor<512x512xf32> {train.role = #train.param<"w">},
                %x: tensor<512x512xf32> {train.role = #train.input<"x">})
    -> (tensor<512x512xf32> {train.role = #train.next<"w">},
        tensor<512x512xf32> {train.role = #train.output<"y">}) attributes {train.step} {
  %zero = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<512x512xf32>
  %z = linalg.fill ins(%zero : f32) outs(%e : tensor<512x512xf32>) -> tensor<512x512xf32>
  %y = linalg.matmul ins(%x, %w : tensor<512x512xf32>, tensor<512x512xf32>)
      outs(%z : tensor<512x512xf32>) -> tensor<512x512xf32>
  %dw = linalg.matmul indexing_maps = [affine_map<(m, n, k) -> (k, m)>,
      affine_map<(m, n, k) -> (k, n)>, affine_map<(m, n, k) -> (m, n)>]
      ins(%x, %y : tensor<512x512xf32>, tensor<512x512xf32>)
      outs(%z : tensor<512x512xf32>) -> tensor<512x512xf32>
  %w1 = train.sgd ins(%dw : tensor<512x512xf32>) outs(%w : tensor<512x512xf32>) {lr = 0.001 : f64}
  return %w1, %y : tensor<512x512xf32>, tensor<512x512xf32>
}
"""


def plait_run(file, *options):
    command = [os.environ["PLAIT_RUN"], str(file), *options]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, f"{run.returncode}: {' '.join(command)}\n{run.stderr[-2000:]}"
    return run.stdout


def innermost_loops(assembly):
    """The instructions of each loop that has no label but its first."""
    lines = assembly.splitlines()
    labels = {line[: line.index(":")]: i for i, line in enumerate(lines) if line.startswith(".L")}
    for end, line in enumerate(lines):
        jump = re.match(r"\s+(?:b\.\w+|cbn?z\s.*,|tbn?z\s.*,|j\w+)\s*(\.L\w+)", line)
        begin = labels.get(jump[1], end) if jump else end
        body = lines[begin + 1 : end + 1]
        if body and not any(other.startswith(".L") for other in body):
            yield [code for code in body if re.match(r"\s+[a-z]", code)]


@needs_plait_run
@pytest.mark.parametrize(
    ("cpu", "multiply", "count"),
    [
        ("x86-64", r"mulps.*xmm", 6 * 8 // 4),
        ("x86-64-v3", r"vfmadd\w*ps.*ymm", 6 * 16 // 8),
        ("x86-64-v4", r"vfmadd\w*ps.*zmm", 8 * 32 // 16),
        ("znver5", r"vfmadd\w*ps.*zmm", 8 * 32 // 16),
        ("sapphirerapids", r"vfmadd\w*ps.*zmm", 8 * 32 // 16),
        ("skylake-avx512", r"vfmadd\w*ps.*zmm", 8 * 32 // 16),
        ("neoverse-n1", r"fmla\s+v\d+\.4s", 6 * 16 // 4),
        ("neoverse-v1", r"fmla\s+v\d+\.4s", 6 * 16 // 4),
        ("apple-m1", r"fmla\s+v\d+\.4s", 6 * 16 // 4),
    ],
)
def test_sums_stay_in_registers(tmp_path, cpu, multiply, count):
    file = tmp_path / "step.mlir"
    file.write_text(STEP, encoding="utf-8")
    assembly = plait_run(file, "--emit=asm", f"--mcpu={cpu}", "--layout=row-major")
    loops = list(innermost_loops(assembly))
    counts = [sum(bool(re.search(multiply, code)) for code in loop) for loop in loops]
    # A loop may be unrolled.
    assert max(counts) > 0 and max(counts) % count == 0, counts
    loops = [loop for loop, found in zip(loops, counts, strict=True) if found == max(counts)]
    for loop in loops:
        stack = [i for i in loop if re.search(r"\[sp|\(%[re][sb]p", i)]
        assert not stack, "\n".join(loop)


@needs_plait_run
@pytest.mark.parametrize("cpu", ["", "x86-64", "x86-64-v3"])
def test_caches_change_no_bit(tmp_path, cpu):
    file = tmp_path / "step.mlir"
    file.write_text(STEP, encoding="utf-8")
    results = []
    caches = [(1, 1), (8 << 10, 64 << 10), (32 << 10, 256 << 10), (128 << 10, 4 << 20), (1 << 40, 1 << 40)]
    for i, (l1, l2) in enumerate(caches):
        out = tmp_path / f"{i}.safetensors"
        options = ["--random-inputs", "-n", "2", f"--results={out}", *([f"--mcpu={cpu}"] if cpu else [])]
        plait_run(file, *options, f"--l1-bytes={l1}", f"--l2-bytes={l2}")
        results.append(out.read_bytes())
    assert all(result == results[0] for result in results)
