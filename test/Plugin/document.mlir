// REQUIRES: mlir-opt
// The command that docs/Embedding.md prints, word for word but for the folder of
// the build.

// RUN: %python %S/../doc_block.py %S/../../docs/Embedding.md '1. A plugin for a stock `mlir-opt`' > %t.sh
// RUN: grep -c 'build/lib/plait-plugin.so' %t.sh
// RUN: sed -i 's|build/lib|%plait_libs|' %t.sh
// RUN: cd %S/../.. && bash -e %t.sh | FileCheck %s

// CHECK-LABEL: func.func @step
// CHECK:         train.cluster <backward>
// CHECK:           train.adam
