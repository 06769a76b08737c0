// Tests of tvm-ffi's calling convention in front of an entry: what becomes of its values, and what it is told.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "moert/abi.h"

#include "test/unit/runtime/FakeCuda.h"
#include "test/unit/runtime/TestTensor.h"

#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

using moec::test::TestTensor;

namespace {
std::string raised;
} // namespace

// tvm-ffi's function, which this process has.
extern "C" __attribute__((visibility("default"))) void
TVMFFIErrorSetRaisedFromCStr(const char *kind, const char *message) {
  raised = std::string(kind) + ": " + message;
}

/// Each device has a stream of its own in this process.
extern "C" __attribute__((visibility("default"))) void *
TVMFFIEnvGetStream(int32_t deviceType, int32_t device) {
  return deviceType == kDLCUDA ? fake_stream(device) : nullptr;
}

namespace {

/// Numbers of tvm/ffi/c_api.h.
enum { none = 0, integer = 1, pointer = 4, dlTensor = 7, tensorObject = 70 };

const void *seenWorkspace, *seenExecutor;
int64_t seenBytes;

/// MLIR's descriptor of rank 1.
struct Seen {
  void *allocated, *aligned;
  int64_t offset, size, stride;
};

/// y = x + b, of one number each, to see that each arrives where it belongs.
void kernel(void **descriptors) {
  auto at = [&](int i) {
    return static_cast<float *>(static_cast<Seen *>(descriptors[i])->aligned);
  };
  *at(2) = *at(0) + *at(1);
  auto *workspace = static_cast<Seen *>(descriptors[3]);
  seenWorkspace = workspace->aligned;
  seenBytes = workspace->size;
  seenExecutor = descriptors[4];
}

void askWorkspace(void **descriptors) {
  *static_cast<int64_t *>(descriptors[3]) = 100;
}
void askNoWorkspace(void **descriptors) {
  *static_cast<int64_t *>(descriptors[3]) = 0;
}

const moert_argument arguments[] = {
    {"x", kDLFloat, 32, MOERT_INPUT, 1, {1}, 0, 0},
    {"b", kDLFloat, 32, MOERT_BINDING, 1, {1}, 0, 0},
    {"y", kDLFloat, 32, MOERT_OUTPUT, 1, {1}, 0, 0},
};
const moert_variant variant = {"portable", 0, kernel, askWorkspace, nullptr};
const moert_variant small = {"portable", 0, kernel, askNoWorkspace, nullptr};
const moert_entry entry = {sizeof(moert_entry), 3,        "moec_f",
                           arguments,           &variant, 1};
const moert_entry smallEntry = {sizeof(moert_entry), 3,      "moec_f",
                                arguments,           &small, 1};
const moert_executor executor = {sizeof(moert_executor), 2, nullptr,
                                 [](void *, int64_t, int64_t,
                                    void (*)(void *, int64_t, int64_t),
                                    void *) {}};

moert_tvm_ffi_value value(int32_t type, void *content) {
  moert_tvm_ffi_value made = {};
  made.type = type;
  made.content.pointer = content;
  return made;
}

struct TvmFfi : testing::Test {
  void SetUp() override {
    raised.clear();
    seenWorkspace = seenExecutor = nullptr;
  }

  std::vector<moert_tvm_ffi_value> values() {
    return {value(dlTensor, &x.view), value(dlTensor, &y.view),
            value(dlTensor, &workspace.view), value(pointer, &binding)};
  }
  int32_t call(const std::vector<moert_tvm_ffi_value> &args) {
    return moert_entry_tvm_ffi(&entry, nullptr, args.data(),
                               int32_t(args.size()), &result);
  }
  void refuses(const std::vector<moert_tvm_ffi_value> &args,
               const std::string &message) {
    EXPECT_EQ(call(args), -1);
    EXPECT_EQ(raised, message);
  }

