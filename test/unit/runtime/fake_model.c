/* The library of a model of two layers, written by hand: y = x * w[slots[choice[0]]], row by row. An x that begins with
 * FAKE_MODEL_ASKS_THREADS has y begin with the executor's number of threads. With FAKE_MODEL_ON_CUDA a kernel of
 * fake_cuda_driver.c does it.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#include "test/unit/runtime/fake_model.h"

#include "moert/abi.h"

#define EXPORT __attribute__((visibility("default")))

typedef struct {
  float *allocated, *aligned;
  int64_t offset, sizes[2], strides[2];
} Matrix;
typedef struct {
  int32_t *allocated, *aligned;
  int64_t offset, sizes[1], strides[1];
} Vector;

#ifdef FAKE_MODEL_ON_CUDA
static void kernel(void **descriptors) {
  Matrix *x = descriptors[0], *pool = descriptors[1], *y = descriptors[4];
  Vector *slots = descriptors[2], *choice = descriptors[3];
  void *arguments[] = {&y->aligned, &x->aligned, &pool->aligned, &slots->aligned, &choice->aligned, &x->sizes[0]};
  moert_cuda_launch(descriptors[6], 0, x->sizes[0], 1, 1, 4, 1, 1, 0, arguments);
}

static const moert_device_image image = {"PTX", ".version 8.0", sizeof ".version 8.0"};
static const char *const kernelNames[] = {"scale_rows"};
static const uint32_t sharedBytes[] = {0};
static void *state;
static const moert_device_code code = {
    sizeof(moert_device_code), 80, 0, 1, &image, 1, kernelNames, sharedBytes, &state, &moert_cuda_runtime, 0};
static const moert_variant variant = {"sm_80", 0, kernel, 0, &code};
#else
static void kernel(void **descriptors) {
  const Matrix *x = descriptors[0];
  const Matrix *pool = descriptors[1];
  const Vector *slots = descriptors[2];
  const Vector *choice = descriptors[3];
  const Matrix *y = descriptors[4];
  const moert_executor *executor = descriptors[6];
  const float *weights = pool->aligned + slots->aligned[choice->aligned[0]] * pool->strides[0];
  for (int64_t t = 0; t < x->sizes[0]; ++t)
    for (int64_t d = 0; d < 4; ++d)
      y->aligned[t * y->strides[0] + d * y->strides[1]] = x->aligned[t * x->strides[0] + d * x->strides[1]] * weights[d];
  if (x->sizes[0] > 0 && x->aligned[0] == FAKE_MODEL_ASKS_THREADS)
    y->aligned[0] = executor ? (float)executor->threads : 0.0f;
}
static const moert_variant variant = {"portable", 0, kernel, 0, 0};
#endif

static const moert_argument arguments[] = {
    {"x", kDLFloat, 32, MOERT_INPUT, 2, {-2, 4}, 0, 0},   {"w", kDLFloat, 32, MOERT_BINDING, 2, {2, 4}, 0, 0},
    {"w.slots", kDLInt, 32, MOERT_BINDING, 1, {2}, 0, 0}, {"choice", kDLInt, 32, MOERT_BINDING, 1, {1}, 0, 0},
    {"y", kDLFloat, 32, MOERT_OUTPUT, 2, {-2, 4}, 0, 0},
};
static const moert_entry block = {sizeof(moert_entry), 5, "moec_block", arguments, &variant, 1};

EXPORT int32_t moec_block(const moert_call *call, DLTensor *const *args, int32_t count);
EXPORT int32_t moec_block(const moert_call *call, DLTensor *const *args, int32_t count) {
  return moert_entry_call(&block, call, args, count);
}

EXPORT int32_t moec_block_workspace(const moert_call *call, DLTensor *const *args, int32_t count, uint64_t *bytes);
EXPORT int32_t moec_block_workspace(const moert_call *call, DLTensor *const *args, int32_t count, uint64_t *bytes) {
  return moert_entry_workspace(&block, call, args, count, bytes);
}

EXPORT const char *moec_manifest(void);
EXPORT const char *moec_manifest(void) {
#ifdef FAKE_MODEL_ON_CUDA
  return FAKE_MODEL_MANIFEST_ON("cuda");
#else
  return FAKE_MODEL_MANIFEST;
#endif
}

EXPORT uint32_t moec_abi_version(void);
EXPORT uint32_t moec_abi_version(void) { return MOERT_ABI_VERSION; }
