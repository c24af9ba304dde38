/*===----------------------------------------------------------------------===*\
|*
|* Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* The C API from C11: step.mlir against the same step written in C, and two
|* steps in two threads. Prints as googletest does, so that one script can count
|* both.
|*
\*===----------------------------------------------------------------------===*/

#include "CApiTest.h"

#include <pthread.h>
#include <stdbool.h>

int failures;
char *text;
size_t length;

const int64_t wShape[2] = {4, 3}, xShape[2] = {2, 3}, yShape[2] = {2, 4},
              maskShape[1] = {2};
const float w0[12] = {0.1f, -0.2f, 0.3f, 0.4f,  0.5f, -0.6f,
                             0.7f, 0.8f,  0.9f, -1.0f, 1.1f, 1.2f};
const unsigned char bothRows[2] = {1, 1}, firstRow[2] = {1, 0};

PlaitStep *compile(const char *schedule) {
  PlaitOptions options = PLAIT_OPTIONS_INIT;
  options.schedule = schedule;
  options.threads = 2;
  PlaitStep *step = NULL;
  PlaitStatus status = plaitStepCreate(text, length, &options, &step);
  if (status != PLAIT_SUCCESS) {
    printf("cannot compile: %s\n", plaitLastError());
    exit(1);
  }
  return step;
}

PlaitStatus writeW(PlaitStep *step, const float *w) {
  PlaitTensor tensor = {w, PLAIT_F32, 2, wShape};
  return plaitStepWrite(step, W, &tensor);
}

PlaitStatus runRow(PlaitStep *step, const float *x, const float *y,
                   const unsigned char *mask, int64_t row, float lr,
                   float *loss) {
  PlaitTensor inputs[] = {{x, PLAIT_F32, 2, xShape},
                          {y, PLAIT_F32, 2, yShape},
                          {mask, PLAIT_BOOL, 1, maskShape},
                          {&row, PLAIT_I64, 0, NULL},
                          {&lr, PLAIT_F32, 0, NULL}};
  void *outputs[] = {loss, NULL};
  return plaitStepRun(step, inputs, 5, outputs, 2);
}

PlaitStatus run(PlaitStep *step, const float *x, const float *y,
                const unsigned char *mask, float lr, float *loss) {
  return runRow(step, x, y, mask, 0, lr, loss);
}

void batch(int i, float x[6], float y[8]) {
  for (int j = 0; j < 6; ++j)
    x[j] = (float)((i * 7 + j * 3) % 11) / 11 - 0.4f;
  for (int j = 0; j < 8; ++j)
    y[j] = (float)((i * 5 + j * 2) % 13) / 13 - 0.5f;
}

/* The step in C: w and m are updated, the loss is returned. */
static float reference(float w[12], float m[12], bool first, const float x[6],
                       const float y[8], const unsigned char mask[2],
                       float lr) {
  float error[8], loss = 0;
  for (int b = 0; b < 2; ++b)
    for (int o = 0; o < 4; ++o) {
      float pred = 0;
      for (int k = 0; k < 3; ++k)
        pred += x[b * 3 + k] * w[o * 3 + k];
      error[b * 4 + o] = mask[b] ? pred - y[b * 4 + o] : 0;
      loss += error[b * 4 + o] * error[b * 4 + o];
    }
  for (int o = 0; o < 4; ++o)
    for (int k = 0; k < 3; ++k) {
      float g = 0;
      for (int b = 0; b < 2; ++b)
        g += 2 * error[b * 4 + o] * x[b * 3 + k];
      float *momentum = &m[o * 3 + k];
      *momentum = first ? g : 0.9f * *momentum + g;
      w[o * 3 + k] -= lr * *momentum;
    }
  return loss;
}

/*--- What a step says of itself -------------------------------------------*/

