/* A library as the compiler makes them, written by hand: y = 2 * x + ids, row by row, through the workspace.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions.
 *
 * FAKE_* definitions make the variants that the loader must refuse. */
#include "moert/abi.h"
#include "test/unit/runtime/fake_manifest.h"

#ifndef FAKE_ABI_MAJOR
#define FAKE_ABI_MAJOR 0
#endif
#ifndef FAKE_ABI_MINOR
#define FAKE_ABI_MINOR 1
#endif
#ifndef FAKE_ENTRY_NAME
#define FAKE_ENTRY_NAME "layer"
#endif
#ifndef FAKE_MANIFEST_VERSION
#define FAKE_MANIFEST_VERSION "0.1"
#endif

#define EXPORT __attribute__((visibility("default")))

typedef struct {
  float *allocated, *aligned;
  int64_t offset, sizes[2], strides[2];
} Matrix;
typedef struct {
  int32_t *allocated, *aligned;
  int64_t offset, sizes[1], strides[1];
} Vector;

static void kernel(void **descriptors) {
  const Matrix *x = descriptors[0];
  const Vector *ids = descriptors[1];
  const Matrix *y = descriptors[2];
  const Matrix *workspace = descriptors[3];
  float *doubled = workspace->aligned;
  for (int64_t t = 0; t < x->sizes[0]; ++t)
    for (int64_t d = 0; d < 4; ++d)
      doubled[t * 4 + d] = 2 * x->aligned[x->offset + t * x->strides[0] + d * x->strides[1]];
  for (int64_t t = 0; t < x->sizes[0]; ++t)
    for (int64_t d = 0; d < 4; ++d)
      y->aligned[y->offset + t * y->strides[0] + d * y->strides[1]] =
          doubled[t * 4 + d] + (float)ids->aligned[ids->offset + t * ids->strides[0]];
}

static void workspaceBytes(void **descriptors) {
  const Matrix *x = descriptors[0];
  *(int64_t *)descriptors[3] = x->sizes[0] * 16;
}

static const moert_argument arguments[] = {
    {"x", kDLFloat, 32, 0, 2, {-2, 4}, 0, 0},
    {"ids", kDLInt, 32, 0, 1, {-2}, 0, 0},
    {"y", kDLFloat, 32, 1, 2, {-2, 4}, 0, 0},
};
static const moert_variant variant = {"portable", 0, kernel, workspaceBytes, 0};
static const moert_entry layer = {sizeof(moert_entry), 3, "moec_layer", arguments, &variant, 1};

EXPORT int32_t moec_layer(const moert_call *call, DLTensor *const *args, int32_t count);
EXPORT int32_t moec_layer(const moert_call *call, DLTensor *const *args, int32_t count) {
  return moert_entry_call(&layer, call, args, count);
}

#ifndef FAKE_WITHOUT_WORKSPACE
EXPORT int32_t moec_layer_workspace(const moert_call *call, DLTensor *const *args, int32_t count, uint64_t *bytes);
EXPORT int32_t moec_layer_workspace(const moert_call *call, DLTensor *const *args, int32_t count, uint64_t *bytes) {
  return moert_entry_workspace(&layer, call, args, count, bytes);
}
#endif

#ifndef FAKE_WITHOUT_MANIFEST
EXPORT const char *moec_manifest(void);
EXPORT const char *moec_manifest(void) { return FAKE_MANIFEST(FAKE_MANIFEST_VERSION, "0.1", FAKE_ENTRY_NAME); }
#endif

EXPORT uint32_t moec_abi_version(void);
EXPORT uint32_t moec_abi_version(void) { return (uint32_t)FAKE_ABI_MAJOR << 16 | FAKE_ABI_MINOR; }
