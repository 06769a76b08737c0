// Devices by the C interface, and the CPU as one of them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "device.h"

#include "library.h"

#include <chrono>
#include <cstdlib>
#include <cstring>
#include <sys/mman.h>
#include <unistd.h>

using namespace moec::runtime;

namespace {

/// Pools begin at cache lines and vectors of any width, and may be read a
/// vector beyond their end.
constexpr size_t cpuAlignment = 64;

class CpuDevice final : public moert_device {
public:
  CpuDevice() : moert_device({kDLCPU, 0}) { description = "CPU"; }

  moert_status_t allocate(uint64_t bytes, void *&memory,
                          std::string &error) override {
    uint64_t room = (bytes / cpuAlignment + 1) * cpuAlignment;
    memory = std::aligned_alloc(cpuAlignment, room);
    if (!memory) {
      error = "out of memory: needs " + std::to_string(bytes) + " bytes";
      return MOERT_OUT_OF_MEMORY;
    }
    std::memset(memory, 0, room);
    return MOERT_OK;
  }
  void free(void *memory) override { std::free(memory); }
  void discard(void *memory, uint64_t bytes) override {
    auto page = uintptr_t(sysconf(_SC_PAGESIZE));
    uintptr_t from = (uintptr_t(memory) + page - 1) / page * page,
              to = (uintptr_t(memory) + bytes) / page * page;
    if (from < to)
      madvise(reinterpret_cast<void *>(from), to - from, MADV_DONTNEED);
  }
  moert_status_t write(void *to, const void *from, uint64_t bytes,
                       std::string &) override {
    std::memcpy(to, from, bytes);
    return MOERT_OK;
  }
  moert_status_t read(void *to, const void *from, uint64_t bytes,
                      std::string &) override {
    std::memcpy(to, from, bytes);
    return MOERT_OK;
  }
  moert_status_t synchronize(std::string &) override { return MOERT_OK; }
  moert_status_t startTimer(std::string &) override {
    start = std::chrono::steady_clock::now();
    return MOERT_OK;
  }
  moert_status_t stopTimer(double &seconds, std::string &) override {
    std::chrono::duration<double> elapsed =
        std::chrono::steady_clock::now() - start;
    seconds = elapsed.count();
    return MOERT_OK;
  }

private:
  std::chrono::steady_clock::time_point start;
};

/// Runs one of the device's functions and hands its message on.
template <typename Function>
moert_status_t reported(moert_device *device, const moert_error_sink *error,
                        Function function) try {
  if (!device)
    return MOERT_INVALID_ARGUMENT;
  std::string message;
  moert_status_t status = function(message);
  return status == MOERT_OK ? status : report(error, status, message);
}
MOERT_CATCH_OUT_OF_MEMORY(error)

} // namespace

moert_status_t moec::runtime::openDevice(DLDevice where,
                                         std::unique_ptr<moert_device> &device,
                                         std::string &error) {
  if (where.device_type == kDLCPU) {
    device = std::make_unique<CpuDevice>();
    return MOERT_OK;
  }
  if (where.device_type == kDLCUDA)
    return openCudaDevice(where.device_id, device, error);
  error = "expected device type " + std::to_string(kDLCPU) + " (CPU) or " +
          std::to_string(kDLCUDA) + " (CUDA), found " +
          std::to_string(where.device_type);
  return MOERT_INVALID_ARGUMENT;
}

moert_status_t moert_device_open(DLDevice device, const moert_error_sink *error,
                                 moert_device **opened) try {
  if (!opened)
    return report(error, MOERT_INVALID_ARGUMENT,
                  "moert_device_open: expected a place for the device, found "
                  "null");
  *opened = nullptr;
  std::unique_ptr<moert_device> made;
  std::string message;
  if (moert_status_t status = openDevice(device, made, message))
    return report(error, status, message);
  *opened = made.release();
  return MOERT_OK;
}
MOERT_CATCH_OUT_OF_MEMORY(error)

moert_status_t moert_device_close(moert_device *device) {
  delete device;
  return MOERT_OK;
}

moert_status_t moert_device_identity(const moert_device *device,
                                     DLDevice *identity) {
  if (!device || !identity)
    return MOERT_INVALID_ARGUMENT;
  *identity = device->where;
  return MOERT_OK;
}

moert_status_t moert_device_description(const moert_device *device,
                                        const char **text) {
  if (!device || !text)
    return MOERT_INVALID_ARGUMENT;
  *text = device->description.c_str();
  return MOERT_OK;
}

moert_status_t moert_device_stream(const moert_device *device, void **stream) {
  if (!device || !stream)
    return MOERT_INVALID_ARGUMENT;
  *stream = device->stream;
  return MOERT_OK;
}

moert_status_t moert_device_allocate(moert_device *device, uint64_t bytes,
                                     const moert_error_sink *error,
                                     void **memory) {
  if (!memory)
    return MOERT_INVALID_ARGUMENT;
  *memory = nullptr;
  return reported(device, error, [&](std::string &message) {
    return bytes == 0 ? MOERT_OK : device->allocate(bytes, *memory, message);
  });
}

moert_status_t moert_device_free(moert_device *device, void *memory) {
  if (!device)
    return MOERT_INVALID_ARGUMENT;
  if (memory)
    device->free(memory);
  return MOERT_OK;
}

moert_status_t moert_device_write(moert_device *device, void *to,
                                  const void *from, uint64_t bytes,
                                  const moert_error_sink *error) {
  return reported(device, error, [&](std::string &message) {
    return bytes == 0 ? MOERT_OK : device->write(to, from, bytes, message);
  });
}

moert_status_t moert_device_read(moert_device *device, void *to,
                                 const void *from, uint64_t bytes,
                                 const moert_error_sink *error) {
  return reported(device, error, [&](std::string &message) {
    return bytes == 0 ? MOERT_OK : device->read(to, from, bytes, message);
  });
}

moert_status_t moert_device_synchronize(moert_device *device,
                                        const moert_error_sink *error) {
  return reported(device, error, [&](std::string &message) {
    return device->synchronize(message);
  });
}

moert_status_t moert_device_start_timer(moert_device *device,
                                        const moert_error_sink *error) {
  return reported(device, error, [&](std::string &message) {
    return device->startTimer(message);
  });
}

moert_status_t moert_device_stop_timer(moert_device *device,
                                       const moert_error_sink *error,
                                       double *seconds) {
  if (!seconds)
    return MOERT_INVALID_ARGUMENT;
  return reported(device, error, [&](std::string &message) {
    return device->stopTimer(*seconds, message);
  });
}
