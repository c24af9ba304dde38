//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Conversions are code as any other: an embedder that runs the pipeline finds
// them in the object file.
//
//===----------------------------------------------------------------------===//

#include "Conversions.h"

#include "plait/Dialect/Train/Train.h"
#include "plait/Transforms.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"

using namespace mlir;
using namespace plait;

RankedTensorType plait::blockedType(RankedTensorType type, int64_t dim,
                                    int64_t block) {
  return RankedTensorType::get(
      {type.getDimSize(dim) / block, type.getDimSize(1 - dim), block},
      type.getElementType());
}

std::string plait::conversionName(bool isImport, ArrayRef<int64_t> blocked,
                                  int64_t dim) {
  std::string name = isImport ? "plait_import" : "plait_export";
  for (int64_t extent : blocked)
    name += "_" + std::to_string(extent);
  return name + "_dim" + std::to_string(dim);
}

/// One function that copies each element to its place.
static void addConversion(ModuleOp module, RankedTensorType plain, int64_t dim,
                          int64_t block, bool isImport) {
  RankedTensorType blocked = blockedType(plain, dim, block);
  std::string name = conversionName(isImport, blocked.getShape(), dim);
  OpBuilder b = OpBuilder::atBlockEnd(module.getBody());
  Location loc = module.getLoc();
  RankedTensorType from = isImport ? plain : blocked;
  RankedTensorType to = isImport ? blocked : plain;
  auto fn = func::FuncOp::create(b, loc, name, b.getFunctionType(from, to));
  fn->setAttr(train::TrainDialect::kStepAttr, b.getUnitAttr());
  b.setInsertionPointToStart(fn.addEntryBlock());
  // The matrix with the blocked dimension as two, and where its elements are in
  // a block, an index of the other dimension and an element of the block.
  SmallVector<int64_t> shape(blocked.getShape());
  SmallVector<ReassociationIndices> groups = {{0}, {1, 2}};
  AffineExpr outer = b.getAffineDimExpr(0), other = b.getAffineDimExpr(1),
             inner = b.getAffineDimExpr(2);
  SmallVector<AffineExpr> order = {other, outer, inner};
  std::swap(shape[0], shape[1]);
  if (dim == 0) {
    shape = {blocked.getDimSize(0), block, blocked.getDimSize(1)};
    groups = {{0, 1}, {2}};
    order = {outer, inner, other};
  }
  auto divided = RankedTensorType::get(shape, plain.getElementType());
  Value source = fn.getArgument(0);
  Value empty =
      tensor::EmptyOp::create(b, loc, to.getShape(), to.getElementType());
  Value &matrix = isImport ? source : empty;
  matrix = tensor::ExpandShapeOp::create(b, loc, divided, matrix, groups);
  AffineMap plainMap = AffineMap::get(3, 0, order, b.getContext());
  AffineMap blockedMap = b.getMultiDimIdentityMap(3);
  SmallVector<AffineMap> maps = {plainMap, blockedMap};
  if (!isImport)
    std::swap(maps[0], maps[1]);
  SmallVector<utils::IteratorType> kinds(3, utils::IteratorType::parallel);
  auto copy = linalg::GenericOp::create(
      b, loc, empty.getType(), source, empty, maps, kinds,
      [](OpBuilder &body, Location at, ValueRange args) {
        linalg::YieldOp::create(body, at, args[0]);
      });
  Value result = copy.getResult(0);
  if (!isImport)
    result = tensor::CollapseShapeOp::create(b, loc, result, groups);
  func::ReturnOp::create(b, loc, result);
}

LogicalResult plait::addConversions(ModuleOp module, RankedTensorType type,
                                    int64_t dim, int64_t block) {
  for (bool isImport : {true, false}) {
    std::string name =
        conversionName(isImport, blockedType(type, dim, block).getShape(), dim);
    if (Operation *other = module.lookupSymbol(name))
      return other->emitError("has the name of a function that the compiler "
                              "adds; give it one that does not begin with "
                              "plait_");
    addConversion(module, type, dim, block, isImport);
  }
  return success();
}
