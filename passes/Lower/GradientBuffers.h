//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Which gradients are stored: asked of buffers, since placement only says what
// ought to be. A gradient of two parts, say, may be in one loop nest with its
// update, and one of the parts stored in full all the same.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_LOWER_GRADIENTBUFFERS_H
#define PLAIT_LOWER_GRADIENTBUFFERS_H

#include "mlir/IR/BuiltinAttributes.h"
#include "mlir/Interfaces/FunctionInterfaces.h"

namespace plait {

/// Bytes of the buffers of a parameter's size from which its update reads, for
/// each parameter that `step` updates, by name. A panel is no such buffer, nor
/// is a constant or an input; a pending value is. To be asked while arguments
/// have their roles.
mlir::DictionaryAttr gradientBytes(mlir::FunctionOpInterface step);

} // namespace plait

#endif // PLAIT_LOWER_GRADIENTBUFFERS_H
