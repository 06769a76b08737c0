// The emulated device: what the functions of the driver share.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Device.h"

#include <charconv>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace moec::ptx {

namespace {

[[noreturn]] void refuse(const char *name, const char *expected,
                         const char *found) {
  std::fprintf(stderr, "emulated device: expected %s to be %s, found '%s'\n",
               name, expected, found);
  std::exit(2);
}

uint64_t numberFrom(const char *name, uint64_t otherwise) {
  const char *text = std::getenv(name);
  if (!text)
    return otherwise;
  uint64_t value = 0;
  auto [end, status] = std::from_chars(text, text + std::strlen(text), value);
  if (status != std::errc() || *end)
    refuse(name, "a number", text);
  return value;
}

CUresult resultOf(FaultKind kind) {
  switch (kind) {
  case FaultKind::IllegalAddress:
    return CUDA_ERROR_ILLEGAL_ADDRESS;
  case FaultKind::MisalignedAddress:
    return CUDA_ERROR_MISALIGNED_ADDRESS;
  case FaultKind::Timeout:
    return CUDA_ERROR_LAUNCH_TIMEOUT;
  case FaultKind::LaunchFailed:
    break;
  }
  return CUDA_ERROR_LAUNCH_FAILED;
}

void printStatistics(const std::vector<Grid> &grids, uint64_t steps) {
  std::fprintf(stderr, "emulated device:");
  for (const Grid &grid : grids)
    std::fprintf(stderr, " '%s': %llu CTAs of %llu threads,",
                 grid.program->name.c_str(),
                 static_cast<unsigned long long>(volume(grid.grid)),
                 static_cast<unsigned long long>(volume(grid.block)));
  std::fprintf(stderr, " %llu thread instructions\n",
               static_cast<unsigned long long>(steps));
}

} // namespace

DeviceSettings DeviceSettings::fromEnvironment() {
  DeviceSettings settings;
  Settings &machine = settings.machine;
  machine.seed = numberFrom("MOEC_EMULATOR_SEED", machine.seed);
  machine.residentCtas = static_cast<unsigned>(
      numberFrom("MOEC_EMULATOR_RESIDENT", machine.residentCtas));
  machine.stepLimit = numberFrom("MOEC_EMULATOR_STEPS", machine.stepLimit);
  machine.reportUninitialized =
      numberFrom("MOEC_EMULATOR_UNINITIALIZED", 1) != 0;
  settings.memoryBytes =
      numberFrom("MOEC_EMULATOR_MEMORY", settings.memoryBytes);
  settings.deviceCount = static_cast<int>(
      numberFrom("MOEC_EMULATOR_DEVICES", uint64_t(settings.deviceCount)));
  settings.driverVersion = static_cast<int>(
      numberFrom("MOEC_EMULATOR_DRIVER", uint64_t(settings.driverVersion)));
  settings.statistics = numberFrom("MOEC_EMULATOR_STATISTICS", 0) != 0;
  if (const char *report = std::getenv("MOEC_EMULATOR_REPORT"))
    settings.report = report;
  if (const char *text = std::getenv("MOEC_EMULATOR_CAPABILITY"))
    if (std::sscanf(text, "%d.%d", &settings.capabilityMajor,
                    &settings.capabilityMinor) != 2)
      refuse("MOEC_EMULATOR_CAPABILITY", "MAJOR.MINOR", text);
  return settings;
}

Device::Device(const DeviceSettings &settings)
    : settings(settings), memory(settings.memoryBytes) {}

Device &Device::get() {
  // Never destroyed: hosts may call after their exit handlers began.
  static Device *device = new Device(DeviceSettings::fromEnvironment());
  return *device;
}

CUresult Device::submit(CUstream stream, std::function<CUresult()> work) {
  if (!stream->capture) {
    bool isDefault = stream == &defaultStream;
    for (const std::unique_ptr<CUstream_st> &other : streams)
      if (isDefault && other->capture && !other->capture->isRelaxed) {
        other->capture->isInvalid = true;
        return CUDA_ERROR_STREAM_CAPTURE_IMPLICIT;
      }
    return work();
  }
  if (stream->capture->isInvalid)
    return CUDA_ERROR_STREAM_CAPTURE_INVALIDATED;
  stream->capture->graph.work.push_back(std::move(work));
  return CUDA_SUCCESS;
}

CUresult Device::checkUncaptured() {
  CUresult result = CUDA_SUCCESS;
  for (const std::unique_ptr<CUstream_st> &stream : streams)
    if (stream->capture && !stream->capture->isRelaxed) {
      stream->capture->isInvalid = true;
      result = CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED;
    }
  return result;
}

void Device::launch(const Grid &grid, bool isDependent) {
  if (!isDependent)
    flush();
  if (!sticky)
    launched.push_back(grid);
}

void Device::flush() {
  if (launched.empty())
    return;
  Settings machine = settings.machine;
  // Launches differ in their schedules.
  machine.seed = machine.seed * 0x9E3779B97F4A7C15 + launches++;
  uint64_t steps = 0;
  std::optional<Fault> fault = runGrids(memory, machine, launched, &steps);
  if (settings.statistics)
    printStatistics(launched, steps);
  launched.clear();
  if (!fault)
    return;
  sticky = resultOf(fault->kind);
  std::fprintf(stderr, "emulated device: %s\n", fault->message.c_str());
  if (settings.report.empty())
    return;
  if (std::FILE *file = std::fopen(settings.report.c_str(), "a")) {
    std::fprintf(file, "%s\n", fault->message.c_str());
    std::fclose(file);
  }
}

uint32_t Device::maxSharedOptIn() const {
  int capability = settings.capabilityMajor * 10 + settings.capabilityMinor;
  if (capability >= 90 && capability < 120)
    return 227 * 1024;
  if (capability == 80 || capability == 87)
    return 163 * 1024;
  return capability < 80 ? 64 * 1024 : 99 * 1024;
}

} // namespace moec::ptx
