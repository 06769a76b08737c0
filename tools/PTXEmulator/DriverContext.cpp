// The driver's functions on devices, contexts and errors.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Driver.h"

#include <algorithm>
#include <cstring>

namespace moec::ptx {

std::vector<CUcontext> &contextStack() {
  thread_local std::vector<CUcontext> stack;
  return stack;
}

namespace {

struct ErrorRow {
  CUresult code;
  const char *name, *meaning;
};
constexpr ErrorRow errors[] = {
    {CUDA_SUCCESS, "CUDA_SUCCESS", "no error"},
    {CUDA_ERROR_INVALID_VALUE, "CUDA_ERROR_INVALID_VALUE", "invalid argument"},
    {CUDA_ERROR_OUT_OF_MEMORY, "CUDA_ERROR_OUT_OF_MEMORY", "out of memory"},
    {CUDA_ERROR_NOT_INITIALIZED, "CUDA_ERROR_NOT_INITIALIZED",
     "initialization error"},
    {CUDA_ERROR_NO_DEVICE, "CUDA_ERROR_NO_DEVICE",
     "no CUDA-capable device is detected"},
    {CUDA_ERROR_INVALID_DEVICE, "CUDA_ERROR_INVALID_DEVICE",
     "invalid device ordinal"},
    {CUDA_ERROR_INVALID_IMAGE, "CUDA_ERROR_INVALID_IMAGE",
     "device kernel image is invalid"},
    {CUDA_ERROR_INVALID_CONTEXT, "CUDA_ERROR_INVALID_CONTEXT",
     "invalid device context"},
    {CUDA_ERROR_NO_BINARY_FOR_GPU, "CUDA_ERROR_NO_BINARY_FOR_GPU",
     "no kernel image is available for execution on the device"},
    {CUDA_ERROR_INVALID_PTX, "CUDA_ERROR_INVALID_PTX",
     "a PTX JIT compilation failed"},
    {CUDA_ERROR_UNSUPPORTED_PTX_VERSION, "CUDA_ERROR_UNSUPPORTED_PTX_VERSION",
     "the provided PTX was compiled with an unsupported toolchain"},
    {CUDA_ERROR_INVALID_HANDLE, "CUDA_ERROR_INVALID_HANDLE",
     "invalid resource handle"},
    {CUDA_ERROR_NOT_FOUND, "CUDA_ERROR_NOT_FOUND", "named symbol not found"},
    {CUDA_ERROR_NOT_READY, "CUDA_ERROR_NOT_READY", "device not ready"},
    {CUDA_ERROR_ILLEGAL_ADDRESS, "CUDA_ERROR_ILLEGAL_ADDRESS",
     "an illegal memory access was encountered"},
    {CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES, "CUDA_ERROR_LAUNCH_OUT_OF_RESOURCES",
     "too many resources requested for launch"},
    {CUDA_ERROR_LAUNCH_TIMEOUT, "CUDA_ERROR_LAUNCH_TIMEOUT",
     "the launch timed out and was terminated"},
    {CUDA_ERROR_MISALIGNED_ADDRESS, "CUDA_ERROR_MISALIGNED_ADDRESS",
     "misaligned address"},
    {CUDA_ERROR_LAUNCH_FAILED, "CUDA_ERROR_LAUNCH_FAILED",
     "unspecified launch failure"},
    {CUDA_ERROR_NOT_SUPPORTED, "CUDA_ERROR_NOT_SUPPORTED",
     "operation not supported"},
    {CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED,
     "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
     "operation not permitted when stream is capturing"},
    {CUDA_ERROR_STREAM_CAPTURE_INVALIDATED,
     "CUDA_ERROR_STREAM_CAPTURE_INVALIDATED",
     "operation failed due to a previous error during capture"},
    {CUDA_ERROR_STREAM_CAPTURE_UNMATCHED, "CUDA_ERROR_STREAM_CAPTURE_UNMATCHED",
     "capture was not ended in the same stream as it began"},
    {CUDA_ERROR_STREAM_CAPTURE_IMPLICIT, "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT",
     "operation would make the legacy stream depend on a capturing blocking "
     "stream"},
    {CUDA_ERROR_INVALID_CLUSTER_SIZE, "CUDA_ERROR_INVALID_CLUSTER_SIZE",
     "invalid cluster size"},
};

const ErrorRow *findError(CUresult code) {
  for (const ErrorRow &row : errors)
    if (row.code == code)
      return &row;
  return nullptr;
}

/// Attributes by their number in the driver's interface.
int attributeOf(const Device &device, int attribute, bool &isKnown) {
  isKnown = true;
  int shared = static_cast<int>(device.maxSharedOptIn());
  bool isHopper = device.settings.capabilityMajor >= 9;
  switch (attribute) {
  case 1: // MAX_THREADS_PER_BLOCK
  case 2: // MAX_BLOCK_DIM_X
  case 3:
    return 1024;
  case 4: // MAX_BLOCK_DIM_Z
    return 64;
  case 5: // MAX_GRID_DIM_X
    return 2147483647;
  case 6:
  case 7:
    return 65535;
  case 8: // MAX_SHARED_MEMORY_PER_BLOCK
    return 48 * 1024;
  case 9:  // TOTAL_CONSTANT_MEMORY
  case 12: // MAX_REGISTERS_PER_BLOCK
  case 82: // MAX_REGISTERS_PER_MULTIPROCESSOR
    return 65536;
  case 10: // WARP_SIZE
    return warpSize;
  case 13: // CLOCK_RATE, kHz
  case 36: // MEMORY_CLOCK_RATE
    return 1000000;
  case 16: // MULTIPROCESSOR_COUNT
    return 4;
  case 37: // GLOBAL_MEMORY_BUS_WIDTH
    return 1024;
  case 38: // L2_CACHE_SIZE
    return 4 << 20;
  case 39: // MAX_THREADS_PER_MULTIPROCESSOR
    return 2048;
  case 41:  // UNIFIED_ADDRESSING
  case 95:  // COOPERATIVE_LAUNCH
  case 115: // MEMORY_POOLS_SUPPORTED
    return 1;
  case 18: // INTEGRATED
    return 0;
  case 75:
    return device.settings.capabilityMajor;
  case 76:
    return device.settings.capabilityMinor;
  case 81: // MAX_SHARED_MEMORY_PER_MULTIPROCESSOR
    return shared + 1024;
  case 97: // MAX_SHARED_MEMORY_PER_BLOCK_OPTIN
    return shared;
  case 106: // MAX_BLOCKS_PER_MULTIPROCESSOR
    return 32;
  case 111: // RESERVED_SHARED_MEMORY_PER_BLOCK
    return 1024;
  case 120: // CLUSTER_LAUNCH
  case 127: // TENSOR_MAP_ACCESS_SUPPORTED
    return isHopper;
  default:
    isKnown = false;
    return 0;
  }
}

} // namespace

} // namespace moec::ptx