  float xData = 2, bData = 3, yData = 0;
  alignas(64) char room[256];
  TestTensor x{&xData, kDLFloat, 32, {1}}, b{&bData, kDLFloat, 32, {1}},
      y{&yData, kDLFloat, 32, {1}}, workspace{room, kDLInt, 8, {256}};
  DLTensor *bound[1] = {&b.view};
  moert_layer_binding binding = {sizeof(moert_layer_binding), 1, bound, 1,
                                 nullptr, nullptr};
  moert_tvm_ffi_value result = {};
};

TEST_F(TvmFfi, runsTheEntry) {
  EXPECT_EQ(call(values()), 0);
  EXPECT_EQ(yData, 5);
  EXPECT_EQ(result.type, none);
  EXPECT_EQ(seenWorkspace, room);
  EXPECT_EQ(seenBytes, 100);
  EXPECT_EQ(raised, "");
}

TEST_F(TvmFfi, takesTensorObjects) {
  struct {
    char header[24];
    DLTensor tensor;
  } object = {{}, x.view};
  std::vector<moert_tvm_ffi_value> args = values();
  args[0] = value(tensorObject, &object);
  EXPECT_EQ(call(args), 0);
  EXPECT_EQ(yData, 5);
}

TEST_F(TvmFfi, usesTheAlignedPartOfAWorkspace) {
  TestTensor shifted(room, kDLFloat, 32, {41, 1}, {1, 7});
  shifted.view.byte_offset = 60;
  std::vector<moert_tvm_ffi_value> args = values();
  args[2] = value(dlTensor, &shifted.view);
  EXPECT_EQ(call(args), 0);
  EXPECT_EQ(seenWorkspace, room + 64);
  shifted.shape[0] = 39;
  shifted.view.byte_offset = 4;
  refuses(args, "ValueError: moec_f: got a workspace of 96 bytes, expected at "
                "least 100");
}

TEST_F(TvmFfi, passesAnExecutor) {
  std::vector<moert_tvm_ffi_value> args = values();
  args.push_back(value(none, nullptr));
  EXPECT_EQ(call(args), 0);
  EXPECT_EQ(seenExecutor, nullptr);
  args.back() = value(pointer, const_cast<moert_executor *>(&executor));
  EXPECT_EQ(call(args), 0);
  EXPECT_EQ(seenExecutor, &executor);
}

TEST_F(TvmFfi, answersAWorkspaceThatFitsAtAnyAddress) {
  std::vector<moert_tvm_ffi_value> args = values();
  args[2] = value(none, nullptr);
  EXPECT_EQ(
      moert_entry_tvm_ffi_workspace(&entry, nullptr, args.data(), 4, &result),
      0);
  EXPECT_EQ(result.type, integer);
  EXPECT_EQ(result.content.number, 163);
  EXPECT_EQ(moert_entry_tvm_ffi_workspace(&smallEntry, nullptr, args.data(), 4,
                                          &result),
            0);
  EXPECT_EQ(result.content.number, 0);
  EXPECT_EQ(moert_entry_tvm_ffi(&smallEntry, nullptr, args.data(), 4, &result),
            0);
  EXPECT_EQ(
      moert_entry_tvm_ffi_workspace(&entry, nullptr, args.data(), 1, &result),
      -1);
}

TEST_F(TvmFfi, refusesWhatTheEntryRefuses) {
  x.view.dtype.bits = 64;
  refuses(values(), "ValueError: moec_f: argument 0 'x' has dtype float64, "
                    "expected float32");
  EXPECT_EQ(moert_entry_tvm_ffi_workspace(&entry, nullptr, values().data(), 4,
                                          &result),
            -1);
  x.view.dtype.bits = 32;
  std::vector<moert_tvm_ffi_value> args = values();
  args[0] = value(none, nullptr);
  refuses(args,
          "ValueError: moec_f: argument 0 'x' is null, expected a tensor");
  args = values();
  args.pop_back();
  refuses(args, "ValueError: moec_f: got no layer binding, expected one of 1 "
                "tensors");
  args.pop_back();
  moert_entry damaged = entry;
  damaged.variant_count = 0;
  EXPECT_EQ(moert_entry_tvm_ffi(&damaged, nullptr, args.data(), 2, &result),
            -1);
  EXPECT_EQ(raised.substr(0, 46),
            "RuntimeError: moec_f: the entry table is damag");
}

TEST_F(TvmFfi, refusesValuesOfOtherTypes) {
  const std::string start = "TypeError: moec_f: argument ";
  for (auto [place, expected] :
       {std::pair(0, "a tensor"),
        std::pair(2, "a tensor as workspace, or None"),
        std::pair(3, "a pointer to a moert_layer_binding, or None"),
        std::pair(4, "a pointer to a moert_executor, or None")}) {
    std::vector<moert_tvm_ffi_value> args = values();
    args.push_back(value(none, nullptr));
    args[place] = value(integer, nullptr);
    refuses(args, start + std::to_string(place) +
                      " is of tvm-ffi's type 1, expected " + expected);
  }
}

TEST_F(TvmFfi, refusesAnotherNumberOfArguments) {
  for (int count : {1, 6}) {
    std::vector<moert_tvm_ffi_value> args = values();
    args.resize(count);
    refuses(args, "TypeError: moec_f: got " + std::to_string(count) +
                      " arguments, expected 2 tensors, and up to 3 more: "
                      "workspace, layer binding, executor");
  }
}

TEST_F(TvmFfi, refusesAWorkspaceWithGapsOrElsewhere) {
  TestTensor sparse(room, kDLInt, 8, {128}, {2});
  std::vector<moert_tvm_ffi_value> args = values();
  args[2] = value(dlTensor, &sparse.view);
  refuses(args, "ValueError: moec_f: argument 2, the workspace, is strided or "
                "on device type 1, expected a compact tensor on 1 (CPU)");
  workspace.view.device.device_type = kDLCUDA;
  args[2] = value(dlTensor, &workspace.view);
  refuses(args, "ValueError: moec_f: argument 2, the workspace, is strided or "
                "on device type 2, expected a compact tensor on 1 (CPU)");
  TestTensor nothing(nullptr, kDLInt, 8, {256});
  args[2] = value(dlTensor, &nothing.view);
  refuses(args, "ValueError: moec_f: got a workspace of 0 bytes, expected at "
                "least 100");
}

/// An entry for a CUDA device, which fake_cuda_driver.c is.
struct TvmFfiOnCuda : testing::Test {
  static void kernelOnCuda(void **descriptors) {
    auto *x = static_cast<Seen *>(descriptors[0]);
    auto *y = static_cast<Seen *>(descriptors[1]);
    seenWorkspace = static_cast<Seen *>(descriptors[2])->aligned;
    void *parameters[] = {&y->aligned, &x->aligned, &x->size};
    moert_cuda_launch(descriptors[3], 0, 1, 1, 1, 1, 1, 1, 0, parameters);
  }
  static void askWorkspaceOnCuda(void **descriptors) {
    *static_cast<int64_t *>(descriptors[2]) = 100;
  }
  void SetUp() override {
    x.view.device = y.view.device = workspace.view.device = {kDLCUDA, 1};
  }
  int32_t call() {
    moert_tvm_ffi_value args[] = {value(dlTensor, &x.view),
                                  value(dlTensor, &y.view),
                                  value(dlTensor, &workspace.view)};
    return moert_entry_tvm_ffi(&onCuda, nullptr, args, 3, &result);
  }

