// Ctrl-C lets the step finish, flushes, saves and exits with 130.

// DEFINE: %{train} = plait-run %S/Inputs/step.mlir --inputs=%t/data.safetensors
// DEFINE: %{interrupt} = %python %S/Inputs/interrupt.py

// RUN: rm -rf %t && mkdir %t
// RUN: %python %S/Inputs/make_data.py %t/data.safetensors
// RUN: %{interrupt} %t/log.csv 20 %{train} -n 100000000 --shuffle --seed=5 --schedule=forward \
// RUN:   --log=%t/log.csv --save=%t/cut --save-every=1000000 --results=%t/r.safetensors --report=%t/report.json \
// RUN:   --eval=@eval --eval-inputs=%t/data.safetensors > %t/out
// RUN: FileCheck %s --implicit-check-not='eval activity' < %t/out
// CHECK: forward: {{[0-9]+}} steps, {{.*}} loss
// CHECK: code 130

// What is there is what a run of that many steps leaves.
// RUN: grep -ao '"global_step":"[0-9]*"' %t/cut/model.safetensors | grep -o '[0-9]*' > %t/steps
// RUN: bash -c '%{train} -n $(cat %t/steps) --shuffle --seed=5 --save=%t/whole --results=%t/w.safetensors --report=%t/whole.json'
// RUN: cmp %t/cut/model.safetensors %t/whole/model.safetensors
// RUN: cmp %t/cut/optimizer.safetensors %t/whole/optimizer.safetensors
// RUN: %python %S/Inputs/check.py %t/r.safetensors %t/w.safetensors %t/report.json %t/whole.json -- \
// RUN:   "same({n: v for n, v in a.items() if not n.startswith('pending.')}, b)" \
// RUN:   "c['steps'] == d['steps'] >= 19 and c['loss'] == d['loss']"

// And it can go on.
// RUN: %{train} -n 5 --resume=%t/cut --save=%t/cut
// RUN: %{train} -n 5 --resume=%t/whole --save=%t/more --schedule=baseline
// RUN: cmp %t/cut/model.safetensors %t/more/model.safetensors
// RUN: cmp %t/cut/optimizer.safetensors %t/more/optimizer.safetensors
// RUN: not cmp -s %t/cut/model.safetensors %t/whole/model.safetensors

// Without --save there is nothing to save, and the code is the same.
// RUN: %{interrupt} %t/log.jsonl 20 %{train} -n 100000000 --log=%t/log.jsonl | FileCheck %s --check-prefix=UNSAVED
// UNSAVED: backward: {{[0-9]+}} steps, {{.*}} loss
// UNSAVED: code 130
