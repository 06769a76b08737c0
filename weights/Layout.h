// How codes lie in memory: the only place that permutes weights.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_WEIGHTS_LAYOUT_H
#define MOEC_WEIGHTS_LAYOUT_H

#include "weights/Encoding.h"
#include "weights/Result.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace moec::weights {

/// A layout of a K x N matrix (K rows, the reduction; N columns).
enum class Layout {
  RowMajor,   ///< [K][N]
  Panel16,    ///< [N/16][K][16], columns padded with zeros to 16
  Vnni2,      ///< named, not supported yet
  WgmmaAFrag, ///< named, not supported yet
};

/// "panel16", and the layout of that name or nothing.
std::string_view layoutName(Layout layout);
std::optional<Layout> layoutFromName(std::string_view name);

/// Bytes of a packed tensor. Elements have 1, 2 or 4 bytes; entries are packed
/// one by one and lie one behind the other.
Result<uint64_t> packedBytes(Layout layout, const MatrixShape &shape,
                             int64_t elementBytes);

/// Row-major bytes into `layout`.
Result<std::vector<uint8_t>> pack(Layout layout, const MatrixShape &shape,
                                  int64_t elementBytes,
                                  std::span<const uint8_t> rowMajor);

/// The inverse of `pack`: bytes in `layout` back to row-major. Padding is
/// dropped unread.
Result<std::vector<uint8_t>> unpack(Layout layout, const MatrixShape &shape,
                                    int64_t elementBytes,
                                    std::span<const uint8_t> packed);

} // namespace moec::weights

#endif // MOEC_WEIGHTS_LAYOUT_H