  moec::test::FakeCuda cuda;
  const moert_argument argumentsOnCuda[2] = {
      {"x", kDLFloat, 32, MOERT_INPUT, 1, {1}, 0, 0},
      {"y", kDLFloat, 32, MOERT_OUTPUT, 1, {1}, 0, 0}};
  const moert_device_image image = {"PTX", "P", 2};
  const char *const names[1] = {"add_one"};
  const uint32_t sharedBytes[1] = {0};
  void *state = nullptr;
  const moert_device_code code = {sizeof(moert_device_code),
                                  80,
                                  0,
                                  1,
                                  &image,
                                  1,
                                  names,
                                  sharedBytes,
                                  &state,
                                  &moert_cuda_runtime,
                                  nullptr};
  const moert_variant variantOnCuda = {"sm_80", 0, kernelOnCuda,
                                       askWorkspaceOnCuda, &code};
  const moert_entry onCuda = {sizeof(moert_entry), 2, "moec_f", argumentsOnCuda,
                              &variantOnCuda,      1};
  float xData = 2, yData = 0;
  alignas(256) char room[512];
  TestTensor x{&xData, kDLFloat, 32, {1}}, y{&yData, kDLFloat, 32, {1}},
      workspace{room + 64, kDLInt, 8, {400}};
  moert_tvm_ffi_value result = {};
};

TEST_F(TvmFfiOnCuda, runsInTheStreamOfTheEnvironment) {
  ASSERT_EQ(call(), 0) << raised;
  EXPECT_EQ(yData, 3);
  // Of what was given the part that is aligned for devices.
  EXPECT_EQ(seenWorkspace, room + 256);
  EXPECT_EQ(cuda->launches[0].stream, fake_stream(1));
}

TEST_F(TvmFfiOnCuda, wantsTheWorkspaceOnTheDevice) {
  workspace.view.device = {kDLCPU, 0};
  EXPECT_EQ(call(), -1);
  EXPECT_EQ(raised, "ValueError: moec_f: argument 2, the workspace, is strided "
                    "or on device type 1, expected a compact tensor on 2 "
                    "(CUDA)");
  moert_tvm_ffi_value args[] = {value(dlTensor, &x.view),
                                value(dlTensor, &y.view)};
  ASSERT_EQ(moert_entry_tvm_ffi_workspace(&onCuda, nullptr, args, 2, &result),
            0)
      << raised;
  EXPECT_EQ(result.content.number, 100 + 255);
}

} // namespace
