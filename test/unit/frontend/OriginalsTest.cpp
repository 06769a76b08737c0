// Tests of opening a checkpoint's matrices for regrouping.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "frontend/Originals.h"

#include "weights/Hash.h"

#include <gtest/gtest.h>

using namespace moec::frontend;
using namespace moec::weights;

namespace {

const std::string folder = MOEC_TEST_EXAMPLES "/tiny-mixtral";

TEST(Originals, areTheCheckpointsMatrices) {
  Result<OriginalMatrices> originals = openOriginals(folder);
  ASSERT_TRUE(originals) << originals.error();
  EXPECT_EQ(originals->hash, hashText(Checkpoint::open(folder)->identity()));
  for (const char *role : {"gate", "up", "down"}) {
    Result<Format> format = originals->formatOf(3, role);
    ASSERT_TRUE(format) << format.error();
    EXPECT_EQ(*format, Format::BF16);
  }
  const int64_t shape[] = {16, 160, 96};
  auto down = originals->source->openMatrices("d", "layers.3.down", shape);
  ASSERT_TRUE(down) << down.error();
  EXPECT_EQ((*down)->shape(), (MatrixShape{16, 160, 96}));
}

TEST(Originals, haveNoOtherLayers) {
  Result<OriginalMatrices> originals = openOriginals(folder);
  ASSERT_TRUE(originals) << originals.error();
  Result<Format> format = originals->formatOf(4, "up");
  ASSERT_FALSE(format);
  EXPECT_EQ(format.error(),
            folder + ": expected a layer 4 with experts, found none");
}

TEST(Originals, areOfADirectoryWithACheckpoint) {
  Result<OriginalMatrices> originals = openOriginals(folder + "/none");
  ASSERT_FALSE(originals);
  EXPECT_EQ(originals.error(),
            folder + "/none: expected the directory of a checkpoint, found "
                     "nothing");
}

} // namespace
