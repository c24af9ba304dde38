// Wrong flags and inputs: exit code 2, and a message that names the mistake.
// `exit.sh` runs a command, and prints its exit code after what it wrote.

// RUN: rm -rf %t && mkdir %t
// RUN: echo '"$@" 2>&1; echo "code $?"' > %t/exit.sh
// DEFINE: %{exit} = bash %t/exit.sh plait-run

// RUN: %{exit} | FileCheck %s --check-prefix=NOFILE
// NOFILE: code 2
// RUN: %{exit} %examples/mlp.mlir --no-such-flag | FileCheck %s --check-prefix=FLAG
// FLAG: no-such-flag
// FLAG: code 2
// RUN: %{exit} %t/missing.mlir | FileCheck %s --check-prefix=MISSING
// MISSING: missing.mlir
// MISSING: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --schedule=sideways | FileCheck %s --check-prefix=SCHEDULE
// SCHEDULE: unknown --schedule=sideways; expected baseline, backward or forward
// SCHEDULE: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --wrap --drop-last | FileCheck %s --check-prefix=WRAP
// WRAP: --wrap and --drop-last exclude each other
// WRAP: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --compare --save=%t/s | FileCheck %s --check-prefix=COMPARE
// COMPARE: --compare neither saves nor resumes
// COMPARE: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --save-every=2 | FileCheck %s --check-prefix=EVERY
// EVERY: --save-every needs --save=DIR, the directory to save into
// EVERY: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --keep=2 | FileCheck %s --check-prefix=KEEP-SAVE
// KEEP-SAVE: --keep needs --save=DIR, the directory to save into
// KEEP-SAVE: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --save=%t/s --keep=2 | FileCheck %s --check-prefix=KEEP
// KEEP: --keep needs --save-every=N, whose saves it counts
// KEEP: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --save=%t/s --save-every=2 --keep=0 | FileCheck %s --check-prefix=KEEP-NONE
// KEEP-NONE: --keep=0 asks for nothing; leave it out
// KEEP-NONE: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --save=%t/s --save-every=0 | FileCheck %s --check-prefix=EVERY-NONE
// EVERY-NONE: --save-every=0 asks for nothing; leave it out
// EVERY-NONE: code 2
// RUN: %{exit} %examples/mlp.mlir | FileCheck %s --check-prefix=INPUTS
// INPUTS: no tensor named 'x' in the inputs
// INPUTS: --random-inputs
// INPUTS: code 2
// RUN: %{exit} %examples/mlp.mlir --input=x | FileCheck %s --check-prefix=INPUT
// INPUT: --input=x: expected name=@file.npy
// INPUT: code 2
// RUN: %{exit} %examples/mlp.mlir --inputs=%t/none.safetensors | FileCheck %s --check-prefix=SAFETENSORS
// SAFETENSORS: none.safetensors
// SAFETENSORS: code 2
// RUN: echo garbage > %t/bad.safetensors
// RUN: %{exit} %examples/mlp.mlir --inputs=%t/bad.safetensors | FileCheck %s --check-prefix=GARBAGE
// GARBAGE: bad.safetensors: {{.+}}
// GARBAGE: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs -n 1 --resume=%t/nowhere | FileCheck %s --check-prefix=RESUME
// RESUME: nowhere/model.safetensors
// RESUME: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs -n 1 --entry-point=train | FileCheck %s --check-prefix=ENTRY
// ENTRY: has no training step @train
// ENTRY: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs -n 1 --eval=@judge | FileCheck %s --check-prefix=EVAL
// EVAL: has no function @judge
// EVAL: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs -n 1 --mcpu=abacus | FileCheck %s --check-prefix=CPU
// CPU: abacus
// CPU: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs -n 1 --report=%t/no/report.json | FileCheck %s --check-prefix=REPORT
// REPORT: no/report.json
// REPORT: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs -n 1 --log=%t/no/log.csv | FileCheck %s --check-prefix=LOG
// LOG: no/log.csv
// LOG: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs -n 1 --results=%t/no/r.safetensors | FileCheck %s --check-prefix=RESULTS
// RESULTS: no/r.safetensors
// RESULTS: code 2

// A file that is no training step, or is no MLIR.
// RUN: echo 'func.func @f() { return }' > %t/plain.mlir
// RUN: %{exit} %t/plain.mlir --random-inputs | FileCheck %s --check-prefix=PLAIN
// PLAIN: has no training step: no function with 'train.step' gives the next value of a parameter
// PLAIN: code 2
// RUN: echo 'this is no MLIR' > %t/syntax.mlir
// RUN: %{exit} %t/syntax.mlir --random-inputs | FileCheck %s --check-prefix=SYNTAX
// SYNTAX: syntax.mlir:1:1: error
// SYNTAX: code 2

// Zero steps and help are no mistakes.
// RUN: %{exit} %examples/mlp.mlir --random-inputs -n 0 | FileCheck %s --check-prefix=ZERO
// ZERO: code 0
// RUN: %{exit} --help | FileCheck %s --check-prefix=HELP
// HELP: --compare
// HELP: code 0

// A loss that is no number stops the run, exit code 1.
// RUN: sed 's/lr = 1.0e-3/lr = 1.0e38/' %examples/mlp.mlir > %t/diverges.mlir
// RUN: %{exit} %t/diverges.mlir --random-inputs -n 50 | FileCheck %s --check-prefix=FINITE
// FINITE: the loss is not finite at step
// FINITE: code 1
