// Products of many rows of bf16 or int8 in tile registers (AMX).
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// There are eight tiles of 16 rows of 64 bytes. tdpbf16ps adds the products of
// a tile of x (16 rows, 32 numbers of the reduction) and one of W (16 columns,
// the same 32) to a tile of sums. 2 x 2 tiles of sums leave two for x and two
// for W:
//
//   for two panels
//     for a block of the reduction
//       W into scratch, two rows of it in each line as pairs of a column
//       for 32 rows of x        their sums stay in tiles over the block
//     sums to y
//
// All row tiles of a call are of one height, so that it configures tiles once:
// a configuration takes as long as five products of whole tiles. The last ones
// may reach behind the rows; such sums go to scratch only.
//
// Rows of int8 are multiplied by tdpbsud, 64 numbers at a time. Their sums are
// of one group of the reduction, and are scaled into sums of floats behind it.
#include "lowering/CPU/TileProduct.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"

using namespace mlir;
using namespace moec::lowering;
using moec::moe::Format;

/// Rows of a tile, and numbers of the reduction in one.
static constexpr int64_t tileHeight = 16, tileDepth = 32;
/// The same of int8. Groups that fill half a tile gain nothing: scaling their
/// sums takes longer than vpdpbusd.
static constexpr int64_t integerDepth = 64;
/// Panels, and tiles of rows, whose products are in registers together.
static constexpr int64_t across = 2, down = 2;

bool moec::lowering::hasTileProduct(const InstructionSet &isa,
                                    const Schedule &schedule, Type row,
                                    moe::EncodingAttr rounding,
                                    const StoredForm &form, int64_t k) {
  bool isBF16 = rounding ? rounding.getFormat() == Format::bf16 : row.isBF16();
  return isa.hasTiles && schedule.amxRows && isBF16 &&
         form.format == Format::bf16 && !form.isRowMajor && k % tileDepth == 0;
}

bool moec::lowering::hasIntegerTileProduct(const InstructionSet &isa,
                                           const Schedule &schedule,
                                           const StoredForm &form) {
  return isa.hasTiles && schedule.amxInt8Rows && form.group &&
         form.group <= 256 && form.group % integerDepth == 0;
}

/// Of a function: the form, what else it is made for, and sizes that are not the instruction set's own.
static std::string nameOfTiles(MatmulKernels &kernels, const StoredForm &form,
                               const Schedule &schedule,
                               const std::string &depth = "") {
  const Schedule &usual = kernels.instructionSet().schedule;
  std::string name =
      "tiles_" + form.name() + depth + scheduleSuffix(schedule, usual);
  if (schedule.taskRows != usual.taskRows)
    name += "_rows" + std::to_string(schedule.taskRows);
  return name;
}

/// The most pairs of row tiles that rows of a task are cut into.
static int64_t mostPairs(const Schedule &schedule) {
  int64_t rows = down * tileHeight;
  return (schedule.taskRows + rows - 1) / rows;
}

int64_t moec::lowering::rowsBehindTiles(const Schedule &schedule) {
  return down * mostPairs(schedule);
}

namespace {
/// Instructions on tile registers: four of sums, two of x, two of W.
class TileRegisters {
public:
  TileRegisters(Code &c) : c(c) {}

protected:
  // Tiles by their numbers, which are part of instructions.
  Value number(int64_t tile) { return c.number(tile, c.b.getI8Type()); }
  Value sumTile(int64_t i, int64_t p) { return number(i * across + p); }
  Value rowTile(int64_t i) { return number(down * across + i); }
  Value weightTile(int64_t p) { return number(down * across + down + p); }

  void intrinsic(StringRef name, ValueRange operands) {
    LLVM::CallIntrinsicOp::create(
        c.b, c.loc, c.b.getStringAttr("llvm.x86." + name.str()), operands);
  }
  /// From or to element `at` of a list; rows are `stride` elements apart.
  void move(StringRef name, Value tile, Value list, Value at, Value stride) {
    int64_t bytes = elementOf(list).getIntOrFloatBitWidth() / 8;
    Value distance = arith::IndexCastOp::create(c.b, c.loc, c.b.getI64Type(),
                                                c.mul(stride, bytes));
    intrinsic(name, {tile, c.address(list, at), distance});
  }
  void load(Value tile, Value list, Value at, Value stride) {
    move("tileloadd64", tile, list, at, stride);
  }
  void store(Value tile, Value list, Value at, Value stride) {
    move("tilestored64", tile, list, at, stride);
  }

