// Tests of what compiled code calls around its reads of paged bases.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "moert/abi.h"

#include "test/unit/runtime/TestTensor.h"

#include <gtest/gtest.h>

#include <array>
#include <functional>

using moec::test::TestCall;
using moec::test::TestTensor;

namespace {

constexpr int32_t clusterCount = 3;
using Slots = std::array<int32_t, clusterCount>;

/// Puts cluster c at place 10 + c and counts who holds it; fails where it is
/// told to.
struct Pager {
  int32_t failsAt = -1, calls = 0, holders[clusterCount] = {};
  std::vector<int32_t> prefetched;

  static int32_t acquire(void *context, const int32_t *clusters, int64_t count,
                         int32_t *slots, const moert_error_sink *error) {
    auto *self = static_cast<Pager *>(context);
    std::fill_n(slots, clusterCount, -1);
    if (self->calls++ == self->failsAt) {
      std::snprintf(error->text, error->capacity, "cluster %d is damaged",
                    int(clusters[0]));
      return MOERT_IO_ERROR;
    }
    for (int64_t i = 0; i < count; ++i)
      if (clusters[i] >= 0)
        slots[clusters[i]] = 10 + clusters[i];
    for (int32_t c = 0; c < clusterCount; ++c)
      self->holders[c] += slots[c] >= 0;
    return MOERT_OK;
  }
  static void release(void *context, const int32_t *slots) {
    for (int32_t c = 0; c < clusterCount; ++c)
      static_cast<Pager *>(context)->holders[c] -= slots[c] >= 0;
  }
  static void prefetch(void *context, int32_t ahead, const int32_t *clusters,
                       int64_t count) {
    auto &said = static_cast<Pager *>(context)->prefetched;
    said.push_back(ahead);
    said.insert(said.end(), clusters, clusters + count);
  }

  moert_paging table = {sizeof(moert_paging), this, acquire, release, prefetch};

  Slots held() const { return {holders[0], holders[1], holders[2]}; }
};

/// What the kernel under test does with the call's paging.
std::function<void(void *)> body;

void kernel(void **descriptors) { body(descriptors[5]); }

const moert_argument arguments[] = {
    {"x", kDLFloat, 32, MOERT_INPUT, 1, {4}, 0, 0},
    {"pool", kDLFloat, 32, MOERT_BINDING, 2, {MOERT_DYNAMIC, 4}, 2, 0},
    {"y", kDLFloat, 32, MOERT_OUTPUT, 1, {4}, 0, 0},
};
const moert_variant variant = {"portable", 0, kernel, nullptr, nullptr};
const moert_entry entry = {sizeof(moert_entry), 3,        "moec_paged",
                           arguments,           &variant, 1};

class PagingTest : public testing::Test {
protected:
  int32_t run(std::function<void(void *)> what) {
    body = std::move(what);
    call.call.binding = &binding;
    return moert_entry_call(&entry, &call.call, args, 2);
  }
  void expectRefused(const std::string &message) {
    EXPECT_EQ(run([](void *) { ADD_FAILURE() << "the kernel ran"; }),
              MOERT_INVALID_ARGUMENT);
    EXPECT_EQ(call.message(), message);
  }

