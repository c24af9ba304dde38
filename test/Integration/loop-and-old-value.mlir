// A loop that carries a parameter, which is read behind the loop as it was: the
// loop works on a copy, a remark says so, and the numbers are those of both
// values. It was refused, with the advice to run a pass that had run.

// RUN: plait-run %s --random-inputs -n 3 --block=4 --compare | FileCheck %s
// CHECK-COUNT-3: equal bit for bit
// RUN: plait-run %s --random-inputs -n 1 --results=%t1.safetensors
// RUN: plait-run %s --random-inputs -n 2 --results=%t2.safetensors
// RUN: %python %S/Inputs/check.py %t1.safetensors %t2.safetensors -- \
// RUN:   "np.abs(a['moved'][:3]).min() > 0" "(a['moved'][3:] == 0).all()" \
// RUN:   "(a['total'] == 2 * a['moved']).all()" "(b['moved'] == 0).all()"
// RUN: plait-opt %s --pass-pipeline='builtin.module(plait-to-llvm{policy=baseline})' --remarks-filter=train-finalize-abi --remark-format=emitRemark -o /dev/null 2>&1 \
// RUN:   | FileCheck %s --check-prefix=REMARK
// REMARK: the whole of #train.param<"w"> is copied in each step: its old value is wanted beside the next one

func.func @step(%w: tensor<8xf32> {train.role = #train.param<"w">})
    -> (tensor<8xf32> {train.role = #train.output<"moved">}, tensor<8xf32> {train.role = #train.output<"total">},
        tensor<8xf32> {train.role = #train.next<"w">}) attributes {train.step} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c3 = arith.constant 3 : index
  %k = arith.constant 0.5 : f32
  %n = scf.for %i = %c0 to %c3 step %c1 iter_args(%v = %w) -> (tensor<8xf32>) {
    %u = tensor.insert %k into %v[%i] : tensor<8xf32>
    scf.yield %u : tensor<8xf32>
  }
  %moved = arith.subf %n, %w : tensor<8xf32>
  %total = arith.addf %moved, %moved : tensor<8xf32>
  return %moved, %total, %n : tensor<8xf32>, tensor<8xf32>, tensor<8xf32>
}
