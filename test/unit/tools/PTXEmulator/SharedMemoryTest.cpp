// Tests of who may touch shared memory, on a CTA without threads that run.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/SharedMemory.h"

#include <gtest/gtest.h>

using namespace moec::ptx;

namespace {

/// One warp of one CTA with 256 bytes.
class SharedMemoryTest : public testing::Test {
protected:
  SharedMemoryTest() : memory(1 << 16), machine(memory, Settings()) {
    program.name = "kernel";
    program.usesAsyncProxy = true;
    grid.program = &program;
    grid.block = {32, 1, 1};
    cluster.ctas.push_back(std::make_unique<Cta>());
    Cta &cta = *cluster.ctas[0];
    cta.grid = &grid;
    cta.cluster = &cluster;
    cta.liveWarps = 1;
    cta.shared.resize(sharedBase + 256);
    cta.sharedStates.resize(sharedBase + 256, ByteState::Unwritten);
    warp.machine = &machine;
    warp.cta = &cta;
    warp.program = &program;
    place = {&cta, sharedBase};
  }

  /// What is said about touching the first 16 bytes; empty if it is allowed.
  std::string touch(Touch how) {
    machine.fault.reset();
    touchShared(warp, operation, 0, place, 16, how);
    return machine.fault ? machine.fault->message : "";
  }

  bool refuses(Touch how, const std::string &why) {
    return touch(how).find(why) != std::string::npos;
  }

  DeviceMemory memory;
  MachineState machine;
  Program program;
  Grid grid;
  Cluster cluster;
  Warp warp;
  Operation operation;
  SharedPlace place;
};

} // namespace

TEST_F(SharedMemoryTest, TheAsynchronousProxyNeedsAFence) {
  EXPECT_EQ(touch(Touch::Write), "");
  EXPECT_EQ(touch(Touch::Read), "");
  EXPECT_TRUE(refuses(Touch::AsyncRead, "without a fence.proxy.async"));
  fenceWrites(warp, 1);
  EXPECT_EQ(touch(Touch::AsyncRead), "");
}

TEST_F(SharedMemoryTest, AFenceIsOfOneThreadAndOfWhatBarriersMadeKnown) {
  EXPECT_EQ(touch(Touch::Write), "");
  fenceWrites(warp, 2);
  EXPECT_TRUE(refuses(Touch::AsyncRead, "without a fence.proxy.async"));
  publishWrites(warp, allLanes);
  fenceWrites(warp, 2);
  EXPECT_EQ(touch(Touch::AsyncRead), "");
}

TEST_F(SharedMemoryTest, CopiesOnTheirWayLetNobodyIn) {
  EXPECT_EQ(touch(Touch::BeginAsyncWrite), "");
  for (Touch how : {Touch::Read, Touch::Write, Touch::AsyncRead,
                    Touch::BeginWrite, Touch::BeginAsyncWrite})
    EXPECT_TRUE(refuses(how, "a copy that nobody waited for writes there"));
  landShared(warp, 0, place, 16, true);
  EXPECT_EQ(touch(Touch::AsyncRead), "");
}

TEST_F(SharedMemoryTest, WhatIsBeingReadIsNotWritten) {
  landShared(warp, 0, place, 16, true);
  countAsyncReader(place, 16, 1);
  EXPECT_EQ(touch(Touch::Read), "");
  EXPECT_TRUE(refuses(Touch::Write, "that nobody waited for reads there"));
  EXPECT_TRUE(
      refuses(Touch::BeginAsyncWrite, "that nobody waited for reads there"));
  countAsyncReader(place, 16, -1);
  EXPECT_EQ(touch(Touch::Write), "");
}

TEST_F(SharedMemoryTest, PlacesAreOfTheClustersCtas) {
  auto find = [&](uint64_t address, uint64_t bytes) {
    machine.fault.reset();
    return bool(findShared(warp, operation, 0, Space::Shared, address, bytes));
  };
  EXPECT_TRUE(find(sharedBase, 256));
  EXPECT_FALSE(find(sharedBase, 257));
  EXPECT_FALSE(find(0, 4));
  EXPECT_TRUE(find(uint64_t(1) << sharedRankShift | sharedBase, 4));
  EXPECT_FALSE(find(uint64_t(2) << sharedRankShift | sharedBase, 4));
  cluster.ctas[0]->liveWarps = 0;
  EXPECT_FALSE(find(uint64_t(1) << sharedRankShift | sharedBase, 4));
}
