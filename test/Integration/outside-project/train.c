/* Trains in somebody else's C program: the C API alone, no MLIR, no C++. */
#include <plait-c/Plait.h>

#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv) {
  static char text[1 << 16];
  FILE *file = fopen(argv[1], "rb");
  if (!file)
    return 1;
  size_t length = fread(text, 1, sizeof text, file);
  PlaitOptions options = PLAIT_OPTIONS_INIT;
  options.schedule = argc > 2 ? argv[2] : "auto";
  PlaitStep *step;
  if (plaitStepCreate(text, length, &options, &step) != PLAIT_SUCCESS) {
    fprintf(stderr, "%s\n", plaitLastError());
    return 1;
  }
  /* All parameters and inputs are zero, so the loss is. */
  PlaitTensor inputs[8];
  size_t numInputs = 0;
  for (size_t i = 0; i < plaitStepNumSlots(step); ++i) {
    PlaitSlot slot;
    plaitStepSlot(step, i, &slot);
    if (slot.kind == PLAIT_INPUT) {
      PlaitTensor input = {calloc(1, slot.bytes), slot.dtype, slot.rank,
                           slot.shape};
      inputs[numInputs++] = input;
    }
  }
  float loss = -1;
  void *outputs[] = {&loss};
  if (plaitStepRun(step, inputs, numInputs, outputs, 1) != PLAIT_SUCCESS) {
    fprintf(stderr, "%s\n", plaitLastError());
    return 1;
  }
  printf("loss %g\n", loss);
  plaitStepDestroy(step);
  return 0;
}