static void describesItsSlots(void) {
  PlaitStep *step = compile("backward");
  CHECK(plaitStepNumSlots(step) == SLOTS);
  static const struct {
    PlaitKind kind;
    const char *name;
    PlaitDType dtype;
    size_t rank, bytes;
  } expected[SLOTS] = {
      {PLAIT_PARAMETER, "w", PLAIT_F32, 2, 48},
      {PLAIT_STATE, "state.w.momentum_buffer", PLAIT_F32, 2, 48},
      {PLAIT_STATE, "state.w.initialized", PLAIT_F32, 0, 4},
      {PLAIT_BUFFER, "count", PLAIT_F32, 0, 4},
      {PLAIT_INPUT, "x", PLAIT_F32, 2, 24},
      {PLAIT_INPUT, "y", PLAIT_F32, 2, 32},
      {PLAIT_INPUT, "mask", PLAIT_BOOL, 1, 2},
      {PLAIT_INPUT, "row", PLAIT_I64, 0, 8},
      {PLAIT_INPUT, "lr", PLAIT_F32, 0, 4},
      {PLAIT_OUTPUT, "loss", PLAIT_F32, 0, 4},
      {PLAIT_OUTPUT, "error", PLAIT_F32, 2, 32}};
  for (size_t i = 0; i < SLOTS; ++i) {
    PlaitSlot slot;
    CHECK(plaitStepSlot(step, i, &slot) == PLAIT_SUCCESS);
    CHECK(slot.kind == expected[i].kind && slot.dtype == expected[i].dtype);
    CHECK(strcmp(slot.name, expected[i].name) == 0);
    CHECK(slot.rank == expected[i].rank && slot.bytes == expected[i].bytes);
  }
  PlaitSlot slot;
  CHECK(plaitStepSlot(step, W, &slot) == PLAIT_SUCCESS);
  CHECK(slot.shape[0] == 4 && slot.shape[1] == 3);
  plaitStepDestroy(step);
}

static void reportsItsSchedule(void) {
  PlaitInfo info;
  PlaitUpdate update;
  PlaitStep *step = compile("baseline");
  CHECK(plaitStepInfo(step, &info) == PLAIT_SUCCESS);
  CHECK(strcmp(info.schedule, "baseline") == 0 && !info.pending);
  CHECK(info.parameterBytes == 48 && info.stateBytes == 52);
  CHECK(info.bufferBytes == 4 && info.gradientBytes == 48);
  CHECK(info.pendingBytes == 0 && info.compileMs > 0);
  plaitStepDestroy(step);

  step = compile(NULL);
  CHECK(plaitStepInfo(step, &info) == PLAIT_SUCCESS);
  CHECK(strcmp(info.schedule, "auto") != 0);
  plaitStepDestroy(step);

  step = compile("backward");
  CHECK(plaitStepNumUpdates(step) == 1);
  CHECK(plaitStepUpdate(step, 0, &update) == PLAIT_SUCCESS);
  CHECK(strcmp(update.parameter, "w") == 0 && update.fused);
  CHECK(strcmp(update.placement, "backward") == 0 && update.gradientBytes == 0);
  plaitStepDestroy(step);
}

/*--- Training -------------------------------------------------------------*/

