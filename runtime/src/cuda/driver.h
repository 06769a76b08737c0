/* The CUDA driver without its headers: opened by name, its functions in a table, its devices as the runtime uses them.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#ifndef MOERT_CUDA_DRIVER_H
#define MOERT_CUDA_DRIVER_H

#include "moert/abi.h"

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Handles and numbers of cuda.h, CUDA 12; they have never changed since they were introduced. */
typedef int CUresult;
typedef int CUdevice;
typedef struct CUctx_st *CUcontext;
typedef struct CUmod_st *CUmodule;
typedef struct CUfunc_st *CUfunction;
typedef struct CUstream_st *CUstream;
typedef struct CUevent_st *CUevent;
typedef unsigned long long CUdeviceptr;

enum {
  CUDA_SUCCESS = 0,
  CUDA_ERROR_INVALID_VALUE = 1,
  CUDA_ERROR_OUT_OF_MEMORY = 2,
  CU_DEVICE_ATTRIBUTE_MAX_THREADS_PER_BLOCK = 1,
  CU_DEVICE_ATTRIBUTE_MAX_BLOCK_DIM_X = 2,
  CU_DEVICE_ATTRIBUTE_MAX_GRID_DIM_X = 5,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR = 75,
  CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR = 76,
  CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN = 97,
  CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES = 8,
  CU_JIT_INFO_LOG_BUFFER = 3,
  CU_JIT_INFO_LOG_BUFFER_SIZE_BYTES = 4,
  CU_JIT_ERROR_LOG_BUFFER = 5,
  CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES = 6,
  CU_LAUNCH_ATTRIBUTE_CLUSTER_DIMENSION = 4,
  CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION = 6,
  CU_MEMORYTYPE_DEVICE = 2,
  CU_POINTER_ATTRIBUTE_MEMORY_TYPE = 2,
  CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL = 9,
  CU_TENSOR_MAP_DATA_TYPE_UINT8 = 0,
  CU_TENSOR_MAP_DATA_TYPE_INT32 = 3,
  CU_TENSOR_MAP_DATA_TYPE_FLOAT16 = 6,
  CU_TENSOR_MAP_DATA_TYPE_FLOAT32 = 7,
  CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 = 9,
  CU_TENSOR_MAP_SWIZZLE_NONE = 0,
  CU_TENSOR_MAP_SWIZZLE_32B = 1,
  CU_TENSOR_MAP_SWIZZLE_64B = 2,
  CU_TENSOR_MAP_SWIZZLE_128B = 3,
  CU_TENSOR_MAP_L2_PROMOTION_L2_128B = 2,
  CU_STREAM_CAPTURE_STATUS_NONE = 0
};

typedef struct {
  uint32_t id;
  uint32_t padding;
  union {
    char bytes[64];
    uint32_t clusterDim[3];
    int32_t isAllowed;
  } value;
} CUlaunchAttribute;

typedef struct {
  uint32_t gridDim[3];
  uint32_t blockDim[3];
  uint32_t sharedMemBytes;
  CUstream stream;
  CUlaunchAttribute *attributes;
  uint32_t attributeCount;
} CUlaunchConfig;

