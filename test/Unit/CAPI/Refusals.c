/*===----------------------------------------------------------------------===*\
|*
|* Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* What the functions of the C API refuse, and what they say.
|*
\*===----------------------------------------------------------------------===*/

#include "CApiTest.h"

void refusesToCompile(void) {
  PlaitOptions options = PLAIT_OPTIONS_INIT;
  PlaitStep *step = (PlaitStep *)text; /* must become null */
  const char *bad = "func.func @step(%x: tensor<2xf32>) {\n  nonsense\n}";
  REFUSES(plaitStepCreate(bad, strlen(bad), NULL, &step), PLAIT_NOT_COMPILED,
          "step.mlir:2:3: error: ");
  CHECK(step == NULL);
  const char *empty = "func.func @f() { return }";
  REFUSES(plaitStepCreate(empty, strlen(empty), NULL, &step),
          PLAIT_NOT_COMPILED, "has no training step");
  options.schedule = "sideways";
  REFUSES(plaitStepCreate(text, length, &options, &step), PLAIT_NOT_COMPILED,
          "unknown schedule 'sideways'; expected auto, baseline");
  options = (PlaitOptions)PLAIT_OPTIONS_INIT;
  options.entry = "other";
  REFUSES(plaitStepCreate(text, length, &options, &step), PLAIT_NOT_COMPILED,
          "has no training step @other");
  options = (PlaitOptions)PLAIT_OPTIONS_INIT;
  options.cpu = "abacus";
  REFUSES(plaitStepCreate(text, length, &options, &step), PLAIT_NOT_COMPILED,
          "unknown cpu 'abacus'");
  /* A call that nothing in the process answers is found before the first run. */
  const char *call =
      "func.func private @nowhere()\n"
      "func.func @step(%w: tensor<2xf32> {train.role = #train.param<\"w\">})\n"
      "    -> (tensor<2xf32> {train.role = #train.next<\"w\">})\n"
      "    attributes {train.step} {\n"
      "  call @nowhere() : () -> ()\n"
      "  %n = train.sgd ins(%w : tensor<2xf32>) outs(%w : tensor<2xf32>)"
      " {lr = 0.1 : f64}\n"
      "  return %n : tensor<2xf32>\n"
      "}";
  REFUSES(plaitStepCreate(call, strlen(call), NULL, &step), PLAIT_NOT_COMPILED,
          "calls 'nowhere', which nothing in this process defines");
  CHECK(step == NULL);
}

void refusesNulls(void) {
  PlaitStep *step = NULL;
  PlaitSlot slot;
  PlaitInfo info;
  PlaitUpdate update;
  PlaitTensor tensor = {w0, PLAIT_F32, 2, wShape};
  float w[12];
  REFUSES(plaitStepCreate(NULL, 0, NULL, &step), PLAIT_BAD_ARGUMENT, "'text'");
  REFUSES(plaitStepCreate(text, length, NULL, NULL), PLAIT_BAD_ARGUMENT,
          "'step' is null");
  CHECK(plaitStepNumSlots(NULL) == 0 && plaitStepNumUpdates(NULL) == 0);
  REFUSES(plaitStepSlot(NULL, 0, &slot), PLAIT_BAD_ARGUMENT, "'step'");
  REFUSES(plaitStepWrite(NULL, 0, &tensor), PLAIT_BAD_ARGUMENT, "'step'");
  REFUSES(plaitStepRead(NULL, 0, w, 4), PLAIT_BAD_ARGUMENT, "'step'");
  REFUSES(plaitStepRun(NULL, NULL, 0, NULL, 0), PLAIT_BAD_ARGUMENT, "'step'");
  REFUSES(plaitStepFlush(NULL), PLAIT_BAD_ARGUMENT, "'step'");
  REFUSES(plaitStepInfo(NULL, &info), PLAIT_BAD_ARGUMENT, "'step'");
  REFUSES(plaitStepUpdate(NULL, 0, &update), PLAIT_BAD_ARGUMENT, "'step'");
  plaitStepDestroy(NULL);

  step = compile("baseline");
  REFUSES(plaitStepSlot(step, W, NULL), PLAIT_BAD_ARGUMENT, "'slot'");
  REFUSES(plaitStepWrite(step, W, NULL), PLAIT_BAD_ARGUMENT, "'value'");
  REFUSES(plaitStepRead(step, W, NULL, 48), PLAIT_BAD_ARGUMENT, "'data'");
  REFUSES(plaitStepRun(step, NULL, 5, NULL, 0), PLAIT_BAD_ARGUMENT, "'inputs'");
  REFUSES(plaitStepInfo(step, NULL), PLAIT_BAD_ARGUMENT, "'info'");
  REFUSES(plaitStepUpdate(step, 0, NULL), PLAIT_BAD_ARGUMENT, "'update'");
  tensor.data = NULL;
  REFUSES(plaitStepWrite(step, W, &tensor), PLAIT_BAD_ARGUMENT, "data of 'w'");
  tensor.shape = NULL;
  REFUSES(plaitStepWrite(step, W, &tensor), PLAIT_BAD_ARGUMENT, "shape of 'w'");
  plaitStepDestroy(step);
}