static void trainsAsTheReference(const char *schedule) {
  PlaitStep *step = compile(schedule);
  float w[12], m[12] = {0}, x[6], y[8];
  memcpy(w, w0, sizeof w);
  CHECK(writeW(step, w0) == PLAIT_SUCCESS);
  const float lr = 0.05f;
  for (int i = 0; i < 12; ++i) {
    batch(i, x, y);
    const unsigned char *mask = i % 3 == 1 ? firstRow : bothRows;
    float rate = i < 6 ? lr : lr / 4, loss = -1;
    CHECK(run(step, x, y, mask, rate, &loss) == PLAIT_SUCCESS);
    float expected = reference(w, m, i == 0, x, y, mask, rate);
    CHECK(fabsf(loss - expected) <= 1e-5f * fabsf(expected) + 1e-6f);
    /* Reading in between applies what is pending, and disturbs nothing. */
    if (i % 5 == 4) {
      float got[12];
      CHECK(plaitStepRead(step, W, got, sizeof got) == PLAIT_SUCCESS);
      for (int j = 0; j < 12; ++j)
        CHECK(fabsf(got[j] - w[j]) <= 1e-4f * lr * (float)(i + 1));
    }
  }
  PlaitInfo info;
  CHECK(plaitStepInfo(step, &info) == PLAIT_SUCCESS);
  CHECK(info.pending == (strcmp(schedule, "forward") == 0));
  CHECK(plaitStepFlush(step) == PLAIT_SUCCESS);
  CHECK(plaitStepInfo(step, &info) == PLAIT_SUCCESS && !info.pending);

  float got[12], moved = 0, count = 0;
  CHECK(plaitStepRead(step, W, got, sizeof got) == PLAIT_SUCCESS);
  for (int j = 0; j < 12; ++j) {
    CHECK(fabsf(got[j] - w[j]) <= 1e-4f * lr * 12);
    moved = fmaxf(moved, fabsf(w[j] - w0[j]));
  }
  CHECK(moved > 0.1f);
  CHECK(plaitStepRead(step, M, got, sizeof got) == PLAIT_SUCCESS);
  for (int j = 0; j < 12; ++j)
    CHECK(fabsf(got[j] - m[j]) <= 1e-4f);
  CHECK(plaitStepRead(step, COUNT, &count, sizeof count) == PLAIT_SUCCESS);
  CHECK(count == 12);
  plaitStepDestroy(step);
}

static void trainsBaseline(void) { trainsAsTheReference("baseline"); }
static void trainsBackward(void) { trainsAsTheReference("backward"); }
static void trainsForward(void) { trainsAsTheReference("forward"); }

/* What is pending belongs to the values before: it must not be applied to
   values that were written afterwards, and must not be lost either. */
static void writesAfterPendingUpdates(void) {
  PlaitStep *step = compile("forward");
  float w[12], m[12] = {0}, x[6], y[8], got[12], loss;
  memcpy(w, w0, sizeof w);
  batch(1, x, y);
  CHECK(writeW(step, w0) == PLAIT_SUCCESS);
  CHECK(run(step, x, y, bothRows, 0.1f, &loss) == PLAIT_SUCCESS);
  reference(w, m, true, x, y, bothRows, 0.1f);
  CHECK(writeW(step, w0) == PLAIT_SUCCESS);
  CHECK(plaitStepRead(step, W, got, sizeof got) == PLAIT_SUCCESS);
  CHECK(memcmp(got, w0, sizeof got) == 0);
  CHECK(plaitStepRead(step, M, got, sizeof got) == PLAIT_SUCCESS);
  for (int j = 0; j < 12; ++j)
    CHECK(fabsf(got[j] - m[j]) <= 1e-5f);
  plaitStepDestroy(step);
}

static void readsMisalignedInputs(void) {
  PlaitStep *step = compile("backward");
  float x[6], y[8], loss, shifted;
  char storage[6 * sizeof(float) + 1];
  batch(2, x, y);
  memcpy(storage + 1, x, sizeof x);
  CHECK(writeW(step, w0) == PLAIT_SUCCESS);
  CHECK(run(step, x, y, bothRows, 0, &loss) == PLAIT_SUCCESS);
  CHECK(run(step, (const float *)(const void *)(storage + 1), y, bothRows, 0,
            &shifted) == PLAIT_SUCCESS);
  CHECK(loss > 0 && loss == shifted);
  plaitStepDestroy(step);
}

static void readsOutputsAgain(void) {
  PlaitStep *step = compile("forward");
  float x[6], y[8], loss, again, error[8];
  batch(3, x, y);
  CHECK(writeW(step, w0) == PLAIT_SUCCESS);
  REFUSES(plaitStepRead(step, LOSS, &loss, sizeof loss), PLAIT_BAD_ARGUMENT,
          "no step has run");
  for (int i = 0; i < 2; ++i) { /* the first step is another function */
    CHECK(run(step, x, y, firstRow, 0.1f, &loss) == PLAIT_SUCCESS);
    CHECK(plaitStepRead(step, LOSS, &again, sizeof again) == PLAIT_SUCCESS);
    CHECK(loss == again && loss > 0);
    CHECK(plaitStepRead(step, ERRORS, error, sizeof error) == PLAIT_SUCCESS);
    CHECK(error[0] != 0 && error[4] == 0 && error[7] == 0);
  }
  plaitStepDestroy(step);
}

