// Wrong tensor files: exit code 2, and a message that names the file or tensor.

// RUN: rm -rf %t && mkdir %t
// RUN: echo '"$@" 2>&1; echo "code $?"' > %t/exit.sh
// DEFINE: %{run} = bash %t/exit.sh plait-run %S/Inputs/step.mlir -n 1
// DEFINE: %{data} = %python %S/Inputs/make_data.py %t/data.safetensors
// DEFINE: %{exit} = bash %t/exit.sh plait-run %S/Inputs/step.mlir -n 1 --inputs=%t/data.safetensors

// RUN: %{data}
// RUN: %{exit} | FileCheck %s --check-prefix=GOOD --implicit-check-not=warning
// GOOD: 1 steps
// GOOD: code 0

// RUN: %{run} | FileCheck %s --check-prefix=NONE
// NONE: step.mlir:[[#]]:5: error: no tensor named 'x' in the inputs (F32[4, 8] or more rows); give it by --inputs or --input, or use --random-inputs
// NONE: code 2
// RUN: %{data} drop=fc2.weight
// RUN: %{exit} | FileCheck %s --check-prefix=PARAM
// PARAM: step.mlir:[[#]]:5: error: no tensor named 'fc2.weight' in the inputs (F32[3, 5]); give it by --inputs or --input, or use --random-inputs
// PARAM: code 2
// RUN: bash %t/exit.sh plait-run %S/Inputs/step.mlir --compare --inputs=%t/data.safetensors | FileCheck %s --check-prefix=PARAM
// RUN: %{data} drop=lr
// RUN: %{exit} | FileCheck %s --check-prefix=RATE
// RATE: step.mlir:[[#]]:5: error: no tensor named 'lr' in the inputs (F32[] or a vector); give it
// RATE: code 2

// Files.
// RUN: %{run} --inputs=%t/none.safetensors | FileCheck %s --check-prefix=FILE
// FILE: step.mlir: error: {{[^ ]*}}none.safetensors: cannot open: No such file or directory
// FILE: code 2
// RUN: echo garbage > %t/bad.safetensors
// RUN: %{run} --inputs=%t/bad.safetensors | FileCheck %s --check-prefix=GARBAGE
// GARBAGE: step.mlir: error: {{[^ ]*}}bad.safetensors: {{[^/]+$}}
// GARBAGE: code 2
// RUN: %{run} --inputs=%t | FileCheck %s --check-prefix=FOLDER
// FOLDER: not a regular file
// FOLDER: code 2
// RUN: %{data}
// RUN: %{exit} --inputs=%t/data.safetensors | FileCheck %s --check-prefix=TWICE
// TWICE: data.safetensors: 'fc1.weight' was given by another file already
// TWICE: code 2
// RUN: %{exit} --input=x | FileCheck %s --check-prefix=INPUT
// INPUT: --input=x: expected name=@file.npy
// INPUT: code 2
// RUN: %{exit} --input=z=@%t/none.npy | FileCheck %s --check-prefix=NPY
// NPY: none.npy: cannot open: No such file or directory
// NPY: code 2
// RUN: %{exit} --input=z=@%t/bad.safetensors | FileCheck %s --check-prefix=NPY-GARBAGE
// NPY-GARBAGE: step.mlir: error: {{[^ ]*}}bad.safetensors: {{.+}}
// NPY-GARBAGE: code 2
// RUN: %{exit} --resume=%t/nowhere | FileCheck %s --check-prefix=RESUME
// RESUME: step.mlir: error: {{[^ ]*}}nowhere/model.safetensors: cannot open: No such file or directory
// RESUME: code 2
// RUN: %{exit} --resume=%t/exit.sh | FileCheck %s --check-prefix=RESUME-FILE
// RESUME-FILE: exit.sh/model.safetensors: cannot open: Not a directory
// RESUME-FILE: code 2
// RUN: %{exit} --eval=@eval --eval-inputs=%t/none.safetensors | FileCheck %s --check-prefix=EVAL --implicit-check-not=ms/step
// EVAL: none.safetensors: cannot open
// EVAL: code 2

