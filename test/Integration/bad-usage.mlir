// Wrong flags: exit code 2, and a message that names the mistake.
// `exit.sh` runs a command, and prints its exit code after what it wrote.

// RUN: rm -rf %t && mkdir %t
// RUN: echo '"$@" 2>&1; echo "code $?"' > %t/exit.sh
// DEFINE: %{exit} = bash %t/exit.sh plait-run

// RUN: %{exit} | FileCheck %s --check-prefix=NOFILE
// NOFILE: code 2
// RUN: %{exit} %examples/mlp.mlir --no-such-flag | FileCheck %s --check-prefix=FLAG
// FLAG: no-such-flag
// FLAG: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --schedule=sideways | FileCheck %s --check-prefix=SCHEDULE
// SCHEDULE: unknown --schedule=sideways; expected baseline, backward, forward or auto
// SCHEDULE: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --wrap --drop-last | FileCheck %s --check-prefix=WRAP
// WRAP: --wrap and --drop-last exclude each other
// WRAP: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --compare --save=%t/s | FileCheck %s --check-prefix=COMPARE
// COMPARE: --compare excludes --save: it runs every schedule, and writes a table and --report only
// COMPARE: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --compare --schedule=forward | FileCheck %s --check-prefix=COMPARE-ONE
// COMPARE-ONE: --compare excludes --schedule:
// COMPARE-ONE: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --compare --results=%t/r | FileCheck %s --check-prefix=COMPARE-RESULTS
// COMPARE-RESULTS: --compare excludes --results:
// COMPARE-RESULTS: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --compare -n 0 | FileCheck %s --check-prefix=COMPARE-NONE
// COMPARE-NONE: --compare needs at least one step; --steps=0 runs none
// COMPARE-NONE: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --results=%t/r -n 0 | FileCheck %s --check-prefix=RESULTS-NONE
// RESULTS-NONE: --results needs at least one step; --steps=0 runs none
// RESULTS-NONE: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --compare --block=0 | FileCheck %s --check-prefix=BLOCK-NONE
// BLOCK-NONE: --block=0 asks for nothing; leave it out
// BLOCK-NONE: code 2

// RUN: %{exit} %examples/mlp.mlir --random-inputs --backend=halide | FileCheck %s --check-prefix=HALIDE
// HALIDE: error: --backend=halide: there is no Halide backend yet; use --backend=llvm, or leave the option out
// HALIDE: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --backend=gpu | FileCheck %s --check-prefix=GPU
// GPU: error: unknown --backend=gpu; expected llvm or auto
// GPU: code 2

// Constants of the cost model.
// RUN: %{exit} %examples/mlp.mlir --random-inputs --schedule=backward --cache-bytes=1000000 | FileCheck %s --check-prefix=COST-ALONE
// COST-ALONE: --cache-bytes needs --schedule=auto
// COST-ALONE: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --schedule=auto --memory-gbs=-1 | FileCheck %s --check-prefix=COST-NEGATIVE
// COST-NEGATIVE: --memory-gbs must be above 0
// COST-NEGATIVE: code 2

// Sizes of caches.
// RUN: %{exit} %examples/mlp.mlir --random-inputs --l1-bytes=0 | FileCheck %s --check-prefix=L1
// L1: --l1-bytes must be above 0
// L1: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --l2-bytes=-1 | FileCheck %s --check-prefix=L2
// L2: --l2-bytes must be above 0
// L2: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --l2-bytes=1M | FileCheck %s --check-prefix=L2-UNIT
// L2-UNIT: '1M' value invalid
// L2-UNIT: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --l1-bytes=65536 --l2-bytes=32768 | FileCheck %s --check-prefix=ORDER
// ORDER: --l2-bytes is less than --l1-bytes; the second cache is the larger
// ORDER: code 2

// An option that would do nothing alone.
// RUN: %{exit} %examples/mlp.mlir --random-inputs --save-every=2 | FileCheck %s --check-prefix=EVERY
// EVERY: --save-every needs --save
// EVERY: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --keep=2 | FileCheck %s --check-prefix=KEEP
// KEEP: --keep needs --save-every
// KEEP: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --save=%t/s --save-every=2 --keep=0 | FileCheck %s --check-prefix=KEEP-NONE
// KEEP-NONE: --keep=0 asks for nothing; leave it out
// KEEP-NONE: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --save=%t/s --save-every=0 | FileCheck %s --check-prefix=EVERY-NONE
// EVERY-NONE: --save-every=0 asks for nothing; leave it out
// EVERY-NONE: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --eval-every=2 | FileCheck %s --check-prefix=EVAL-EVERY
// EVAL-EVERY: --eval-every needs --eval
// EVAL-EVERY: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --eval-inputs=%t/x | FileCheck %s --check-prefix=EVAL-INPUTS
// EVAL-INPUTS: --eval-inputs needs --eval
// EVAL-INPUTS: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --block=2 | FileCheck %s --check-prefix=BLOCK
// BLOCK: --block needs --compare
// BLOCK: code 2
// RUN: %{exit} %examples/mlp.mlir --random-inputs --resume= | FileCheck %s --check-prefix=EMPTY
// EMPTY: --resume= names nothing; leave it out
// EMPTY: code 2
// RUN: %{exit} %examples/mlp.mlir -n -1 | FileCheck %s --check-prefix=NEGATIVE
// NEGATIVE: '-1' value invalid for uint argument
// NEGATIVE: code 2
// RUN: %{exit} %examples/mlp.mlir %examples/mlp.mlir | FileCheck %s --check-prefix=TWO-FILES
// TWO-FILES: Too many positional arguments
// TWO-FILES: code 2

// Zero steps and help are no mistakes.
// RUN: %{exit} %examples/mlp.mlir --random-inputs -n 0 | FileCheck %s --check-prefix=ZERO
// ZERO: code 0
// RUN: %{exit} --help | FileCheck %s --check-prefix=HELP
// HELP: plait-run examples/mlp.mlir --random-inputs --compare
// HELP: Exit codes: 0 done
// HELP: Comparing schedules:
// HELP: --compare - Run every schedule
// HELP: Data:
// HELP: Running:
// HELP: -e - The same as --entry-point
// HELP: -n - The same as --steps
// HELP: code 0
// Lines fit into a terminal of 100 columns.
// RUN: plait-run --help | not grep -E '.{101}'
// RUN: not plait-run %S/Inputs/step.mlir --random-inputs --threads=100000 2>&1 | FileCheck %s --check-prefix=THREADS
// THREADS: error: --threads=100000: at most 1024
