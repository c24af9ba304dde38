// --eval: which rows are in the averages, and at which steps they are taken.

// DEFINE: %{train} = plait-run %S/Inputs/step.mlir --inputs=%t/data.safetensors --eval=@eval
// DEFINE: %{check} = %python %S/Inputs/check.py

// RUN: rm -rf %t && mkdir %t
// RUN: %python %S/Inputs/make_data.py %t/data.safetensors
// RUN: %python %S/Inputs/make_data.py %t/12.safetensors --rows=12
// RUN: %python %S/Inputs/make_data.py %t/4.safetensors --rows=4

// Of 14 rows the last 2 fill no batch of 4: not without a word.
// RUN: %{train} -n 4 --eval-inputs=%t/data.safetensors --report=%t/14.json 2>&1 | FileCheck %s --check-prefix=LEFT
// LEFT: step.mlir: warning: --eval=@eval: only 12 of the 14 rows are evaluated: the last 2 fill no batch of 4; write the function for a batch that divides 14, such as 2, to evaluate all
// LEFT-NOT: warning
// RUN: %{train} -n 4 --eval-inputs=%t/12.safetensors --report=%t/12.json 2>&1 | FileCheck %s --check-prefix=FULL --implicit-check-not=warning
// FULL: step 4 eval activity
// RUN: %{train} -n 4 --eval-inputs=%t/4.safetensors --report=%t/4.json 2>&1 | FileCheck %s --check-prefix=FULL --implicit-check-not=warning
// RUN: %{check} %t/14.json %t/12.json %t/4.json -- \
// RUN:   "(a['eval_rows'], a['eval_rows_left']) == (12, 2)" \
// RUN:   "(b['eval_rows'], b['eval_rows_left']) == (12, 0)" \
// RUN:   "a['eval'].keys() == b['eval'].keys() == {'activity'}"

// The last step is evaluated, once, whether N divides the steps or not; the
// report has its values.
// DEFINE: %{steps} = FileCheck %s --implicit-check-not='eval activity' --check-prefix
// RUN: %{train} -n 4 --eval-inputs=%t/12.safetensors --eval-every=2 | %{steps}=TWICE
// TWICE: step 2 eval activity
// TWICE: step 4 eval activity
// RUN: %{train} -n 5 --eval-inputs=%t/12.safetensors --eval-every=2 --schedule=forward | %{steps}=THRICE
// THRICE: step 2 eval activity
// THRICE: step 4 eval activity
// THRICE: step 5 eval activity
// RUN: %{train} -n 4 --eval-inputs=%t/12.safetensors --eval-every=2 --report=%t/every.json
// RUN: %{train} -n 4 --eval-inputs=%t/12.safetensors --eval-every=2 --report=%t/forward.json --schedule=forward --save=%t/save
// RUN: %{check} %t/12.json %t/every.json %t/forward.json -- "a['eval'] == b['eval'] == c['eval']"
// RUN: %{train} -n 0 --eval-inputs=%t/12.safetensors --eval-every=2 | %{steps}=ZERO
// ZERO: step 0 eval activity
