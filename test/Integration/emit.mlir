// Code for a file: for this cpu or another, of whichever architecture. Nothing runs.

// RUN: rm -rf %t && mkdir %t
// RUN: echo '"$@" 2>&1; echo "code $?"' > %t/exit.sh
// DEFINE: %{exit} = bash %t/exit.sh plait-run %examples/mlp.mlir

// RUN: plait-run %examples/mlp.mlir --emit=asm --mcpu=neoverse-n1 | FileCheck %s --check-prefix=NEON
// RUN: plait-run %examples/mlp.mlir --emit=asm --mcpu=apple-m1 --schedule=auto -o %t/m1.s
// RUN: FileCheck %s --check-prefix=NEON < %t/m1.s
// NEON-NOT: {{[xyz]mm[0-9]}}
// NEON: {{^}}step:
// NEON: fmla v{{[0-9]+}}.4s, v{{[0-9]+}}.4s, v{{[0-9]+}}.s[{{[0-3]}}]
// NEON-NOT: {{[xyz]mm[0-9]}}

// RUN: plait-run %examples/mlp.mlir --emit=asm --mcpu=x86-64-v3 | FileCheck %s --check-prefix=AVX2
// AVX2: vfmadd{{.*}}ymm
// RUN: plait-run %examples/mlp.mlir --emit=asm --mcpu=skylake-avx512 | FileCheck %s --check-prefix=AVX512
// AVX512: vfmadd{{.*}}zmm

// The text says what it was made for.
// RUN: plait-run %examples/mlp.mlir --emit=llvm --mcpu=neoverse-v1 --schedule=forward -e step -o %t/step.ll
// RUN: FileCheck %s --check-prefix=LLVM < %t/step.ll
// LLVM: target triple = "aarch64
// LLVM: @step_arena_bytes ={{.*}} constant i64 {{[0-9]+}}
// LLVM-DAG: define void @step(
// LLVM-DAG: define void @step_first(
// LLVM-DAG: define void @step_flush(
// LLVM: "target-cpu"="neoverse-v1"

// RUN: plait-run %examples/mlp.mlir --emit=obj --mcpu=neoverse-n1 --layout=row-major -o %t/step.o
// RUN: llvm-readobj --file-header --symbols %t/step.o | FileCheck %s --check-prefix=OBJECT
// OBJECT: Arch: aarch64
// OBJECT: Name: step

// To run it is refused, and so is what a run alone needs.
// RUN: %{exit} --random-inputs -n 1 --mcpu=neoverse-n1 | FileCheck %s --check-prefix=FOREIGN
// RUN: %{exit} --random-inputs -n 1 --mcpu=neoverse-n1 --compare | FileCheck %s --check-prefix=FOREIGN
// FOREIGN: error: cpu 'neoverse-n1' is of aarch64, and this process runs on [[HOST:[a-z0-9_]+]]; write its code to a file (plait-run --emit), or choose a cpu of [[HOST]]
// FOREIGN: code 2
// RUN: %{exit} --emit=asm --mcpu=abacus | FileCheck %s --check-prefix=UNKNOWN
// UNKNOWN: error: unknown cpu 'abacus': neither of x86-64 nor of AArch64
// UNKNOWN: code 2
// RUN: %{exit} --emit=asm --mcpu=pentium3 | FileCheck %s --check-prefix=NARROW
// NARROW: error: cpu 'pentium3' has no 64-bit mode
// NARROW: code 2
// RUN: %{exit} --emit=wasm | FileCheck %s --check-prefix=FORMAT
// FORMAT: error: unknown --emit=wasm; expected llvm, asm or obj
// FORMAT: code 2
// RUN: %{exit} --emit=obj | FileCheck %s --check-prefix=BINARY
// BINARY: error: --emit=obj needs -o
// BINARY: code 2
// RUN: %{exit} --emit=asm --random-inputs | FileCheck %s --check-prefix=DATA
// DATA: error: --emit excludes --random-inputs: it writes code, and runs nothing
// DATA: code 2
// RUN: %{exit} --emit=asm --steps=3 | FileCheck %s --check-prefix=STEPS
// STEPS: error: --emit excludes --steps: it writes code, and runs nothing
// STEPS: code 2
// RUN: %{exit} --emit=asm -o %t | FileCheck %s --check-prefix=FOLDER
// FOLDER: error: -o={{.*}}: is
// FOLDER: code 2
// RUN: %{exit} --random-inputs -o %t/x | FileCheck %s --check-prefix=ALONE
// ALONE: error: -o needs --emit
// ALONE: code 2
// RUN: %{exit} --emit=asm -e judge | FileCheck %s --check-prefix=ENTRY
// ENTRY: judge
// ENTRY: code 2
