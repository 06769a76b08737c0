/* A library of one entry whose kernel runs on a CUDA device: y = x + 1 of float32 [-2, 4]. ON_CPU makes the same for the CPU.
 * Part of moec, under the Apache License v2.0 with LLVM Exceptions. */
#include <moert/abi.h>

#define EXPORT __attribute__((visibility("default")))

typedef struct {
  float *allocated, *aligned;
  int64_t offset, sizes[2], strides[2];
} Matrix;

#ifdef ON_CPU
#define DEVICE "cpu"
static void kernel(void **descriptors) {
  const Matrix *x = descriptors[0], *y = descriptors[1];
  for (int64_t i = 0; i < x->sizes[0] * 4; ++i)
    y->aligned[i] = x->aligned[i] + 1.0f;
}
static const moert_variant variants[] = {{"portable", 0, kernel, 0, 0}};
#else
#define DEVICE "cuda"
static void kernel(void **descriptors) {
  Matrix *x = descriptors[0], *y = descriptors[1];
  int64_t count = x->sizes[0] * 4;
  void *arguments[] = {&y->aligned, &x->aligned, &count};
  moert_cuda_launch(descriptors[3], 0, (count + 127) / 128, 1, 1, 128, 1, 1, 0, arguments);
}
static void askWorkspace(void **descriptors) { *(int64_t *)descriptors[2] = 256; }

static const char ptx[] = ".version 8.0\n.target sm_80\n.address_size 64\n"
                          ".visible .entry add_one(.param .u64 to, .param .u64 from, .param .u64 count) {\n"
                          "  .reg .pred %p; .reg .b32 %r<4>; .reg .b64 %d<6>; .reg .f32 %f;\n"
                          "  ld.param.u64 %d0, [to];\n  ld.param.u64 %d1, [from];\n  ld.param.u64 %d2, [count];\n"
                          "  mov.u32 %r0, %ctaid.x;\n  mov.u32 %r1, %ntid.x;\n  mov.u32 %r2, %tid.x;\n"
                          "  mad.lo.u32 %r3, %r0, %r1, %r2;\n"
                          "  cvt.u64.u32 %d3, %r3;\n  setp.ge.u64 %p, %d3, %d2;\n  @%p bra done;\n"
                          "  shl.b64 %d3, %d3, 2;\n  add.u64 %d4, %d0, %d3;\n  add.u64 %d5, %d1, %d3;\n"
                          "  ld.global.f32 %f, [%d5];\n  add.f32 %f, %f, 0f3F800000;\n  st.global.f32 [%d4], %f;\n"
                          "done:\n  ret;\n}\n";
static const moert_device_image image = {"PTX", ptx, sizeof ptx};
static const char *const kernelNames[] = {"add_one"};
static const uint32_t sharedBytes[] = {0};
static void *state80, *state90;
static const moert_device_code code80 = {
    sizeof(moert_device_code), 80, 0, 1, &image, 1, kernelNames, sharedBytes, &state80, &moert_cuda_runtime, 0};
static const moert_device_code code90 = {
    sizeof(moert_device_code), 90, 1, 1, &image, 1, kernelNames, sharedBytes, &state90, &moert_cuda_runtime, 0};
static const moert_variant variants[] = {{"sm_80", 0, kernel, askWorkspace, &code80}, {"sm_90a", 0, kernel, askWorkspace, &code90}};
#endif

static const moert_argument arguments[] = {{"x", kDLFloat, 32, MOERT_INPUT, 2, {-2, 4}, 1, 16},
                                           {"y", kDLFloat, 32, MOERT_OUTPUT, 2, {-2, 4}, 1, 16}};
static const moert_entry next = {sizeof(moert_entry), 2, "moec_next", arguments, variants, sizeof variants / sizeof *variants};

EXPORT int32_t moec_next(const moert_call *call, DLTensor *const *args, int32_t count);
EXPORT int32_t moec_next(const moert_call *call, DLTensor *const *args, int32_t count) {
  return moert_entry_call(&next, call, args, count);
}
EXPORT int32_t moec_next_workspace(const moert_call *call, DLTensor *const *args, int32_t count, uint64_t *bytes);
EXPORT int32_t moec_next_workspace(const moert_call *call, DLTensor *const *args, int32_t count, uint64_t *bytes) {
  return moert_entry_workspace(&next, call, args, count, bytes);
}
EXPORT const char *moec_manifest(void);
EXPORT const char *moec_manifest(void) {
  return "{\"moec_manifest\": \"0.1\", \"abi\": \"0.6\", \"device\": \"" DEVICE "\", \"entries\": [{\"name\": \"next\", "
         "\"symbol\": \"moec_next\", \"arguments\": [{\"name\": \"x\", \"dtype\": \"float32\", \"shape\": [-2, 4], \"role\": "
         "\"input\"}, {\"name\": \"y\", \"dtype\": \"float32\", \"shape\": [-2, 4], \"role\": \"output\"}]}]}";
}
EXPORT uint32_t moec_abi_version(void);
EXPORT uint32_t moec_abi_version(void) { return MOERT_ABI_VERSION; }