  /// Tiles of sums and of x have `height` rows, those of W 16, all 64 bytes a
  /// row.
  void configure(Value height, Value configuration) {
    // 64 bytes: the palette; from 16 on bytes of a row, two each; from 48 on
    // rows, of tiles 0 to 7.
    int32_t always[lanes] = {1}, times[lanes] = {};
    for (int64_t word = 4; word < 8; ++word)
      always[word] = 0x00400040;
    times[12] = 0x01010101;
    times[13] = 0x00000101;
    always[13] = 0x10100000;
    auto constant = [&](ArrayRef<int32_t> words) -> Value {
      return arith::ConstantOp::create(
          c.b, c.loc, DenseElementsAttr::get(c.vectorOf(c.i32()), words));
    };
    Value each = c.broadcast(c.toI32(height));
    Value words = arith::AddIOp::create(
        c.b, c.loc, constant(always),
        Value(arith::MulIOp::create(c.b, c.loc, each, constant(times))));
    c.storeVector(words, configuration, c.index(0));
    intrinsic("ldtilecfg", c.address(configuration, c.index(0)));
  }
  /// Who calls us may want its state of registers small.
  void release() { intrinsic("tilerelease", {}); }

  Code &c;
};

/// Emits the body of one function.
class TileEmitter : TileRegisters {
public:
  TileEmitter(Code &c, const StoredForm &form, const Schedule &schedule,
              ValueRange arguments)
      : TileRegisters(c), form(form), schedule(schedule) {
    auto next = [&] {
      Value value = arguments.front();
      arguments = arguments.drop_front();
      return value;
    };
    x = c.listAt(next(), c.b.getBF16Type());
    w.codes = next();
    y = c.listAt(next(), c.f32());
    rows = next();
    panels = next();
    k = next();
    w.stride = next();
    yStride = next();
    adds = next();
  }

  void emit() {
    pairs = c.scratch(across * blockRows() / 2 * lanes, c.i32());
    sums = c.scratch((schedule.taskRows + rowsBehindTiles(schedule)) * across *
                         lanes,
                     c.f32());
    configuration = c.scratch(lanes, c.i32());
    c.when(c.isBelow(c.index(0), rows), [&] {
      c.when(
          c.isBelow(c.index(tileHeight), rows),
          [&] {
            count = c.ceilDiv(rows, down * tileHeight);
            Value tiles = c.mul(count, down);
            height = c.div(c.add(rows, c.sub(tiles, c.index(1))), tiles);
            allPanels(down);
          },
          [&] {
            count = c.index(1);
            height = rows;
            allPanels(1);
          });
    });
  }

private:
  /// Rows of the reduction in a block: whole tiles.
  int64_t blockRows() const {
    return std::max(schedule.amxBlock / tileDepth, int64_t(1)) * tileDepth;
  }

  /// All panels, with `high` row tiles beside each other.
  void allPanels(int64_t high) {
    configure(height, configuration);
    Value whole = c.mul(c.div(panels, across), across);
    c.loop(c.index(0), whole, across,
           [&](Value panel) { columns(high, across, panel); });
    c.loop(whole, panels, 1, [&](Value panel) { columns(high, 1, panel); });
    release();
  }

  /// The columns of `wide` panels, all rows.
  void columns(int64_t high, int64_t wide, Value panel) {
    SmallVector<PanelReader> readers = readersOf(c, form, w, panel, wide);
    // Without a reduction there are still sums: zeros.
    Value last = c.select(c.isEqual(k, c.index(0)), c.index(1), k);
    c.loop(c.index(0), last, blockRows(), [&](Value from) {
      Value to = c.min(c.add(from, blockRows()), k);
      packPairs(readers, from, to);
      c.loop(c.index(0), count, 1, [&](Value tile) {
        products(high, wide, tile, from, to, readers);
      });
    });
    c.loop(c.index(0), rows, 1, [&](Value row) {
      for (int64_t p = 0; p < wide; ++p) {
        Value sum = c.loadVector(
            sums, c.add(c.mul(row, wide * lanes), c.index(p * lanes)));
        Value place = c.add(c.mul(row, yStride), c.mul(c.add(panel, p), lanes));
        Value result = c.choose(
            adds, {sum.getType()},
            [&] {
              return Code::Values{arith::AddFOp::create(
                  c.b, c.loc, c.loadVector(y, place), sum)};
            },
            [&] { return Code::Values{sum}; })[0];
        c.storeVector(result, y, place);
      }
    });
  }

