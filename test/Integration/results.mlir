// --results=FILE holds everything that the last step gave.

// DEFINE: %{train} = plait-run %S/Inputs/step.mlir --inputs=%t/data.safetensors
// DEFINE: %{check} = %python %S/Inputs/check.py

// RUN: rm -rf %t && mkdir %t
// RUN: %python %S/Inputs/make_data.py %t/data.safetensors --rates=5
// RUN: %{train} -n 5 --schedule=baseline --results=%t/a.safetensors --save=%t/saved
// RUN: %{check} %t/a.safetensors %t/saved/model.safetensors %t/saved/optimizer.safetensors -- \
// RUN:   "a.keys() == {'loss'} | b.keys() | c.keys()" \
// RUN:   "same({k: v for k, v in a.items() if k != 'loss'}, b | c)"

// Under forward the last updates wait until the flush that ends the run: the
// next values are those after it, and the values that it took are there as well.
// RUN: %{train} -n 5 --schedule=forward --results=%t/b.safetensors
// RUN: %{check} %t/a.safetensors %t/b.safetensors %t/data.safetensors -- \
// RUN:   "b.keys() - a.keys() == {'pending.fc1.weight.in0', 'pending.fc2.weight.in0', 'pending.fc2.weight.in1'}" \
// RUN:   "same(a, {k: v for k, v in b.items() if not k.startswith('pending.')})" \
// RUN:   "b['pending.fc2.weight.in1'] == c['lr'][4]"

// A first step has them, too. Momentum starts as the gradient.
// RUN: %{train} -n 1 --schedule=forward --results=%t/first.safetensors
// RUN: %{check} %t/first.safetensors %t/data.safetensors -- \
// RUN:   "a['pending.fc2.weight.in0'].any()" \
// RUN:   "np.array_equal(a['pending.fc2.weight.in0'], a['state.fc2.weight.momentum_buffer'])" \
// RUN:   "a['state.fc1.weight.step'] == 1" \
// RUN:   "not np.array_equal(a['fc1.weight'], b['fc1.weight'])"

// An evaluation after the last step leaves its results alone.
// RUN: %{train} -n 5 --eval=@eval --eval-inputs=%t/data.safetensors --eval-every=2 --schedule=forward --results=%t/eval.safetensors
// RUN: cmp %t/eval.safetensors %t/b.safetensors

// A run that diverges has no results.
// RUN: %python %S/Inputs/make_data.py %t/explode.safetensors --rates=20 --explode=4
// RUN: not plait-run %S/Inputs/step.mlir --inputs=%t/explode.safetensors -n 20 --results=%t/none.safetensors
// RUN: not ls %t/none.safetensors
