// The emulated driver, loaded as the runtime loads it.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_TEST_UNIT_TOOLS_PTXEMULATOR_EMULATEDDRIVER_H
#define MOEC_TEST_UNIT_TOOLS_PTXEMULATOR_EMULATEDDRIVER_H

#include "tools/PTXEmulator/DriverTypes.h"

#include <gtest/gtest.h>

#include <dlfcn.h>

#include <string>
#include <vector>

namespace moec::ptx {

/// buffer[i] *= factor for i below count.
inline const char *const scaleKernel = R"(
.version 8.0
.target sm_80
.address_size 64
.visible .entry scale(.param .u64 buffer, .param .f32 factor, .param .u32 count)
{
  .reg .pred %p<2>;
  .reg .b32 %r<8>;
  .reg .b64 %rd<4>;
  mov.u32 %r1, %ctaid.x;
  mov.u32 %r2, %ntid.x;
  mov.u32 %r3, %tid.x;
  mad.lo.s32 %r4, %r1, %r2, %r3;
  ld.param.u32 %r5, [count];
  setp.ge.u32 %p1, %r4, %r5;
  @%p1 bra E;
  ld.param.u64 %rd1, [buffer];
  mul.wide.u32 %rd2, %r4, 4;
  add.s64 %rd1, %rd1, %rd2;
  ld.param.f32 %r6, [factor];
  ld.global.f32 %r7, [%rd1];
  mul.rn.f32 %r7, %r7, %r6;
  st.global.f32 [%rd1], %r7;
E:
  ret;
}
)";

/// The library, opened once for all tests, and a current context.
class EmulatedDriver {
public:
  EmulatedDriver() {
    launchKernel = find<decltype(launchKernel)>("cuLaunchKernel");
    setFunctionAttribute =
        find<decltype(setFunctionAttribute)>("cuFuncSetAttribute");
    CUcontext context;
    EXPECT_EQ(call<unsigned>("cuInit", 0u), CUDA_SUCCESS);
    EXPECT_EQ(
        (call<CUcontext *, CUdevice>("cuDevicePrimaryCtxRetain", &context, 0)),
        CUDA_SUCCESS);
    EXPECT_EQ(call<CUcontext>("cuCtxSetCurrent", context), CUDA_SUCCESS);
  }

  /// A function by its name and the types of its parameters.
  template <typename... Types>
  CUresult call(const char *name, Types... values) {
    return find<CUresult (*)(Types...)>(name)(values...);
  }

  CUfunction function(const char *text, const char *name) {
    CUmodule module = nullptr;
    CUfunction found = nullptr;
    EXPECT_EQ(
        (call<CUmodule *, const void *>("cuModuleLoadData", &module, text)),
        CUDA_SUCCESS);
    EXPECT_EQ((call<CUfunction *, CUmodule, const char *>(
                  "cuModuleGetFunction", &found, module, name)),
              CUDA_SUCCESS);
    return found;
  }

  CUdeviceptr upload(const std::vector<float> &values) {
    CUdeviceptr address = 0;
    EXPECT_EQ((call<CUdeviceptr *, size_t>("cuMemAlloc_v2", &address,
                                           values.size() * sizeof(float))),
              CUDA_SUCCESS);
    EXPECT_EQ((call<CUdeviceptr, const void *, size_t>(
                  "cuMemcpyHtoD_v2", address, values.data(),
                  values.size() * sizeof(float))),
              CUDA_SUCCESS);
    return address;
  }

  std::vector<float> download(CUdeviceptr address, size_t count) {
    std::vector<float> values(count);
    EXPECT_EQ(
        (call<void *, CUdeviceptr, size_t>("cuMemcpyDtoH_v2", values.data(),
                                           address, count * sizeof(float))),
        CUDA_SUCCESS);
    return values;
  }

  CUresult (*launchKernel)(CUfunction, unsigned, unsigned, unsigned, unsigned,
                           unsigned, unsigned, unsigned, CUstream, void **,
                           void **) = nullptr;
  CUresult (*setFunctionAttribute)(CUfunction, int, int) = nullptr;

private:
  template <typename F> F find(const char *name) {
    static void *library = dlopen(MOEC_TEST_EMULATED_CUDA, RTLD_NOW);
    void *symbol = library ? dlsym(library, name) : nullptr;
    if (!symbol)
      ADD_FAILURE() << "the library has no " << name;
    return reinterpret_cast<F>(symbol);
  }
};

} // namespace moec::ptx

#endif // MOEC_TEST_UNIT_TOOLS_PTXEMULATOR_EMULATEDDRIVER_H