using namespace moec::ptx;

MOEC_DRIVER cuInit(unsigned flags) {
  if (flags != 0)
    return CUDA_ERROR_INVALID_VALUE;
  Device &device = Device::get();
  std::lock_guard<std::mutex> lock(device.mutex);
  if (device.settings.deviceCount == 0)
    return CUDA_ERROR_NO_DEVICE;
  if (!device.memory.valid())
    return CUDA_ERROR_OUT_OF_MEMORY;
  device.isInitialized = true;
  return CUDA_SUCCESS;
}

MOEC_DRIVER cuDriverGetVersion(int *version) {
  if (!version)
    return CUDA_ERROR_INVALID_VALUE;
  *version = Device::get().settings.driverVersion;
  return CUDA_SUCCESS;
}

MOEC_DRIVER cuDeviceGetCount(int *count) {
  return withDevice([&](Device &device) {
    *count = device.settings.deviceCount;
    return CUDA_SUCCESS;
  });
}

MOEC_DRIVER cuDeviceGet(CUdevice *found, int ordinal) {
  return withDevice([&](Device &device) {
    if (ordinal < 0 || ordinal >= device.settings.deviceCount)
      return CUDA_ERROR_INVALID_DEVICE;
    *found = ordinal;
    return CUDA_SUCCESS;
  });
}

