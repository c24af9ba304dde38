//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// A step is one function of hundreds of loops, one after the other. For what it
// knows about a loop, scalar evolution asks the branches that lead to it, through
// all loops before: time grows with the square of their number. A loop in a
// function of its own has none before it. And the layers of a network are alike:
// what differs are the buffers, which are arguments then, so that one function
// does for all.
//
// The price: an outlined loop does not know that its buffers do not overlap, and
// asks when it runs. In a network of two convolutions, with 4 images of 16 x 16
// (test/python/samples/jax_cnn_adam.mlir), it was 13 % of a step.
//
//===----------------------------------------------------------------------===//

#include "plait/Codegen/OutlineLoops.h"

#include "llvm/ADT/SmallVector.h"
#include "llvm/Analysis/LoopInfo.h"
#include "llvm/IR/Dominators.h"
#include "llvm/IR/Module.h"
#include "llvm/Transforms/IPO/MergeFunctions.h"
#include "llvm/Transforms/Utils/CodeExtractor.h"
#include "llvm/Transforms/Utils/LoopSimplify.h"

using namespace llvm;

/// Fewer than these are compiled as they are.
static constexpr unsigned kManyLoops = 64;

/// Whether pointers and numbers go into the loop, and nothing comes out: a result
/// would go through memory, where a vector was found at an address that is not
/// aligned.
static bool isSimple(const CodeExtractor &extractor) {
  SetVector<Value *> inputs, outputs;
  extractor.findInputsOutputs(inputs, outputs, /*Allocas=*/{});
  return outputs.empty() && none_of(inputs, [](Value *input) {
           return input->getType()->isVectorTy();
         });
}

static void outlineLoopsOf(Function &function) {
  DominatorTree dominators(function);
  LoopInfo loops(dominators);
  if (loops.getTopLevelLoops().size() < kManyLoops)
    return;
  // The extractor wants one entry and one exit.
  SmallVector<Loop *> outermost(loops.begin(), loops.end());
  for (Loop *loop : outermost)
    simplifyLoop(loop, &dominators, &loops, nullptr, nullptr, nullptr,
                 /*PreserveLCSSA=*/false);
  CodeExtractorAnalysisCache cache(function);
  for (Loop *loop : outermost) {
    CodeExtractor extractor(loop->getBlocks(), &dominators);
    if (!extractor.isEligible() || !isSimple(extractor))
      continue;
    if (Function *outlined = extractor.extractCodeRegion(cache))
      outlined->addFnAttr(Attribute::NoInline);
  }
}

void plait::outlineLoops(Module &module) {
  SmallVector<Function *> functions;
  for (Function &function : module)
    if (!function.isDeclaration())
      functions.push_back(&function);
  for (Function *function : functions)
    outlineLoopsOf(*function);
  // Nobody compares addresses of what the compiler has made.
  for (Function &function : module)
    if (function.hasLocalLinkage())
      function.setUnnamedAddr(GlobalValue::UnnamedAddr::Global);
  MergeFunctionsPass::runOnModule(module);
}
