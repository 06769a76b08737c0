// Tests of the check in front of an entry: every refusal with its message, and
// the descriptors a kernel receives.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "moert/abi.h"

#include "test/unit/runtime/TestTensor.h"

#include <gtest/gtest.h>

#include <cstring>
#include <functional>

using moec::test::TestCall;
using moec::test::TestTensor;

namespace {

/// MLIR's descriptor at rank 2, which the kernel under test copies.
struct Seen {
  void *allocated, *aligned;
  int64_t offset, sizes[2], strides[2];
};

int kernelRuns;
Seen seen[3];
struct {
  void *allocated, *aligned;
  int64_t offset, size, stride;
} seenWorkspace;
int64_t workspaceAnswer;
const void *seenExecutor;

const moert_executor executor = {
    sizeof(moert_executor), 4, nullptr,
    [](void *, int64_t, int64_t, void (*)(void *, int64_t, int64_t), void *) {
    }};

void kernel(void **descriptors) {
  ++kernelRuns;
  std::memcpy(&seen[0], descriptors[0], sizeof(Seen));
  std::memcpy(&seen[1], descriptors[1], sizeof(Seen));
  std::memcpy(&seen[2], descriptors[2], sizeof(Seen));
  std::memcpy(&seenWorkspace, descriptors[3], sizeof seenWorkspace);
  seenExecutor = descriptors[4];
}

void askWorkspace(void **descriptors) {
  int64_t tokens = static_cast<Seen *>(descriptors[0])->sizes[0];
  *static_cast<int64_t *>(descriptors[3]) =
      workspaceAnswer < 0 ? workspaceAnswer : tokens * workspaceAnswer;
}

const moert_argument arguments[] = {
    {"x", kDLFloat, 32, 0, 2, {-2, 4}, 0, 0},
    {"gates", kDLFloat, 32, 0, 2, {-2, MOERT_DYNAMIC}, 0, 0},
    {"y", kDLFloat, 32, 1, 2, {-2, 4}, 0, 0},
};
const moert_variant plain = {"portable", 0, kernel, askWorkspace, nullptr};
const moert_entry entry = {
    sizeof(moert_entry), 3, "moec_layer", arguments, &plain, 1};

/// A call that is right; tests change one thing.
class EntryTest : public testing::Test {
protected:
  void SetUp() override {
    kernelRuns = 0;
    workspaceAnswer = 16;
  }

  int32_t run(int32_t count = 3, const moert_entry &which = entry) {
    return moert_entry_call(&which, &call.call, args, count);
  }

  void expectRefused(int32_t status, const std::string &message) {
    EXPECT_EQ(run(), status);
    EXPECT_EQ(call.message(), message);
    EXPECT_EQ(kernelRuns, 0);
  }