MOEC_DRIVER cuDeviceGetName(char *name, int length, CUdevice) {
  return withDevice([&](Device &device) {
    std::string full = "moec emulated device sm_" +
                       std::to_string(device.settings.capabilityMajor) +
                       std::to_string(device.settings.capabilityMinor);
    if (length <= 0)
      return CUDA_ERROR_INVALID_VALUE;
    size_t count =
        std::min<size_t>(full.size(), static_cast<size_t>(length) - 1);
    std::memcpy(name, full.data(), count);
    name[count] = '\0';
    return CUDA_SUCCESS;
  });
}

MOEC_DRIVER cuDeviceGetAttribute(int *value, int attribute, CUdevice) {
  return withDevice([&](Device &device) {
    bool isKnown = false;
    *value = attributeOf(device, attribute, isKnown);
    return isKnown ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  });
}

MOEC_DRIVER cuDeviceTotalMem_v2(size_t *bytes, CUdevice) {
  return withDevice([&](Device &device) {
    *bytes = device.memory.limit();
    return CUDA_SUCCESS;
  });
}

MOEC_DRIVER cuDevicePrimaryCtxRetain(CUcontext *context, CUdevice) {
  return withDevice([&](Device &device) {
    *context = &device.context;
    return CUDA_SUCCESS;
  });
}

MOEC_DRIVER cuDevicePrimaryCtxRelease_v2(CUdevice) {
  return withDevice([](Device &) { return CUDA_SUCCESS; });
}

MOEC_DRIVER cuCtxGetCurrent(CUcontext *context) {
  return withDevice([&](Device &) {
    *context = contextStack().empty() ? nullptr : contextStack().back();
    return CUDA_SUCCESS;
  });
}

MOEC_DRIVER cuCtxSetCurrent(CUcontext context) {
  return withDevice([&](Device &device) {
    if (context && context != &device.context)
      return CUDA_ERROR_INVALID_CONTEXT;
    if (contextStack().empty())
      contextStack().push_back(context);
    contextStack().back() = context;
    return CUDA_SUCCESS;
  });
}

MOEC_DRIVER cuCtxPushCurrent_v2(CUcontext context) {
  return withDevice([&](Device &device) {
    if (context != &device.context)
      return CUDA_ERROR_INVALID_CONTEXT;
    contextStack().push_back(context);
    return CUDA_SUCCESS;
  });
}

MOEC_DRIVER cuCtxPopCurrent_v2(CUcontext *context) {
  return withDevice([&](Device &) {
    if (contextStack().empty())
      return CUDA_ERROR_INVALID_CONTEXT;
    if (context)
      *context = contextStack().back();
    contextStack().pop_back();
    return CUDA_SUCCESS;
  });
}

MOEC_DRIVER cuCtxGetDevice(CUdevice *found) {
  return withContext([&](Device &) {
    *found = 0;
    return CUDA_SUCCESS;
  });
}

MOEC_DRIVER cuCtxSynchronize() {
  return withUncaptured([](Device &) { return CUDA_SUCCESS; });
}

MOEC_DRIVER cuGetErrorName(CUresult code, const char **name) {
  const ErrorRow *row = findError(code);
  *name = row ? row->name : nullptr;
  return row ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}

MOEC_DRIVER cuGetErrorString(CUresult code, const char **meaning) {
  const ErrorRow *row = findError(code);
  *meaning = row ? row->meaning : nullptr;
  return row ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
}
