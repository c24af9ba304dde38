//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Workspaces: where a stack buffer of a product goes, and who shares it.
//
//===----------------------------------------------------------------------===//

#include "Workspace.h"

#include "mlir/Dialect/Affine/IR/AffineOps.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

using namespace mlir;

/// Whether the body of `op` runs in several threads.
static bool isParallelLoop(Operation *op) {
  // A name instead of a class, so that OpenMP is not a dependency.
  return isa<scf::ParallelOp, scf::ForallOp, affine::AffineParallelOp>(op) ||
         op->getName().getDialectNamespace() == "omp";
}

bool plait::isInParallelLoop(Block *block) {
  for (Operation *op = block->getParentOp(); op; op = op->getParentOp())
    if (isParallelLoop(op))
      return true;
  return false;
}

/// The block whose start runs once per thread around `block`. An alloca in a
/// sequential loop would grow the stack in each iteration.
static Block *allocationBlock(Block *block) {
  for (Operation *parent = block->getParentOp(); parent;
       parent = block->getParentOp()) {
    if (isParallelLoop(parent) || isa<FunctionOpInterface>(parent) ||
        !parent->getBlock())
      break;
    block = parent->getBlock();
  }
  return &block->getParent()->front();
}

Value plait::getWorkspace(OpBuilder &builder, Location loc, StringRef role,
                          int64_t size) {
  constexpr StringLiteral tag = "plait.workspace";
  Block *block = allocationBlock(builder.getInsertionBlock());
  auto type = MemRefType::get({size}, builder.getF32Type());
  for (auto alloca : block->getOps<memref::AllocaOp>()) {
    auto attr = alloca->getAttrOfType<StringAttr>(tag);
    if (!attr || attr.getValue() != role)
      continue;
    if (alloca.getType().getNumElements() < size)
      alloca.getResult().setType(type);
    return alloca;
  }
  OpBuilder::InsertionGuard guard(builder);
  builder.setInsertionPointToStart(block);
  auto alloca = memref::AllocaOp::create(builder, loc, type,
                                         builder.getI64IntegerAttr(64));
  alloca->setAttr(tag, builder.getStringAttr(role));
  return alloca;
}
