//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Blocked values: which tensors must have the layout of a parameter if it has
// one of its own, and which products read or make them.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_LAYOUT_BLOCKEDVALUES_H
#define PLAIT_PASSES_LAYOUT_BLOCKEDVALUES_H

#include "plait/Dialect/Train/Train.h"

#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/BuiltinOps.h"
#include "llvm/ADT/SetVector.h"

#include <string>

namespace plait {

/// A parameter of two dimensions, its states and gradients, in all functions of
/// a module: every tensor that elementwise ops, updates and results tie to it,
/// of other parameters too.
class BlockedValues {
public:
  /// Collects what is tied to `param`. Fails where something reads or makes one
  /// of the tensors as a whole, or in parts; `reason` then goes on after the
  /// name of the parameter.
  mlir::LogicalResult collect(mlir::ModuleOp module, mlir::BlockArgument param,
                              std::string &reason);

  mlir::RankedTensorType type;
  llvm::SetVector<mlir::Value> values;
  /// Names of the parameters among them.
  llvm::SetVector<mlir::StringAttr> params;
  /// The operand of a product that is one of the values, or makes one.
  llvm::SetVector<mlir::OpOperand *> products;
  llvm::SetVector<mlir::linalg::LinalgOp> elementwise;
  llvm::SetVector<train::UpdateOpInterface> updates;

private:
  void add(mlir::Value value);
  void addParam(mlir::ModuleOp module, mlir::StringAttr name);
  bool hasShape(mlir::Type type) const;
  mlir::LogicalResult visitSource(mlir::ModuleOp module, mlir::Value value);
  mlir::LogicalResult visitUse(mlir::OpOperand &use);
  mlir::LogicalResult visitOp(mlir::Operation *op);
  mlir::LogicalResult visitProduct(mlir::OpOperand &operand);
  mlir::LogicalResult visitElementwise(mlir::linalg::LinalgOp op);
  mlir::LogicalResult visitUpdate(train::UpdateOpInterface update);
  mlir::LogicalResult checkResults();
  mlir::LogicalResult fail(const llvm::Twine &why);

  llvm::SmallVector<mlir::Value> worklist;
  llvm::SmallVector<mlir::OpOperand *> results;
  bool differs = false;
  std::string why;
};

/// Whether `op` makes a tensor of one value, anew for each layout.
bool isSplat(mlir::Operation *op);

} // namespace plait

#endif // PLAIT_PASSES_LAYOUT_BLOCKEDVALUES_H
