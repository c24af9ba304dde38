// --report=FILE: every key of docs/ABI.md.

// DEFINE: %{train} = plait-run %S/Inputs/step.mlir --inputs=%t/data.safetensors
// DEFINE: %{check} = %python %S/Inputs/check.py

// RUN: rm -rf %t && mkdir %t
// RUN: %python %S/Inputs/make_data.py %t/data.safetensors
// RUN: %{train} -n 9 --threads=2 --schedule=auto --backend=auto --report=%t/auto.json --log=%t/log.csv --eval=@eval --eval-inputs=%t/data.safetensors
// RUN: %{check} %t/auto.json -- \
// RUN:   "a['schedule'] == 'auto' and a['backend'] == 'llvm' and a['threads'] == 2 and a['steps'] == 9" \
// RUN:   "a['compile_ms'] > 0 and 0 < a['ms_per_step']['min'] <= a['ms_per_step']['median']" \
// RUN:   "a['param_bytes'] == 4 * (40 + 15) and a['state_bytes'] == 4 * (40 + 40 + 1 + 15 + 1)" \
// RUN:   "a['gradient_bytes'] == 0 and a['pending_bytes'] == 0 and a['arena_bytes'] > 0" \
// RUN:   "a['peak_bytes'] == a['param_bytes'] + a['state_bytes'] + a['arena_bytes'] + 4 * (32 + 12 + 1 + 1) + 4 * (32 + 1)" \
// RUN:   "len(a['loss']) == 9 and 0 < a['loss'][8] < a['loss'][0] and 'diverged_at_step' not in a" \
// RUN:   "a['eval'].keys() == {'activity'} and a['eval']['activity'] > 0" \
// RUN:   "a['loss'] == [np.float32(line.split(',')[1]) for line in list(open(r'%t/log.csv'))[1:]]"

// Where each update is, and why: what bounds its window, and what it is fused
// with.
// RUN: %{check} %t/auto.json -- \
// RUN:   "[u['param'] for u in a['updates']] == ['fc2.weight', 'fc1.weight']" \
// RUN:   "all(u['placement'] == 'backward' and u['cluster'] and u['gradient_bytes'] == 0 for u in a['updates'])" \
// RUN:   "all('waits for old value read by \'linalg.matmul\'' in u['reason'] or 'waits for operand made by \'linalg.matmul\'' in u['reason'] for u in a['updates'])" \
// RUN:   "all(u['reason'].endswith('; is in one loop nest with its gradient') and '; placed: backward; is estimated at 0.000 ms' in u['reason'] for u in a['updates'])"

// RUN: %{train} -n 9 --schedule=forward --backend=llvm --report=%t/forward.json
// RUN: %{check} %t/forward.json -- \
// RUN:   "a['schedule'] == 'forward' and a['backend'] == 'llvm' and a['pending_bytes'] == 4 * (40 + 15 + 1)" \
// RUN:   "all(u['placement'] == 'forward' for u in a['updates'])" \
// RUN:   "all(u['reason'] == 'placed: forward; is in one loop nest with its first reader in the next step' for u in a['updates'])"
// RUN: %{train} -n 9 --schedule=baseline --report=%t/baseline.json
// RUN: %{check} %t/baseline.json %t/auto.json -- \
// RUN:   "a['loss'] == b['loss'] and a['gradient_bytes'] == 4 * (40 + 15)" \
// RUN:   "all(u['placement'] == 'baseline' and not u['cluster'] and u['reason'] == 'placed: baseline' for u in a['updates'])"

// An update that the policy cannot place says so: here a learning rate that
// depends on both gradients.
// RUN: plait-run %s --random-inputs -n 2 --schedule=auto --report=%t/refused.json --print-schedule | FileCheck %s --check-prefix=REFUSED
// REFUSED: v            backward   one nest  gradient 0 bytes
// REFUSED: w.long.name  baseline   alone     gradient 64 bytes
// REFUSED: u            baseline   alone     gradient 64 bytes
// RUN: %{check} %t/refused.json -- \
// RUN:   "[u['placement'] for u in a['updates']] == ['backward', 'baseline', 'baseline']" \
// RUN:   "'depends on the gradients of 1 other parameter; it stays after them (policy=forward can place it)' in a['updates'][1]['reason']"

