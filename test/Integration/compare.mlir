// Every schedule trains the example to the same bits. backward stores no gradient;
// forward carries the small ones, and what it makes the large one from.

// RUN: rm -rf %t && mkdir %t
// RUN: plait-run %examples/mlp.mlir --random-inputs -n 10 --block=5 --compare --report=%t/compare.json | FileCheck %s
// RUN: FileCheck %s --check-prefix=REPORT < %t/compare.json

// CHECK:      schedule {{.*}} gradient bytes {{.*}} against baseline
// CHECK-NEXT: baseline {{.*}} 1628200 {{.*}} equal bit for bit
// CHECK-NEXT: backward{{ +[0-9.]+ +[0-9.]+ +[0-9.]+ +}}0{{ +}}0 {{.*}} equal bit for bit
// CHECK-NEXT: forward {{.*}} 22568{{ +}}188456 {{.*}} equal bit for bit

// REPORT:      "equal": true
// REPORT:      "gradient_bytes": 1628200
// REPORT:      "schedule": "baseline"
// REPORT:      "gradient_bytes": 0,
// REPORT:      "pending_bytes": 0,
// REPORT:      "schedule": "backward"
// REPORT:      "cluster": true
// REPORT:      "pending_bytes": 188456,
// REPORT:      "schedule": "forward"

// The number of threads changes no bit.

// RUN: plait-run %examples/mlp.mlir --random-inputs -n 10 --threads=1 --results=%t/one.safetensors --report=%t/one.json
// RUN: plait-run %examples/mlp.mlir --random-inputs -n 10 --threads=2 --results=%t/two.safetensors
// RUN: plait-run %examples/mlp.mlir --random-inputs -n 10 --threads=5 --results=%t/five.safetensors
// RUN: cmp %t/one.safetensors %t/two.safetensors
// RUN: cmp %t/one.safetensors %t/five.safetensors
// RUN: FileCheck %s --check-prefix=ONE < %t/one.json
// ONE: "gradient_bytes": 0,
// ONE: "threads": 1,

// Nor does the schedule, as seen from outside.

// RUN: plait-run %examples/mlp.mlir --random-inputs -n 10 --schedule=baseline --results=%t/baseline.safetensors
// RUN: cmp %t/one.safetensors %t/baseline.safetensors

// The results of forward hold what waits beside them; what is saved is flushed.

// RUN: plait-run %examples/mlp.mlir --random-inputs -n 10 --schedule=baseline --save=%t/baseline
// RUN: plait-run %examples/mlp.mlir --random-inputs -n 10 --schedule=forward --save=%t/forward
// RUN: cmp %t/baseline/model.safetensors %t/forward/model.safetensors
// RUN: cmp %t/baseline/optimizer.safetensors %t/forward/optimizer.safetensors

// Another seed does, so that the comparisons above compare something.

// RUN: plait-run %examples/mlp.mlir --random-inputs -n 10 --seed=1 --results=%t/seed.safetensors
// RUN: not cmp -s %t/one.safetensors %t/seed.safetensors
