// How codes lie in memory: the only place that permutes weights.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "weights/Layout.h"

#include "weights/ElementType.h"

#include <algorithm>
#include <cstring>
#include <iterator>
#include <limits>

namespace moec::weights {

namespace {

constexpr std::string_view layoutNames[] = {"row_major", "panel16", "vnni2",
                                            "wgmma_a_frag"};
constexpr int64_t panelWidth = 16;

/// Calls copy(rowMajorOffset, packedOffset, bytes) for each run of elements
/// that is contiguous on both sides, over all entries of a panel16 tensor.
template <typename Copy>
void forEachPanelRun(const MatrixShape &shape, int64_t elementBytes,
                     Copy copy) {
  int64_t panels = (shape.cols + panelWidth - 1) / panelWidth;
  for (int64_t entry = 0; entry < shape.entries; ++entry)
    for (int64_t panel = 0; panel < panels; ++panel) {
      int64_t col = panel * panelWidth;
      int64_t width = std::min(panelWidth, shape.cols - col);
      for (int64_t row = 0; row < shape.rows; ++row) {
        int64_t from = (entry * shape.rows + row) * shape.cols + col;
        int64_t to = ((entry * panels + panel) * shape.rows + row) * panelWidth;
        copy(from * elementBytes, to * elementBytes, width * elementBytes);
      }
    }
}

} // namespace

std::string_view layoutName(Layout layout) {
  return layoutNames[size_t(layout)];
}

std::optional<Layout> layoutFromName(std::string_view name) {
  for (size_t i = 0; i < std::size(layoutNames); ++i)
    if (layoutNames[i] == name)
      return Layout(i);
  return std::nullopt;
}

Result<uint64_t> packedBytes(Layout layout, const MatrixShape &shape,
                             int64_t elementBytes) {
  if (layout != Layout::RowMajor && layout != Layout::Panel16)
    return Error{"layout " + std::string(layoutName(layout)) +
                 " is not supported yet; expected row_major or panel16"};
  if (elementBytes != 1 && elementBytes != 2 && elementBytes != 4)
    return Error{"expected elements of 1, 2 or 4 bytes, found " +
                 std::to_string(elementBytes)};
  int64_t cols = shape.cols;
  if (layout == Layout::Panel16 && cols > 0 &&
      cols <= std::numeric_limits<int64_t>::max() - panelWidth)
    cols = (cols + panelWidth - 1) / panelWidth * panelWidth;
  int64_t extents[] = {shape.entries, shape.rows, cols, elementBytes};
  std::optional<int64_t> bytes = elementCount(extents);
  if (!bytes)
    return Error{"expected a shape [entries, rows, columns] of at most 2^63 "
                 "bytes, found " +
                 shapeToString(std::span(extents).first(3))};
  return uint64_t(*bytes);
}

Result<std::vector<uint8_t>> pack(Layout layout, const MatrixShape &shape,
                                  int64_t elementBytes,
                                  std::span<const uint8_t> rowMajor) {
  Result<uint64_t> expected =
      packedBytes(Layout::RowMajor, shape, elementBytes);
  Result<uint64_t> bytes = packedBytes(layout, shape, elementBytes);
  if (!bytes)
    return Error{bytes.error()};
  if (*expected != rowMajor.size())
    return Error{"expected " + std::to_string(*expected) +
                 " bytes to pack, found " + std::to_string(rowMajor.size())};
  if (layout == Layout::RowMajor)
    return std::vector<uint8_t>(rowMajor.begin(), rowMajor.end());
  std::vector<uint8_t> packed(*bytes);
  forEachPanelRun(
      shape, elementBytes, [&](int64_t from, int64_t to, int64_t length) {
        std::memcpy(packed.data() + to, rowMajor.data() + from, size_t(length));
      });
  return packed;
}

Result<std::vector<uint8_t>> unpack(Layout layout, const MatrixShape &shape,
                                    int64_t elementBytes,
                                    std::span<const uint8_t> packed) {
  Result<uint64_t> bytes = packedBytes(Layout::RowMajor, shape, elementBytes);
  Result<uint64_t> expected = packedBytes(layout, shape, elementBytes);
  if (!expected)
    return Error{expected.error()};
  if (*expected != packed.size())
    return Error{"expected " + std::to_string(*expected) + " bytes of layout " +
                 std::string(layoutName(layout)) + ", found " +
                 std::to_string(packed.size())};
  if (layout == Layout::RowMajor)
    return std::vector<uint8_t>(packed.begin(), packed.end());
  std::vector<uint8_t> rowMajor(*bytes);
  forEachPanelRun(
      shape, elementBytes, [&](int64_t to, int64_t from, int64_t length) {
        std::memcpy(rowMajor.data() + to, packed.data() + from, size_t(length));
      });
  return rowMajor;
}

} // namespace moec::weights
