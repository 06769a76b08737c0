/* A CUDA driver for machines without a device: fake_cuda_driver.h says how it is told what to do.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#include "test/unit/runtime/fake_cuda_driver.h"

#include "cuda/driver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define EXPORT __attribute__((visibility("default")))
/* The start of each function: the error that it is told to fail with. */
#define FAIL_IF_TOLD(symbol)                                                                                           \
  if (strcmp(fake_cuda_state()->failing, symbol) == 0)                                                                 \
  return fake_cuda_state()->error

/* The start of what may not be called while a stream is captured. */
#define FAIL_IF_CAPTURED                                                                                               \
  if (fake_cuda_state()->is_capturing)                                                                                 \
  return STREAM_CAPTURE_UNSUPPORTED

enum { INVALID_DEVICE = 101, INVALID_PTX = 218, INVALID_HANDLE = 400, NOT_FOUND = 500, STREAM_CAPTURE_UNSUPPORTED = 900 };

/* A context is the address of its place here; the second row has those that are not primary. */
static char contexts[2][fakeMostDevices];
static _Thread_local char *current[8];
static _Thread_local int depth;

EXPORT fake_cuda *fake_cuda_state(void);
fake_cuda *fake_cuda_state(void) {
  static fake_cuda state;
  static int isSet;
  if (!isSet) {
    isSet = 1;
    const char *version = getenv("FAKE_CUDA_VERSION"), *capability = getenv("FAKE_CUDA_CAPABILITY");
    const char *failing = getenv("FAKE_CUDA_FAIL");
    state.version = version ? atoi(version) : 12040;
    state.device_count = fakeMostDevices;
    state.capability = capability ? atoi(capability) : 80;
    state.memory_type = CU_MEMORYTYPE_DEVICE;
    state.memory_device = -1;
    if (failing)
      sscanf(failing, "%31[^:]:%d", state.failing, &state.error);
  }
  return &state;
}

static int deviceOf(const char *context) { return (int)((context - contexts[0]) % fakeMostDevices); }

/* y = x + 1 of float32 numbers: float *y, const float *x, int64_t count. */
static void addOne(void **arguments) {
  float *y = *(float **)arguments[0];
  const float *x = *(const float **)arguments[1];
  for (int64_t i = 0; i < *(int64_t *)arguments[2]; ++i)
    y[i] = x[i] + 1.0f;
}
/* y = x * w[slots[choice[0]]], row by row of 4: what fake_model.c says. Arguments: float *y, const float *x, const float *w,
 * const int32_t *slots, const int32_t *choice, int64_t tokens. */
static void scaleRows(void **arguments) {
  float *y = *(float **)arguments[0];
  const float *x = *(const float **)arguments[1], *w = *(const float **)arguments[2];
  const int32_t *slots = *(const int32_t **)arguments[3], *choice = *(const int32_t **)arguments[4];
  for (int64_t i = 0; i < 4 * *(int64_t *)arguments[5]; ++i)
    y[i] = x[i] * w[4 * slots[choice[0]] + i % 4];
}
static const struct {
  const char *name;
  void (*run)(void **arguments);
} kernels[] = {{"add_one", addOne}, {"scale_rows", scaleRows}, {"nothing", NULL}};

/* Declared once, so that each definition below has the type of driver.h. */
#define DECLARE(name, symbol, parameters) EXPORT CUresult fake_##name parameters __asm__(symbol);
MOERT_CUDA_FUNCTIONS(DECLARE)

