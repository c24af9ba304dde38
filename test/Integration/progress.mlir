// Where stderr is a terminal, one line of it says how far the run is, and makes
// room for what others write. Elsewhere nothing is written.

// RUN: rm -rf %t && mkdir %t
// RUN: %python %S/Inputs/make_data.py %t/data.safetensors --rates=20 --explode=15
// RUN: %python %S/Inputs/terminal.py plait-run %S/Inputs/step.mlir --inputs=%t/data.safetensors -n 10 --save=%t/s | FileCheck %s
//      CHECK: <ESC>[Kstep 1/10  loss {{[0-9.e+-]+}}  {{[0-9.]+}} ms/step  {{[0-9]+:[0-9][0-9]}} left<CR>
//      CHECK: <ESC>[Kstep 10/10  loss {{[0-9.e+-]+}}  {{[0-9.]+}} ms/step  0:00 left<CR>
// CHECK-NEXT: <ESC>[K{{$}}
//  CHECK-NOT: step

// Steps are counted over all resumes; an error has a line of its own.
// RUN: not %python %S/Inputs/terminal.py plait-run %S/Inputs/step.mlir --inputs=%t/data.safetensors -n 10 --resume=%t/s | FileCheck %s --check-prefix=ERROR
//      ERROR: <ESC>[Kstep 11/20  loss
//      ERROR: <CR>
// ERROR-NEXT: <ESC>[K{{.*}}step.mlir: error: the loss is not finite at step 16

// RUN: plait-run %S/Inputs/step.mlir --inputs=%t/data.safetensors -n 10 2>&1 >/dev/null | FileCheck %s --check-prefix=QUIET --allow-empty
// QUIET-NOT: {{.}}