  /// Where the pairs of panel p begin.
  Value pairsOf(int64_t p) { return c.index(p * blockRows() / 2 * lanes); }

  /// Rows [from, to) of the panels as tiles read them.
  void packPairs(ArrayRef<PanelReader> readers, Value from, Value to) {
    for (auto [p, reader] : llvm::enumerate(readers)) {
      constexpr int64_t rowsOfTurn = 8;
      c.loop(from, to, rowsOfTurn, [&](Value row) {
        Value place =
            c.add(pairsOf(p), c.mul(c.div(c.sub(row, from), 2), lanes));
        for (int64_t j = 0; j < rowsOfTurn; j += 2)
          c.storeVector(reader.readPairs(c.add(row, j)), pairs,
                        c.add(place, j / 2 * lanes));
      });
    }
  }

  /// One pair of row tiles over a block of the reduction.
  void products(int64_t high, int64_t wide, Value tile, Value from, Value to,
                ArrayRef<PanelReader> readers) {
    SmallVector<Value> row;
    for (int64_t i = 0; i < high; ++i)
      row.push_back(c.mul(c.add(c.mul(tile, high), i), height));
    Value sumStride = c.index(wide * lanes);
    auto eachSum = [&](llvm::function_ref<void(Value, Value)> body) {
      for (int64_t i = 0; i < high; ++i)
        for (int64_t p = 0; p < wide; ++p)
          body(sumTile(i, p),
               c.add(c.mul(row[i], sumStride), c.index(p * lanes)));
    };
    c.when(
        c.isEqual(from, c.index(0)),
        [&] { eachSum([&](Value sum, Value) { intrinsic("tilezero", sum); }); },
        [&] {
          eachSum([&](Value sum, Value at) { load(sum, sums, at, sumStride); });
        });
    // Meanwhile memory brings the block that is read next, each row tile a part
    // of it: of these panels, or of those beside them.
    Value ahead =
        c.select(c.isBelow(to, k), to, c.div(c.mul(w.stride, wide), lanes));
    Value share =
        c.mul(c.div(c.add(c.index(tileDepth / 2 - 1), count), count), 2);
    Value steps = c.div(c.sub(to, from), tileDepth);
    c.loop(from, to, tileDepth, [&](Value at) {
      Value inBlock = c.mul(c.div(c.sub(at, from), 2), lanes);
      for (int64_t p = 0; p < wide; ++p)
        load(weightTile(p), pairs, c.add(pairsOf(p), inBlock), c.index(lanes));
      for (int64_t i = 0; i < high; ++i) {
        load(rowTile(i), x, c.add(c.mul(row[i], k), at), k);
        for (int64_t p = 0; p < wide; ++p)
          intrinsic("tdpbf16ps", {sumTile(i, p), rowTile(i), weightTile(p)});
      }
      Value step = c.add(c.mul(tile, steps), c.div(c.sub(at, from), tileDepth));
      Value first = c.add(ahead, c.mul(step, share));
      c.loop(first, c.add(first, share), 2, [&](Value row) {
        for (const PanelReader &reader : readers)
          reader.prefetch(row, 2, /*isNear=*/true);
      });
    });
    eachSum([&](Value sum, Value at) { store(sum, sums, at, sumStride); });
  }

  const StoredForm &form;
  const Schedule &schedule;
  Value x, y;
  Panels w;
  Value rows, panels, k, yStride, adds;
  /// Scratch: W as tiles read it, sums of all rows, what tiles are.
  Value pairs, sums, configuration;
  /// Groups of row tiles, and the rows of a tile.
  Value count, height;
};
} // namespace

void moec::lowering::callTileProduct(Code &c, MatmulKernels &kernels,
                                     const StoredForm &form,
                                     const Schedule &schedule, Value x,
                                     const Panels &w, const Rows &y, Value adds,
                                     Value rows, Value panels, Value k) {
  std::string name = nameOfTiles(kernels, form, schedule);
  SmallVector<Type> types(3, c.pointer());
  types.append(5, c.b.getIndexType());
  types.push_back(c.b.getI1Type());
  func::FuncOp function =
      kernels.function(name, types, [&](Code &inner, ValueRange arguments) {
        TileEmitter(inner, form, schedule, arguments).emit();
      });
  neverInline(function);
  func::CallOp::create(c.b, c.loc, function,
                       ValueRange{x, w.codes, y.data, rows, panels, k, w.stride,
                                  y.stride, adds});
}

