/* A call of device code under way: what its compiled code hands to the runtime as `context`.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#ifndef MOERT_CUDA_LAUNCH_H
#define MOERT_CUDA_LAUNCH_H

#include "driver.h"

/** Once `status` is an error, nothing more is done. */
typedef struct {
  const moert_variant *variant;
  const moert_cuda_device *device;
  const struct moert_cuda_loaded *loaded;
  CUstream stream;
  int32_t status;
  char *message;
  size_t capacity;
} moert_cuda_run;

/** Writes the message; returns the status, for the caller to keep. */
int32_t moert_cuda_fail(const moert_cuda_run *run, int32_t status, const char *format, ...)
#if defined(__GNUC__) || defined(__clang__)
    __attribute__((format(printf, 3, 4)))
#endif
    ;

#endif /* MOERT_CUDA_LAUNCH_H */
