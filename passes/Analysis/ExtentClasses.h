// Which extents of a function's tensors and buffers are equal in every call.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_PASSES_ANALYSIS_EXTENTCLASSES_H
#define MOEC_PASSES_ANALYSIS_EXTENTCLASSES_H

#include "mlir/IR/Value.h"

#include <cstdint>
#include <memory>
#include <optional>

namespace mlir::func {
class FuncOp;
}

namespace moec {

/// Sorts the extents of all tensors and buffers in a function into classes of equal extents. Two sources of equality are used: what
/// an operation defines (an element-wise result has its operand's extents), and what it takes for granted (both operands
/// of an addition have the same extents). The second kind constrains the caller: a class that holds extents of two
/// arguments says that a call in which they differ is wrong. Operations in branches and loops constrain as if they
/// always ran. Values that meet behind a branch, or in a loop, are equal only if they are on every way there.
///
/// Static extents belong to the class of their number. Extents of different classes may still be equal. Operations that
/// the analysis does not know say nothing. Calls say nothing either: inline first.
///
/// Two extents computed alike, by the same pure operations or as the same product, are equal. Cost: a few walks over the
/// function, one more for each value of control flow found to have no extent of its own.
class ExtentClasses {
public:
  explicit ExtentClasses(mlir::func::FuncOp function);
  ~ExtentClasses();

  /// A number that two extents share if they are always equal. Numbers depend on nothing but the function's text.
  unsigned classOf(mlir::Value value, int64_t dimension) const;

  /// The extent, where it is known.
  std::optional<int64_t> constantOf(mlir::Value value, int64_t dimension) const;

  bool areEqual(mlir::Value left, int64_t leftDimension, mlir::Value right,
                int64_t rightDimension) const {
    return classOf(left, leftDimension) == classOf(right, rightDimension);
  }

private:
  class Solver;
  std::unique_ptr<Solver> solver;
};

} // namespace moec

#endif // MOEC_PASSES_ANALYSIS_EXTENTCLASSES_H