  alignas(64) float xData[64] = {}, gatesData[64] = {}, yData[64] = {};
  TestTensor x{xData, kDLFloat, 32, {3, 4}};
  TestTensor gates{gatesData, kDLFloat, 32, {3, 2}};
  TestTensor y{yData, kDLFloat, 32, {3, 4}};
  DLTensor *args[3] = {&x.view, &gates.view, &y.view};
  TestCall call;
};

TEST_F(EntryTest, hasTheKernelSeeWhatItWasGiven) {
  std::vector<int64_t> strides = {8, 2};
  x.view.strides = strides.data();
  x.view.byte_offset = 4;
  ASSERT_EQ(run(), MOERT_OK) << call.message();
  EXPECT_EQ(kernelRuns, 1);
  EXPECT_EQ(seen[0].aligned, xData + 1);
  EXPECT_EQ(seen[0].offset, 0);
  EXPECT_EQ(seen[0].sizes[0], 3);
  EXPECT_EQ(seen[0].sizes[1], 4);
  EXPECT_EQ(seen[0].strides[0], 8);
  EXPECT_EQ(seen[0].strides[1], 2);
  // Null strides mean compact ones.
  EXPECT_EQ(seen[1].strides[0], 2);
  EXPECT_EQ(seen[1].strides[1], 1);
  EXPECT_EQ(seen[2].aligned, yData);
  EXPECT_EQ(seenWorkspace.aligned, call.workspace);
  EXPECT_EQ(seenWorkspace.size, 48);
  EXPECT_EQ(seenWorkspace.stride, 1);
}

TEST_F(EntryTest, acceptsBroadcastInputsAndUnusedStrides) {
  std::vector<int64_t> broadcast = {0, 1};
  x.view.strides = broadcast.data();
  EXPECT_EQ(run(), MOERT_OK) << call.message();
  EXPECT_EQ(seen[0].strides[0], 0);
  // One token: hosts leave anything in the stride of an extent of 1.
  std::vector<int64_t> odd = {-77, 1};
  x.shape[0] = gates.shape[0] = y.shape[0] = 1;
  x.view.strides = y.view.strides = odd.data();
  EXPECT_EQ(run(), MOERT_OK) << call.message();
  EXPECT_EQ(seen[0].strides[0], 4);
}

TEST_F(EntryTest, acceptsOutputsInAnyDimensionOrder) {
  std::vector<int64_t> columnMajor = {1, 3};
  y.view.strides = columnMajor.data();
  EXPECT_EQ(run(), MOERT_OK) << call.message();
  std::vector<int64_t> padded = {16, 1};
  y.view.strides = padded.data();
  EXPECT_EQ(run(), MOERT_OK) << call.message();
}

TEST_F(EntryTest, acceptsZeroTokensWithNullData) {
  x.shape[0] = gates.shape[0] = y.shape[0] = 0;
  x.view.data = gates.view.data = y.view.data = nullptr;
  call.call.workspace = nullptr;
  call.call.workspace_bytes = 0;
  EXPECT_EQ(run(), MOERT_OK) << call.message();
  EXPECT_EQ(kernelRuns, 1);
  EXPECT_EQ(seen[0].sizes[0], 0);
}

TEST_F(EntryTest, answersTheStatusAloneToACallThatIsTooShort) {
  call.call.size = offsetof(moert_call, binding) - 1;
  EXPECT_EQ(run(), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(call.message(), "");
  EXPECT_EQ(moert_entry_call(&entry, nullptr, args, 3), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(moert_entry_call(nullptr, &call.call, args, 3),
            MOERT_INVALID_ARGUMENT);
  // One that ends behind the sink is told so.
  call.call.size = offsetof(moert_call, binding);
  expectRefused(MOERT_INVALID_ARGUMENT,
                "moec_layer: got a call of 48 bytes, expected at least 56");
  EXPECT_EQ(kernelRuns, 0);
  // One that ends in front of the executor has none.
  call.call.executor = &executor;
  call.call.size = offsetof(moert_call, executor);
  EXPECT_EQ(run(), MOERT_OK);
  EXPECT_EQ(seenExecutor, nullptr);
  // A later caller's longer struct is fine.
  call.call.size = sizeof(moert_call) + 8;
  EXPECT_EQ(run(), MOERT_OK);
}

TEST_F(EntryTest, hasTheKernelSeeTheExecutor) {
  EXPECT_EQ(run(), MOERT_OK);
  EXPECT_EQ(seenExecutor, nullptr);
  call.call.executor = &executor;
  EXPECT_EQ(run(), MOERT_OK);
  EXPECT_EQ(seenExecutor, &executor);
  kernelRuns = 0;
  moert_executor wrong = executor;
  call.call.executor = &wrong;
  wrong.parallel_for = nullptr;
  expectRefused(MOERT_INVALID_ARGUMENT,
                "moec_layer: got an executor of 24 bytes without a "
                "parallel_for, expected at least 24 and a parallel_for");
  wrong = executor;
  wrong.size = 16;
  expectRefused(MOERT_INVALID_ARGUMENT,
                "moec_layer: got an executor of 16 bytes, expected at least 24 "
                "and a parallel_for");
}

TEST_F(EntryTest, refusesVersions) {
  call.call.abi_version = 1u << 16;
  expectRefused(MOERT_INCOMPATIBLE, "moec_layer: the caller was made for ABI "
                                    "1.0, expected 0.6 or a later minor");
  call.call.abi_version = MOERT_ABI_VERSION - 1;
  expectRefused(MOERT_INCOMPATIBLE, "moec_layer: the caller was made for ABI "
                                    "0.5, expected 0.6 or a later minor");
  call.call.abi_version = MOERT_ABI_VERSION + 1;
  EXPECT_EQ(run(), MOERT_OK);
}

TEST_F(EntryTest, refusesCountsNullsAndStreams) {
  EXPECT_EQ(run(2), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(call.message(), "moec_layer: got 2 arguments, expected 3");
  EXPECT_EQ(run(-1), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(call.message(), "moec_layer: got -1 arguments, expected 3");
  EXPECT_EQ(moert_entry_call(&entry, &call.call, nullptr, 3),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(call.message(),
            "moec_layer: got a null array of arguments, expected 3");
  args[1] = nullptr;
  expectRefused(MOERT_INVALID_ARGUMENT,
                "moec_layer: argument 1 'gates' is null, expected a tensor");
  args[1] = &gates.view;
  call.call.stream = &call;
  expectRefused(MOERT_INVALID_ARGUMENT,
                "moec_layer: got a stream, expected null on CPU");
}

TEST_F(EntryTest, refusesDevicesTypesAndRanks) {
  gates.view.device.device_type = kDLCUDA;
  expectRefused(MOERT_INVALID_ARGUMENT, "moec_layer: argument 1 'gates' is on "
                                        "device type 2, expected 1 (CPU)");
  gates.view.device.device_type = kDLCPU;
  struct {
    DLDataType type;
    const char *name;
  } types[] = {{{kDLFloat, 64, 1}, "float64"},
               {{kDLBfloat, 16, 1}, "bfloat16"},
               {{kDLInt, 32, 1}, "int32"},
               {{kDLUInt, 8, 1}, "uint8"},
               {{kDLBool, 8, 1}, "bool"},
               {{kDLFloat, 32, 4}, "float32x4"},
               {{99, 3, 1}, "type code 99 of 3 bits"}};
  for (auto &[type, name] : types) {
    gates.view.dtype = type;
    expectRefused(MOERT_INVALID_ARGUMENT,
                  std::string("moec_layer: argument 1 'gates' has dtype ") +
                      name + ", expected float32");
  }
  gates.view.dtype = {kDLFloat, 32, 1};
  gates.view.ndim = 3;
  expectRefused(MOERT_INVALID_ARGUMENT,
                "moec_layer: argument 1 'gates' has rank 3, expected 2");
  gates.view.ndim = -1;
  expectRefused(MOERT_INVALID_ARGUMENT,
                "moec_layer: argument 1 'gates' has rank -1, expected 2");
  gates.view.ndim = 2;
  gates.view.shape = nullptr;
  expectRefused(
      MOERT_INVALID_ARGUMENT,
      "moec_layer: argument 1 'gates' has a null shape, expected 2 extents");
}

TEST_F(EntryTest, refusesExtents) {
  x.shape[1] = 5;
  expectRefused(MOERT_INVALID_ARGUMENT,
                "moec_layer: argument 0 'x' has shape[1] = 5, expected 4");
  x.shape[1] = -4;
  expectRefused(MOERT_INVALID_ARGUMENT,
                "moec_layer: argument 0 'x' has shape[1] = -4, expected a "
                "non-negative extent");
  x.shape[1] = 4;
  gates.shape[1] = -1;
  expectRefused(MOERT_INVALID_ARGUMENT,
                "moec_layer: argument 1 'gates' has shape[1] = -1, expected a "
                "non-negative extent");
  gates.shape[1] = 2;
  y.shape[0] = 2;
  expectRefused(MOERT_INVALID_ARGUMENT,
                "moec_layer: argument 2 'y' has shape[0] = 2, expected 3, as "
                "shape[0] of argument 0 'x'");
}

TEST_F(EntryTest, refusesSizesBeyondMemory) {
  gates.shape[1] = INT64_MAX;
  expectRefused(MOERT_INVALID_ARGUMENT,
                "moec_layer: argument 1 'gates' has more elements than memory "
                "can hold");
  gates.shape[1] = 2;
  std::vector<int64_t> far = {INT64_MAX, 1};
  gates.view.strides = far.data();
  expectRefused(MOERT_INVALID_ARGUMENT,
                "moec_layer: argument 1 'gates' has stride[0] = "
                "9223372036854775807, which reaches beyond the address space");
  gates.view.strides = nullptr;
  gates.view.byte_offset = UINT64_MAX;
  expectRefused(MOERT_INVALID_ARGUMENT,
                "moec_layer: argument 1 'gates' has byte_offset "
                "18446744073709551615, which reaches beyond the address space");
}

TEST_F(EntryTest, refusesStrides) {
  std::vector<int64_t> negative = {-4, 1};
  x.view.strides = negative.data();
  expectRefused(MOERT_INVALID_ARGUMENT,
                "moec_layer: argument 0 'x' has stride[0] = -4, expected a "
                "non-negative stride");
  x.view.strides = nullptr;
  for (std::vector<int64_t> strides :
       {std::vector<int64_t>{0, 1}, {4, 0}, {1, 1}, {3, 1}, {1, 2}}) {
    y.view.strides = strides.data();
    expectRefused(MOERT_INVALID_ARGUMENT,
                  "moec_layer: argument 2 'y' is an output whose strides make "
                  "elements overlap, expected distinct addresses");
  }
}

TEST_F(EntryTest, refusesDataThatIsNullOrMisaligned) {
  gates.view.data = nullptr;
  expectRefused(MOERT_INVALID_ARGUMENT,
                "moec_layer: argument 1 'gates' has null data, expected memory "
                "for its elements");
  gates.view.data = gatesData;
  gates.view.byte_offset = 2;
  EXPECT_EQ(run(), MOERT_INVALID_ARGUMENT);
  EXPECT_NE(
      call.message().find("moec_layer: argument 1 'gates' has data at 0x"),
      std::string::npos);
  EXPECT_NE(call.message().find(", expected alignment to 4 bytes"),
            std::string::npos);
}

TEST_F(EntryTest, refusesOverlaps) {
  y.view.data = xData + 11; // the last element of x
  expectRefused(MOERT_INVALID_ARGUMENT,
                "moec_layer: argument 2 'y' overlaps argument 0 'x' in memory, "
                "expected outputs of their own");
  y.view.data = xData + 12;
  EXPECT_EQ(run(), MOERT_OK) << call.message();
  // Inputs may share.
  gates.view.data = xData;
  EXPECT_EQ(run(), MOERT_OK) << call.message();
}

TEST_F(EntryTest, refusesStridesWhereKernelsReadOneRun) {
  moert_argument panels[] = {arguments[0], arguments[1], arguments[2]};
  panels[0].contiguous = 1;
  moert_entry entry = {sizeof(moert_entry), 3, "moec_panels", panels, nullptr, 0};
  entry.variants = ::entry.variants;
  entry.variant_count = ::entry.variant_count;
  EXPECT_EQ(run(3, entry), MOERT_OK) << call.message();
  int64_t strides[] = {7, 1};
  x.view.strides = strides;
  EXPECT_EQ(run(3, entry), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(call.message(), "moec_panels: argument 0 'x' has stride[0] = 7, expected " +
                                std::to_string(x.view.shape[1]) +
                                ": kernels read it as one run of elements");
}

TEST_F(EntryTest, refusesOverlapsAmongOutputs) {
  const moert_argument two[] = {{"a", kDLFloat, 32, 1, 1, {4}, 0, 0},
                                {"b", kDLFloat, 32, 1, 1, {4}, 0, 0},
                                {"c", kDLFloat, 32, 1, 1, {4}, 0, 0}};
  const moert_variant variant = {"portable", 0, kernel, nullptr, nullptr};
  const moert_entry outputs = {
      sizeof(moert_entry), 3, "moec_two", two, &variant, 1};
  TestTensor a{xData, kDLFloat, 32, {4}}, b{yData, kDLFloat, 32, {4}},
      c{yData + 3, kDLFloat, 32, {4}};
  args[0] = &a.view;
  args[1] = &b.view;
  args[2] = &c.view;
  EXPECT_EQ(run(3, outputs), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(call.message(), "moec_two: argument 2 'c' overlaps argument 1 'b' "
                            "in memory, expected outputs of their own");
  // No workspace function means none is needed.
  c.view.data = yData + 4;
  call.call.workspace = nullptr;
  call.call.workspace_bytes = 0;
  EXPECT_EQ(run(3, outputs), MOERT_OK) << call.message();
}

TEST_F(EntryTest, refusesWorkspaces) {
  call.call.workspace_bytes = 47;
  expectRefused(MOERT_WORKSPACE_TOO_SMALL, "moec_layer: got a workspace of 47 "
                                           "bytes, expected at least 48");
  call.call.workspace_bytes = 48;
  call.call.workspace = nullptr;
  expectRefused(MOERT_INVALID_ARGUMENT,
                "moec_layer: got a null workspace, expected 48 bytes");
  call.call.workspace = call.workspace + 32;
  EXPECT_EQ(run(), MOERT_INVALID_ARGUMENT);
  EXPECT_NE(call.message().find("moec_layer: got a workspace at 0x"),
            std::string::npos);
  EXPECT_NE(call.message().find(", expected alignment to 64 bytes"),
            std::string::npos);
  call.call.workspace = gatesData;
  expectRefused(
      MOERT_INVALID_ARGUMENT,
      "moec_layer: argument 1 'gates' overlaps the workspace in memory");
  workspaceAnswer = -1;
  expectRefused(MOERT_INTERNAL,
                "moec_layer: the entry asked for a workspace of -1 bytes");
}

// The second variant needs more workspace, the third what no CPU has.
void widerKernel(void **descriptors) {
  kernel(descriptors);
  kernelRuns += 10;
}
void askMoreWorkspace(void **descriptors) {
  askWorkspace(descriptors);
  *static_cast<int64_t *>(descriptors[3]) += 64;
}
const moert_variant three[] = {
    {"portable", 0, kernel, askWorkspace, nullptr},
    {"better", 0, widerKernel, askMoreWorkspace, nullptr},
    {"future", UINT64_C(1) << 40, nullptr, nullptr, nullptr}};

TEST_F(EntryTest, runsTheBestVariantOrTheOneAskedFor) {
  moert_entry many = entry;
  many.variants = three;
  many.variant_count = 3;
  auto bytes = [&] {
    uint64_t result = 0;
    EXPECT_EQ(moert_entry_workspace(&many, &call.call, args, 3, &result),
              MOERT_OK)
        << call.message();
    return result;
  };
  EXPECT_EQ(bytes(), 48u + 64);
  EXPECT_EQ(run(3, many), MOERT_OK) << call.message();
  EXPECT_EQ(kernelRuns, 11);
  kernelRuns = 0;
  call.call.isa = "portable";
  EXPECT_EQ(bytes(), 48u);
  EXPECT_EQ(run(3, many), MOERT_OK) << call.message();
  EXPECT_EQ(kernelRuns, 1);
  // A call that ends in front of it asks for none.
  call.call.size = offsetof(moert_call, isa);
  EXPECT_EQ(bytes(), 48u + 64);
  call.call.size = sizeof(moert_call);
  call.call.isa = "future";
  EXPECT_EQ(run(3, many), MOERT_INCOMPATIBLE);
  EXPECT_EQ(call.message(), "moec_layer: needs future, this CPU or its system "
                            "lacks what this runtime does not know");
  call.call.isa = "past";
  uint64_t none = 0;
  EXPECT_EQ(moert_entry_workspace(&many, &call.call, args, 3, &none),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(call.message(), "moec_layer: got the instruction set 'past', "
                            "expected portable or better or future");
}

TEST_F(EntryTest, refusesADamagedEntry) {
  moert_entry damaged = entry;
  damaged.size = 8;
  EXPECT_EQ(run(3, damaged), MOERT_INTERNAL);
  EXPECT_EQ(call.message(),
            "moec_layer: the entry table is damaged: size 8, 3 arguments, "
            "0 variants");
  damaged = entry;
  damaged.count = MOERT_MAX_ARGUMENTS + 1;
  EXPECT_EQ(run(MOERT_MAX_ARGUMENTS + 1, damaged), MOERT_INTERNAL);
  damaged = entry;
  damaged.variant_count = 0;
  EXPECT_EQ(run(3, damaged), MOERT_INTERNAL);
  EXPECT_EQ(call.message(), "moec_layer: the entry table is damaged: size 40, "
                            "3 arguments, 0 variants");
  moert_argument deep[] = {arguments[0], arguments[1], arguments[2]};
  deep[1].rank = MOERT_MAX_RANK + 1;
  damaged = entry;
  damaged.arguments = deep;
  EXPECT_EQ(run(3, damaged), MOERT_INTERNAL);
  EXPECT_EQ(call.message(),
            "moec_layer: the entry table is damaged: argument 1 has rank 9");
}

TEST_F(EntryTest, cutsMessagesToTheSink) {
  call.call.error.capacity = 20;
  args[0] = nullptr;
  EXPECT_EQ(run(), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(call.message(), "moec_layer: argumen");
  std::memset(call.text, 'z', sizeof call.text);
  call.call.error.capacity = 0;
  EXPECT_EQ(run(), MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(call.text[0], 'z');
  call.call.error = {nullptr, 100};
  EXPECT_EQ(run(), MOERT_INVALID_ARGUMENT);
}

TEST_F(EntryTest, saysTheWorkspaceFromShapesAlone) {
  x.view.data = gates.view.data = y.view.data = nullptr;
  uint64_t bytes = 0;
  EXPECT_EQ(moert_entry_workspace(&entry, &call.call, args, 3, &bytes),
            MOERT_OK);
  EXPECT_EQ(bytes, 48u);
  EXPECT_EQ(kernelRuns, 0);
  y.shape[0] = 2;
  EXPECT_EQ(moert_entry_workspace(&entry, &call.call, args, 3, &bytes),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(call.message(),
            "moec_layer: argument 2 'y' has shape[0] = 2, expected 3, as "
            "shape[0] of argument 0 'x'");
  EXPECT_EQ(moert_entry_workspace(&entry, &call.call, args, 3, nullptr),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(call.message(), "moec_layer: got null for the workspace's bytes, "
                            "expected a place to write to");
  EXPECT_EQ(moert_entry_workspace(&entry, nullptr, args, 3, &bytes),
            MOERT_INVALID_ARGUMENT);
}

TEST_F(EntryTest, takesTheHighestRankAndTheMostArguments) {
  std::vector<moert_argument> most(
      MOERT_MAX_ARGUMENTS,
      {"a", kDLFloat, 32, 0, 8, {-2, -3, -4, -5, -6, -7, -8, -9}, 0, 0});
  static int runs;
  runs = 0;
  const moert_variant variant = {"portable", 0, [](void **) { ++runs; },
                                 nullptr, nullptr};
  const moert_entry large = {sizeof(moert_entry), MOERT_MAX_ARGUMENTS,
                             "moec_large",        most.data(),
                             &variant,            1};
  TestTensor tensor{xData, kDLFloat, 32, {1, 2, 1, 2, 1, 2, 1, 2}};
  std::vector<DLTensor *> all(MOERT_MAX_ARGUMENTS, &tensor.view);
  EXPECT_EQ(
      moert_entry_call(&large, &call.call, all.data(), MOERT_MAX_ARGUMENTS),
      MOERT_OK)
      << call.message();
  EXPECT_EQ(runs, 1);
}

// An entry that reads a pool and a table through the call's binding.
const moert_argument boundArguments[] = {
    {"x", kDLFloat, 32, MOERT_INPUT, 2, {-2, 4}, 0, 0},
    {"pool", kDLFloat, 32, MOERT_BINDING, 2, {2, 4}, 0, 0},
    {"y", kDLFloat, 32, MOERT_OUTPUT, 2, {-2, 4}, 0, 0},
};
const moert_entry boundEntry = {
    sizeof(moert_entry), 3, "moec_bound", boundArguments, &plain, 1};

class BoundEntryTest : public EntryTest {
protected:
  int32_t run() {
    return moert_entry_call(&boundEntry, &call.call, both, 2);
  }
  void expectRefused(const std::string &message) {
    EXPECT_EQ(run(), MOERT_INVALID_ARGUMENT);
    EXPECT_EQ(call.message(), message);
    EXPECT_EQ(kernelRuns, 0);
  }

  TestTensor pool{gatesData, kDLFloat, 32, {2, 4}};
  DLTensor *both[2] = {&x.view, &y.view};
  DLTensor *pools[1] = {&pool.view};
  moert_layer_binding binding = {sizeof(moert_layer_binding), 1, pools, 0,
                                 nullptr, nullptr};
};

TEST_F(BoundEntryTest, putsTheBindingsTensorsBetweenTheCallersOwn) {
  call.call.binding = &binding;
  ASSERT_EQ(run(), MOERT_OK) << call.message();
  EXPECT_EQ(seen[0].aligned, xData);
  EXPECT_EQ(seen[1].aligned, gatesData);
  EXPECT_EQ(seen[1].sizes[0], 2);
  EXPECT_EQ(seen[2].aligned, yData);
  uint64_t bytes = 0;
  EXPECT_EQ(moert_entry_workspace(&boundEntry, &call.call, both, 2, &bytes),
            MOERT_OK);
  EXPECT_EQ(bytes, 48u);
}

TEST_F(BoundEntryTest, refusesBindingsThatDoNotFit) {
  expectRefused("moec_bound: got no layer binding, expected one of 1 tensors");
  call.call.binding = &binding;
  binding.count = 2;
  expectRefused("moec_bound: got a layer binding of 2 tensors, expected 1");
  binding.count = 1;
  binding.tensors = nullptr;
  expectRefused("moec_bound: got a layer binding of 0 tensors, expected 1");
  binding.tensors = pools;
  binding.size = 8;
  expectRefused("moec_bound: got a layer binding of 0 tensors, expected 1");
  binding.size = sizeof binding;
  pools[0] = nullptr;
  expectRefused("moec_bound: binding 0 'pool' is null, expected a tensor");
  pools[0] = &pool.view;
  pool.shape[0] = 3;
  expectRefused("moec_bound: binding 0 'pool' has shape[0] = 3, expected 2");
  pool.shape[0] = 2;
  // Arguments are counted as the caller counts them.
  y.view.dtype.bits = 16;
  expectRefused("moec_bound: argument 1 'y' has dtype float16, expected "
                "float32");
  y.view.dtype.bits = 32;
  y.view.data = gatesData;
  expectRefused("moec_bound: argument 1 'y' overlaps binding 0 'pool' in "
                "memory, expected outputs of their own");
  EXPECT_EQ(moert_entry_call(&boundEntry, &call.call, args, 3),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(call.message(), "moec_bound: got 3 arguments, expected 2");
}

} // namespace
