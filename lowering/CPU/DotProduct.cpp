// Products of rounded rows by instructions that multiply int8 or bf16 and add.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// int8: vpdpbusd adds four products of an unsigned and a signed byte to each of
// 16 sums. Weights are the unsigned ones: what makes them so, 128, 8 or their
// zero point, is taken off again as that many times the sum of the row's codes,
// with which sums begin. bf16: vdpbf16ps adds two products to each of 16 sums.
#include "lowering/CPU/DotProduct.h"
#include "lowering/CPU/Tiling.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace moec::lowering;
using moec::moe::Format;

bool moec::lowering::hasDotProduct(const InstructionSet &isa,
                                   const Schedule &schedule,
                                   moe::EncodingAttr rounding,
                                   const StoredForm &form, int64_t k) {
  if (!isa.hasDot || form.isRowMajor)
    return false;
  if (rounding.getFormat() == Format::bf16)
    return schedule.bf16Dot && form.format == Format::bf16 && k % 2 == 0;
  bool isInteger = form.format == Format::int8 || form.format == Format::int4;
  int64_t group = form.group ? form.group : k;
  int64_t own = rounding.getGroup() ? rounding.getGroup() : k;
  return isInteger && group == own && group % 4 == 0;
}

namespace {
/// Emits the body of one function.
class DotEmitter : DotArguments {
public:
  // What the instruction takes at a time is one i32.
  DotEmitter(Code &c, const StoredForm &form, const Schedule &schedule,
             int64_t k, ValueRange arguments)
      : DotArguments(c, c.i32(), arguments), c(c), form(form),
        schedule(schedule), k(k) {}

  void emit() {
    // Few rows leave registers for more panels, whose weights are streams
    // beside each other.
    constexpr int64_t few = 4;
    c.when(c.isBelow(c.index(0), rows), [&] {
      c.when(
          c.isBelow(c.index(few), rows), [&] { manyRows(few); },
          [&] {
            c.select(rows, {1, 2, 3, few}, [&](int64_t height) {
              int64_t width =
                  height <= 2 ? schedule.panelsAt1 : schedule.panelsAt1 / 2;
              Value whole = c.mul(c.div(panels, width), width);
              c.loop(c.index(0), whole, width, [&](Value panel) {
                tile(height, width, c.index(0), panel);
              });
              c.loop(whole, panels, 1,
                     [&](Value panel) { tile(height, 1, c.index(0), panel); });
            });
          });
    });
  }

private:
  bool isInt8() const { return form.format != Format::bf16; }
  /// Rows of the reduction in one instruction.
  int64_t step() const { return isInt8() ? 4 : 2; }

  void manyRows(int64_t few) {
    Tiling tiles(c, rows, schedule.tileRows);
    SmallVector<int64_t> heights;
    for (int64_t h = few; h <= schedule.tileRows; ++h)
      heights.push_back(h);
    c.loop(c.index(0), panels, 1, [&](Value panel) {
      c.loop(c.index(0), tiles.count, 1, [&](Value t) {
        Value first = tiles.firstRow(c, t);
        c.select(tiles.heightOf(c, t), heights,
                 [&](int64_t h) { tile(h, 1, first, panel); });
      });
    });
  }

  Value add(Value l, Value r) {
    return arith::AddFOp::create(c.b, c.loc, l, r);
  }

  /// sum + codes of four rows times those of x, or of two.
  Value dot(Value sum, Value weights, Value codes) {
    StringRef name = isInt8() ? "llvm.x86.avx512.vpdpbusd.512"
                              : "llvm.x86.avx512bf16.dpbf16ps.512";
    Type element = isInt8() ? Type(c.b.getI8Type()) : c.b.getBF16Type();
    int64_t count = lanes * step();
    auto vector = VectorType::get({count}, element);
    auto as = [&](Value words) -> Value {
      return vector::BitCastOp::create(c.b, c.loc, vector, words);
    };
    return LLVM::CallIntrinsicOp::create(
               c.b, c.loc, sum.getType(), c.b.getStringAttr(name),
               ValueRange{sum, as(weights), as(codes)})
        .getResult(0);
  }

  void tile(int64_t height, int64_t width, Value first, Value panel) {
    SmallVector<PanelReader> readers = readersOf(c, form, w, panel, width);
    SmallVector<Value> row, result;
    for (int64_t i = 0; i < height; ++i) {
      Value number = c.add(first, i);
      row.push_back(c.add(c.mul(first, k / step()), c.index(i * (k / step()))));
      result.push_back(c.mul(number, yStride));
    }
    auto place = [&](int64_t i, int64_t p) {
      return c.add(result[i], c.mul(c.add(panel, p), lanes));
    };
    SmallVector<Type> types(height * width, c.vectorOf(c.f32()));
    Code::Values sums = c.choose(
        adds, types,
        [&] {
          Code::Values before;
          for (int64_t p = 0; p < width; ++p)
            for (int64_t i = 0; i < height; ++i)
              before.push_back(c.loadVector(y, place(i, p)));
          return before;
        },
        [&] { return Code::Values(types.size(), c.zeros()); });
    if (isInt8())
      sums = int8Sums(height, width, first, row, readers, sums);
    else
      sums = reduce(height, width, c.index(0), reduction, row, readers, sums);
    for (int64_t p = 0; p < width; ++p)
      for (int64_t i = 0; i < height; ++i)
        c.storeVector(sums[p * height + i], y, place(i, p));
  }