CUresult fake_cuInit(unsigned flags) {
  FAIL_IF_TOLD("cuInit");
  return CUDA_SUCCESS;
}
CUresult fake_cuDriverGetVersion(int *version) {
  *version = fake_cuda_state()->version;
  return CUDA_SUCCESS;
}
CUresult fake_cuGetErrorName(CUresult error, const char **text) {
  *text = error == CUDA_ERROR_OUT_OF_MEMORY   ? "CUDA_ERROR_OUT_OF_MEMORY"
          : error == CUDA_ERROR_INVALID_VALUE ? "CUDA_ERROR_INVALID_VALUE"
          : error == INVALID_PTX              ? "CUDA_ERROR_INVALID_PTX"
          : error == INVALID_HANDLE           ? "CUDA_ERROR_INVALID_HANDLE"
          : error == NOT_FOUND                ? "CUDA_ERROR_NOT_FOUND"
                                              : "CUDA_ERROR_OF_THE_FAKE";
  return CUDA_SUCCESS;
}
CUresult fake_cuGetErrorString(CUresult error, const char **text) {
  *text = "words of the fake driver";
  return CUDA_SUCCESS;
}
CUresult fake_cuDeviceGetCount(int *count) {
  FAIL_IF_TOLD("cuDeviceGetCount");
  *count = fake_cuda_state()->device_count;
  return CUDA_SUCCESS;
}
CUresult fake_cuDeviceGet(CUdevice *device, int ordinal) {
  *device = ordinal;
  return ordinal < fakeMostDevices ? CUDA_SUCCESS : INVALID_DEVICE;
}
CUresult fake_cuDeviceGetName(char *name, int length, CUdevice device) {
  snprintf(name, (size_t)length, "Fake %d", device);
  return CUDA_SUCCESS;
}
CUresult fake_cuDeviceGetAttribute(int *value, int attribute, CUdevice device) {
  FAIL_IF_TOLD("cuDeviceGetAttribute");
  static const int limits[] = {0, 1024, 1024, 1024, 64, 2147483647, 65535, 65535};
  int capability = fake_cuda_state()->capability;
  *value = attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR          ? capability / 10
           : attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR        ? capability % 10
           : attribute == CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN ? 166912
           : attribute < 8                                                    ? limits[attribute]
                                                                              : 0;
  return CUDA_SUCCESS;
}
CUresult fake_cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice device) {
  FAIL_IF_TOLD("cuDevicePrimaryCtxRetain");
  *context = (CUcontext)&contexts[0][device];
  ++fake_cuda_state()->retained;
  return CUDA_SUCCESS;
}
CUresult fake_cuDevicePrimaryCtxRelease(CUdevice device) {
  --fake_cuda_state()->retained;
  return CUDA_SUCCESS;
}
CUresult fake_cuCtxPushCurrent(CUcontext context) {
  FAIL_IF_TOLD("cuCtxPushCurrent_v2");
  current[depth++] = (char *)context;
  __atomic_fetch_add(&fake_cuda_state()->depth, 1, __ATOMIC_RELAXED);
  return CUDA_SUCCESS;
}
CUresult fake_cuCtxPopCurrent(CUcontext *context) {
  *context = (CUcontext)current[--depth];
  __atomic_fetch_sub(&fake_cuda_state()->depth, 1, __ATOMIC_RELAXED);
  return CUDA_SUCCESS;
}
CUresult fake_cuCtxGetDevice(CUdevice *device) {
  *device = deviceOf(current[depth - 1]);
  return CUDA_SUCCESS;
}
CUresult fake_cuModuleLoadDataEx(CUmodule *module, const void *image, unsigned count, int *options, void **values) {
  FAIL_IF_CAPTURED;
  FAIL_IF_TOLD("cuModuleLoadDataEx");
  fake_cuda *state = fake_cuda_state();
  if (state->failing_image && *(const char *)image == state->failing_image) {
    for (unsigned i = 0; i + 1 < count && state->log; ++i)
      if (options[i] == CU_JIT_ERROR_LOG_BUFFER && options[i + 1] == CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES)
        snprintf(values[i], (size_t)(uintptr_t)values[i + 1], "%s", state->log);
    return INVALID_PTX;
  }
  /* A driver takes its time: threads meanwhile come to the same place. */
  struct timespec millisecond = {0, 1000000};
  nanosleep(&millisecond, NULL);
  ++state->loads;
  *module = (CUmodule)(uintptr_t)image;
  return CUDA_SUCCESS;
}
CUresult fake_cuModuleUnload(CUmodule module) {
  FAIL_IF_CAPTURED;
  ++fake_cuda_state()->unloads;
  return CUDA_SUCCESS;
}
CUresult fake_cuModuleGetFunction(CUfunction *function, CUmodule module, const char *name) {
  FAIL_IF_TOLD("cuModuleGetFunction");
  for (size_t i = 0; i < sizeof kernels / sizeof *kernels; ++i)
    if (strcmp(name, kernels[i].name) == 0) {
      *function = (CUfunction)(uintptr_t)&kernels[i];
      return CUDA_SUCCESS;
    }
  return NOT_FOUND;
}
CUresult fake_cuFuncSetAttribute(CUfunction function, int attribute, int value) {
  FAIL_IF_CAPTURED;
  FAIL_IF_TOLD("cuFuncSetAttribute");
  if (attribute == CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES)
    fake_cuda_state()->shared_limit = value;
  return CUDA_SUCCESS;
}
CUresult fake_cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function, void **parameters, void **extra) {
  FAIL_IF_TOLD("cuLaunchKernelEx");
  fake_cuda *state = fake_cuda_state();
  size_t kernel = (size_t)((const char *)function - (const char *)kernels) / sizeof *kernels;
  fake_launch launch = {.shared_bytes = config->sharedMemBytes, .stream = config->stream};
  snprintf(launch.kernel, sizeof launch.kernel, "%s", kernels[kernel].name);
  memcpy(launch.grid, config->gridDim, sizeof launch.grid);
  memcpy(launch.block, config->blockDim, sizeof launch.block);
  for (uint32_t i = 0; i < config->attributeCount; ++i) {
    if (config->attributes[i].id == CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION)
      memcpy(launch.cluster, config->attributes[i].value.clusterDim, sizeof launch.cluster);
    if (config->attributes[i].id == CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION)
      launch.is_dependent = (uint32_t)config->attributes[i].value.isAllowed;
  }
  state->launches[__atomic_fetch_add(&state->launch_count, 1, __ATOMIC_RELAXED) % fakeMostLaunches] = launch;
  if (kernels[kernel].run)
    kernels[kernel].run(parameters);
  return CUDA_SUCCESS;
}
CUresult fake_cuTensorMapEncodeTiled(void *map, int type, uint32_t rank, void *address, const uint64_t *extents,
                                     const uint64_t *strideBytes, const uint32_t *box, const uint32_t *elementStrides,
                                     int interleave, int swizzle, int promotion, int fill) {
  FAIL_IF_TOLD("cuTensorMapEncodeTiled");
  fake_map made = {.type = type, .swizzle = swizzle, .rank = rank, .address = address};
  for (uint32_t d = 0; d < rank; ++d) {
    if (elementStrides[d] != 1)
      return CUDA_ERROR_INVALID_VALUE;
    made.box[d] = box[d];
    made.extents[d] = extents[d];
    if (d + 1 < rank)
      made.strides[d] = strideBytes[d];
  }
  ++fake_cuda_state()->map_count;
  fake_cuda_state()->map = made;
  return interleave || fill || (uintptr_t)map % 64 ? CUDA_ERROR_INVALID_VALUE : CUDA_SUCCESS;
}
CUresult fake_cuPointerGetAttribute(void *value, int attribute, CUdeviceptr pointer) {
  const fake_cuda *state = fake_cuda_state();
  if (state->memory_type == 0)
    return CUDA_ERROR_INVALID_VALUE;
  int device = state->memory_device < 0 ? deviceOf(current[depth - 1]) : state->memory_device;
  *(int *)value = attribute == CU_POINTER_ATTRIBUTE_MEMORY_TYPE ? state->memory_type : device;
  return CUDA_SUCCESS;
}
CUresult fake_cuStreamGetCtx(CUstream stream, CUcontext *context) {
  size_t number = (size_t)((uintptr_t)stream - 0x1000);
  if (number / 16 >= fakeMostDevices || number % 16 > 1)
    return INVALID_HANDLE;
  *context = (CUcontext)&contexts[number % 16][number / 16];
  return CUDA_SUCCESS;
}
CUresult fake_cuStreamIsCapturing(CUstream stream, int *status) {
  FAIL_IF_TOLD("cuStreamIsCapturing");
  *status = fake_cuda_state()->is_capturing;
  return CUDA_SUCCESS;
}
CUresult fake_cuStreamCreate(CUstream *stream, unsigned flags) {
  FAIL_IF_CAPTURED;
  FAIL_IF_TOLD("cuStreamCreate");
  *stream = fake_stream(deviceOf(current[depth - 1]));
  return CUDA_SUCCESS;
}
CUresult fake_cuStreamDestroy(CUstream stream) {
  FAIL_IF_CAPTURED;
  return CUDA_SUCCESS;
}
CUresult fake_cuStreamSynchronize(CUstream stream) {
  FAIL_IF_CAPTURED;
  FAIL_IF_TOLD("cuStreamSynchronize");
  return CUDA_SUCCESS;
}
CUresult fake_cuEventCreate(CUevent *event, unsigned flags) {
  FAIL_IF_CAPTURED;
  FAIL_IF_TOLD("cuEventCreate");
  *event = (CUevent)event;
  return CUDA_SUCCESS;
}
CUresult fake_cuEventDestroy(CUevent event) { return CUDA_SUCCESS; }
CUresult fake_cuEventRecord(CUevent event, CUstream stream) {
  FAIL_IF_TOLD("cuEventRecord");
  return CUDA_SUCCESS;
}
CUresult fake_cuEventSynchronize(CUevent event) {
  FAIL_IF_TOLD("cuEventSynchronize");
  FAIL_IF_CAPTURED;
  return CUDA_SUCCESS;
}
CUresult fake_cuEventElapsedTime(float *milliseconds, CUevent start, CUevent end) {
  *milliseconds = 2.0f;
  return CUDA_SUCCESS;
}
CUresult fake_cuMemAlloc(CUdeviceptr *pointer, size_t bytes) {
  FAIL_IF_CAPTURED;
  FAIL_IF_TOLD("cuMemAlloc_v2");
  void *memory = aligned_alloc(256, (bytes + 255) / 256 * 256);
  *pointer = (CUdeviceptr)(uintptr_t)memory;
  ++fake_cuda_state()->allocations;
  return memory ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}
CUresult fake_cuMemFree(CUdeviceptr pointer) {
  FAIL_IF_CAPTURED;
  free((void *)(uintptr_t)pointer);
  --fake_cuda_state()->allocations;
  return CUDA_SUCCESS;
}
CUresult fake_cuMemcpyHtoD(CUdeviceptr to, const void *from, size_t bytes) {
  FAIL_IF_CAPTURED;
  FAIL_IF_TOLD("cuMemcpyHtoD_v2");
  memcpy((void *)(uintptr_t)to, from, bytes);
  return CUDA_SUCCESS;
}
CUresult fake_cuMemcpyDtoH(void *to, CUdeviceptr from, size_t bytes) {
  FAIL_IF_CAPTURED;
  FAIL_IF_TOLD("cuMemcpyDtoH_v2");
  memcpy(to, (const void *)(uintptr_t)from, bytes);
  return CUDA_SUCCESS;
}