void refusesWrongTensors(void) {
  PlaitStep *step = compile("baseline");
  PlaitSlot slot;
  PlaitUpdate update;
  float w[12];
  REFUSES(plaitStepSlot(step, SLOTS, &slot), PLAIT_BAD_ARGUMENT, "no slot 11");
  REFUSES(plaitStepUpdate(step, 1, &update), PLAIT_BAD_ARGUMENT, "no update 1");
  REFUSES(plaitStepRead(step, W, w, 44), PLAIT_BAD_ARGUMENT,
          "'w' has 48 bytes, not 44");
  REFUSES(plaitStepRead(step, X, w, 24), PLAIT_BAD_ARGUMENT, "is an input");
  PlaitTensor tensor = {w0, PLAIT_F32, 2, xShape};
  REFUSES(plaitStepWrite(step, W, &tensor), PLAIT_BAD_ARGUMENT,
          "'w' has type F32[2, 3], the step expects F32[4, 3]");
  REFUSES(plaitStepWrite(step, X, &tensor), PLAIT_BAD_ARGUMENT, "not carried");
  tensor.dtype = (PlaitDType)99;
  REFUSES(plaitStepWrite(step, W, &tensor), PLAIT_BAD_ARGUMENT,
          "unknown element type 99");
  plaitStepDestroy(step);
}

void refusesWrongInputs(void) {
  PlaitStep *step = compile("baseline");
  float x[6], y[8], lr = 0.1f, loss;
  int64_t row = 0;
  batch(0, x, y);
  unsigned char mask[2] = {1, 3};
  REFUSES(run(step, x, y, mask, lr, NULL), PLAIT_BAD_ARGUMENT,
          "'mask': BOOL element 1 is the byte 3");
  /* An index out of range would read foreign memory. */
  REFUSES(runRow(step, x, y, bothRows, 3, lr, &loss), PLAIT_BAD_ARGUMENT,
          "'row': ");
  REFUSES(runRow(step, x, y, bothRows, -1, lr, &loss), PLAIT_BAD_ARGUMENT,
          "used as an index");
  PlaitTensor inputs[] = {{x, PLAIT_F32, 2, xShape},
                          {y, PLAIT_F64, 2, yShape},
                          {bothRows, PLAIT_BOOL, 1, maskShape},
                          {&row, PLAIT_I64, 0, NULL},
                          {&lr, PLAIT_F32, 0, NULL}};
  REFUSES(plaitStepRun(step, inputs, 5, NULL, 0), PLAIT_BAD_ARGUMENT,
          "'y' has type F64[2, 4], the step expects F32[2, 4]");
  REFUSES(plaitStepRun(step, inputs, 3, NULL, 0), PLAIT_BAD_ARGUMENT,
          "takes 5 inputs, not 3");
  inputs[1].dtype = PLAIT_F32;
  void *outputs[] = {NULL, NULL};
  REFUSES(plaitStepRun(step, inputs, 5, outputs, 1), PLAIT_BAD_ARGUMENT,
          "gives 2 outputs, not 1");
  REFUSES(plaitStepRun(step, inputs, 5, NULL, 2), PLAIT_BAD_ARGUMENT,
          "'outputs'");
  /* A refused call has not run. */
  float count = -1, other;
  CHECK(plaitStepRead(step, COUNT, &count, sizeof count) == PLAIT_SUCCESS);
  CHECK(count == 0);
  CHECK(plaitStepRun(step, inputs, 5, outputs, 2) == PLAIT_SUCCESS);
  CHECK(plaitStepRun(step, inputs, 5, NULL, 0) == PLAIT_SUCCESS);
  CHECK(plaitStepRead(step, COUNT, &count, sizeof count) == PLAIT_SUCCESS);
  CHECK(count == 2);
  /* The last row of the table is a row. */
  CHECK(runRow(step, x, y, bothRows, 0, 0, &loss) == PLAIT_SUCCESS);
  CHECK(runRow(step, x, y, bothRows, 2, 0, &other) == PLAIT_SUCCESS);
  CHECK(fabsf(other - loss - 1.5f) < 1e-5f);
  plaitStepDestroy(step);
}