  /// Sums over rows [from, to) of the reduction, added to what there is.
  Code::Values reduce(int64_t height, int64_t width, Value from, Value to,
                      ArrayRef<Value> row, ArrayRef<PanelReader> readers,
                      ValueRange before) {
    auto steps = [&](Value at, int64_t count, ValueRange carried) {
      Code::Values next(carried);
      for (int64_t done = 0; done < count; done += step()) {
        Value here = c.add(at, done);
        Code::Values weights;
        for (const PanelReader &reader : readers)
          weights.push_back(isInt8() ? reader.readFours(here)
                                     : reader.readPairs(here));
        for (int64_t i = 0; i < height; ++i) {
          Value word = c.add(row[i], c.div(here, step()));
          Value codes = c.broadcast(c.load(x, word));
          for (int64_t p = 0; p < width; ++p) {
            Value &sum = next[p * height + i];
            sum = dot(sum, weights[p], codes);
          }
        }
      }
      return next;
    };
    int64_t turn = 2 * step();
    Value whole = c.add(from, c.mul(c.div(c.sub(to, from), turn), turn));
    Code::Values sums =
        c.loop(from, whole, turn, before, [&](Value at, ValueRange carried) {
          if (schedule.prefetchRows)
            for (const PanelReader &reader : readers)
              reader.prefetch(c.add(at, schedule.prefetchRows), turn,
                              /*isNear=*/true);
          return steps(at, turn, carried);
        });
    return c.loop(whole, to, step(), sums, [&](Value at, ValueRange carried) {
      return steps(at, step(), carried);
    });
  }

  /// Sums of groups in integers, scaled into floats.
  Code::Values int8Sums(int64_t height, int64_t width, Value first,
                        ArrayRef<Value> row, ArrayRef<PanelReader> readers,
                        ValueRange before) {
    int64_t size = form.group ? form.group : k, groups = k / size;
    return c.loop(
        c.index(0), c.div(reduction, size), 1, before,
        [&](Value group, ValueRange carried) {
          Value from = c.mul(group, size);
          auto ofRow = [&](Value list, int64_t i) {
            Value at = c.add(c.mul(c.add(first, i), groups), group);
            return c.broadcast(c.load(list, at));
          };
          Code::Values start;
          for (const PanelReader &reader : readers) {
            Value offset = reader.offsetOfFours(group);
            for (int64_t i = 0; i < height; ++i)
              start.push_back(arith::SubIOp::create(
                  c.b, c.loc, c.ints(0, c.i32()),
                  Value(arith::MulIOp::create(c.b, c.loc, offset,
                                              ofRow(codeSums, i)))));
          }
          Code::Values inner = reduce(height, width, from, c.add(from, size),
                                      row, readers, start);
          Code::Values next(carried);
          for (int64_t p = 0; p < width; ++p) {
            Value weightScale = readers[p].scale(group);
            for (int64_t i = 0; i < height; ++i) {
              Value &sum = next[p * height + i];
              Value number = arith::SIToFPOp::create(c.b, c.loc, sum.getType(),
                                                     inner[p * height + i]);
              number =
                  arith::MulFOp::create(c.b, c.loc, number, ofRow(scales, i));
              sum = LLVM::FMAOp::create(c.b, c.loc, number, weightScale, sum);
            }
          }
          return next;
        });
  }

  Code &c;
  const StoredForm &form;
  const Schedule &schedule;
  int64_t k;
};
} // namespace

DotArguments::DotArguments(Code &c, Type code, ValueRange arguments) {
  auto next = [&] {
    Value value = arguments.front();
    arguments = arguments.drop_front();
    return value;
  };
  x = c.listAt(next(), code);
  scales = c.listAt(next(), c.f32());
  codeSums = c.listAt(next(), c.i32());
  w.codes = next();
  w.scales = next();
  w.zeroPoints = next();
  y = c.listAt(next(), c.f32());
  rows = next();
  panels = next();
  w.stride = next();
  w.scaleStride = next();
  yStride = next();
  reduction = next();
  adds = next();
}

void moec::lowering::callRoundedProduct(
    Code &c, MatmulKernels &kernels, StringRef name, const DotRows &x,
    const Panels &w, const Rows &y, Value adds, Value rows, Value panels,
    Value reduction, llvm::function_ref<void(Code &, ValueRange)> body) {
  SmallVector<Type> types(7, c.pointer());
  types.append(6, c.b.getIndexType());
  types.push_back(c.b.getI1Type());
  func::FuncOp function = kernels.function(name, types, body);
  neverInline(function);
  func::CallOp::create(c.b, c.loc, function,
                       ValueRange{x.codes, x.scales, x.sums, w.codes, w.scales,
                                  w.zeroPoints, y.data, rows, panels, w.stride,
                                  w.scaleStride, y.stride, reduction, adds});
}

void moec::lowering::callDotProduct(Code &c, MatmulKernels &kernels,
                                    const StoredForm &form,
                                    const Schedule &schedule, int64_t k,
                                    const DotRows &x, const Panels &w,
                                    const Rows &y, Value adds, Value rows,
                                    Value panels, Value reduction) {
  std::string name =
      "dot_" + form.name() + "_k" + std::to_string(k) +
      scheduleSuffix(schedule, kernels.instructionSet().schedule);
  callRoundedProduct(c, kernels, name, x, w, y, adds, rows, panels, reduction,
                     [&](Code &inner, ValueRange arguments) {
                       DotEmitter(inner, form, schedule, k, arguments).emit();
                     });
}
