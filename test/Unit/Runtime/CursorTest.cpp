//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// Tests of the data cursor's text form, which checkpoints hold.
//
//===----------------------------------------------------------------------===//

#include "TestUtils.h"
#include "plait/Runtime/DataFeed.h"

using namespace plait::runtime;

namespace {

TEST(Cursor, TextRoundTrips) {
  EXPECT_EQ(formatCursor({3, 64, 12}), "3:64:12");
  EXPECT_EQ(*parseCursor("18446744073709551615:0:1"),
            (Cursor{UINT64_MAX, 0, 1}));
}

TEST(CursorRefuse, BadText) {
  for (const char *text :
       {"", "1", "1:2", "1:2:", "1:2:3:", "1:2:3 ", "a:2:3", "-1:2:3",
        ":::", "1;2;3", "18446744073709551616:0:0"})
    expectError(parseCursor(text), "bad data cursor '" + std::string(text) +
                                       "', expected epoch:position:step");
}

} // namespace
