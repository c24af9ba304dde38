// --save-every=N writes DIR/step-N beside the save of the end, DIR itself.

// DEFINE: %{train} = plait-run %S/Inputs/step.mlir --inputs=%t/data.safetensors --shuffle

// RUN: rm -rf %t && mkdir %t
// RUN: %python %S/Inputs/make_data.py %t/data.safetensors
// RUN: %{train} -n 20 --save=%t/all --save-every=6
// RUN: ls -A %t/all | FileCheck %s --check-prefix=ALL
//      ALL: model.safetensors
// ALL-NEXT: optimizer.safetensors
// ALL-NEXT: step-12
// ALL-NEXT: step-18
// ALL-NEXT: step-6
//  ALL-NOT: {{.}}

// Each is the save that a run of that length leaves, also where updates wait.
// RUN: %{train} -n 12 --save=%t/twelve --schedule=baseline
// RUN: cmp %t/twelve/model.safetensors %t/all/step-12/model.safetensors
// RUN: cmp %t/twelve/optimizer.safetensors %t/all/step-12/optimizer.safetensors
// RUN: %{train} -n 20 --save=%t/forward --save-every=6 --schedule=forward
// RUN: cmp %t/twelve/model.safetensors %t/forward/step-12/model.safetensors
// RUN: cmp %t/all/model.safetensors %t/forward/model.safetensors

// --keep=K leaves the newest K, and whatever plait-run did not write: another
// name, other files beside the two, files of another module.
// RUN: mkdir -p %t/keep/step-1 %t/keep/step-2/mine %t/keep/step-03 %t/keep/step-4
// RUN: echo note > %t/keep/step-1/note.txt
// RUN: cp %t/all/model.safetensors %t/all/optimizer.safetensors %t/keep/step-2
// RUN: cp %t/all/model.safetensors %t/all/optimizer.safetensors %t/keep/step-03
// RUN: cp %t/data.safetensors %t/keep/step-4/model.safetensors
// RUN: cp %t/data.safetensors %t/keep/step-4/optimizer.safetensors
// RUN: %{train} -n 5 --save=%t/five
// RUN: plait-run %S/Inputs/step.mlir --inputs=%t/data.safetensors --resume=%t/five -n 20 --save=%t/keep --save-every=4 --keep=2
// RUN: ls -A %t/keep | FileCheck %s --check-prefix=KEEP
//      KEEP: model.safetensors
// KEEP-NEXT: optimizer.safetensors
// KEEP-NEXT: step-03
// KEEP-NEXT: step-1
// KEEP-NEXT: step-2
// KEEP-NEXT: step-20
// KEEP-NEXT: step-24
// KEEP-NEXT: step-4
//  KEEP-NOT: {{.}}
// RUN: ls %t/keep/step-2 | FileCheck %s --check-prefix=MINE
// MINE: mine

// The rest of a write that was cut off is no save, and in nobody's way.
// RUN: mkdir -p %t/cut/.step-6.partial
// RUN: echo cut > %t/cut/.step-6.partial/model.safetensors
// RUN: %{train} -n 6 --save=%t/cut --save-every=6
// RUN: cmp %t/cut/step-6/model.safetensors %t/all/step-6/model.safetensors

// --resume takes the latest of them.
// RUN: plait-run %S/Inputs/step.mlir --inputs=%t/data.safetensors --resume=%t/all -n 1 | FileCheck %s --check-prefix=END --implicit-check-not='going on'
// END: 1 steps
// RUN: cp -r %t/all %t/died && rm %t/died/model.safetensors %t/died/optimizer.safetensors
// RUN: plait-run %S/Inputs/step.mlir --inputs=%t/data.safetensors --resume=%t/died/ -n 2 --save=%t/died | FileCheck %s --check-prefix=LATEST
// LATEST: going on from {{.*}}died/step-18{{$}}
// RUN: cmp %t/died/model.safetensors %t/all/model.safetensors
// RUN: plait-run %S/Inputs/step.mlir --inputs=%t/data.safetensors --resume=%t/all/step-12 -n 8 --save=%t/chosen
// RUN: cmp %t/chosen/model.safetensors %t/all/model.safetensors

// A run does not mix its saves with later ones of another.
// RUN: not %{train} -n 20 --save=%t/all 2>&1 | FileCheck %s --check-prefix=MIXED
// MIXED: all/step-18 holds a save of a later step than this run begins with (0), so it belongs to another run; go on from it with --resume={{.*}}all, or save into another directory
// RUN: not %{train} -n 20 --save=%t/twelve --save-every=5 2>&1 | FileCheck %s --check-prefix=OWN
// OWN: twelve holds a save of a later step
// RUN: %{train} -n 6 --save=%t/twelve
// RUN: cmp %t/twelve/model.safetensors %t/all/step-6/model.safetensors

// A run that diverges leaves the last good save. The rate of step 9 is far too
// high: the loss shows it one step later, and no save is made of the parameters
// in between.
// DEFINE: %{diverge} = not plait-run %S/Inputs/step.mlir --inputs=%t/explode.safetensors -n 20
// RUN: %python %S/Inputs/make_data.py %t/explode.safetensors --rates=20 --explode=9
// RUN: %{diverge} --save=%t/loss --save-every=4 --keep=1 2>&1 | FileCheck %s --check-prefix=LOSS
// LOSS: error: the loss is not finite at step 10; the last save, {{.*}}loss/step-8, is from before
// RUN: ls -A %t/loss | FileCheck %s --check-prefix=EIGHT
//      EIGHT: step-8
//  EIGHT-NOT: {{.}}
// RUN: plait-run %S/Inputs/step.mlir --inputs=%t/explode.safetensors -n 8 --save=%t/eight
// RUN: cmp %t/loss/step-8/model.safetensors %t/eight/model.safetensors

// RUN: %{diverge} --save=%t/save --save-every=3 --keep=1 --schedule=forward 2>&1 | FileCheck %s --check-prefix=SAVE
// SAVE: error: parameter 'fc2.weight' is not finite after step 9, so it is not saved; the last save, {{.*}}save/step-6, is from before
// RUN: ls -A %t/save | FileCheck %s --check-prefix=SIX
//      SIX: step-6
//  SIX-NOT: {{.}}
// RUN: not plait-run %S/Inputs/step.mlir --inputs=%t/explode.safetensors -n 9 --save=%t/end 2>&1 | FileCheck %s --check-prefix=END-SAVE
// END-SAVE: error: parameter 'fc2.weight' is not finite after step 9, so it is not saved; nothing was saved
// RUN: not ls %t/end

// RUN: plait-run %S/Inputs/step.mlir --inputs=%t/explode.safetensors -n 20 --save=%t/unchecked --check-finite=false
// RUN: ls %t/unchecked | FileCheck %s --check-prefix=UNCHECKED
// UNCHECKED: model.safetensors

// What a run that was killed while it saved left does not get into a save.
// RUN: rm -rf %t && mkdir -p %t/left/.step-2.partial && echo x > %t/left/.step-2.partial/.plait-1-1.tmp
// RUN: %python %S/Inputs/make_data.py %t.left.safetensors
// RUN: plait-run %S/Inputs/step.mlir --inputs=%t.left.safetensors -n 8 --save=%t/left --save-every=2 --keep=1
// RUN: ls -A %t/left | FileCheck %s --check-prefix=LEFT
// LEFT-NOT: step-2
// LEFT: step-8
