// Rows of activations, rounded for the products that ask for it.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CPU/RoundRows.h"

#include "mlir/Dialect/Math/IR/Math.h"
#include <limits>

using namespace mlir;
using namespace moec::lowering;
using namespace moec::moe;

namespace {
/// Symmetric int8 of one group. Numbers are scalars, or vectors of 16.
class GroupQuantizer {
public:
  GroupQuantizer(Code &c, Value largest) : c(c) {
    auto is = [&](arith::CmpFPredicate how, double bound) -> Value {
      return arith::CmpFOp::create(c.b, c.loc, how, largest, c.real(bound));
    };
    auto quotient = [&](Value l, Value r) -> Value {
      return arith::DivFOp::create(c.b, c.loc, l, r);
    };
    Value isNormal = c.both(
        is(arith::CmpFPredicate::OGE, 0x1p-100),
        is(arith::CmpFPredicate::OLT, std::numeric_limits<double>::infinity()));
    // Nothing of what is tiny; NaN of what is not finite.
    Value other = arith::SubFOp::create(c.b, c.loc, largest, largest);
    scale = c.select(isNormal, quotient(largest, c.real(127)), other);
    inverse = c.select(isNormal, quotient(c.real(127), largest), c.real(0));
  }

  /// Numbers whose last bits are the codes: 1.5·2^23 is added, which rounds.
  Value shifted(Value x) {
    x = arith::MulFOp::create(c.b, c.loc, x, like(x, inverse));
    return arith::AddFOp::create(c.b, c.loc, x, like(x, c.real(magic)));
  }
  Value decoded(Value x) {
    Value code =
        arith::SubFOp::create(c.b, c.loc, shifted(x), like(x, c.real(magic)));
    return arith::MulFOp::create(c.b, c.loc, code, like(x, scale));
  }
  /// Codes as i32.
  Value code(Value x) {
    bool isVector = isa<VectorType>(x.getType());
    Type ints = isVector ? Type(c.vectorOf(c.i32())) : c.i32();
    Value bits = arith::BitcastOp::create(c.b, c.loc, ints, shifted(x));
    Value zero =
        arith::BitcastOp::create(c.b, c.loc, ints, like(x, c.real(magic)));
    return arith::SubIOp::create(c.b, c.loc, bits, zero);
  }

  Value scale, inverse;

private:
  static constexpr double magic = 0x1.8p23;

  Value like(Value x, Value scalar) {
    return isa<VectorType>(x.getType()) ? c.broadcast(scalar) : scalar;
  }

  Code &c;
};
} // namespace

/// `whole` for 16 columns from its argument on, `each` for one.
static void forColumns(Code &c, Value count,
                       llvm::function_ref<void(Value)> whole,
                       llvm::function_ref<void(Value)> each) {
  Value middle = c.mul(c.div(count, lanes), lanes);
  c.loop(c.index(0), middle, lanes, whole);
  c.loop(middle, count, 1, each);
}

/// The largest magnitude of `count` numbers; NaN where there is one.
static Value largestOf(Code &c, Value list, Value at, Value count) {
  auto larger = [&](Value before, Value x) -> Value {
    Value magnitude = math::AbsFOp::create(c.b, c.loc, x);
    return arith::MaximumFOp::create(c.b, c.loc, before, magnitude);
  };
  Value middle = c.mul(c.div(count, lanes), lanes);
  Value vector = c.loop(c.index(0), middle, lanes, {c.zeros()},
                        [&](Value i, ValueRange before) {
                          Value x = c.loadFloats(list, c.add(at, i));
                          return Code::Values{larger(before[0], x)};
                        })[0];
  Value largest = vector::ReductionOp::create(
      c.b, c.loc, vector::CombiningKind::MAXIMUMF, vector);
  return c.loop(middle, count, 1, {largest}, [&](Value i, ValueRange before) {
    return Code::Values{larger(before[0], c.loadFloat(list, c.add(at, i)))};
  })[0];
}

/// Runs the body for each group of a row, with its number and first column.
static void
forGroups(Code &c, const Row &row, int64_t group,
          llvm::function_ref<void(Value, Value, GroupQuantizer &)> body) {
  c.loop(c.index(0), c.index(row.columns / group), 1, [&](Value number) {
    Value first = c.mul(number, group);
    GroupQuantizer quantizer(
        c, largestOf(c, row.list, c.add(row.at, first), c.index(group)));
    body(number, first, quantizer);
  });
}

void moec::lowering::roundRow(Code &c, EncodingAttr rounding, const Row &row,
                              Value to, Value at) {
  auto write = [&](Value first, int64_t count,
                   llvm::function_ref<Value(Value)> rounded) {
    auto place = [&](Value from, Value i) {
      return c.add(from, c.add(first, i));
    };
    forColumns(
        c, c.index(count),
        [&](Value i) {
          Value x = c.loadFloats(row.list, place(row.at, i));
          c.storeVector(rounded(x), to, place(at, i));
        },
        [&](Value i) {
          Value x = c.loadFloat(row.list, place(row.at, i));
          c.store(rounded(x), to, place(at, i));
        });
  };
  if (rounding.getFormat() == Format::bf16) {
    write(c.index(0), row.columns,
          [&](Value x) { return c.rounded(x, c.b.getBF16Type()); });
    return;
  }
  int64_t group = rounding.getGroup() ? rounding.getGroup() : row.columns;
  forGroups(c, row, group, [&](Value, Value first, GroupQuantizer &quantizer) {
    write(first, group, [&](Value x) { return quantizer.decoded(x); });
  });
}

void moec::lowering::quantizeRow(Code &c, int64_t group, const Row &row,
                                 const QuantizedRow &to) {
  Type i8 = c.b.getI8Type();
  forGroups(
      c, row, group, [&](Value number, Value first, GroupQuantizer &quantizer) {
        auto place = [&](Value from, Value i) {
          return c.add(from, c.add(first, i));
        };
        auto narrow = [&](Value code, Type type) -> Value {
          return arith::TruncIOp::create(c.b, c.loc, type, code);
        };
        auto sum = [&](Value l, Value r) -> Value {
          return arith::AddIOp::create(c.b, c.loc, l, r);
        };
        Value count = c.index(group);
        Value middle = c.mul(c.div(count, lanes), lanes);
        Value sums = c.loop(c.index(0), middle, lanes, {c.ints(0, c.i32())},
                            [&](Value i, ValueRange before) {
                              Value codes = quantizer.code(
                                  c.loadFloats(row.list, place(row.at, i)));
                              c.storeVector(narrow(codes, c.vectorOf(i8)),
                                            to.codes, place(to.codesAt, i));
                              return Code::Values{sum(before[0], codes)};
                            })[0];
        Value total = vector::ReductionOp::create(
            c.b, c.loc, vector::CombiningKind::ADD, sums);
        total =
            c.loop(middle, count, 1, {total}, [&](Value i, ValueRange before) {
              Value code =
                  quantizer.code(c.loadFloat(row.list, place(row.at, i)));
              c.store(narrow(code, i8), to.codes, place(to.codesAt, i));
              return Code::Values{sum(before[0], code)};
            })[0];
        Value at = c.add(to.groupsAt, number);
        c.store(quantizer.scale, to.scales, at);
        c.store(total, to.sums, at);
      });
}