//===----------------------------------------------------------------------===//
// int8
//===----------------------------------------------------------------------===//

namespace {
/// Emits the body of one function of int8 rows. tdpbsud adds products of four
/// signed codes of x by four unsigned ones of W; sums of a group go to scratch,
/// and scaled from there to the sums of all groups.
class IntegerTileEmitter : TileRegisters, DotArguments {
public:
  IntegerTileEmitter(Code &c, const StoredForm &form, const Schedule &schedule,
                     int64_t k, ValueRange arguments)
      : TileRegisters(c), DotArguments(c, c.b.getI8Type(), arguments),
        form(form), schedule(schedule), k(k) {}

  void emit() {
    fours = c.scratch(across * blockRows() / 4 * lanes, c.i32());
    groupSums = c.scratch(down * tileHeight * across * lanes, c.i32());
    sums = c.scratch(schedule.taskRows * across * lanes, c.f32());
    configuration = c.scratch(lanes, c.i32());
    c.when(c.isBelow(c.index(0), rows), [&] {
      count = c.ceilDiv(rows, down * tileHeight);
      Value tiles = c.mul(count, down);
      height = c.div(c.add(rows, c.sub(tiles, c.index(1))), tiles);
      configure(height, configuration);
      Value whole = c.mul(c.div(panels, across), across);
      c.loop(c.index(0), whole, across,
             [&](Value panel) { columns(across, panel); });
      c.loop(whole, panels, 1, [&](Value panel) { columns(1, panel); });
      release();
    });
  }

private:
  /// Rows of the reduction in a block: whole groups.
  int64_t blockRows() const {
    return std::max(schedule.amxBlock / form.group, int64_t(1)) * form.group;
  }

  /// The sums of a row and a panel, among those of `wide` panels.
  Value sumOf(Value row, int64_t p, int64_t wide) {
    return c.add(c.mul(row, wide * lanes), c.index(p * lanes));
  }

  /// The columns of `wide` panels, all rows.
  void columns(int64_t wide, Value panel) {
    SmallVector<PanelReader> readers = readersOf(c, form, w, panel, wide);
    auto eachResult = [&](llvm::function_ref<void(Value, Value)> body) {
      c.loop(c.index(0), rows, 1, [&](Value row) {
        for (int64_t p = 0; p < wide; ++p)
          body(c.add(c.mul(row, yStride), c.mul(c.add(panel, p), lanes)),
               sumOf(row, p, wide));
      });
    };
    eachResult([&](Value place, Value at) {
      Value before = c.choose(
          adds, {c.vectorOf(c.f32())},
          [&] { return Code::Values{c.loadVector(y, place)}; },
          [&] { return Code::Values{c.zeros()}; })[0];
      c.storeVector(before, sums, at);
    });
    c.loop(c.index(0), reduction, blockRows(), [&](Value from) {
      Value to = c.min(c.add(from, blockRows()), reduction);
      packFours(readers, from, to);
      c.loop(c.index(0), count, 1, [&](Value tile) {
        c.loop(from, to, form.group, [&](Value at) {
          products(wide, tile, from, at);
          scale(readers, tile, c.div(at, form.group));
        });
      });
    });
    eachResult([&](Value place, Value at) {
      c.storeVector(c.loadVector(sums, at), y, place);
    });
  }

  /// Where fours of row `row` of panel p are, in a block from `from` on.
  Value foursOf(int64_t p, Value row, Value from) {
    return c.add(c.index(p * blockRows() / 4 * lanes),
                 c.mul(c.div(c.sub(row, from), 4), lanes));
  }

  /// Rows [from, to) of the panels as tiles read them. Meanwhile memory brings
  /// the block that is read next, of these panels or of those beside them.
  void packFours(ArrayRef<PanelReader> readers, Value from, Value to) {
    constexpr int64_t rowsOfTurn = 8;
    Value beside = c.mul(c.div(c.mul(w.stride, int64_t(readers.size())), lanes),
                         form.rowsPerElement());
    Value ahead = c.sub(c.select(c.isBelow(to, reduction), to, beside), from);
    for (auto [p, reader] : llvm::enumerate(readers))
      c.loop(from, to, rowsOfTurn, [&](Value row) {
        if (schedule.prefetchRows)
          reader.prefetch(c.add(row, ahead), rowsOfTurn, /*isNear=*/true);
        for (int64_t j = 0; j < rowsOfTurn; j += 4) {
          Value at = c.add(row, j);
          // Of a permutation that is stored LLVM makes fourteen, unless the
          // store is volatile.
          LLVM::StoreOp::create(c.b, c.loc, reader.readFours(at),
                                c.address(fours, foursOf(p, at, from)),
                                /*alignment=*/64, /*isVolatile=*/true);
        }
      });
  }

