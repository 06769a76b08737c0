// Tests of the driver's functions on modules.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "test/unit/tools/PTXEmulator/EmulatedDriver.h"

#include <string>

using namespace moec::ptx;

namespace {

struct Loaded {
  CUresult result;
  CUmodule module = nullptr;
  std::string log;
};

/// Loads with a buffer for errors.
Loaded load(EmulatedDriver &driver, const std::string &text) {
  char log[200] = "";
  int options[] = {5, 6};
  void *values[] = {log, reinterpret_cast<void *>(sizeof log)};
  Loaded loaded;
  loaded.result =
      driver.call<CUmodule *, const void *, unsigned, int *, void **>(
          "cuModuleLoadDataEx", &loaded.module, text.c_str(), 2u, options,
          values);
  loaded.log = log;
  // The size that was used comes back.
  EXPECT_EQ(reinterpret_cast<size_t>(values[1]), loaded.log.size());
  return loaded;
}

std::string head(const char *version, const char *target) {
  return std::string(".version ") + version + "\n.target " + target +
         "\n.address_size 64\n";
}

} // namespace

TEST(DriverModule, ErrorsOfPtxGoToTheLog) {
  EmulatedDriver driver;
  Loaded loaded =
      load(driver, head("8.0", "sm_80") + ".entry k() {\nfrob.b32 1;\n}");
  EXPECT_EQ(loaded.result, CUDA_ERROR_INVALID_PTX);
  EXPECT_EQ(loaded.log, "ptx input, in 'k': line 5: 'frob.b32 1': the emulator "
                        "does not know the instruction 'frob'");
}

TEST(DriverModule, TargetsAndVersionsMustFit) {
  EmulatedDriver driver;
  EXPECT_EQ(load(driver, head("8.0", "sm_80")).result, CUDA_SUCCESS);
  EXPECT_EQ(load(driver, head("9.0", "sm_90a")).result, CUDA_SUCCESS);
  EXPECT_EQ(load(driver, head("8.0", "sm_100a")).result,
            CUDA_ERROR_INVALID_PTX);
  EXPECT_EQ(load(driver, head("8.0", "sm_80a")).result, CUDA_ERROR_INVALID_PTX);
  EXPECT_EQ(load(driver, head("9.9", "sm_80")).result,
            CUDA_ERROR_UNSUPPORTED_PTX_VERSION);
  EXPECT_EQ(load(driver, std::string("\x7f") + "ELF....").result,
            CUDA_ERROR_NO_BINARY_FOR_GPU);
}

TEST(DriverModule, NamesAreFound) {
  EmulatedDriver driver;
  Loaded loaded =
      load(driver, head("8.0", "sm_80") +
                       ".global .b32 x[3];\n"
                       ".entry k() .maxntid 96 { .shared .b32 s; ret; }");
  CUfunction function = nullptr;
  auto find = [&](const char *name) {
    return driver.call<CUfunction *, CUmodule, const char *>(
        "cuModuleGetFunction", &function, loaded.module, name);
  };
  EXPECT_EQ(find("other"), CUDA_ERROR_NOT_FOUND);
  EXPECT_EQ(find("k"), CUDA_SUCCESS);
  CUdeviceptr address = 0;
  size_t bytes = 0;
  EXPECT_EQ((driver.call<CUdeviceptr *, size_t *, CUmodule, const char *>(
                "cuModuleGetGlobal_v2", &address, &bytes, loaded.module, "x")),
            CUDA_SUCCESS);
  EXPECT_EQ(bytes, 12u);
  int value = 0;
  EXPECT_EQ((driver.call<int *, int, CUfunction>("cuFuncGetAttribute", &value,
                                                 0, function)),
            CUDA_SUCCESS);
  EXPECT_EQ(value, 96);
  EXPECT_EQ((driver.call<int *, int, CUfunction>("cuFuncGetAttribute", &value,
                                                 1, function)),
            CUDA_SUCCESS);
  EXPECT_EQ(value, 4);
  EXPECT_EQ(driver.setFunctionAttribute(function, 8, 227 * 1024),
            CUDA_ERROR_INVALID_VALUE);
  EXPECT_EQ(driver.setFunctionAttribute(function, 8, 227 * 1024 - 4),
            CUDA_SUCCESS);
  EXPECT_EQ(driver.call<CUmodule>("cuModuleUnload", loaded.module),
            CUDA_SUCCESS);
  EXPECT_EQ(driver.call<CUmodule>("cuModuleUnload", loaded.module),
            CUDA_ERROR_INVALID_HANDLE);
  EXPECT_EQ(find("k"), CUDA_ERROR_INVALID_HANDLE);
}
