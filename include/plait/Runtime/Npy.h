//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// NumPy's .npy files.
//
// This file decides which arrays saved by numpy.save can become an input:
// little-endian, C order, an element type that HostTensor has. Anything else is
// refused with the NumPy call that makes it acceptable; nothing is converted
// silently.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_RUNTIME_NPY_H
#define PLAIT_RUNTIME_NPY_H

#include "plait/Runtime/Tensor.h"

#include <string>

namespace plait::runtime {

/// Reads an .npy file of format version 1, 2 or 3. bfloat16 is what ml_dtypes
/// saves, '<V2'. Fails with "<path>: <reason>" on a file that is not .npy, is
/// truncated or has trailing bytes, on Fortran order, on big-endian, object,
/// structured and other unsupported element types.
Expected<HostTensor> readNpy(const std::string &path);

/// As readNpy, from memory; messages have no path.
Expected<HostTensor> parseNpy(const void *data, size_t size);

} // namespace plait::runtime

#endif // PLAIT_RUNTIME_NPY_H
