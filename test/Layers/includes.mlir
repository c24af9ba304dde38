// test/check_includes.py finds an include by the file that it names. It looked at
// the spelling alone, so that a relative path, or the bare name of a header in
// another library's folder, went wherever it liked.

// RUN: rm -rf %t && mkdir -p %t/lib/Analysis %t/passes/Lower %t/include/plait/Runtime %t/include/plait/Dialect
// RUN: touch %t/passes/Lower/Private.h %t/include/plait/Runtime/Tensor.h %t/include/plait/Dialect/Train.h %t/lib/Analysis/Own.h
// RUN: echo '#include "Own.h"' > %t/lib/Analysis/A.cpp
// RUN: echo '#include "plait/Dialect/Train.h"' >> %t/lib/Analysis/A.cpp
// RUN: echo '#include "mlir/IR/Operation.h"' >> %t/lib/Analysis/A.cpp
// RUN: echo '#include "../../lib/Analysis/Own.h"' >> %t/lib/Analysis/A.cpp
// RUN: %python %S/../check_includes.py %t | FileCheck %s --check-prefix=RIGHT
// RIGHT: 5 files include in the right direction

// RUN: echo '#include "../../passes/Lower/Private.h"' > %t/lib/Analysis/B.cpp
// RUN: echo '#include "Private.h"' >> %t/lib/Analysis/B.cpp
// RUN: echo '#include "Lower/Private.h"' >> %t/lib/Analysis/B.cpp
// RUN: echo '#include "plait/Runtime/Tensor.h"' >> %t/lib/Analysis/B.cpp
// RUN: echo '#include "plait/Passes.h.inc"' >> %t/lib/Analysis/B.cpp
// RUN: echo '#include <mlir/IR/Operation.h>' > %t/include/plait/Runtime/Shape.h
// RUN: not %python %S/../check_includes.py %t | FileCheck %s --check-prefix=WRONG
// WRONG:      include/plait/Runtime/Shape.h: Runtime includes mlir/IR/Operation.h: it knows nothing of MLIR
// WRONG-NEXT: lib/Analysis/B.cpp: Analysis includes ../../passes/Lower/Private.h, of passes
// WRONG-NEXT: lib/Analysis/B.cpp: Analysis includes Private.h, of passes
// WRONG-NEXT: lib/Analysis/B.cpp: Analysis includes Lower/Private.h, of passes
// WRONG-NEXT: lib/Analysis/B.cpp: Analysis includes plait/Runtime/Tensor.h, of Runtime
// WRONG-NEXT: lib/Analysis/B.cpp: Analysis includes plait/Passes.h.inc, of passes
// WRONG-NOT:  {{.}}
