//===----------------------------------------------------------------------===//
//
// Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
// SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
//
//===----------------------------------------------------------------------===//
//
// The order in which an epoch visits the rows of a data set.
//
// This file decides the random numbers of a run. They are part of what makes a
// run repeatable, so the generator is spelled out here instead of taken from
// <random>, whose distributions differ between standard libraries. Changing
// anything here changes every shuffled run: the tests hold fixed values.
//
//===----------------------------------------------------------------------===//

#ifndef PLAIT_RUNTIME_SHUFFLE_H
#define PLAIT_RUNTIME_SHUFFLE_H

#include <cstdint>
#include <vector>

namespace plait::runtime {

/// splitmix64 (Steele, Lea, Flood 2014): the state advances by a constant and
/// is then mixed. All arithmetic is modulo 2^64.
class SplitMix64 {
public:
  explicit SplitMix64(uint64_t state) : state(state) {}

  uint64_t next() { return mix(state += 0x9e3779b97f4a7c15u); }

  /// A uniform number below `bound` (which is not 0): next() modulo bound,
  /// drawn again while below 2^64 modulo bound, so that no remainder is
  /// favoured.
  uint64_t below(uint64_t bound);

  /// The finalizer alone.
  static uint64_t mix(uint64_t z) {
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
  }

private:
  uint64_t state;
};

/// The rows 0 .. rows-1 in the order of `epoch`: Fisher-Yates from the last
/// row down, swapping row i with row below(i + 1), with a SplitMix64 that
/// starts at mix(mix(seed) + epoch). Depends on the arguments only, so any
/// epoch can be had without those before it. Uses 8 bytes per row.
std::vector<uint64_t> epochOrder(uint64_t seed, uint64_t epoch, uint64_t rows);

} // namespace plait::runtime

#endif // PLAIT_RUNTIME_SHUFFLE_H
