// auto, where the model says that no nest pays: results are those of backward bit
// for bit, and the report says what was decided.

// DEFINE: %{train} = plait-run %examples/mlp.mlir --random-inputs -n 4
// DEFINE: %{check} = %python %S/Inputs/check.py

// RUN: rm -rf %t && mkdir %t
// RUN: %{train} --schedule=backward --results=%t/backward.safetensors
// RUN: %{train} --schedule=auto --report=%t/nest.json --cache-bytes=33554432
// RUN: %{check} %t/nest.json -- "all(u['cluster'] and u['gradient_bytes'] == 0 for u in a['updates'])"

// With a memory this fast, packing in the cache is all that counts. A bias packs
// nothing.
// RUN: %{train} --schedule=auto --report=%t/apart.json --results=%t/apart.safetensors --cache-bytes=1 --cache-gbs=1 --memory-gbs=1e6 --print-schedule | FileCheck %s
// RUN: cmp %t/backward.safetensors %t/apart.safetensors
// CHECK: backward   alone     gradient
// RUN: %{check} %t/apart.json -- \
// RUN:   "all(u['placement'] == 'backward' for u in a['updates']) and a['gradient_bytes'] > 0" \
// RUN:   "all('(one core, in memory): apart; is next to its gradient, which is stored' in u['reason'] or u['cluster'] for u in a['updates'])"
