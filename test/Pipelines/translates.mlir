// The text is of the LLVM dialect alone, down to the attributes: a program that
// knows no other dialect translates it.

// RUN: plait-opt %examples/mlp.mlir --pass-pipeline='builtin.module(plait-to-llvm{policy=backward})' | mlir-translate --mlir-to-llvmir | FileCheck %s --check-prefix=STEP
// RUN: plait-opt %examples/mlp.mlir --pass-pipeline='builtin.module(plait-to-llvm{policy=forward})' | mlir-translate --mlir-to-llvmir | FileCheck %s --check-prefixes=FIRST,FLUSH,STEP

// FIRST: define void @step_first(
// FLUSH: define void @step_flush(
// STEP:  define void @step(
