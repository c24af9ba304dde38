// Modules that plait-run cannot train: exit code 2, and where and why.

// RUN: rm -rf %t && mkdir %t
// RUN: echo '"$@" 2>&1; echo "code $?"' > %t/exit.sh
// RUN: %python %S/Inputs/make_data.py %t/data.safetensors
// DEFINE: %{exit} = bash %t/exit.sh plait-run
// DEFINE: %{step} = bash %t/exit.sh plait-run %t/edited.mlir --inputs=%t/data.safetensors -n 1

// RUN: %{exit} %t/missing.mlir | FileCheck %s --check-prefix=MISSING
// MISSING: missing.mlir
// MISSING: code 2
// RUN: %{exit} %t | FileCheck %s --check-prefix=FOLDER
// FOLDER: {{[Ii]}}s a directory
// FOLDER: code 2
// RUN: echo 'this is no MLIR' > %t/syntax.mlir
// RUN: %{exit} %t/syntax.mlir --random-inputs | FileCheck %s --check-prefix=SYNTAX
// SYNTAX: syntax.mlir:1:1: error
// SYNTAX: code 2

// No step, or no choice.
// RUN: echo 'func.func @f() { return }' > %t/plain.mlir
// RUN: %{exit} %t/plain.mlir --random-inputs | FileCheck %s --check-prefix=PLAIN
// PLAIN: {{plain|empty}}.mlir: error: has no training step: no function with 'train.step' gives the next value of a parameter
// PLAIN: code 2
// RUN: cp /dev/null %t/empty.mlir
// RUN: %{exit} %t/empty.mlir --random-inputs | FileCheck %s --check-prefix=PLAIN
// RUN: %{exit} %S/Inputs/step.mlir --inputs=%t/data.safetensors -n 1 --entry-point=train | FileCheck %s --check-prefix=ENTRY
// ENTRY: step.mlir: error: has no training step @train
// ENTRY: code 2
// A function that judges the parameters is no step, nor is one without the
// attribute: nothing would be trained, and the loss would look well.
// RUN: %{exit} %S/Inputs/step.mlir --inputs=%t/data.safetensors -n 1 -e eval | FileCheck %s --check-prefix=ENTRY-EVAL --implicit-check-not=ms/step
// ENTRY-EVAL: step.mlir:[[#]]:1: error: @eval is no training step: it gives the next value of no parameter or state (no result has the role #train.next), so nothing is trained
// ENTRY-EVAL: note: choose another by --entry-point; a function that judges the parameters is run by --eval=@eval
// ENTRY-EVAL: code 2
// RUN: %{exit} %S/Inputs/step.mlir --inputs=%t/data.safetensors -n 4 --compare -e eval | FileCheck %s --check-prefix=ENTRY-EVAL --implicit-check-not=baseline
// RUN: cp %S/Inputs/step.mlir %t/edited.mlir
// RUN: echo 'func.func @plain() { return }' >> %t/edited.mlir
// RUN: %{step} -e plain | FileCheck %s --check-prefix=ENTRY-PLAIN
// ENTRY-PLAIN: edited.mlir:[[#]]:1: error: @plain is no training step: it lacks the attribute 'train.step'
// ENTRY-PLAIN: code 2
// RUN: cp %S/Inputs/step.mlir %t/edited.mlir
// RUN: sed -n '/^func.func @step/,/^}/{s/@step/@other/;p}' %S/Inputs/step.mlir >> %t/edited.mlir
// RUN: %{step} | FileCheck %s --check-prefix=TWO
// TWO: edited.mlir: error: has 2 training steps; choose one by name (--entry-point)
// TWO: edited.mlir:[[#]]:1: note: @step is one
// TWO: edited.mlir:[[#]]:1: note: @other is one
// TWO: code 2
// RUN: %{step} --entry-point=other | FileCheck %s --check-prefix=CHOSEN
// RUN: %{step} -e step | FileCheck %s --check-prefix=CHOSEN
// CHOSEN: 1 steps
// CHOSEN: code 0

