//===- ContractionEmitter.h - Emit a planned contraction --------*- C++ -*-===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM
// Exceptions. SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Writes the loops of a ContractionPlan. The class is shared by the two files
// that implement it, one for the packing and one for everything else; users
// need only emitContraction.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_PASSES_LOWER_CONTRACTIONEMITTER_H
#define PLAIT_PASSES_LOWER_CONTRACTIONEMITTER_H

#include "ContractionPlan.h"

#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Vector/IR/VectorOps.h"
#include "mlir/IR/ImplicitLocOpBuilder.h"

namespace plait {

/// Emits the loops of `plan` at the insertion point of `builder`.
void emitContraction(mlir::OpBuilder &builder, mlir::Location loc,
                     const ContractionPlan &plan,
                     const ContractionTarget &target);

/// A range of one loop: the first index and the number of valid ones.
struct Range {
  mlir::Value begin, size;
};

/// Where a register tile is: in the operands, in their blocks, in its task.
struct Tile {
  mlir::Value row, lane, rowInBlock, laneInBlock, rowInTask;
};

class ContractionEmitter {
public:
  ContractionEmitter(mlir::OpBuilder &builder, mlir::Location loc,
                     const ContractionPlan &plan)
      : b(loc, builder), p(plan), c(plan.contraction) {}

  void emit(bool allowParallel);

private:
  // Values.
  mlir::Value cst(int64_t v) {
    return mlir::arith::ConstantIndexOp::create(b, v);
  }
  mlir::Value add(mlir::Value x, mlir::Value y) {
    return b.createOrFold<mlir::arith::AddIOp>(x, y);
  }
  mlir::Value add(mlir::Value x, int64_t y) { return y ? add(x, cst(y)) : x; }
  mlir::Value mul(mlir::Value x, int64_t y) {
    return b.createOrFold<mlir::arith::MulIOp>(x, cst(y));
  }
  mlir::Value sub(mlir::Value x, mlir::Value y) {
    return b.createOrFold<mlir::arith::SubIOp>(x, y);
  }
  mlir::Value min(mlir::Value x, mlir::Value y) {
    return b.createOrFold<mlir::arith::MinSIOp>(x, y);
  }
  mlir::Value less(mlir::Value x, mlir::Value y) {
    return mlir::arith::CmpIOp::create(b, mlir::arith::CmpIPredicate::slt, x,
                                       y);
  }
  mlir::VectorType vec(int64_t width) {
    return mlir::VectorType::get({width}, b.getF32Type());
  }
  mlir::Value zeros(int64_t width) {
    return mlir::arith::ConstantOp::create(b, b.getZeroAttr(vec(width)));
  }
  mlir::Value loadVector(mlir::Value memref, mlir::ValueRange at,
                         int64_t width) {
    return mlir::vector::LoadOp::create(b, vec(width), memref, at);
  }
  mlir::Value loadScalar(mlir::Value memref, mlir::ValueRange at) {
    return mlir::memref::LoadOp::create(b, memref, at);
  }
  llvm::SmallVector<mlir::Value> indices(const ContractionOperand &operand,
                                         mlir::Value row, mlir::Value lane,
                                         mlir::Value step);
  mlir::Value blockSize(mlir::Value begin, int64_t size, int64_t extent);
  mlir::Value clamp(mlir::Value index, int64_t extent, int64_t block);

  // Control flow.
  template <typename Body>
  void loop(mlir::Value begin, mlir::Value end, int64_t step, Body body);
  template <typename Body> void loop(mlir::Value end, int64_t step, Body body) {
    loop(cst(0), end, step, body);
  }
  void loopStepsByEight(mlir::Value size,
                        llvm::function_ref<void(mlir::Value)> eight,
                        llvm::function_ref<void(mlir::Value)> one);

  // Workspaces.
  void createWorkspaces();

  // The parts of the loop nest, from the outside to the inside.
  void emitGrid(bool isParallel);
  void emitTask(mlir::Value row, mlir::Value lane);
  void emitTaskEpilogue(Range rows, Range lanes);
  void packLanes(Range lanes, Range steps);
  void packLaneRows(Range lanes, Range steps);
  void packLaneColumns(Range lanes, Range steps);
  void packLaneScalars(Range lanes, Range steps);
  void packRows(Range rows, Range steps);
  void packRowMajor(Range rows, Range steps);
  void packInterleaved(Range rows, Range steps);
  void emitTiles(mlir::Value taskRow, Range rows, Range lanes, Range steps);
  void emitTile(const Tile &tile, Range steps);
  void prefetch(const ContractionOperand &operand, mlir::Value row,
                mlir::Value lane, mlir::Value step);
  void prefetchLanes(mlir::Value lane, mlir::Value step);
  void prefetchRows(mlir::Value row, mlir::Value step);
  llvm::SmallVector<mlir::Value> firstAcc(mlir::Value row, mlir::Value lane);
  llvm::SmallVector<mlir::Value> startAcc(const Tile &tile, mlir::Value step);
  mlir::Value packedAccAt(const Tile &tile, int64_t n);
  llvm::SmallVector<mlir::Value> loadPackedAcc(const Tile &tile);
  void keepAcc(mlir::ValueRange acc, const Tile &tile, mlir::Value step);
  llvm::SmallVector<mlir::Value> loadAcc(mlir::Value row, mlir::Value lane);
  void storeAcc(mlir::ValueRange acc, mlir::Value row, mlir::Value lane,
                bool isLast);
  void storeAccDirect(mlir::ValueRange acc, mlir::Value row, mlir::Value lane,
                      bool isLast);
  llvm::SmallVector<mlir::Value> loadAccEdge(mlir::Value row, mlir::Value lane);
  void storeAccEdge(mlir::ValueRange acc, mlir::Value row, mlir::Value lane,
                    bool isLast);
  llvm::SmallVector<mlir::Value> loadTile(
      mlir::Value memref,
      llvm::function_ref<llvm::SmallVector<mlir::Value>(int64_t, int64_t)> at);
  mlir::Value isFullTile(mlir::Value row, mlir::Value lane);

  mlir::ImplicitLocOpBuilder b;
  const ContractionPlan &p;
  const Contraction &c;
  llvm::SmallVector<mlir::Value> batch;
  mlir::Value rowSpace, laneSpace, accSpace, edgeSpace;
};

template <typename Body>
void ContractionEmitter::loop(mlir::Value begin, mlir::Value end, int64_t step,
                              Body body) {
  auto forOp = mlir::scf::ForOp::create(b, begin, end, cst(step));
  mlir::OpBuilder::InsertionGuard guard(b);
  b.setInsertionPointToStart(forOp.getBody());
  body(forOp.getInductionVar());
}

} // namespace plait

#endif // PLAIT_PASSES_LOWER_CONTRACTIONEMITTER_H