// Shapes and types.
// RUN: %{data} shape=fc2.weight:5,3
// RUN: %{exit} | FileCheck %s --check-prefix=SHAPE
// SHAPE: error: 'fc2.weight' has type F32[5, 3], the step expects F32[3, 5]{{$}}
// SHAPE: code 2
// RUN: %{data} type=fc2.weight:float64
// RUN: %{exit} | FileCheck %s --check-prefix=TYPE
// TYPE: error: 'fc2.weight' has type F64[3, 5], the step expects F32[3, 5]{{$}}
// TYPE: code 2
// RUN: %{data} shape=x:14,9
// RUN: %{exit} | FileCheck %s --check-prefix=COLUMNS
// COLUMNS: input 'x': expected F32[4, 8] or the same with more rows, got F32[14, 9]
// COLUMNS: code 2
// RUN: %{data} shape=x:3,8
// RUN: %{exit} | FileCheck %s --check-prefix=FEW
// FEW: input 'x': expected F32[4, 8] or the same with more rows, got F32[3, 8]
// FEW: code 2
// RUN: %{data} type=y:float64
// RUN: %{exit} | FileCheck %s --check-prefix=INPUT-TYPE
// INPUT-TYPE: input 'y': expected F32[4, 3], got F64[14, 3]: types are not converted silently, use a.astype(np.float32)
// INPUT-TYPE: code 2
// RUN: %{data} shape=x:15,8
// RUN: %{exit} | FileCheck %s --check-prefix=ROWS
// ROWS: inputs 'x' and 'y' have different numbers of rows, 15 and 14
// ROWS: code 2

// A name with a slip is noticed, above all where a random tensor would be drawn
// in its place.
// RUN: %{data} rename=fc1.weight:fc1.wieght
// RUN: %{exit} --random-inputs | FileCheck %s --check-prefix=SLIP
// SLIP: step.mlir: warning: tensor 'fc1.wieght' of --inputs is not used; did you mean 'fc1.weight'?
// SLIP: code 0
// RUN: %{exit} | FileCheck %s --check-prefix=SLIP-MISSING
// SLIP-MISSING: warning: tensor 'fc1.wieght' of --inputs is not used; did you mean 'fc1.weight'?
// SLIP-MISSING: error: no tensor named 'fc1.weight'
// SLIP-MISSING: code 2
// RUN: bash %t/exit.sh plait-run %S/Inputs/step.mlir --compare -n 4 --inputs=%t/data.safetensors --random-inputs | FileCheck %s --check-prefix=SLIP
// RUN: %{data} shape=elsewhere:2,3 shape=q1:1 shape=q2:1 shape=q3:1 shape=q4:1 shape=q5:1 shape=q6:1
// RUN: %{exit} | FileCheck %s --check-prefix=MANY
//      MANY: warning: tensor 'elsewhere' of --inputs is not used{{$}}
// MANY-NEXT: warning: tensor 'q1' of --inputs is not used{{$}}
// MANY-NEXT: 'q2'
// MANY-NEXT: 'q3'
// MANY-NEXT: 'q4'
// MANY-NEXT: warning: 2 more tensors of --inputs are not used
//      MANY: code 0
// RUN: %{exit} --eval=@eval --eval-inputs=%t/data.safetensors | FileCheck %s --check-prefix=EVAL-SLIP
// EVAL-SLIP: warning: tensor 'elsewhere' of --eval-inputs is not used

// A loss that is no number stops the run with exit code 1, not 2.
// RUN: %{data} --rates=9 --explode=3
// RUN: bash %t/exit.sh plait-run %S/Inputs/step.mlir --inputs=%t/data.safetensors -n 9 | FileCheck %s --check-prefix=FINITE
// FINITE: the loss is not finite at step 4; nothing was saved
// FINITE: backward: 4 steps
// FINITE: code 1
// RUN: bash %t/exit.sh plait-run %S/Inputs/step.mlir --inputs=%t/data.safetensors -n 9 --check-finite=false | FileCheck %s --check-prefix=UNCHECKED
// UNCHECKED: backward: 9 steps, {{.*}}, loss nan
// UNCHECKED: code 0
