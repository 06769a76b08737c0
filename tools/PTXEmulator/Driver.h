// What the functions of the driver begin with.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TOOLS_PTXEMULATOR_DRIVER_H
#define MOEC_TOOLS_PTXEMULATOR_DRIVER_H

#include "tools/PTXEmulator/Device.h"

/// A function of the driver's interface.
#define MOEC_DRIVER extern "C" __attribute__((visibility("default"))) CUresult

namespace moec::ptx {

/// The contexts of this thread: the last is current. There is one context, so
/// each entry is it or null.
std::vector<CUcontext> &contextStack();

/// Runs a function with the device locked, after cuInit. What was launched
/// before has run.
template <typename F> CUresult withDevice(F run) {
  Device &device = Device::get();
  std::lock_guard<std::mutex> lock(device.mutex);
  device.flush();
  return device.isInitialized ? run(device) : CUDA_ERROR_NOT_INITIALIZED;
}

/// Runs a function if a context is current and no kernel has failed.
template <typename F> CUresult inContext(Device &device, F run) {
  if (contextStack().empty() || !contextStack().back())
    return CUDA_ERROR_INVALID_CONTEXT;
  if (CUresult error = device.stickyError())
    return error;
  return run(device);
}

/// As withDevice, in a context.
template <typename F> CUresult withContext(F run) {
  return withDevice([&](Device &device) { return inContext(device, run); });
}

/// As withContext, for launches: those before may be running.
template <typename F> CUresult withRunning(F run) {
  Device &device = Device::get();
  std::lock_guard<std::mutex> lock(device.mutex);
  return device.isInitialized ? inContext(device, run)
                              : CUDA_ERROR_NOT_INITIALIZED;
}

/// As withContext, for calls that no capture of a stream may see.
template <typename F> CUresult withUncaptured(F run) {
  return withContext([&](Device &device) -> CUresult {
    if (CUresult error = device.checkUncaptured())
      return error;
    return run(device);
  });
}

/// The stream of a handle, which may be one of the default streams'; null if
/// there is no such stream.
CUstream findStream(Device &device, CUstream stream);

/// Whether a set of owned objects has one.
template <typename T>
bool owns(const std::set<std::unique_ptr<T>> &objects, const T *object) {
  for (const std::unique_ptr<T> &owned : objects)
    if (owned.get() == object)
      return true;
  return false;
}

/// Destroys an object; false if it is not owned.
template <typename T>
bool disown(std::set<std::unique_ptr<T>> &objects, const T *object) {
  return std::erase_if(objects, [&](const std::unique_ptr<T> &owned) {
           return owned.get() == object;
         }) != 0;
}

} // namespace moec::ptx

#endif // MOEC_TOOLS_PTXEMULATOR_DRIVER_H
