// The driver's functions on modules and their kernels.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/Driver.h"

#include <algorithm>
#include <cstdio>
#include <cstring>

namespace moec::ptx {

namespace {

/// Options of the JIT compiler, by their number in the driver's interface.
enum JitOption : int {
  InfoLogBuffer = 3,
  InfoLogBytes = 4,
  ErrorLogBuffer = 5,
  ErrorLogBytes = 6
};

/// Where the caller wants messages; the driver is told sizes as values that are
/// pointers, and writes back how much it used.
struct Log {
  char *buffer = nullptr;
  void **bytes = nullptr;

  void write(const std::string &message) {
    if (!bytes)
      return;
    size_t room = static_cast<unsigned>(reinterpret_cast<uintptr_t>(*bytes));
    size_t count = 0;
    if (buffer && room > 0) {
      count = std::min(message.size(), room - 1);
      std::memcpy(buffer, message.data(), count);
      buffer[count] = '\0';
    }
    *bytes = reinterpret_cast<void *>(count);
  }
};

void takeOptions(unsigned count, const int *options, void **values, Log &info,
                 Log &error) {
  for (unsigned i = 0; i < count; ++i) {
    if (options[i] == InfoLogBuffer)
      info.buffer = static_cast<char *>(values[i]);
    else if (options[i] == InfoLogBytes)
      info.bytes = &values[i];
    else if (options[i] == ErrorLogBuffer)
      error.buffer = static_cast<char *>(values[i]);
    else if (options[i] == ErrorLogBytes)
      error.bytes = &values[i];
  }
}

/// Whether a device of this capability takes PTX for a target: sm_90a is for
/// 9.0 alone, sm_80 for all from 8.0.
bool takesTarget(const DeviceSettings &settings, const std::string &target) {
  unsigned number = 0;
  char suffix = '\0';
  if (std::sscanf(target.c_str(), "sm_%u%c", &number, &suffix) < 1)
    return false;
  unsigned own = static_cast<unsigned>(settings.capabilityMajor * 10 +
                                       settings.capabilityMinor);
  if (suffix == 'a')
    return number == own;
  if (suffix == 'f')
    return number / 10 == own / 10 && number <= own;
  return number <= own;
}

/// The version of PTX that came with a driver: 12.0 has 8.0, 13.0 has 9.0.
unsigned ptxVersionOf(int driverVersion) {
  unsigned major = static_cast<unsigned>(driverVersion) / 1000;
  unsigned minor = static_cast<unsigned>(driverVersion) % 1000 / 10;
  return (major - 4) * 10 + std::min(minor, 9u);
}

CUresult loadModule(Device &device, CUmodule *module, const char *text,
                    std::string &error) {
  // Of binaries there is the magic of ELF, or of fat binaries.
  if (std::memcmp(text,
                  "\x7f"
                  "ELF",
                  4) == 0 ||
      std::memcmp(text, "\x50\xed\x55\xba", 4) == 0) {
    error = "expected PTX, found a binary, which the emulator does not run";
    return CUDA_ERROR_NO_BINARY_FOR_GPU;
  }
  auto loaded = std::make_unique<CUmod_st>();
  weights::Result<std::unique_ptr<Image>> image =
      Image::load(device.memory, text);
  if (!image) {
    error = "ptx input, " + image.error();
    return CUDA_ERROR_INVALID_PTX;
  }
  const Module &parsed = (*image)->module();
  unsigned version = parsed.versionMajor * 10 + parsed.versionMinor;
  if (version > ptxVersionOf(device.settings.driverVersion)) {
    error = "ptx input: unsupported .version " +
            std::to_string(parsed.versionMajor) + "." +
            std::to_string(parsed.versionMinor);
    return CUDA_ERROR_UNSUPPORTED_PTX_VERSION;
  }
  if (!takesTarget(device.settings, parsed.target)) {
    error = "ptx input: .target " + parsed.target +
            " is not for a device of capability " +
            std::to_string(device.settings.capabilityMajor) + "." +
            std::to_string(device.settings.capabilityMinor);
    return CUDA_ERROR_INVALID_PTX;
  }
  loaded->image = std::move(*image);
  *module = loaded.get();
  device.modules.insert(std::move(loaded));
  return CUDA_SUCCESS;
}

bool ownsFunction(const Device &device, CUfunction function) {
  for (const std::unique_ptr<CUmod_st> &module : device.modules)
    for (const auto &[name, owned] : module->functions)
      if (owned.get() == function)
        return true;
  return false;
}

/// By their number in the driver's interface.
enum FunctionAttribute : int {
  MaxThreads = 0,
  SharedBytes = 1,
  LocalBytes = 3,
  Registers = 4,
  PtxVersion = 5,
  BinaryVersion = 6,
  MaxDynamicShared = 8,
  /// Carve-outs, required clusters, cluster sizes beyond 8: taken and without
  /// effect.
  FirstIgnored = 9,
  LastIgnored = 15
};

} // namespace

} // namespace moec::ptx

