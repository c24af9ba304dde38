//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Evaluation: a function of the module judges the parameters on held-out data.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_TOOLS_RUN_EVALUATION_H
#define PLAIT_TOOLS_RUN_EVALUATION_H

#include "Data.h"

namespace plait::run {

/// The function of --eval with the data of --eval-inputs.
class Evaluation {
public:
  /// Output and average over all full batches, in the order of the names.
  using Metrics = std::vector<std::pair<std::string, double>>;

  /// Reads the data. Fails where the function is no evaluation: one without
  /// `train.step`, one that carries values on, or one that reads a parameter,
  /// state or buffer that the step does not have, or has with another type.
  static runtime::Expected<Evaluation> create(mlir::ModuleOp module,
                                              const RunOptions &options,
                                              const Session &session);

  /// Applies pending updates, then judges.
  runtime::Expected<Metrics> run(Session &session);

  /// Rows that are judged, and those left over, which fill no batch; both 0
  /// without data sets.
  uint64_t rows() const { return data.rows() - leftRows(); }
  uint64_t leftRows() const {
    return data.batchSize() ? data.rows() % data.batchSize() : 0;
  }

  uint64_t dataBytes() const { return data.bytes(); }

private:
  explicit Evaluation(runtime::DataFeed data) : data(std::move(data)) {}
  runtime::DataFeed data;
};

} // namespace plait::run

#endif // PLAIT_TOOLS_RUN_EVALUATION_H
