//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Options of a session in place of what a cpu has.
//
//===----------------------------------------------------------------------===//

#include "SessionTarget.h"

#include "plait/Codegen/Cpu.h"
#include "plait/Dialect/Train/Train.h"
#include "plait/Target/BlockSizes.h"

using namespace mlir;
using namespace plait;
using namespace plait::run;

FailureOr<std::string> run::resolveSchedule(ModuleOp module,
                                            const std::string &name) {
  if (name == "auto")
    return std::string("backward");
  if (!train::symbolizePlacement(name))
    return module.emitError("unknown schedule '")
           << name << "'; expected auto, baseline, backward or forward";
  return name;
}

/// Constants that were given, in place of the target's.
static void override(CostConstants &target, const CostConstants &given) {
  if (given.cacheBytes)
    target.cacheBytes = given.cacheBytes;
  for (double CostConstants::*rate :
       {&CostConstants::coreGflops, &CostConstants::cacheGBs,
        &CostConstants::memoryGBs})
    if (given.*rate)
      target.*rate = given.*rate;
}

FailureOr<TargetOptions> run::targetFor(ModuleOp module,
                                        const SessionOptions &options) {
  auto target = targetOptionsFor(options.cpu);
  if (!target)
    return module.emitError(llvm::toString(target.takeError()));
  override(target->cost, options.cost);
  CacheSizes caches = target->caches;
  if (options.caches.l1Bytes)
    caches.l1Bytes = options.caches.l1Bytes;
  if (options.caches.l2Bytes)
    caches.l2Bytes = options.caches.l2Bytes;
  if (caches.l2Bytes < caches.l1Bytes)
    return module.emitError("the second cache would have ")
           << caches.l2Bytes << " bytes, fewer than the first, which has "
           << caches.l1Bytes << "; give both --l1-bytes and --l2-bytes";
  setCaches(*target, caches);
  target->blockParameters = options.layout == Layout::Auto;
  target->epilogues = options.epilogues;
  target->sideBySide = options.sideBySide;
  return std::move(*target);
}
