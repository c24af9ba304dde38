/*===----------------------------------------------------------------------===*\
|*
|* Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* What the tests of the C API share: step.mlir, and how to check.
|*
\*===----------------------------------------------------------------------===*/

#ifndef PLAIT_TEST_CAPITEST_H
#define PLAIT_TEST_CAPITEST_H

#include "plait-c/Plait.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern int failures; /* of the running test */

#define CHECK(CONDITION)                                                       \
  do {                                                                         \
    if (!(CONDITION)) {                                                        \
      printf("%s:%d: failed: %s (last error: %s)\n", __FILE__, __LINE__,       \
             #CONDITION, plaitLastError());                                    \
      ++failures;                                                              \
    }                                                                          \
  } while (0)

/* A refusal: the status, and a part of the message. */
#define REFUSES(CALL, STATUS, PART)                                            \
  do {                                                                         \
    CHECK((CALL) == (STATUS));                                                 \
    CHECK(strstr(plaitLastError(), PART) != NULL);                             \
  } while (0)

extern char *text; /* of step.mlir */
extern size_t length;

/* The slots of step.mlir. */
enum { W, M, STARTED, COUNT, X, Y, MASK, ROW, LR, LOSS, ERRORS, SLOTS };

extern const int64_t wShape[2], xShape[2], yShape[2], maskShape[1];
extern const float w0[12];
extern const unsigned char bothRows[2], firstRow[2];

PlaitStep *compile(const char *schedule);
PlaitStatus writeW(PlaitStep *step, const float *w);
PlaitStatus runRow(PlaitStep *step, const float *x, const float *y,
                   const unsigned char *mask, int64_t row, float lr,
                   float *loss);
PlaitStatus run(PlaitStep *step, const float *x, const float *y,
                const unsigned char *mask, float lr, float *loss);

/* The inputs of step i. */
void batch(int i, float x[6], float y[8]);

/* In Refusals.c. */
void refusesToCompile(void);
void refusesNulls(void);
void refusesWrongTensors(void);
void refusesWrongInputs(void);

#endif /* PLAIT_TEST_CAPITEST_H */
