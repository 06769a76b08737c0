// The driver's functions that launch kernels.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Driver.h"

#include <cstdio>
#include <cstring>

namespace moec::ptx {

namespace {

/// Attributes of launches, by their number in the driver's interface.
enum LaunchAttribute : unsigned {
  Ignored = 0,
  Cooperative = 2,
  ClusterDimension = 4,
  ClusterPreference = 5,
  ProgrammaticSerialization = 6,
  Priority = 8,
};

/// Tags in the array `extra`, the other way to pass parameters.
const void *const parameterBuffer = reinterpret_cast<const void *>(1);
const void *const parameterBytes = reinterpret_cast<const void *>(2);

CUresult refuse(CUresult result, const std::string &message) {
  std::fprintf(stderr, "emulated device: %s\n", message.c_str());
  return result;
}

/// Takes what is launched with: pointers to values, or one buffer.
CUresult packParameters(const Program &program, void **values, void **extra,
                        std::vector<uint8_t> &parameters) {
  parameters.assign(program.parameterBytes, 0);
  if (!values && !extra)
    return program.parameters.empty() ? CUDA_SUCCESS : CUDA_ERROR_INVALID_VALUE;
  if (values) {
    for (size_t i = 0; i < program.parameters.size(); ++i)
      std::memcpy(&parameters[program.parameters[i].offset], values[i],
                  program.parameters[i].bytes);
    return CUDA_SUCCESS;
  }
  const void *buffer = nullptr;
  size_t bytes = 0;
  for (; *extra; extra += 2) {
    if (*extra == parameterBuffer)
      buffer = extra[1];
    else if (*extra == parameterBytes)
      bytes = *static_cast<size_t *>(extra[1]);
    else
      return CUDA_ERROR_INVALID_VALUE;
  }
  if (!buffer || bytes < parameters.size())
    return CUDA_ERROR_INVALID_VALUE;
  std::memcpy(parameters.data(), buffer, parameters.size());
  return CUDA_SUCCESS;
}

CUresult takeAttributes(const CUlaunchConfig &config, Grid &grid,
                        bool &isDependent) {
  for (unsigned i = 0; i < config.numAttrs; ++i) {
    const CUlaunchAttribute &attribute = config.attrs[i];
    switch (attribute.id) {
    case ClusterDimension:
      grid.cluster = {attribute.value.clusterDim.x,
                      attribute.value.clusterDim.y,
                      attribute.value.clusterDim.z};
      break;
    case ProgrammaticSerialization:
      isDependent = attribute.value.number != 0;
      break;
    case Ignored:
    case Cooperative:
    case ClusterPreference:
    case Priority:
      break;
    default:
      return refuse(CUDA_ERROR_NOT_SUPPORTED,
                    "the emulator does not know launch attribute " +
                        std::to_string(attribute.id));
    }
  }
  return CUDA_SUCCESS;
}

CUresult checkLaunch(const Device &device, CUfunction function,
                     const Grid &grid) {
  if (weights::Status status = checkGrid(grid); !status)
    return refuse(CUDA_ERROR_INVALID_VALUE, status.error());
  if (volume(grid.cluster) > 1 && device.settings.capabilityMajor < 9)
    return refuse(CUDA_ERROR_INVALID_CLUSTER_SIZE,
                  "clusters need a device of capability 9.0");
  if (grid.dynamicSharedBytes > function->maxDynamicShared)
    return refuse(CUDA_ERROR_INVALID_VALUE,
                  "kernel '" + function->program->name + "' may have " +
                      std::to_string(function->maxDynamicShared) +
                      " bytes of dynamic shared memory, found " +
                      std::to_string(grid.dynamicSharedBytes));
  return CUDA_SUCCESS;
}

} // namespace

} // namespace moec::ptx

using namespace moec::ptx;

MOEC_DRIVER cuLaunchKernelEx(const CUlaunchConfig *config, CUfunction function,
                             void **values, void **extra) {
  return withRunning([&](Device &device) -> CUresult {
    CUstream stream = findStream(device, config->hStream);
    if (!stream || !function)
      return CUDA_ERROR_INVALID_HANDLE;
    Grid grid;
    grid.program = function->program;
    grid.grid = {config->gridDimX, config->gridDimY, config->gridDimZ};
    grid.block = {config->blockDimX, config->blockDimY, config->blockDimZ};
    grid.cluster = {1, 1, 1};
    for (size_t i = 0; i < 3; ++i)
      if (function->program->cluster[i])
        grid.cluster[i] = function->program->cluster[i];
    grid.dynamicSharedBytes = config->sharedMemBytes;
    bool isDependent = false;
    if (CUresult result = takeAttributes(*config, grid, isDependent))
      return result;
    if (CUresult result =
            packParameters(*function->program, values, extra, grid.parameters))
      return result;
    if (CUresult result = checkLaunch(device, function, grid))
      return result;
    return device.submit(stream, [&device, grid, isDependent] {
      device.launch(grid, isDependent);
      return CUDA_SUCCESS;
    });
  });
}

MOEC_DRIVER cuLaunchKernel(CUfunction function, unsigned gridX, unsigned gridY,
                           unsigned gridZ, unsigned blockX, unsigned blockY,
                           unsigned blockZ, unsigned sharedBytes,
                           CUstream stream, void **values, void **extra) {
  CUlaunchConfig config{gridX,  gridY,       gridZ,  blockX,  blockY,
                        blockZ, sharedBytes, stream, nullptr, 0};
  return cuLaunchKernelEx(&config, function, values, extra);
}
