// The next value of one parameter is made from the other: each is made in the
// buffer of its old value, and both are copied, with a word about it.

// DEFINE: %{check} = %python %S/Inputs/check.py
// RUN: rm -rf %t && mkdir %t
// RUN: plait-run %s --random-inputs -n 7 --compare | FileCheck %s
// CHECK-COUNT-3: equal bit for bit
// RUN: plait-run %s --random-inputs -n 1 --results=%t/1.safetensors --report=%t/r.json
// RUN: plait-run %s --random-inputs -n 2 --results=%t/2.safetensors
// RUN: plait-run %s --random-inputs -n 3 --results=%t/3.safetensors

// The gradient is a constant, which no buffer holds. After two steps each is
// what it was, less two steps of 0.5.
// RUN: %{check} %t/1.safetensors %t/2.safetensors %t/3.safetensors %t/r.json -- \
// RUN:   "np.abs(c['w'] - (b['u'] - np.float32(0.5))).max() == 0 and np.abs(c['u'] - (b['w'] - np.float32(0.5))).max() == 0" \
// RUN:   "np.abs(b['w'] - (a['u'] - np.float32(0.5))).max() == 0 and np.abs(a['w'] - a['u']).max() > 0" \
// RUN:   "d['gradient_bytes'] == 0" \
// RUN:   "[u['param'] for u in d['updates']] == ['u', 'w']" \
// RUN:   "'result #1 (#train.next<\"u\">) is made in the buffer of #train.param<\"w\">, so it is copied' in d['updates'][1]['reason']" \
// RUN:   "'result #0 (#train.next<\"w\">) is made in the buffer of #train.param<\"u\">, so it is copied' in d['updates'][0]['reason']"

func.func @step(%w: tensor<4x4xf32> {train.role = #train.param<"w">}, %u: tensor<4x4xf32> {train.role = #train.param<"u">})
    -> (tensor<4x4xf32> {train.role = #train.next<"w">}, tensor<4x4xf32> {train.role = #train.next<"u">}) attributes {train.step} {
  %one = arith.constant dense<1.0> : tensor<4x4xf32>
  %w1 = train.sgd ins(%one : tensor<4x4xf32>) outs(%w : tensor<4x4xf32>) {lr = 0.5 : f64}
  %u1 = train.sgd ins(%one : tensor<4x4xf32>) outs(%u : tensor<4x4xf32>) {lr = 0.5 : f64}
  return %u1, %w1 : tensor<4x4xf32>, tensor<4x4xf32>
}