  /// Sums of the group that begins at row `group` of the reduction, of a pair
  /// of row tiles, into scratch.
  void products(int64_t wide, Value tile, Value from, Value group) {
    Value stride = c.index(wide * lanes);
    auto rowOf = [&](int64_t i) {
      return c.mul(c.add(c.mul(tile, down), i), height);
    };
    for (int64_t i = 0; i < down; ++i)
      for (int64_t p = 0; p < wide; ++p)
        intrinsic("tilezero", sumTile(i, p));
    for (int64_t done = 0; done < form.group; done += integerDepth) {
      Value at = c.add(group, done);
      for (int64_t p = 0; p < wide; ++p)
        load(weightTile(p), fours, foursOf(p, at, from), c.index(lanes));
      for (int64_t i = 0; i < down; ++i) {
        load(rowTile(i), x, c.add(c.mul(rowOf(i), k), at), c.index(k));
        for (int64_t p = 0; p < wide; ++p)
          intrinsic("tdpbsud", {sumTile(i, p), rowTile(i), weightTile(p)});
      }
    }
    for (int64_t i = 0; i < down; ++i)
      for (int64_t p = 0; p < wide; ++p)
        store(sumTile(i, p), groupSums, sumOf(c.mul(height, i), p, wide),
              stride);
  }

  /// Adds the sums of a group, less what codes of W are too large, to those of
  /// the rows there are.
  void scale(ArrayRef<PanelReader> readers, Value tile, Value group) {
    int64_t wide = readers.size(), groups = k / form.group;
    Code::Values offset, weightScale;
    for (const PanelReader &reader : readers) {
      offset.push_back(reader.offsetOfFours(group));
      weightScale.push_back(reader.scale(group));
    }
    Value first = c.mul(c.mul(tile, down), height);
    Value last = c.min(c.add(first, c.mul(height, down)), rows);
    c.loop(first, last, 1, [&](Value row) {
      Value ofRow = c.add(c.mul(row, groups), group);
      Value codeSum = c.broadcast(c.load(codeSums, ofRow));
      Value rowScale = c.broadcast(c.load(scales, ofRow));
      for (int64_t p = 0; p < wide; ++p) {
        Value number =
            c.loadVector(groupSums, sumOf(c.sub(row, first), p, wide));
        number = arith::SubIOp::create(
            c.b, c.loc, number,
            Value(arith::MulIOp::create(c.b, c.loc, offset[p], codeSum)));
        number =
            arith::SIToFPOp::create(c.b, c.loc, c.vectorOf(c.f32()), number);
        number = arith::MulFOp::create(c.b, c.loc, number, rowScale);
        Value at = sumOf(row, p, wide);
        c.storeVector(LLVM::FMAOp::create(c.b, c.loc, number, weightScale[p],
                                          c.loadVector(sums, at)),
                      sums, at);
      }
    });
  }

  const StoredForm &form;
  const Schedule &schedule;
  int64_t k;
  /// Scratch: W as tiles read it, sums of a group, sums of all rows, what tiles
  /// are.
  Value fours, groupSums, sums, configuration;
  /// Pairs of row tiles, and the rows of a tile.
  Value count, height;
};
} // namespace

void moec::lowering::callIntegerTileProduct(
    Code &c, MatmulKernels &kernels, const StoredForm &form,
    const Schedule &schedule, int64_t k, const DotRows &x, const Panels &w,
    const Rows &y, Value adds, Value rows, Value panels, Value reduction) {
  std::string name =
      nameOfTiles(kernels, form, schedule, "_k" + std::to_string(k));
  callRoundedProduct(
      c, kernels, name, x, w, y, adds, rows, panels, reduction,
      [&](Code &inner, ValueRange arguments) {
        IntegerTileEmitter(inner, form, schedule, k, arguments).emit();
      });
}
