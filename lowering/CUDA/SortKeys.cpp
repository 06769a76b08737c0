// Sorting by the threads of a block.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/SortKeys.h"

#include "llvm/Support/MathExtras.h"

using namespace mlir;
using namespace moec::lowering;

/// Puts two keys in order, `stride` apart: the pair's number says which. Runs
/// of `size` keys rise and fall in turns.
static void exchange(KernelCode &k, Value keys, Value pair, Value stride,
                     Value size) {
  Value first =
      k.sub(k.add(pair, pair), k.both(pair, k.sub(stride, k.index(1))));
  Value second = k.add(first, stride);
  Value a = k.load(keys, first), b = k.load(keys, second);
  Value rises = k.isEqual(k.both(first, size), k.index(0));
  Value isFalling = k.isBelow(b, a);
  k.when(k.isEqual(rises, isFalling), [&] {
    k.store(b, keys, first);
    k.store(a, keys, second);
  });
}

void moec::lowering::sortKeys(KernelCode &k, Value keys, int64_t count) {
  assert(llvm::isPowerOf2_64(count) && "expected a power of two");
  auto powerOf2 = [&](Value exponent) -> Value {
    return arith::ShLIOp::create(k.b, k.loc, k.index(1), exponent);
  };
  Value zero = k.index(0), one = k.index(1);
  k.barrier();
  k.loop(one, k.index(llvm::Log2_64(count) + 1), 1, [&](Value merged) {
    Value size = powerOf2(merged);
    k.loop(zero, merged, 1, [&](Value step) {
      Value stride = powerOf2(k.sub(k.sub(merged, one), step));
      k.spread(k.index(count / 2),
               [&](Value pair) { exchange(k, keys, pair, stride, size); });
      k.barrier();
    });
  });
}
