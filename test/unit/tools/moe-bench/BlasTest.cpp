// Tests of matrix libraries: those that this machine has multiply as they
// should. Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "tools/moe-bench/Blas.h"

#include <gtest/gtest.h>
#include <vector>

using namespace moec::bench;
using moec::weights::Result;

namespace {

TEST(Blas, multiplies) {
  for (Solver solver : {Solver::OpenBlas, Solver::Blis, Solver::OneDnn}) {
    Result<Blas> blas = loadBlas(solver);
    if (!blas) {
      EXPECT_NE(blas.error().find(", found none"), std::string::npos);
      continue;
    }
    blas->setThreads(1);
    for (int64_t rows : {1, 3}) {
      // Rows lie further apart than they are long.
      std::vector<float> a, b, c(size_t(rows * 7), 2.0f), expected = c;
      for (int i = 0; i < rows * 5; ++i)
        a.push_back(float(i % 4));
      for (int i = 0; i < 4 * 6; ++i)
        b.push_back(float(i % 5));
      blas->multiply(rows, 3, 4, a.data(), 5, b.data(), 6, 1, c.data(), 7);
      for (int64_t i = 0; i < rows; ++i)
        for (int64_t j = 0; j < 3; ++j)
          for (int64_t k = 0; k < 4; ++k)
            expected[size_t(i * 7 + j)] +=
                a[size_t(i * 5 + k)] * b[size_t(k * 6 + j)];
      EXPECT_EQ(c, expected) << blas->name << ", " << rows << " rows";
    }
  }
}

TEST(Blas, moecIsNoLibrary) {
  EXPECT_EQ(loadBlas(Solver::Moec).error(), "expected a library, found moec");
}

} // namespace
