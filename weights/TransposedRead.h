// Matrices that are stored the other way around, tile by tile.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_TRANSPOSEDREAD_H
#define MOEC_WEIGHTS_TRANSPOSEDREAD_H

#include "weights/Encoding.h"
#include "weights/Result.h"

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace moec::weights {

/// Fills rows x cols `values` from an entry that is stored cols x rows, of
/// which `read(begin, values)` gives elements from `begin` on.
template <typename Read>
Status readTransposed(const MatrixShape &shape, std::span<float> values,
                      Read read) {
  // A tile of 64 stored rows is written as whole cache lines of the result.
  constexpr int64_t tile = 64;
  int64_t rows = shape.rows, cols = shape.cols;
  std::vector<float> stored(size_t(std::min(tile, cols) * rows));
  for (int64_t first = 0; first < cols; first += tile) {
    int64_t width = std::min(tile, cols - first);
    std::span<float> lines = std::span(stored).first(size_t(width * rows));
    if (Status status = read(first * rows, lines); !status)
      return status;
    for (int64_t row = 0; row < rows; ++row)
      for (int64_t col = 0; col < width; ++col)
        values[size_t(row * cols + first + col)] =
            lines[size_t(col * rows + row)];
  }
  return success();
}

} // namespace moec::weights

#endif // MOEC_WEIGHTS_TRANSPOSEDREAD_H