/* Name of the member, name of the symbol (the one cuda.h defines the name to), parameters. */
#define MOERT_CUDA_FUNCTIONS(X)                                                                                        \
  X(cuInit, "cuInit", (unsigned flags))                                                                                \
  X(cuDriverGetVersion, "cuDriverGetVersion", (int *version))                                                          \
  X(cuGetErrorName, "cuGetErrorName", (CUresult error, const char **text))                                             \
  X(cuGetErrorString, "cuGetErrorString", (CUresult error, const char **text))                                         \
  X(cuDeviceGetCount, "cuDeviceGetCount", (int *count))                                                                \
  X(cuDeviceGet, "cuDeviceGet", (CUdevice *device, int ordinal))                                                       \
  X(cuDeviceGetName, "cuDeviceGetName", (char *name, int length, CUdevice device))                                     \
  X(cuDeviceGetAttribute, "cuDeviceGetAttribute", (int *value, int attribute, CUdevice device))                        \
  X(cuDevicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain", (CUcontext *context, CUdevice device))                       \
  X(cuDevicePrimaryCtxRelease, "cuDevicePrimaryCtxRelease_v2", (CUdevice device))                                      \
  X(cuCtxPushCurrent, "cuCtxPushCurrent_v2", (CUcontext context))                                                      \
  X(cuCtxPopCurrent, "cuCtxPopCurrent_v2", (CUcontext *context))                                                       \
  X(cuCtxGetDevice, "cuCtxGetDevice", (CUdevice *device))                                                              \
  X(cuModuleLoadDataEx, "cuModuleLoadDataEx",                                                                          \
    (CUmodule *module, const void *image, unsigned count, int *options, void **values))                                \
  X(cuModuleUnload, "cuModuleUnload", (CUmodule module))                                                               \
  X(cuModuleGetFunction, "cuModuleGetFunction", (CUfunction *function, CUmodule module, const char *name))             \
  X(cuFuncSetAttribute, "cuFuncSetAttribute", (CUfunction function, int attribute, int value))                         \
  X(cuLaunchKernelEx, "cuLaunchKernelEx",                                                                              \
    (const CUlaunchConfig *config, CUfunction function, void **parameters, void **extra))                              \
  X(cuTensorMapEncodeTiled, "cuTensorMapEncodeTiled",                                                                  \
    (void *map, int type, uint32_t rank, void *address, const uint64_t *extents, const uint64_t *strideBytes,          \
     const uint32_t *box, const uint32_t *elementStrides, int interleave, int swizzle, int promotion, int fill))       \
  X(cuPointerGetAttribute, "cuPointerGetAttribute", (void *value, int attribute, CUdeviceptr pointer))                 \
  X(cuStreamGetCtx, "cuStreamGetCtx", (CUstream stream, CUcontext *context))                                           \
  X(cuStreamIsCapturing, "cuStreamIsCapturing", (CUstream stream, int *status))                                        \
  X(cuStreamCreate, "cuStreamCreate", (CUstream *stream, unsigned flags))                                              \
  X(cuStreamDestroy, "cuStreamDestroy_v2", (CUstream stream))                                                          \
  X(cuStreamSynchronize, "cuStreamSynchronize", (CUstream stream))                                                     \
  X(cuEventCreate, "cuEventCreate", (CUevent *event, unsigned flags))                                                  \
  X(cuEventDestroy, "cuEventDestroy_v2", (CUevent event))                                                              \
  X(cuEventRecord, "cuEventRecord", (CUevent event, CUstream stream))                                                  \
  X(cuEventSynchronize, "cuEventSynchronize", (CUevent event))                                                         \
  X(cuEventElapsedTime, "cuEventElapsedTime", (float *milliseconds, CUevent start, CUevent end))                       \
  X(cuMemAlloc, "cuMemAlloc_v2", (CUdeviceptr *pointer, size_t bytes))                                                 \
  X(cuMemFree, "cuMemFree_v2", (CUdeviceptr pointer))                                                                  \
  X(cuMemcpyHtoD, "cuMemcpyHtoD_v2", (CUdeviceptr to, const void *from, size_t bytes))                                 \
  X(cuMemcpyDtoH, "cuMemcpyDtoH_v2", (void *to, CUdeviceptr from, size_t bytes))

/** The driver's functions. */
typedef struct {
#define MOERT_CUDA_MEMBER(name, symbol, parameters) CUresult(*name) parameters;
  MOERT_CUDA_FUNCTIONS(MOERT_CUDA_MEMBER)
#undef MOERT_CUDA_MEMBER
  int version;                /**< 12040: CUDA 12.4 */
} moert_cuda_driver;

/** A device that was opened: its primary context is retained until moert_cuda_close_devices. */
typedef struct moert_cuda_device {
  struct moert_cuda_device *next;
  const moert_cuda_driver *driver;
  int32_t index;              /**< DLDevice.device_id */
  CUdevice handle;
  CUcontext context;
  int32_t capability;         /**< 80, 90: major * 10 + minor */
  int32_t maxThreads, maxSharedBytes;
  int32_t maxBlock[3], maxGrid[3];
} moert_cuda_device;

/** The device of that index, opened at the first call: opens the driver, too, which is libcuda.so.1 or what the environment's
 * MOERT_CUDA_DRIVER names. Any number of threads may call. MOERT_NOT_FOUND without driver or device, MOERT_INCOMPATIBLE where the
 * driver is too old; then `message` says what is needed and what was found. */
int32_t moert_cuda_open_device(int32_t index, const moert_cuda_device **device, char *message, size_t capacity);

/** Gives all devices back. Nothing may use them any more; the next one to be opened looks for the driver again. */
void moert_cuda_close_devices(void);

/** The status of a driver's error, and a message: "<what>: CUDA_ERROR_... (the driver's words)". */
int32_t moert_cuda_error(const moert_cuda_driver *driver, CUresult error, char *message, size_t capacity, const char *what,
                         ...)
#if defined(__GNUC__) || defined(__clang__)
    __attribute__((format(printf, 5, 6)))
#endif
    ;

#ifdef __cplusplus
}
#endif
#endif /* MOERT_CUDA_DRIVER_H */
