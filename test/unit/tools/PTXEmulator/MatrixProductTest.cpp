// Tests of products of small matrices.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/PTXEmulator/MatrixProduct.h"

#include <gtest/gtest.h>

#include <vector>

using namespace moec::ptx;

TEST(MatrixProduct, AddsToWhatIsThere) {
  std::vector<float> a = {1, 2, 3, 4, 5, 6}, b = {1, 0, 2, 0, 1, -1};
  std::vector<float> d = {10, 20, 30, 40};
  addProduct(d.data(), a.data(), b.data(), 2, 2, 3);
  EXPECT_EQ(d, (std::vector<float>{18, 17, 50, 34}));
}
