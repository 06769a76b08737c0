// How kernels read stored weights: 16 numbers of a row at a time, of panels or
// of whole rows (docs/archive.md, docs/spec.md 2.2).
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CPU_STOREDWEIGHT_H
#define MOEC_LOWERING_CPU_STOREDWEIGHT_H

#include "dialects/MoE/IR/MoE.h"
#include "lowering/Code/Code.h"

#include <optional>
#include <string>

namespace moec::lowering {

/// The format of floats of that type; none where kernels do not read them.
std::optional<moe::Format> plainFormatOf(mlir::Type element);
/// Whether numbers of that format are floats that need no scale.
bool isPlainFloat(moe::Format format);

/// What a kernel must know of a weight: how its numbers are coded, not how many
/// there are.
struct StoredForm {
  moe::Format format = moe::Format::f32;
  /// Rows that share a scale; 0: one scale for the whole matrix, or none.
  int64_t group = 0;
  bool hasScales = false;
  bool hasZeroPoints = false;
  moe::ScaleType scale = moe::ScaleType::f32;
  /// Panels are columns of a matrix in row_major, and not one behind the other.
  bool isRowMajor = false;

  bool operator==(const StoredForm &) const = default;

  /// The form of a wrap's weight; nothing where kernels cannot read it: f64,
  /// groups along columns, other layouts. In row_major they read the floats of
  /// one matrix that is a buffer, as moe-wrap-products makes it.
  static std::optional<StoredForm> of(moe::WrapOp wrap);

  /// A name for functions: "int4_g32_zp_f16".
  std::string name() const;
  bool isPlainF32() const { return format == moe::Format::f32; }
  /// Rows in one element of a panel: two for nibbles.
  int64_t rowsPerElement() const;
  mlir::Type elementType(mlir::MLIRContext *context) const;
  mlir::Type scaleType(mlir::MLIRContext *context) const;
  /// Elements of a panel of so many rows.
  int64_t panelElements(int64_t rows) const {
    return (rows + rowsPerElement() - 1) / rowsPerElement() * lanes;
  }
  /// Bytes that `rows` rows of a panel take, without scales.
  double bytesPerRow() const;
};

/// Reads one panel inside a kernel. `codes`, `scales` and `zeroPoints` are
/// lists at the panel's first row; its rows are `rowStride` elements apart,
/// null where they are one behind the other.
class PanelReader {
public:
  PanelReader(Code &c, const StoredForm &form, mlir::Value codes,
              mlir::Value scales, mlir::Value zeroPoints, mlir::Value rowStride)
      : code(&c), stored(&form), codes(codes), scales(scales),
        zeroPoints(zeroPoints), rowStride(rowStride) {}

  /// The zero point of a group as 16 floats; null where there are none.
  mlir::Value zeroPoint(mlir::Value group) const;
  /// The scale of a group as 16 floats; null where there are none.
  mlir::Value scale(mlir::Value group) const;
  /// Rows from `row` on, as many as an element has: what the codes stand for,
  /// before zero point and scale.
  Code::Values read(mlir::Value row) const;
  /// For products of int8: of each column the codes of four rows from `row` on,
  /// as unsigned bytes of one i32; and how much larger they are than what they
  /// stand for, of one group.
  mlir::Value readFours(mlir::Value row) const;
  mlir::Value offsetOfFours(mlir::Value group) const;
  /// For products of bf16: those of two rows, one i32.
  mlir::Value readPairs(mlir::Value row) const;
  /// Brings the lines of `count` rows from `row` on into the first cache, or
  /// the second; there need not be so many.
  void prefetch(mlir::Value row, int64_t count, bool isNear) const;

private:
  /// Where a row's codes begin.
  mlir::Value placeOf(mlir::Value row) const;
  /// f16 bits (in i16) to f32.
  mlir::Value fromHalfBits(mlir::Value bits) const;
  mlir::Value toFloat(mlir::Value ints) const;
  /// The zero point of a group as 16 i32; there is one.
  mlir::Value zeroPointNumbers(mlir::Value group) const;
  /// What is `count` elements from `at` on, permuted, as 16 i32.
  mlir::Value shuffled(mlir::Value elements,
                       llvm::ArrayRef<int64_t> order) const;
  mlir::Value loadCodes(mlir::Value at, int64_t count) const;

  Code *code;
  const StoredForm *stored;
  mlir::Value codes, scales, zeroPoints, rowStride;
};

} // namespace moec::lowering

#endif // MOEC_LOWERING_CPU_STOREDWEIGHT_H