using namespace moec::ptx;

MOEC_DRIVER cuModuleLoadDataEx(CUmodule *module, const void *data,
                               unsigned count, int *options, void **values) {
  return withUncaptured([&](Device &device) -> CUresult {
    if (!module || !data)
      return CUDA_ERROR_INVALID_VALUE;
    Log infoLog, errorLog;
    takeOptions(count, options, values, infoLog, errorLog);
    std::string error;
    CUresult result =
        loadModule(device, module, static_cast<const char *>(data), error);
    infoLog.write("");
    errorLog.write(error);
    // Who gives no buffer sees it nowhere else.
    if (result && !errorLog.buffer)
      std::fprintf(stderr, "emulated device: %s\n", error.c_str());
    return result;
  });
}

MOEC_DRIVER cuModuleLoadData(CUmodule *module, const void *data) {
  return cuModuleLoadDataEx(module, data, 0, nullptr, nullptr);
}

MOEC_DRIVER cuModuleUnload(CUmodule module) {
  return withDevice([&](Device &device) {
    return disown(device.modules, module) ? CUDA_SUCCESS
                                          : CUDA_ERROR_INVALID_HANDLE;
  });
}

MOEC_DRIVER cuModuleGetFunction(CUfunction *function, CUmodule module,
                                const char *name) {
  return withContext([&](Device &device) -> CUresult {
    if (!owns(device.modules, module))
      return CUDA_ERROR_INVALID_HANDLE;
    const Program *program = module->image->findProgram(name);
    if (!program)
      return CUDA_ERROR_NOT_FOUND;
    std::unique_ptr<CUfunc_st> &known = module->functions[name];
    if (!known)
      known.reset(new CUfunc_st{program, module});
    *function = known.get();
    return CUDA_SUCCESS;
  });
}

MOEC_DRIVER cuModuleGetGlobal_v2(CUdeviceptr *address, size_t *bytes,
                                 CUmodule module, const char *name) {
  return withContext([&](Device &device) -> CUresult {
    if (!owns(device.modules, module))
      return CUDA_ERROR_INVALID_HANDLE;
    const DeviceMemory::Allocation *found = module->image->findVariable(name);
    if (!found)
      return CUDA_ERROR_NOT_FOUND;
    if (address)
      *address = found->begin;
    if (bytes)
      *bytes = found->bytes;
    return CUDA_SUCCESS;
  });
}

MOEC_DRIVER cuFuncSetAttribute(CUfunction function, int attribute, int value) {
  return withContext([&](Device &device) -> CUresult {
    if (!ownsFunction(device, function))
      return CUDA_ERROR_INVALID_HANDLE;
    if (attribute >= FirstIgnored && attribute <= LastIgnored)
      return CUDA_SUCCESS;
    uint32_t used = function->program->sharedBytes - sharedBase;
    if (attribute != MaxDynamicShared || value < 0 ||
        static_cast<uint32_t>(value) + used > device.maxSharedOptIn())
      return CUDA_ERROR_INVALID_VALUE;
    function->maxDynamicShared = static_cast<uint32_t>(value);
    return CUDA_SUCCESS;
  });
}

MOEC_DRIVER cuFuncGetAttribute(int *value, int attribute, CUfunction function) {
  return withContext([&](Device &device) -> CUresult {
    if (!ownsFunction(device, function))
      return CUDA_ERROR_INVALID_HANDLE;
    const Program &program = *function->program;
    unsigned threads =
        program.threads[0] * program.threads[1] * program.threads[2];
    switch (attribute) {
    case MaxThreads:
      *value = threads ? static_cast<int>(threads) : 1024;
      return CUDA_SUCCESS;
    case SharedBytes:
      *value = static_cast<int>(program.sharedBytes - sharedBase);
      return CUDA_SUCCESS;
    case LocalBytes:
      *value = static_cast<int>(program.localBytes - localBase);
      return CUDA_SUCCESS;
    case Registers:
      // Only ptxas knows.
      *value = 32;
      return CUDA_SUCCESS;
    case PtxVersion:
    case BinaryVersion:
      *value = device.settings.capabilityMajor * 10 +
               device.settings.capabilityMinor;
      return CUDA_SUCCESS;
    case MaxDynamicShared:
      *value = static_cast<int>(function->maxDynamicShared);
      return CUDA_SUCCESS;
    default:
      return CUDA_ERROR_INVALID_VALUE;
    }
  });
}
