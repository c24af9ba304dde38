// A save knows how its run drew its data: after N steps and N more, every bit is
// as after 2N, with the rows shuffled, a rest carried into the next epoch, a
// learning rate for each step, and under every schedule.

// DEFINE: %{order} =
// DEFINE: %{schedule} =
// DEFINE: %{out} =
// DEFINE: %{train} = plait-run %S/Inputs/step.mlir --inputs=%t/data.safetensors --schedule=%{schedule}
// DEFINE: %{halves} = \
// DEFINE:   %{train} -n 20 %{order} --save=%t/whole-%{out} && \
// DEFINE:   %{train} -n 9 %{order} --save=%t/half-%{out} && \
// DEFINE:   %{train} -n 11 --resume=%t/half-%{out} --save=%t/both-%{out} && \
// DEFINE:   cmp %t/whole-%{out}/model.safetensors %t/both-%{out}/model.safetensors && \
// DEFINE:   cmp %t/whole-%{out}/optimizer.safetensors %t/both-%{out}/optimizer.safetensors

// RUN: rm -rf %t && mkdir %t
// RUN: %python %S/Inputs/make_data.py %t/data.safetensors --rates=20

// REDEFINE: %{order} = --shuffle --seed=3
// REDEFINE: %{schedule} = baseline
// REDEFINE: %{out} = baseline
// RUN: %{halves}
// REDEFINE: %{schedule} = backward
// REDEFINE: %{out} = backward
// RUN: %{halves}
// REDEFINE: %{schedule} = forward
// REDEFINE: %{out} = forward
// RUN: %{halves}
// RUN: cmp %t/whole-baseline/model.safetensors %t/whole-forward/model.safetensors

// REDEFINE: %{order} = --shuffle --seed=3 --wrap
// REDEFINE: %{out} = wrap
// RUN: %{halves}
// REDEFINE: %{order} =
// REDEFINE: %{out} = plain
// RUN: %{halves}

// The three orders are three results, so that the comparisons above compare
// something; and each says what it is.
// RUN: not cmp -s %t/whole-forward/model.safetensors %t/whole-wrap/model.safetensors
// RUN: not cmp -s %t/whole-forward/model.safetensors %t/whole-plain/model.safetensors
// RUN: FileCheck %s --check-prefix=RNG < %t/both-wrap/model.safetensors
// RNG: "data_cursor":"5:10:20","format":"pt","global_step":"20","module_hash":"{{[0-9a-f]+}}","plait_version":"{{.+}}","rng":"splitmix64 seed=3 shuffle=on last-batch=wrap"

// To say the same again is no mistake; to say another is one.
// RUN: %{train} -n 1 --resume=%t/half-wrap --seed=3 --shuffle --wrap
// RUN: %{train} -n 1 --resume=%t/half-plain --seed=0 --shuffle=false --drop-last
// DEFINE: %{refuse} = not %{train} -n 1 --resume=%t/half-wrap
// RUN: %{refuse} --seed=4 2>&1 | FileCheck %s --check-prefix=SEED
// SEED: error: --seed=4, but the save was made with --seed=3; leave the option out to go on as before, or load the save's files with --inputs to start anew
// RUN: %{refuse} --shuffle=false 2>&1 | FileCheck %s --check-prefix=SHUFFLE
// SHUFFLE: error: --shuffle=false, but the save was made with --shuffle=true;
// RUN: %{refuse} --drop-last 2>&1 | FileCheck %s --check-prefix=WRAP
// WRAP: error: --wrap=false, but the save was made with --wrap=true;

// A learning rate for each step must be there for all steps of both runs.
// RUN: not %{train} -n 12 --resume=%t/half-wrap 2>&1 | FileCheck %s --check-prefix=RATES
// RATES: input 'lr': expected at least 21 values, one per step
