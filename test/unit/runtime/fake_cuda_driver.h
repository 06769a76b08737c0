/* What a test sets and reads of fake_cuda_driver.c: a CUDA driver whose device memory is the host's, and whose kernels are
 * functions of its own.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions.
 *
 * A process that does not hold this struct says the same in its environment:
 *   FAKE_CUDA_VERSION=11040  FAKE_CUDA_CAPABILITY=75  FAKE_CUDA_FAIL=cuMemAlloc_v2:2  (the function fails with that error) */
#ifndef MOEC_TEST_UNIT_RUNTIME_FAKE_CUDA_DRIVER_H
#define MOEC_TEST_UNIT_RUNTIME_FAKE_CUDA_DRIVER_H

#include <stddef.h>
#include <stdint.h>

enum { fakeMostLaunches = 16, fakeMostDevices = 2 };

/* One call of cuLaunchKernelEx. */
typedef struct {
  char kernel[32];
  uint32_t grid[3], block[3], shared_bytes;
  void *stream;
  uint32_t cluster[3]; /* 0, 0, 0: not asked for */
  uint32_t is_dependent;
} fake_launch;

/* The last call of cuTensorMapEncodeTiled. */
typedef struct {
  int type, swizzle;
  uint32_t rank, box[5];
  void *address;
  uint64_t extents[5], strides[5];
} fake_map;

typedef struct {
  /* What the test sets. */
  int version, device_count, capability;
  char failing[32];    /* this function fails ... */
  int error;           /* ... with this error */
  int failing_image;   /* loading an image that begins with this character fails with error 218 ... */
  const char *log;     /* ... and writes this */
  int is_capturing;
  int memory_type, memory_device; /* what every address is of; -1: the current context's device */

  /* What happened. */
  int loads, unloads, retained, shared_limit, allocations;
  int depth; /* contexts that are pushed, of all threads */
  int map_count;
  fake_map map;
  int launch_count;
  fake_launch launches[fakeMostLaunches];
} fake_cuda;

/* A stream of a device; `fake_stream(device) + 1` is one of another context of it. */
static inline void *fake_stream(int device) { return (void *)(uintptr_t)(0x1000 + 16 * device); }

/* The name of the function that gives the struct: fake_cuda *fake_cuda_state(void). */
#define FAKE_CUDA_STATE "fake_cuda_state"

#endif /* MOEC_TEST_UNIT_RUNTIME_FAKE_CUDA_DRIVER_H */
