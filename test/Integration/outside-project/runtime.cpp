// The runtime alone: no MLIR, no LLVM.
#include "plait/Runtime/SafeTensors.h"

int main(int argc, char **argv) {
  auto missing = plait::runtime::readSafeTensors("no-such.safetensors");
  return missing ? 1 : 0;
}
