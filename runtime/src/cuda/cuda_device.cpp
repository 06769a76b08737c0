// Memory, a stream and events of a CUDA device.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "runtime/src/cuda/driver.h"
#include "runtime/src/device.h"

#include <cstdint>
#include <mutex>

namespace moec::runtime {

namespace {

/// Keeps the driver's devices open while there are any here.
class Opened {
public:
  ~Opened() {
    if (!isCounted)
      return;
    std::lock_guard lock(mutex);
    if (--count == 0)
      moert_cuda_close_devices();
  }
  Opened() = default;
  Opened(const Opened &) = delete;
  Opened &operator=(const Opened &) = delete;

  moert_status_t open(int32_t index, std::string &error) {
    std::lock_guard lock(mutex);
    char message[512] = "";
    auto status = moert_status_t(
        moert_cuda_open_device(index, &device, message, sizeof message));
    error = message;
    isCounted = status == MOERT_OK;
    count += isCounted;
    return status;
  }
  const moert_cuda_device &get() const { return *device; }

private:
  static inline std::mutex mutex;
  static inline int64_t count = 0;
  const moert_cuda_device *device = nullptr;
  bool isCounted = false;
};

/// The device's context is this thread's while it lives.
class Current {
public:
  explicit Current(const moert_cuda_device &device)
      : driver(*device.driver), error(driver.cuCtxPushCurrent(device.context)) {
  }
  ~Current() {
    CUcontext popped;
    if (error == CUDA_SUCCESS)
      driver.cuCtxPopCurrent(&popped);
  }
  Current(const Current &) = delete;
  Current &operator=(const Current &) = delete;

private:
  const moert_cuda_driver &driver;

public:
  const CUresult error;
};

CUdeviceptr addressOf(const void *memory) {
  return CUdeviceptr(reinterpret_cast<uintptr_t>(memory));
}

class CudaDevice final : public moert_device {
public:
  explicit CudaDevice(std::unique_ptr<Opened> handle)
      : moert_device({kDLCUDA, handle->get().index}), opened(std::move(handle)),
        device(opened->get()), driver(*device.driver) {}

  ~CudaDevice() override {
    Current current(device);
    if (start)
      driver.cuEventDestroy(start);
    if (end)
      driver.cuEventDestroy(end);
    if (stream)
      driver.cuStreamDestroy(static_cast<CUstream>(stream));
  }

  moert_status_t open(std::string &error) {
    char name[256] = "";
    CUstream made = nullptr;
    moert_status_t status = run(
        [&] {
          // Waits for the null stream, and copies there for it.
          CUresult result = driver.cuStreamCreate(&made, 0);
          stream = made;
          if (result == CUDA_SUCCESS)
            result = driver.cuEventCreate(&start, 0);
          if (result == CUDA_SUCCESS)
            result = driver.cuEventCreate(&end, 0);
          if (result == CUDA_SUCCESS)
            result = driver.cuDeviceGetName(name, sizeof name, device.handle);
          return result;
        },
        "it cannot be used", error);
    description = std::string(name) + ", sm_" +
                  std::to_string(device.capability) + ", driver of CUDA " +
                  std::to_string(driver.version / 1000) + "." +
                  std::to_string(driver.version % 1000 / 10);
    return status;
  }

  moert_status_t allocate(uint64_t bytes, void *&memory,
                          std::string &error) override {
    CUdeviceptr address = 0;
    std::string what = std::to_string(bytes) + " bytes cannot be allocated";
    moert_status_t status =
        run([&] { return driver.cuMemAlloc(&address, bytes); }, what, error);
    memory = reinterpret_cast<void *>(uintptr_t(address));
    return status;
  }

  void free(void *memory) override {
    Current current(device);
    driver.cuMemFree(addressOf(memory));
  }

  moert_status_t write(void *to, const void *from, uint64_t bytes,
                       std::string &error) override {
    return run(
        [&] {
          CUresult result = driver.cuMemcpyHtoD(addressOf(to), from, bytes);
          // It may return when it has read all, before all is written.
          return result == CUDA_SUCCESS ? driver.cuStreamSynchronize(nullptr)
                                        : result;
        },
        std::to_string(bytes) + " bytes cannot be written", error);
  }

  moert_status_t read(void *to, const void *from, uint64_t bytes,
                      std::string &error) override {
    return run([&] { return driver.cuMemcpyDtoH(to, addressOf(from), bytes); },
               std::to_string(bytes) + " bytes cannot be read", error);
  }

  moert_status_t synchronize(std::string &error) override {
    return run(
        [&] {
          return driver.cuStreamSynchronize(static_cast<CUstream>(stream));
        },
        "work on it failed", error);
  }

  moert_status_t startTimer(std::string &error) override {
    return run(
        [&] {
          return driver.cuEventRecord(start, static_cast<CUstream>(stream));
        },
        "time cannot be measured", error);
  }

  moert_status_t stopTimer(double &seconds, std::string &error) override {
    float milliseconds = 0;
    moert_status_t status = run(
        [&] {
          CUresult result =
              driver.cuEventRecord(end, static_cast<CUstream>(stream));
          if (result == CUDA_SUCCESS)
            result = driver.cuEventSynchronize(end);
          return result == CUDA_SUCCESS
                     ? driver.cuEventElapsedTime(&milliseconds, start, end)
                     : result;
        },
        "work on it failed", error);
    seconds = double(milliseconds) * 1e-3;
    return status;
  }

private:
  /// Calls the driver in the device's context.
  template <typename Function>
  moert_status_t run(Function function, const std::string &what,
                     std::string &error) {
    Current current(device);
    CUresult result = current.error ? current.error : function();
    if (result == CUDA_SUCCESS)
      return MOERT_OK;
    char message[512];
    moert_status_t status = moert_status_t(moert_cuda_error(
        &driver, result, message, sizeof message, "CUDA device %d: %s",
        int(where.device_id), what.c_str()));
    error = message;
    return status;
  }

  std::unique_ptr<Opened> opened;
  const moert_cuda_device &device;
  const moert_cuda_driver &driver;
  CUevent start = nullptr, end = nullptr;
};

} // namespace

moert_status_t openCudaDevice(int32_t index,
                              std::unique_ptr<moert_device> &device,
                              std::string &error) {
  auto opened = std::make_unique<Opened>();
  if (moert_status_t status = opened->open(index, error))
    return status;
  auto made = std::make_unique<CudaDevice>(std::move(opened));
  moert_status_t status = made->open(error);
  if (status == MOERT_OK)
    device = std::move(made);
  return status;
}

} // namespace moec::runtime