// Types that tensor files cannot hold.
// RUN: sed 's/tensor<4x8xf32>/tensor<?x8xf32>/g' %S/Inputs/step.mlir > %t/edited.mlir
// RUN: %{step} | FileCheck %s --check-prefix=DYNAMIC
// DYNAMIC: edited.mlir:[[#]]:5: error: 'x' has type 'tensor<?x8xf32>'; a step takes tensors of static shape
// DYNAMIC-NEXT: %x: tensor<?x8xf32>
// DYNAMIC: code 2

// RUN: %{exit} %S/Inputs/step.mlir --inputs=%t/data.safetensors -n 1 --mcpu=abacus | FileCheck %s --check-prefix=CPU
// CPU: abacus
// CPU: code 2

// A step that another function calls: it would call something else.
// RUN: %{exit} %S/Inputs/called.mlir --random-inputs -n 1 --schedule=baseline | FileCheck %s --check-prefix=CALLED
// RUN: %{exit} %S/Inputs/called.mlir --random-inputs -n 1 --schedule=backward | FileCheck %s --check-prefix=CALLED
// RUN: %{exit} %S/Inputs/called.mlir --random-inputs -n 1 --schedule=forward | FileCheck %s --check-prefix=CALLED
// CALLED: called.mlir:3:1: error: @step is a training step, and @twice calls it; what a step takes and gives changes when it is compiled, so it is called from outside of its module only
// CALLED: called.mlir:9:11: note: called here; move the body of @step here instead, or remove @twice from the module
// CALLED-NOT: error
// CALLED: code 2

// An evaluation that is none. One that changes parameters would train on the
// held-out data; one that reads a parameter of another shape would read past it.
// DEFINE: %{eval} = bash %t/exit.sh plait-run %t/edited.mlir --inputs=%t/data.safetensors --eval-inputs=%t/data.safetensors -n 1
// RUN: cp %S/Inputs/step.mlir %t/edited.mlir
// RUN: %{eval} --eval=@judge | FileCheck %s --check-prefix=EVAL
// EVAL: edited.mlir: error: has no function @judge
// EVAL: code 2
// RUN: %{eval} --eval=@step | FileCheck %s --check-prefix=EVAL-STEP
// EVAL-STEP: edited.mlir:[[#]]:1: error: --eval=@step: the function changes parameters or states; an evaluation only reads them
// EVAL-STEP: code 2
// RUN: %{step} --eval=@eval | FileCheck %s --check-prefix=EVAL-DATA
// EVAL-DATA: edited.mlir:[[#]]:5: error: no tensor named 'x' in the inputs (F32[4, 8] or more rows); give it by --eval-inputs
// EVAL-DATA: code 2
// RUN: sed '/@eval/,$s/ attributes {train.step}//' %S/Inputs/step.mlir > %t/edited.mlir
// RUN: %{eval} --eval=@eval | FileCheck %s --check-prefix=EVAL-PLAIN
// EVAL-PLAIN: edited.mlir:[[#]]:1: error: --eval=@eval: the function needs the attribute 'train.step'
// EVAL-PLAIN: code 2
// RUN: sed '/@eval/,$s/fc1.weight/fc3.weight/' %S/Inputs/step.mlir > %t/edited.mlir
// RUN: %{eval} --eval=@eval | FileCheck %s --check-prefix=EVAL-PARAM
// EVAL-PARAM: edited.mlir:[[#]]:5: error: --eval=@eval: reads 'fc3.weight' as F32[5, 8], which the step does not have
// EVAL-PARAM: code 2
// RUN: sed '/@eval/,$s/fc1.weight/fc2.weight/' %S/Inputs/step.mlir > %t/edited.mlir
// RUN: %{eval} --eval=@eval | FileCheck %s --check-prefix=EVAL-SHAPE
// EVAL-SHAPE: edited.mlir:[[#]]:5: error: --eval=@eval: reads 'fc2.weight' as F32[5, 8], but the step has it as F32[3, 5]
// EVAL-SHAPE: code 2
// RUN: sed 's/^    attributes {train.step} {/    attributes {train.step, train.model = {"a" = "nothing"}} {/' %S/Inputs/step.mlir > %t/edited.mlir
// RUN: %{step} | FileCheck %s --check-prefix=MODEL
// MODEL: error: 'train.model' has 'nothing' for 'a', which is no parameter or buffer of the step
// MODEL: code 2

