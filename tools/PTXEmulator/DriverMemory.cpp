// The driver's functions on memory.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Driver.h"

#include <cstdlib>
#include <cstring>

namespace moec::ptx {

namespace {

/// Copies within, to or from device memory; a range that is not of one
/// allocation is an error.
CUresult copyToDevice(Device &device, CUdeviceptr to, const void *from,
                      size_t bytes) {
  if (bytes == 0)
    return CUDA_SUCCESS;
  uint8_t *memory = device.memory.translate(to, bytes);
  if (!memory)
    return CUDA_ERROR_INVALID_VALUE;
  std::memcpy(memory, from, bytes);
  return CUDA_SUCCESS;
}

CUresult copyToHost(Device &device, void *to, CUdeviceptr from, size_t bytes) {
  if (bytes == 0)
    return CUDA_SUCCESS;
  const uint8_t *memory = device.memory.translate(from, bytes);
  if (!memory)
    return CUDA_ERROR_INVALID_VALUE;
  std::memcpy(to, memory, bytes);
  return CUDA_SUCCESS;
}

CUresult copyWithin(Device &device, CUdeviceptr to, CUdeviceptr from,
                    size_t bytes) {
  if (bytes == 0)
    return CUDA_SUCCESS;
  uint8_t *target = device.memory.translate(to, bytes);
  const uint8_t *source = device.memory.translate(from, bytes);
  if (!target || !source)
    return CUDA_ERROR_INVALID_VALUE;
  std::memmove(target, source, bytes);
  return CUDA_SUCCESS;
}

template <typename T>
CUresult fill(Device &device, CUdeviceptr to, T value, size_t count) {
  if (count == 0)
    return CUDA_SUCCESS;
  uint8_t *memory = device.memory.translate(to, count * sizeof(T));
  if (!memory || to % sizeof(T) != 0)
    return CUDA_ERROR_INVALID_VALUE;
  for (size_t i = 0; i < count; ++i)
    std::memcpy(memory + i * sizeof(T), &value, sizeof(T));
  return CUDA_SUCCESS;
}

/// Work of a stream, now or when its graph is launched.
template <typename F> CUresult enqueue(CUstream stream, F work) {
  return withContext([&](Device &device) -> CUresult {
    CUstream found = findStream(device, stream);
    if (!found)
      return CUDA_ERROR_INVALID_HANDLE;
    return device.submit(found, [&device, work] {
      device.flush();
      return work(device);
    });
  });
}

CUresult allocate(Device &device, CUdeviceptr *address, size_t bytes) {
  if (!address || bytes == 0)
    return CUDA_ERROR_INVALID_VALUE;
  *address = device.memory.allocate(bytes);
  return *address ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult release(Device &device, CUdeviceptr address) {
  return address == 0 || device.memory.free(address) ? CUDA_SUCCESS
                                                     : CUDA_ERROR_INVALID_VALUE;
}

} // namespace

} // namespace moec::ptx

using namespace moec::ptx;

MOEC_DRIVER cuMemAlloc_v2(CUdeviceptr *address, size_t bytes) {
  return withUncaptured(
      [&](Device &device) { return allocate(device, address, bytes); });
}

MOEC_DRIVER cuMemFree_v2(CUdeviceptr address) {
  return withUncaptured(
      [&](Device &device) { return release(device, address); });
}

// Graphs with allocations are not emulated: the runtime has none.

MOEC_DRIVER cuMemAllocAsync(CUdeviceptr *address, size_t bytes, CUstream) {
  return cuMemAlloc_v2(address, bytes);
}

MOEC_DRIVER cuMemFreeAsync(CUdeviceptr address, CUstream) {
  return cuMemFree_v2(address);
}

MOEC_DRIVER cuMemGetInfo_v2(size_t *available, size_t *total) {
  return withContext([&](Device &device) {
    *total = device.memory.limit();
    *available = device.memory.limit() - device.memory.used();
    return CUDA_SUCCESS;
  });
}

MOEC_DRIVER cuMemAllocHost_v2(void **memory, size_t bytes) {
  return withUncaptured([&](Device &) {
    *memory = std::malloc(bytes);
    return *memory ? CUDA_SUCCESS : CUDA_ERROR_OUT_OF_MEMORY;
  });
}

MOEC_DRIVER cuMemHostAlloc(void **memory, size_t bytes, unsigned) {
  return cuMemAllocHost_v2(memory, bytes);
}

MOEC_DRIVER cuMemFreeHost(void *memory) {
  return withUncaptured([&](Device &) {
    std::free(memory);
    return CUDA_SUCCESS;
  });
}

MOEC_DRIVER cuMemcpyHtoD_v2(CUdeviceptr to, const void *from, size_t bytes) {
  return withUncaptured(
      [&](Device &device) { return copyToDevice(device, to, from, bytes); });
}

MOEC_DRIVER cuMemcpyDtoH_v2(void *to, CUdeviceptr from, size_t bytes) {
  return withUncaptured(
      [&](Device &device) { return copyToHost(device, to, from, bytes); });
}

MOEC_DRIVER cuMemcpyDtoD_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes) {
  return withUncaptured(
      [&](Device &device) { return copyWithin(device, to, from, bytes); });
}