/*--- Threads --------------------------------------------------------------*/

enum { THREAD_STEPS = 200 };

static void *trainAlone(void *argument) {
  PlaitStep *step = argument;
  float x[6], y[8], loss;
  for (int i = 0; i < THREAD_STEPS; ++i) {
    batch(i, x, y);
    if (run(step, x, y, bothRows, 0.01f, &loss) != PLAIT_SUCCESS)
      return NULL;
  }
  return step;
}

/* Two threads with a step each, then two threads on one step. */
static void runsInTwoThreads(void) {
  PlaitStep *steps[3] = {compile("forward"), compile("backward"),
                         compile("baseline")};
  pthread_t threads[2];
  float w[3][12], count;
  for (int i = 0; i < 3; ++i)
    CHECK(writeW(steps[i], w0) == PLAIT_SUCCESS);
  for (int i = 0; i < 2; ++i)
    CHECK(pthread_create(&threads[i], NULL, trainAlone, steps[i]) == 0);
  for (int i = 0; i < 2; ++i) {
    void *result;
    CHECK(pthread_join(threads[i], &result) == 0 && result == steps[i]);
  }
  CHECK(trainAlone(steps[2]) == steps[2]);
  for (int i = 0; i < 3; ++i)
    CHECK(plaitStepRead(steps[i], W, w[i], sizeof w[i]) == PLAIT_SUCCESS);
  CHECK(memcmp(w[0], w[2], sizeof w[0]) == 0);
  CHECK(memcmp(w[1], w[2], sizeof w[0]) == 0);

  for (int i = 0; i < 2; ++i)
    CHECK(pthread_create(&threads[i], NULL, trainAlone, steps[0]) == 0);
  for (int i = 0; i < 2; ++i)
    CHECK(pthread_join(threads[i], NULL) == 0);
  CHECK(plaitStepRead(steps[0], COUNT, &count, sizeof count) == PLAIT_SUCCESS);
  CHECK(count == 3 * THREAD_STEPS);
  for (int i = 0; i < 3; ++i)
    plaitStepDestroy(steps[i]);
}

/*--------------------------------------------------------------------------*/

static bool readText(const char *file) {
  FILE *stream = fopen(file, "rb");
  if (!stream)
    return false;
  text = malloc(1 << 16);
  length = fread(text, 1, 1 << 16, stream);
  fclose(stream);
  return length > 0;
}

int main(int argc, char **argv) {
  if (argc < 2 || !readText(argv[1])) {
    fprintf(stderr, "usage: %s step.mlir\n", argv[0]);
    return 2;
  }
  static const struct {
    const char *name;
    void (*run)(void);
  } tests[] = {{"describesItsSlots", describesItsSlots},
               {"reportsItsSchedule", reportsItsSchedule},
               {"trainsBaseline", trainsBaseline},
               {"trainsBackward", trainsBackward},
               {"trainsForward", trainsForward},
               {"writesAfterPendingUpdates", writesAfterPendingUpdates},
               {"readsMisalignedInputs", readsMisalignedInputs},
               {"readsOutputsAgain", readsOutputsAgain},
               {"refusesToCompile", refusesToCompile},
               {"refusesNulls", refusesNulls},
               {"refusesWrongTensors", refusesWrongTensors},
               {"refusesWrongInputs", refusesWrongInputs},
               {"runsInTwoThreads", runsInTwoThreads}};
  int passed = 0, failed = 0;
  for (size_t i = 0; i < sizeof tests / sizeof *tests; ++i) {
    failures = 0;
    tests[i].run();
    if (failures)
      printf("[  FAILED  ] %s\n", tests[i].name);
    failures ? ++failed : ++passed;
  }
  printf("[  PASSED  ] %d tests.\n", passed);
  if (failed)
    printf("[  FAILED  ] %d tests.\n", failed);
  free(text);
  return failed != 0;
}
