//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// What an update may do, asked before anything is rewritten: by train-place,
// which decides, and again by the passes that obey. A refusal is a reason in
// words, for remarks and errors; an empty one means yes.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_ANALYSIS_LEGALITY_H
#define PLAIT_ANALYSIS_LEGALITY_H

#include "plait/Dialect/Train/Train.h"

#include <string>

namespace plait {

/// Why `update` stays where it is under every policy.
std::string whyNotMove(train::UpdateOpInterface update);

/// Why `update`, which may move, cannot wait for the next step. There, whoever
/// reads what it replaces reads the new value; so that must be all that the new
/// value is for.
std::string whyNotWait(train::UpdateOpInterface update);

/// A loop of a product, and the dimension of the parameter that it is.
struct PanelLoop {
  unsigned loop;
  unsigned dim;
};

/// The loop of `product` that a forward cluster is tiled by: it makes each
/// panel of `param`, the result of the update that the product reads, exactly
/// once. Fails and sets `reason` where there is none; `reason` goes on after
/// the name of the product.
mlir::FailureOr<PanelLoop> findPanelLoop(mlir::linalg::LinalgOp product,
                                         mlir::OpResult param,
                                         std::string &reason);

/// Why `update` and `reader`, the first op that reads what it makes, cannot be
/// one loop nest.
std::string whyNotOneNest(train::UpdateOpInterface update,
                          mlir::Operation *reader);

} // namespace plait

#endif // PLAIT_ANALYSIS_LEGALITY_H
