// Tests of tensor sources: shapes as matrices, and made-up tensors. Files and conversions are the provider's tests.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/TensorSource.h"

#include "test/unit/TemporaryFolder.h"
#include "weights/Safetensors.h"
#include "weights/Seeded.h"

#include <gtest/gtest.h>

#include <cstring>

using namespace moec::weights;
using moec::test::TemporaryFolder;

namespace {

using Shape = std::vector<int64_t>;

TEST(TensorSource, readsShapesAsMatrices) {
  auto splat = splatSource(3);
  auto shapeOf = [&](const Shape &shape) {
    return (*splat->openMatrices("s::k", "k", shape))->shape();
  };
  EXPECT_EQ(shapeOf({}), (MatrixShape{1, 1, 1}));
  EXPECT_EQ(shapeOf({5}), (MatrixShape{1, 1, 5}));
  EXPECT_EQ(shapeOf({4, 5}), (MatrixShape{1, 4, 5}));
  EXPECT_EQ(shapeOf({3, 4, 5}), (MatrixShape{3, 4, 5}));
  EXPECT_EQ(shapeOf({2, 3, 4, 5}), (MatrixShape{6, 4, 5}));
}

TEST(TensorSource, makesValuesByKey) {
  auto seeded = seededSource(7, 0.5);
  auto matrices = seeded->openMatrices("s::w", "w", Shape{2, 3});
  ASSERT_TRUE(matrices) << matrices.error();
  EXPECT_EQ(*readAll(**matrices), seededValues(seedForKey(7, "w"), 6, 0.5));
  EXPECT_EQ((*matrices)->name(), "s::w");
  EXPECT_EQ(splatSource(1)->openMatrices("s::k", "k", Shape{1 << 20, 1 << 20})
                .error(),
            "s::k: expected a shape of at most 2^36 values, found [1048576, "
            "1048576]");
  EXPECT_EQ(seeded->loadIntegers("s::t", "t", Shape{2}).error(),
            "s::t: expected integers, found seeded values");
}

TEST(TensorSource, takesAVectorForAMatrixOfOneRow) {
  TemporaryFolder folder;
  std::vector<uint8_t> bytes(12);
  float values[] = {1, 2, 3};
  std::memcpy(bytes.data(), values, sizeof values);
  std::vector<TensorToWrite> tensors = {
      {"v", ElementType::F32, {3}, bytes}, {"m", ElementType::F32, {1, 3}, bytes}};
  std::string path = folder.file("a.safetensors");
  ASSERT_TRUE(writeSafetensors(path, tensors));
  auto file = openSafetensorsSource(path);
  ASSERT_TRUE(file) << file.error();
  for (const char *key : {"v", "m"}) {
    auto matrices = (*file)->openMatrices("f::v", key, Shape{1, 3});
    ASSERT_TRUE(matrices) << matrices.error();
    EXPECT_EQ(*readAll(**matrices), (std::vector<float>{1, 2, 3}));
  }
  // But a matrix is no vector, and an extent of 1 elsewhere is meant.
  EXPECT_EQ((*file)->openMatrices("f::m", "m", Shape{3}).error(),
            "f::m: expected shape [3], found [1, 3]");
  EXPECT_EQ((*file)->openMatrices("f::v", "v", Shape{3, 1}).error(),
            "f::v: expected shape [3, 1], found [3]");
}

} // namespace