// Two tensors of one name would be one buffer, or one read for the other.
// RUN: sed 's/fc2.weight/state.fc1.weight.exp_avg/' %S/Inputs/step.mlir > %t/edited.mlir
// RUN: %{step} | FileCheck %s --check-prefix=STATE-NAME
// STATE-NAME: edited.mlir:[[#]]:5: error: two arguments of @step are called 'state.fc1.weight.exp_avg' (the state s of a parameter p is state.p.s
// STATE-NAME: code 2
// RUN: sed 's/fc2.weight/y/' %S/Inputs/step.mlir > %t/edited.mlir
// RUN: %{step} | FileCheck %s --check-prefix=INPUT-NAME
// INPUT-NAME: error: two arguments of @step are called 'y'
// INPUT-NAME: code 2
// RUN: sed 's/fc2.weight/pending.fc1.weight.in0/' %S/Inputs/step.mlir > %t/edited.mlir
// RUN: %{step} --schedule=forward | FileCheck %s --check-prefix=PENDING-NAME
// PENDING-NAME: error: two arguments of @step are called 'pending.fc1.weight.in0'
// PENDING-NAME: code 2

// A check that is not one of the step's inputs.
// DEFINE: %{checked} = bash %t/exit.sh sh -c "cat %S/Inputs/step.mlir %t/check.mlir > %t/edited.mlir && plait-run %t/edited.mlir --inputs=%t/data.safetensors -n 1"
// RUN: echo 'func.func @step_check(%%a: tensor<4x7xf32> {train.role = #train.input<"x">}) -> (tensor<i1> {train.role = #train.output<"x is bad">}) attributes {train.step} { %%t = arith.constant dense<true> : tensor<i1> return %%t : tensor<i1> }' > %t/check.mlir
// RUN: %{checked} | FileCheck %s --check-prefix=CHECK-INPUT
// CHECK-INPUT: edited.mlir:[[#]]:23: error: @step_check takes 'x', which is no input or buffer of the step of that type
// CHECK-INPUT: code 2
// RUN: sed -i 's/4x7/5x8/; s/input<"x">/param<"fc1.weight">/' %t/check.mlir
// RUN: %{checked} | FileCheck %s --check-prefix=CHECK-PARAM
// CHECK-PARAM: error: @step_check takes 'fc1.weight', which is no input or buffer of the step of that type
// CHECK-PARAM: code 2
// RUN: sed -i 's/5x8/4x8/; s/param<"fc1.weight">/input<"x">/; s/tensor<i1>/tensor<1xi1>/g' %t/check.mlir
// RUN: %{checked} | FileCheck %s --check-prefix=CHECK-RESULT
// CHECK-RESULT: error: @step_check returns 'x is bad', which is no tensor<i1>
// CHECK-RESULT: code 2
// RUN: sed -i 's/tensor<1xi1>/tensor<i1>/g' %t/check.mlir
// RUN: %{checked} | FileCheck %s --check-prefix=CHECK-FAILS
// CHECK-FAILS: error: step 1: x is bad
// CHECK-FAILS: code 2
// RUN: sed -i 's/true/false/' %t/check.mlir
// RUN: %{checked} | FileCheck %s --check-prefix=CHECK-PASSES
// CHECK-PASSES: 1 steps
// CHECK-PASSES: code 0