MOEC_DRIVER cuMemcpyHtoDAsync_v2(CUdeviceptr to, const void *from, size_t bytes,
                                 CUstream stream) {
  return enqueue(stream, [=](Device &device) {
    return copyToDevice(device, to, from, bytes);
  });
}

MOEC_DRIVER cuMemcpyDtoHAsync_v2(void *to, CUdeviceptr from, size_t bytes,
                                 CUstream stream) {
  return enqueue(stream, [=](Device &device) {
    return copyToHost(device, to, from, bytes);
  });
}

MOEC_DRIVER cuMemcpyDtoDAsync_v2(CUdeviceptr to, CUdeviceptr from, size_t bytes,
                                 CUstream stream) {
  return enqueue(stream, [=](Device &device) {
    return copyWithin(device, to, from, bytes);
  });
}

MOEC_DRIVER cuMemsetD8_v2(CUdeviceptr to, unsigned char value, size_t count) {
  return withUncaptured(
      [&](Device &device) { return fill<uint8_t>(device, to, value, count); });
}

MOEC_DRIVER cuMemsetD32_v2(CUdeviceptr to, unsigned value, size_t count) {
  return withUncaptured(
      [&](Device &device) { return fill<uint32_t>(device, to, value, count); });
}

MOEC_DRIVER cuMemsetD8Async(CUdeviceptr to, unsigned char value, size_t count,
                            CUstream stream) {
  return enqueue(stream, [=](Device &device) {
    return fill<uint8_t>(device, to, value, count);
  });
}

MOEC_DRIVER cuMemsetD32Async(CUdeviceptr to, unsigned value, size_t count,
                             CUstream stream) {
  return enqueue(stream, [=](Device &device) {
    return fill<uint32_t>(device, to, value, count);
  });
}

/// Attributes: 1 context, 2 memory type, 3 device pointer, 8 is managed,
/// 9 device ordinal, 11 and 12 the range.
MOEC_DRIVER cuPointerGetAttribute(void *value, int attribute,
                                  CUdeviceptr address) {
  return withContext([&](Device &device) -> CUresult {
    const DeviceMemory::Allocation *found = device.memory.find(address);
    if (!found || !value)
      return CUDA_ERROR_INVALID_VALUE;
    switch (attribute) {
    case 1:
      *static_cast<CUcontext *>(value) = &device.context;
      return CUDA_SUCCESS;
    case 2:
      *static_cast<unsigned *>(value) = 2;
      return CUDA_SUCCESS;
    case 3:
      *static_cast<CUdeviceptr *>(value) = address;
      return CUDA_SUCCESS;
    case 8:
      *static_cast<unsigned *>(value) = 0;
      return CUDA_SUCCESS;
    case 9:
      *static_cast<int *>(value) = 0;
      return CUDA_SUCCESS;
    case 11:
      *static_cast<CUdeviceptr *>(value) = found->begin;
      return CUDA_SUCCESS;
    case 12:
      *static_cast<size_t *>(value) = found->bytes;
      return CUDA_SUCCESS;
    default:
      return CUDA_ERROR_INVALID_VALUE;
    }
  });
}
