//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The public header of the `train` dialect, and the questions about roles that
// every pass asks.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_DIALECT_TRAIN_TRAIN_H
#define PLAIT_DIALECT_TRAIN_TRAIN_H

#include "mlir/Bytecode/BytecodeOpInterface.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/IR/Dialect.h"
#include "mlir/IR/OpDefinition.h"
#include "mlir/IR/OpImplementation.h"
#include "mlir/Interfaces/DestinationStyleOpInterface.h"
#include "mlir/Interfaces/FunctionInterfaces.h"
#include "mlir/Interfaces/InferTypeOpInterface.h"
#include "mlir/Interfaces/SideEffectInterfaces.h"

// Code generated for upstream's interfaces names MLIR's types unqualified.
namespace plait::train {
using namespace mlir;

/// How many of an update's inputs are gradients of `param`; the others are
/// scalars.
unsigned countGradients(ValueRange inputs, Value param);
} // namespace plait::train

#include "plait/Dialect/Train/TrainInterfaces.h.inc"

#include "plait/Dialect/Train/TrainDialect.h.inc"
#include "plait/Dialect/Train/TrainEnums.h.inc"

#define GET_ATTRDEF_CLASSES
#include "plait/Dialect/Train/TrainAttrs.h.inc"

#define GET_OP_CLASSES
#include "plait/Dialect/Train/TrainOps.h.inc"

namespace plait::train {

/// True for a function that carries `train.step`.
bool isTrainingStep(mlir::Operation *op);

/// Roles of argument and result `index`, or null where none is written.
mlir::Attribute getArgRole(mlir::FunctionOpInterface fn, unsigned index);
mlir::Attribute getResultRole(mlir::FunctionOpInterface fn, unsigned index);

/// The argument of `fn` whose role is `#train.param<name>` (`state` empty) or
/// `#train.state<name, state>`; null where there is none.
mlir::BlockArgument findCarriedArg(mlir::FunctionOpInterface fn,
                                   llvm::StringRef name, llvm::StringRef state);

/// The argument that a result with role `#train.next` or `#train.pending`
/// replaces in the next step; null for any other result, or where there is
/// none.
mlir::BlockArgument getCarriedArg(mlir::FunctionOpInterface fn,
                                  unsigned resultIndex);

/// The name of the parameter that `update` updates: that of the role of the
/// argument its first destination comes from, through clusters. Empty where
/// the parameter is no argument with a role.
llvm::StringRef getParamName(UpdateOpInterface update);

/// `value` traced out of enclosing `train.cluster` regions to the value that
/// was passed in.
mlir::Value traceThroughClusters(mlir::Value value);

/// What every update's `decomposeOperation` returns: its results as linalg
/// ops whose destinations are the update's destinations.
using DecomposedUpdate = mlir::FailureOr<llvm::SmallVector<mlir::Value>>;

} // namespace plait::train

#endif // PLAIT_DIALECT_TRAIN_TRAIN_H
