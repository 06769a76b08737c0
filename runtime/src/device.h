// What devices have in common, and who makes one.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_RUNTIME_DEVICE_H
#define MOEC_RUNTIME_DEVICE_H

#include "moert/device.h"

#include <cstdint>
#include <memory>
#include <string>

/// Memory, a stream and a clock. What fails says why.
struct moert_device {
  explicit moert_device(DLDevice where) : where(where) {}
  virtual ~moert_device() = default;

  virtual moert_status_t allocate(uint64_t bytes, void *&memory,
                                  std::string &error) = 0;
  virtual void free(void *memory) = 0;
  virtual moert_status_t write(void *to, const void *from, uint64_t bytes,
                               std::string &error) = 0;
  virtual moert_status_t read(void *to, const void *from, uint64_t bytes,
                              std::string &error) = 0;
  /// What was written there may be forgotten: zeros come back, or what was, and
  /// the memory is the system's meanwhile where it can be.
  virtual void discard(void *, uint64_t) {}
  virtual moert_status_t synchronize(std::string &error) = 0;
  virtual moert_status_t startTimer(std::string &error) = 0;
  virtual moert_status_t stopTimer(double &seconds, std::string &error) = 0;

  const DLDevice where;
  /// For people.
  std::string description;
  void *stream = nullptr;
};

namespace moec::runtime {

/// Opens a device of any kind.
moert_status_t openDevice(DLDevice where, std::unique_ptr<moert_device> &device,
                          std::string &error);

/// Opens a CUDA device.
moert_status_t openCudaDevice(int32_t index,
                              std::unique_ptr<moert_device> &device,
                              std::string &error);

/// Memory of a device, freed with its handle.
struct FreeOnDevice {
  moert_device *device;
  void operator()(void *memory) const { device->free(memory); }
};
using DeviceMemory = std::unique_ptr<void, FreeOnDevice>;

} // namespace moec::runtime

#endif // MOEC_RUNTIME_DEVICE_H
