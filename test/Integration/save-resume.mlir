// Saving after 5 steps and going on for 5 gives the bits of 10 steps, also
// where updates wait for the next step: --save flushes them.

// DEFINE: %{schedule} = backward
// DEFINE: %{more} =
// DEFINE: %{train} = plait-run %examples/mlp.mlir --random-inputs --schedule=%{schedule} %{more}

// RUN: rm -rf %t && mkdir %t
// RUN: %{train} -n 10 --save=%t/whole
// RUN: %{train} -n 5 --save=%t/half
// RUN: %{train} -n 5 --resume=%t/half --save=%t/both
// RUN: cmp %t/whole/model.safetensors %t/both/model.safetensors
// RUN: cmp %t/whole/optimizer.safetensors %t/both/optimizer.safetensors
// RUN: not cmp -s %t/half/model.safetensors %t/both/model.safetensors

// REDEFINE: %{schedule} = forward
// RUN: %{train} -n 10 --save=%t/whole-f
// RUN: %{train} -n 5 --save=%t/half-f
// RUN: %{train} -n 5 --resume=%t/half-f --save=%t/both-f
// RUN: cmp %t/whole-f/model.safetensors %t/both-f/model.safetensors
// RUN: cmp %t/whole-f/optimizer.safetensors %t/both-f/optimizer.safetensors

// The schedule is no part of what is saved: half of the way each.
// RUN: cmp %t/whole/model.safetensors %t/whole-f/model.safetensors
// RUN: %{train} -n 5 --resume=%t/half --save=%t/mixed
// RUN: cmp %t/whole/model.safetensors %t/mixed/model.safetensors
// RUN: cmp %t/whole/optimizer.safetensors %t/mixed/optimizer.safetensors

// Saving in between disturbs nothing.
// RUN: %{train} -n 10 --save=%t/every-f --save-every=3
// RUN: cmp %t/whole/model.safetensors %t/every-f/model.safetensors
// RUN: cmp %t/whole/optimizer.safetensors %t/every-f/optimizer.safetensors

// A save of another module is refused.
// RUN: sed 's/lr = 1.0e-3/lr = 2.0e-3/' %examples/mlp.mlir > %t/other.mlir
// RUN: not plait-run %t/other.mlir --random-inputs -n 1 --resume=%t/half 2>&1 | FileCheck %s --check-prefix=OTHER
// OTHER: was saved by another module

// So are two files of different steps.
// RUN: cp -r %t/half %t/torn
// RUN: cp %t/whole/optimizer.safetensors %t/torn/optimizer.safetensors
// RUN: not plait-run %examples/mlp.mlir --random-inputs -n 1 --resume=%t/torn 2>&1 | FileCheck %s --check-prefix=TORN
// TORN: model and optimizer are of different steps; resume from another save

// And files that plait-run did not write.
// RUN: rm -rf %t/alien && mkdir %t/alien
// RUN: %python %S/Inputs/make_data.py %t/alien/model.safetensors
// RUN: not plait-run %examples/mlp.mlir --random-inputs -n 1 --resume=%t/alien 2>&1 | FileCheck %s --check-prefix=ALIEN
// ALIEN: alien/model.safetensors: was saved by another module