  float xData[4] = {}, yData[4] = {}, poolData[4096] = {};
  TestTensor x{xData, kDLFloat, 32, {4}}, y{yData, kDLFloat, 32, {4}},
      places{poolData, kDLFloat, 32, {3, 4}, {1024, 1}};
  DLTensor *args[2] = {&x.view, &y.view};
  DLTensor *pools[1] = {&places.view};
  Pager pager;
  moert_layer_binding binding = {sizeof(moert_layer_binding), 1, pools, 1,
                                 &pager.table, nullptr};
  TestCall call;
  Slots table = {2, 0, 1}, slots = {}, more = {};
};

TEST_F(PagingTest, holdsClustersUntilTheyAreReleased) {
  EXPECT_EQ(run([&](void *paging) {
              int32_t one[] = {2, -1, 2}, other[] = {0, 2};
              moert_paging_acquire(paging, one, 3, table.data(), clusterCount,
                                   slots.data());
              moert_paging_acquire(paging, other, 2, table.data(), clusterCount,
                                   more.data());
              EXPECT_EQ(pager.held(), (Slots{1, 0, 2}));
              moert_paging_release(paging, slots.data());
              // What is not held is not given back.
              moert_paging_release(paging, slots.data());
              EXPECT_EQ(pager.held(), (Slots{1, 0, 1}));
              moert_paging_prefetch(paging, 2, other, 2);
              moert_paging_release(paging, more.data());
            }),
            MOERT_OK)
      << call.message();
  EXPECT_EQ(slots, (Slots{-1, -1, 12}));
  EXPECT_EQ(more, (Slots{10, -1, 12}));
  EXPECT_EQ(pager.held(), Slots{});
  EXPECT_EQ(pager.prefetched, (std::vector<int32_t>{2, 0, 2}));
}

TEST_F(PagingTest, namesTheBindingsPlacesWithoutPaging) {
  auto asksForPlaces = [&](void *paging) {
    int32_t one[] = {1};
    moert_paging_acquire(paging, one, 1, table.data(), clusterCount,
                         slots.data());
    moert_paging_prefetch(paging, 1, one, 1);
    moert_paging_release(paging, slots.data());
  };
  binding.paging = nullptr;
  EXPECT_EQ(run(asksForPlaces), MOERT_OK) << call.message();
  EXPECT_EQ(slots, table);
  // A binding of an earlier minor ends in front of it.
  slots = {};
  binding.paging = &pager.table;
  binding.size = offsetof(moert_layer_binding, paging);
  EXPECT_EQ(run(asksForPlaces), MOERT_OK) << call.message();
  EXPECT_EQ(slots, table);
  EXPECT_EQ(pager.calls, 0);
}

TEST_F(PagingTest, answersTheFirstErrorAndAsksForNoMore) {
  pager.failsAt = 1;
  EXPECT_EQ(run([&](void *paging) {
              int32_t one[] = {1}, other[] = {2};
              Slots last = {7, 7, 7};
              moert_paging_acquire(paging, one, 1, table.data(), clusterCount,
                                   slots.data());
              moert_paging_acquire(paging, other, 1, table.data(), clusterCount,
                                   more.data());
              moert_paging_acquire(paging, one, 1, table.data(), clusterCount,
                                   last.data());
              // Places that can be read.
              EXPECT_EQ(more, Slots{});
              EXPECT_EQ(last, Slots{});
              moert_paging_prefetch(paging, 1, one, 1);
              moert_paging_release(paging, last.data());
              moert_paging_release(paging, more.data());
              EXPECT_EQ(pager.held(), (Slots{0, 1, 0}));
              // What came before the error is given back.
              moert_paging_release(paging, slots.data());
            }),
            MOERT_IO_ERROR);
  EXPECT_EQ(call.message(), "moec_paged: cluster 2 is damaged");
  EXPECT_EQ(pager.calls, 2);
  EXPECT_EQ(pager.held(), Slots{});
  EXPECT_TRUE(pager.prefetched.empty());
  // The next call knows nothing of it.
  EXPECT_EQ(run([](void *) {}), MOERT_OK) << call.message();
}

TEST_F(PagingTest, limitsHowMuchIsHeldAtATime) {
  std::array<Slots, MOERT_MAX_ACQUIRED + 1> all = {};
  EXPECT_EQ(run([&](void *paging) {
              int32_t one[] = {0};
              for (Slots &some : all)
                moert_paging_acquire(paging, one, 1, table.data(), clusterCount,
                                     some.data());
              for (Slots &some : all)
                moert_paging_release(paging, some.data());
            }),
            MOERT_INTERNAL);
  EXPECT_EQ(call.message(), "moec_paged: clusters are acquired 9 times at "
                            "once, expected at most 8");
  EXPECT_EQ(pager.calls, MOERT_MAX_ACQUIRED);
  EXPECT_EQ(pager.held(), Slots{});
}

TEST_F(PagingTest, leavesTheFirstStrideOfAPoolFree) {
  auto nothing = [](void *) {};
  EXPECT_EQ(run(nothing), MOERT_OK) << call.message();
  places.strides = {1024, 2};
  expectRefused("moec_paged: binding 0 'pool' has stride[1] = 2, expected 1: "
                "kernels read it as one run of elements");
}

TEST_F(PagingTest, refusesATableThatIsNotWhole) {
  pager.table.size = 16;
  expectRefused("moec_paged: got paging of 16 bytes, expected at least 40 and "
                "three functions");
  pager.table.size = sizeof(moert_paging);
  pager.table.prefetch = nullptr;
  expectRefused("moec_paged: got paging of 40 bytes that lacks a function, "
                "expected at least 40 and three functions");
}

TEST_F(PagingTest, isOfCodeOfTheCpuAlone) {
  const moert_device_runtime runtime = {
      sizeof(moert_device_runtime), kDLCUDA, "CUDA",
      [](int32_t, int32_t *capability, char *, size_t) -> int32_t {
        *capability = 80;
        return MOERT_OK;
      },
      [](const moert_variant *, int32_t, const moert_call *, void **, void **,
         char *, size_t) -> int32_t {
        ADD_FAILURE() << "the kernel ran";
        return MOERT_OK;
      }};
  void *state = nullptr;
  const moert_device_code code = {sizeof(moert_device_code),
                                  80,
                                  0,
                                  0,
                                  nullptr,
                                  0,
                                  nullptr,
                                  nullptr,
                                  &state,
                                  &runtime,
                                  nullptr};
  const moert_variant onCuda = {"sm_80", 0, kernel, nullptr, &code};
  const moert_entry there = {sizeof(moert_entry), 3,       "moec_paged",
                             arguments,           &onCuda, 1};
  for (DLTensor *tensor : {&x.view, &y.view, &places.view})
    tensor->device = {kDLCUDA, 0};
  call.call.binding = &binding;
  call.call.workspace = nullptr;
  EXPECT_EQ(moert_entry_call(&there, &call.call, args, 2),
            MOERT_INVALID_ARGUMENT);
  EXPECT_EQ(call.message(), "moec_paged: got a layer binding with paging, "
                            "expected none on CUDA");
}

} // namespace
