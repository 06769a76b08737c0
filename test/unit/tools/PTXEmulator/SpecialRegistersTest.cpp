// Tests of the registers that say where a thread is.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/SpecialRegisters.h"

#include <gtest/gtest.h>

using namespace moec::ptx;

TEST(SpecialRegisters, SayWhereAThreadIs) {
  ThreadPlace place{{3, 2, 0}, {16, 4, 1}, {5, 1, 0}, {8, 2, 1},
                    {4, 2, 1}, 64,         128};
  auto value = [&](const char *name) {
    return specialRegisterValue(name, place);
  };
  EXPECT_EQ(value("%tid.x"), 3u);
  EXPECT_EQ(value("%tid.y"), 2u);
  EXPECT_EQ(value("%ntid.x"), 16u);
  EXPECT_EQ(value("%nctaid.y"), 2u);
  EXPECT_EQ(value("%laneid"), 3u);
  EXPECT_EQ(value("%warpid"), 1u);
  EXPECT_EQ(value("%nwarpid"), 2u);
  EXPECT_EQ(value("%clusterid.x"), 1u);
  EXPECT_EQ(value("%nclusterid.x"), 2u);
  EXPECT_EQ(value("%cluster_ctaid.x"), 1u);
  EXPECT_EQ(value("%cluster_ctarank"), 5u);
  EXPECT_EQ(value("%cluster_nctarank"), 8u);
  EXPECT_EQ(value("%lanemask_lt"), 7u);
  EXPECT_EQ(value("%lanemask_ge"), 0xFFFFFFF8u);
  EXPECT_EQ(value("%dynamic_smem_size"), 64u);
}

TEST(SpecialRegisters, HaveTypes) {
  EXPECT_EQ(specialRegisterType("%tid.z"), Type::U32);
  EXPECT_EQ(specialRegisterType("%clock64"), Type::U64);
  EXPECT_TRUE(isClock("%globaltimer"));
  EXPECT_FALSE(isClock("%tid.x"));
  EXPECT_EQ(specialRegisterType("%tid.w"), std::nullopt);
  EXPECT_EQ(specialRegisterType("%r1"), std::nullopt);
}
