/*===----------------------------------------------------------------------===*\
|*
|* Part of the Plait Project, under the Apache License v2.0 with LLVM Exceptions.
|* SPDX-License-Identifier: Apache-2.0 WITH LLVM-exception
|*
|*===----------------------------------------------------------------------===*|
|*
|* The C API: compile a training step from its MLIR text, and train.
|*
|* A step owns its parameters, states, buffers and pending updates. They are
|* copied in by plaitStepWrite and out by plaitStepRead; what is pending under
|* the schedule `forward` is applied first, so that nobody sees an old value.
|* Inputs stay the caller's and are not copied.
|* test/Integration/outside-project/train.c is an example.
|*
|* Calls on one step wait for each other; steps are independent, and may run in
|* several threads at once. No exception leaves these functions; running out of
|* memory inside of the compiler ends the process, as it does anywhere in LLVM.
|*
\*===----------------------------------------------------------------------===*/

#ifndef PLAIT_C_PLAIT_H
#define PLAIT_C_PLAIT_H

#include <stddef.h>
#include <stdint.h>

#if defined(__GNUC__)
#define PLAIT_C_EXPORT __attribute__((visibility("default")))
#else
#define PLAIT_C_EXPORT
#endif

#ifdef __cplusplus
extern "C" {
#endif

/** What became of a call. */
typedef enum PlaitStatus {
  PLAIT_SUCCESS = 0,
  PLAIT_BAD_ARGUMENT =
      1, /**< a null, an unknown name, a wrong shape or value */
  PLAIT_NOT_COMPILED = 2, /**< by the text or the options */
  PLAIT_FAILED = 3        /**< no memory, or an error in compiled code */
} PlaitStatus;

/** Why the last call in this thread that failed did. It stays valid until the
 *  next call in this thread fails; "" if none has. Of PLAIT_NOT_COMPILED
 *  these are MLIR's diagnostics, a line each. */
PLAIT_C_EXPORT const char *plaitLastError(void);

/** Plait's version, such as "0.1.0". */
PLAIT_C_EXPORT const char *plaitVersion(void);

/** Element types. PLAIT_BOOL is one byte, 0 or 1. */
typedef enum PlaitDType {
  PLAIT_F32 = 0,
  PLAIT_F64 = 1,
  PLAIT_F16 = 2,
  PLAIT_BF16 = 3,
  PLAIT_I8 = 4,
  PLAIT_I16 = 5,
  PLAIT_I32 = 6,
  PLAIT_I64 = 7,
  PLAIT_U8 = 8,
  PLAIT_U16 = 9,
  PLAIT_U32 = 10,
  PLAIT_U64 = 11,
  PLAIT_BOOL = 12
} PlaitDType;

/** What a tensor is to a step. */
typedef enum PlaitKind {
  PLAIT_PARAMETER = 0, /**< trained */
  PLAIT_STATE = 1,     /**< of the optimizer, named state.<parameter>.<state> */
  PLAIT_BUFFER = 2, /**< carried from step to step, belongs to no parameter */
  PLAIT_INPUT = 3,  /**< given to each step */
  PLAIT_OUTPUT = 4  /**< made by each step, such as the loss */
} PlaitKind;

/** A tensor of the caller: dense and row-major. */
typedef struct PlaitTensor {
  const void *data;
  PlaitDType dtype;
  size_t rank;
  const int64_t *shape; /**< `rank` sizes; may be null if rank is 0 */
} PlaitTensor;

/** A tensor that a step takes, holds or gives. Pointers are the step's. */
typedef struct PlaitSlot {
  PlaitKind kind;
  const char *name;
  PlaitDType dtype;
  size_t rank;
  const int64_t *shape;
  size_t bytes;
} PlaitSlot;

/** How to compile. Begin with PLAIT_OPTIONS_INIT. */
typedef struct PlaitOptions {
  const char *entry;    /**< function to compile; null: the only step */
  const char *schedule; /**< auto, baseline, backward, forward; null: auto */
  const char *cpu;      /**< as in -mcpu; null: this one */
  unsigned threads;     /**< 0: what OpenMP would take (OMP_NUM_THREADS) */
} PlaitOptions;

#define PLAIT_OPTIONS_INIT {NULL, NULL, NULL, 0}

/** A compiled step with its tensors. */
typedef struct PlaitStep PlaitStep;

/** Compiles a step from the text of an MLIR module, `length` bytes. Machine
 *  code included: the first run is as fast as later ones. All tensors are zero.
 *  `options` may be null. `*step` is set to null on failure. */
PLAIT_C_EXPORT PlaitStatus plaitStepCreate(const char *text, size_t length,
                                           const PlaitOptions *options,
                                           PlaitStep **step);

/** Frees a step; null does nothing. */
PLAIT_C_EXPORT void plaitStepDestroy(PlaitStep *step);

/** The tensors of a step: the arguments of its function, then its outputs, in
 *  the order of the text. 0 if `step` is null. */
PLAIT_C_EXPORT size_t plaitStepNumSlots(const PlaitStep *step);
PLAIT_C_EXPORT PlaitStatus plaitStepSlot(const PlaitStep *step, size_t index,
                                         PlaitSlot *slot);

/** Copies into a parameter, state or buffer. Pending updates are applied first:
 *  they belong to the values before. */
PLAIT_C_EXPORT PlaitStatus plaitStepWrite(PlaitStep *step, size_t index,
                                          const PlaitTensor *value);

/** Copies a parameter, state or buffer out, after pending updates; `bytes` must
 *  be the slot's. Of an output: its value as of the last run. */
PLAIT_C_EXPORT PlaitStatus plaitStepRead(PlaitStep *step, size_t index,
                                         void *data, size_t bytes);

/** Runs a step. `inputs` are in the order of the input slots, and are read in
 *  place if they are aligned to their element type, copied if not. Values that
 *  are indices (`train.index_range`) are checked first. For each output slot, in
 *  order, its value is copied to `outputs[i]`, unless that is null; `numOutputs`
 *  is their number, or 0 for none. A call that is refused has not run. */
PLAIT_C_EXPORT PlaitStatus plaitStepRun(PlaitStep *step,
                                        const PlaitTensor *inputs,
                                        size_t numInputs, void *const *outputs,
                                        size_t numOutputs);

/** Applies pending updates now; nothing where there are none. */
PLAIT_C_EXPORT PlaitStatus plaitStepFlush(PlaitStep *step);

/** How a step was compiled. */
typedef struct PlaitInfo {
  const char *schedule; /**< never "auto": what it stood for */
  int pending;          /**< whether updates are pending */
  double compileMs;
  int64_t parameterBytes, stateBytes, bufferBytes;
  int64_t gradientBytes; /**< of the gradients that are stored in full */
  int64_t pendingBytes;  /**< of what crosses from step to step (forward) */
  int64_t arenaBytes;    /**< of everything else that a step stores */
  int64_t peakBytes;     /**< of all that the step owns, outputs and what
                              crosses from step to step included */
} PlaitInfo;

PLAIT_C_EXPORT PlaitStatus plaitStepInfo(PlaitStep *step, PlaitInfo *info);

/** What became of the update of one parameter. */
typedef struct PlaitUpdate {
  const char *parameter;
  const char *placement; /**< baseline, backward or forward */
  int fused;             /**< in one loop nest with a neighbour */
  int64_t gradientBytes; /**< 0 if the gradient is never stored in full */
} PlaitUpdate;

PLAIT_C_EXPORT size_t plaitStepNumUpdates(const PlaitStep *step);
PLAIT_C_EXPORT PlaitStatus plaitStepUpdate(const PlaitStep *step, size_t index,
                                           PlaitUpdate *update);

#ifdef __cplusplus
}
#endif

#endif /* PLAIT_C_PLAIT_H */