// Losses that are no numbers are null, and the first has its step, counted over
// all resumes.
// RUN: %python %S/Inputs/make_data.py %t/explode.safetensors --rates=20 --explode=9
// RUN: plait-run %S/Inputs/step.mlir --inputs=%t/explode.safetensors -n 4 --save=%t/four
// RUN: not plait-run %S/Inputs/step.mlir --inputs=%t/explode.safetensors -n 16 --resume=%t/four --report=%t/diverged.json
// RUN: %{check} %t/diverged.json -- "a['diverged_at_step'] == 10 and a['steps'] == 6 and a['loss'][5] is None and a['loss'][4] > 0"
// RUN: plait-run %S/Inputs/step.mlir --inputs=%t/explode.safetensors -n 20 --check-finite=false --report=%t/on.json --eval=@eval --eval-inputs=%t/data.safetensors --log=%t/log.jsonl
// RUN: %{check} %t/on.json -- "a['diverged_at_step'] == 10 and a['loss'][9:] == [None] * 11 and a['eval'] == {'activity': None}"
// RUN: FileCheck %s --check-prefix=JSONL < %t/log.jsonl
// JSONL: {"step": 9, "loss": {{[0-9.e-]+}}, "ms":
// JSONL: {"step": 10, "loss": null, "ms":

// --compare reports each schedule.
// RUN: %{train} -n 6 --block=5 --compare --report=%t/compare.json
// RUN: %{check} %t/compare.json %t/auto.json -- \
// RUN:   "a['equal'] and [s['schedule'] for s in a['schedules']] == ['baseline', 'backward', 'forward']" \
// RUN:   "all(s['equal'] and s['loss'] == b['loss'][:6] and s['final_loss'] == s['loss'][-1] for s in a['schedules'])" \
// RUN:   "all(b.keys() - {'eval', 'eval_rows', 'eval_rows_left', 'data_bytes', 'process_bytes', 'resident_bytes'} <= s.keys() for s in a['schedules'])" \
// RUN:   "[u['reason'].split('; is in')[0] for u in a['schedules'][1]['updates']] == [u['reason'].split('; is estimated')[0] for u in b['updates']]"

func.func @step(
    %w: tensor<4x4xf32> {train.role = #train.param<"w.long.name">},
    %u: tensor<4x4xf32> {train.role = #train.param<"u">},
    %v: tensor<4x4xf32> {train.role = #train.param<"v">},
    %x: tensor<4x4xf32> {train.role = #train.input<"x">}, %dy: tensor<4x4xf32> {train.role = #train.input<"dy">})
    -> (tensor<4x4xf32> {train.role = #train.next<"w.long.name">}, tensor<4x4xf32> {train.role = #train.next<"u">},
        tensor<4x4xf32> {train.role = #train.next<"v">}) attributes {train.step} {
  %c0 = arith.constant 0.0 : f32
  %e = tensor.empty() : tensor<4x4xf32>
  %z = linalg.fill ins(%c0 : f32) outs(%e : tensor<4x4xf32>) -> tensor<4x4xf32>
  %e0 = tensor.empty() : tensor<f32>
  %z0 = linalg.fill ins(%c0 : f32) outs(%e0 : tensor<f32>) -> tensor<f32>
  %dw = linalg.matmul ins(%x, %dy : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %du = linalg.matmul ins(%dy, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %dv = linalg.matmul ins(%x, %x : tensor<4x4xf32>, tensor<4x4xf32>) outs(%z : tensor<4x4xf32>) -> tensor<4x4xf32>
  %nw = linalg.reduce { arith.addf } ins(%dw : tensor<4x4xf32>) outs(%z0 : tensor<f32>) dimensions = [0, 1]
  %lr = linalg.reduce { arith.addf } ins(%du : tensor<4x4xf32>) outs(%nw : tensor<f32>) dimensions = [0, 1]
  %w1 = train.sgd ins(%dw, %lr : tensor<4x4xf32>, tensor<f32>) outs(%w : tensor<4x4xf32>)
  %u1 = train.sgd ins(%du, %lr : tensor<4x4xf32>, tensor<f32>) outs(%u : tensor<4x4xf32>)
  %v1 = train.sgd ins(%dv : tensor<4x4xf32>) outs(%v : tensor<4x4xf32>) {lr = 0.1 : f64}
  return %w1, %u1, %v1 : tensor<4x4xf32>, tensor<4x4xf32>, tensor<4x4xf32>
}
