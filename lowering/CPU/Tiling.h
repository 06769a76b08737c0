// How the rows of a block are cut into register tiles.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_CPU_TILING_H
#define MOEC_LOWERING_CPU_TILING_H

#include "lowering/Code/Code.h"

namespace moec::lowering {

/// Rows are cut into tiles of nearly equal height: `big` tiles of `height` + 1
/// rows, then tiles of `height`.
struct Tiling {
  Tiling(Code &c, mlir::Value rows, int64_t most)
      : count(c.ceilDiv(rows, most)), height(c.div(rows, count)),
        big(c.rem(rows, count)) {}

  mlir::Value heightOf(Code &c, mlir::Value tile) const {
    return c.add(height,
                 c.select(c.isBelow(tile, big), c.index(1), c.index(0)));
  }
  mlir::Value firstRow(Code &c, mlir::Value tile) const {
    return c.add(c.mul(tile, height), c.min(tile, big));
  }

  mlir::Value count, height, big;
};

} // namespace moec::lowering

#endif // MOEC_LOWERING_CPU_TILING_H
