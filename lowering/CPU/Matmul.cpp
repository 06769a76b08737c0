// The micro-kernel: register tiles over panels, blocked in the reduction.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CPU/Matmul.h"
#include "lowering/CPU/Tiling.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Support/DebugStringHelper.h"

using namespace mlir;
using namespace moec::lowering;

namespace {
/// Emits the body of one matmul function.
class MatmulEmitter {
public:
  MatmulEmitter(Code &c, const StoredForm &form, const Schedule &schedule,
                const InstructionSet &isa, bool isPacked, ValueRange arguments)
      : c(c), form(form), schedule(schedule), isa(isa), isPacked(isPacked) {
    auto next = [&] {
      Value value = arguments.front();
      arguments = arguments.drop_front();
      return value;
    };
    x = c.listAt(next(), c.f32());
    codes = next();
    scales = next();
    zeroPoints = next();
    init = c.listAt(next(), c.f32());
    y = c.listAt(next(), c.f32());
    rows = next();
    panels = next();
    k = next();
    stride = next();
    scaleStride = next();
    initStride = next();
    yStride = next();
    hasInit = next();
    if (!isPacked) {
      xList = c.listAt(next(), c.i32());
      initList = c.listAt(next(), c.i32());
      yList = c.listAt(next(), c.i32());
      xStride = next();
    }
    if (form.isRowMajor)
      rowStride = next();
  }

  void emit() {
    int64_t mostRows = isPacked ? schedule.tileRows : schedule.looseRows;
    int64_t mostPanels = isPacked ? schedule.tilePanels : schedule.loosePanels;
    if (decodes())
      decoded = c.scratch(blockRows() * mostPanels * lanes, c.f32());
    // One and two rows leave registers for more panels, whose weights are
    // streams beside each other.
    auto whole = [&](int64_t width) {
      return c.mul(c.div(panels, width), width);
    };
    auto nests = [&](ArrayRef<int64_t> heights, int64_t width) {
      Value middle = whole(width);
      nest(heights, width, c.index(0), middle);
      if (width > 1)
        nest(heights, 1, middle, panels);
    };
    // What more rows than these are cut into.
    SmallVector<int64_t> heights;
    for (int64_t h = std::min<int64_t>(isPacked ? 3 : 2, (mostRows + 1) / 2);
         h <= mostRows; ++h)
      heights.push_back(h);
    int64_t atOne = schedule.panelsAt1, atTwo = schedule.panelsAt2;
    if (fewRegisters() && form.rowsPerElement() > 1) {
      atOne = std::min<int64_t>(atOne, 2);
      atTwo = 1;
    }
    Value one = c.isEqual(rows, c.index(1)), two = c.isEqual(rows, c.index(2));
    Value isFew = isPacked ? c.either(one, two) : one;
    c.when(c.isBelow(c.index(0), rows), [&] {
      c.when(
          isFew,
          [&] {
            c.when(one, [&] { nests({1}, atOne); });
            if (isPacked)
              c.when(two, [&] { nests({2}, atTwo); });
          },
          [&] { nests(heights, mostPanels); });
    });
  }

private:
  /// Whether there are 16 vector registers, and not 32.
  bool fewRegisters() const { return isa.vectorBits < 512; }
  /// Whether many rows get blocks of a panel from scratch: rows of a matrix in
  /// row_major are apart, and would meet in few places of a cache.
  bool decodes() const {
    return isPacked && (!form.isPlainF32() || form.isRowMajor);
  }
  /// Rows of the reduction in a block: whole groups.
  int64_t blockRows() const {
    if (!form.group)
      return schedule.kBlock;
    return std::max(schedule.kBlock / form.group, int64_t(1)) * form.group;
  }

  /// The lowest tile that `rows` rows or more are cut into.
  static int64_t leastHeight(int64_t rows, int64_t most) {
    int64_t least = most;
    // From most² rows on tiles are as high as they get but for one row.
    for (int64_t m = rows; m <= std::max(rows, most * most) + most; ++m)
      least = std::min(least, m / ((m + most - 1) / most));
    return least;
  }

  /// Panels [from, to), `width` at a time.
  void nest(ArrayRef<int64_t> heights, int64_t width, Value from, Value to) {
    int64_t most = isPacked ? schedule.tileRows : schedule.looseRows;
    // One or two rows are one tile, as high as there are rows.
    bool isSingle = heights.size() == 1;
    Tiling tiles(c, rows, most);
    int64_t block = blockRows();
    bool isWhole = isSingle || !isPacked;
    auto body = [&](Value panel, Value from, Value to) {
      if (isSingle) {
        tile(heights[0], width, c.index(0), panel, from, to,
             codesAt(panel, width));
        return;
      }
      auto tilesFrom = [&](const Readers &readers, ArrayRef<int64_t> cases) {
        c.loop(c.index(0), tiles.count, 1, [&](Value t) {
          Value first = tiles.firstRow(c, t);
          c.select(tiles.heightOf(c, t), cases, [&](int64_t h) {
            tile(h, width, first, panel, from, to, readers);
          });
        });
      };
      if (!decodes()) {
        tilesFrom(codesAt(panel, width), heights);
        return;
      }
      // So many rows are never cut into low tiles.
      SmallVector<int64_t> high;
      llvm::copy_if(heights, std::back_inserter(high), [&](int64_t h) {
        return h >= leastHeight(schedule.decodeRows, most);
      });
      // Sums and codes of two rows are more than few registers hold.
      if (fewRegisters() && form.rowsPerElement() > 1) {
        tilesFrom(decode(panel, width, from, to), heights);
        return;
      }
      c.when(
          c.isBelow(rows, c.index(schedule.decodeRows)),
          [&] { tilesFrom(codesAt(panel, width), heights); },
          [&] { tilesFrom(decode(panel, width, from, to), high); });
    };
    auto panelLoop = [&](auto inside) { c.loop(from, to, width, inside); };
    if (isWhole) {
      panelLoop([&](Value panel) { body(panel, c.index(0), k); });
      return;
    }
    // Few rows: panel > block > tile; many: block > panel > tile.
    // Without a reduction there is still a start to be written.
    Value last = c.select(c.isEqual(k, c.index(0)), c.index(1), k);
    Value outer = c.select(c.isBelow(c.index(schedule.streamRows), rows),
                           c.index(block), last);
    auto blocks = scf::ForOp::create(c.b, c.loc, c.index(0), last, outer);
    OpBuilder::InsertionGuard guard(c.b);
    c.b.setInsertionPointToStart(blocks.getBody());
    Value outerFrom = blocks.getInductionVar();
    Value outerTo = c.min(c.add(outerFrom, outer), last);
    panelLoop([&](Value panel) {
      c.loop(outerFrom, outerTo, block, [&](Value blockFrom) {
        body(panel, blockFrom,
             c.min(c.min(c.add(blockFrom, block), outerTo), k));
      });
    });
  }

  /// What reads the panels of a tile.
  struct Readers {
    SmallVector<PanelReader> panels;
    /// Of decoded panels: plain floats, panel beside panel in each row.
    Value floats;
    SmallVector<PanelReader> next;
  };

  Readers codesAt(Value panel, int64_t width) {
    Readers readers;
    readers.panels = readersOf(
        c, form, {codes, scales, zeroPoints, stride, scaleStride, rowStride},
        panel, width);
    return readers;
  }

  /// Decodes rows [from, to) of `width` panels into scratch.
  Readers decode(Value panel, int64_t width, Value from, Value to) {
    Readers coded = codesAt(panel, width);
    auto rowsOf = [&](Value row, int64_t count, Value zero, Value scale,
                      int64_t p) {
      Code::Values values = coded.panels[p].read(row);
      for (int64_t j = 0; j < count; ++j) {
        Value v = values[j];
        if (zero)
          v = arith::SubFOp::create(c.b, c.loc, v, zero);
        if (scale)
          v = arith::MulFOp::create(c.b, c.loc, v, scale);
        Value at = c.mul(c.sub(c.add(row, j), from), width * lanes);
        c.storeVector(v, decoded, c.add(at, p * lanes));
      }
    };
    int64_t step = form.rowsPerElement();
    for (int64_t p = 0; p < width; ++p) {
      auto span = [&](Value first, Value last, Value group) {
        Value zero = group ? coded.panels[p].zeroPoint(group) : Value();
        Value scale = group ? coded.panels[p].scale(group) : Value();
        Value whole =
            c.add(first, c.mul(c.div(c.sub(last, first), step), step));
        c.loop(first, whole, step,
               [&](Value row) { rowsOf(row, step, zero, scale, p); });
        if (step > 1)
          c.loop(whole, last, step,
                 [&](Value row) { rowsOf(row, 1, zero, scale, p); });
      };
      if (!form.hasScales)
        span(from, to, Value());
      else if (!form.group)
        span(from, to, c.index(0));
      else
        c.loop(c.div(from, form.group), c.ceilDiv(to, form.group), 1,
               [&](Value group) {
                 Value first = c.mul(group, form.group);
                 span(first, c.min(c.add(first, form.group), to), group);
               });
    }
    Readers plain;
    plain.floats = decoded;
    plain.next = codesAt(c.add(panel, width), width).panels;
    return plain;
  }

  Value multiplyAdd(Value a, Value b, Value sum) {
    if (isa.hasFma)
      return LLVM::FMAOp::create(c.b, c.loc, a, b, sum);
    return arith::AddFOp::create(c.b, c.loc, sum,
                                 arith::MulFOp::create(c.b, c.loc, a, b));
  }

  /// One register tile: rows [first, first + height), reduction [from, to).
  void tile(int64_t height, int64_t width, Value first, Value panel, Value from,
            Value to, const Readers &readers) {
    int64_t sums = height * width;
    // Where the rows are.
    SmallVector<Value> xRow, initRow, yRow;
    for (int64_t i = 0; i < height; ++i) {
      Value row = c.add(first, i);
      if (isPacked) {
        initRow.push_back(c.mul(row, initStride));
        yRow.push_back(c.mul(row, yStride));
        continue;
      }
      auto at = [&](Value list, Value stride) {
        return c.mul(c.toIndex(c.load(list, row)), stride);
      };
      xRow.push_back(at(xList, xStride));
      initRow.push_back(at(initList, initStride));
      yRow.push_back(at(yList, yStride));
    }
    Value packed = isPacked ? c.mul(first, k) : Value();
    auto place = [&](Value row, int64_t p) {
      return c.add(row, c.mul(c.add(panel, p), lanes));
    };
    auto load = [&](Value list, ArrayRef<Value> row) {
      Code::Values values;
      for (int64_t p = 0; p < width; ++p)
        for (int64_t i = 0; i < height; ++i)
          values.push_back(c.loadVector(list, place(row[i], p)));
      return values;
    };
    auto store = [&](ValueRange values) {
      for (int64_t p = 0; p < width; ++p)
        for (int64_t i = 0; i < height; ++i)
          c.storeVector(values[p * height + i], y, place(yRow[i], p));
    };
    auto zeros = [&] { return Code::Values(sums, c.zeros()); };
    SmallVector<Type> types(sums, c.vectorOf(c.f32()));
    // The first block starts from init, later ones from what is there.
    Value isFirst = c.isEqual(from, c.index(0));
    auto start = [&] {
      return c.choose(
          isFirst, types,
          [&] {
            return c.choose(
                hasInit, types, [&] { return load(init, initRow); }, zeros);
          },
          [&] { return load(y, yRow); });
    };
    auto step = [&](Value row, int64_t count, ValueRange before,
                    ArrayRef<Value> zeroPoints) {
      Code::Values next(before);
      int64_t per = readers.floats ? 1 : form.rowsPerElement();
      for (int64_t done = 0; done < count; done += per) {
        Value at = c.add(row, done);
        SmallVector<Code::Values> w(width);
        for (int64_t p = 0; p < width; ++p) {
          if (readers.floats) {
            Value place = c.mul(c.sub(at, from), width * lanes);
            w[p] = {c.loadVector(readers.floats, c.add(place, p * lanes))};
          } else {
            w[p] = readers.panels[p].read(at);
            if (zeroPoints[p])
              for (Value &each : w[p])
                each = arith::SubFOp::create(c.b, c.loc, each, zeroPoints[p]);
          }
        }
        for (int64_t j = 0; j < std::min(per, count - done); ++j)
          for (int64_t i = 0; i < height; ++i) {
            Value k = c.add(at, j);
            Value scalar =
                isPacked ? c.load(x, c.add(packed, c.add(c.mul(k, height), i)))
                         : c.load(x, c.add(xRow[i], k));
            Value a = c.broadcast(scalar);
            for (int64_t p = 0; p < width; ++p) {
              Value &sum = next[p * height + i];
              sum = multiplyAdd(a, w[p][j], sum);
            }
          }
      }
      return next;
    };
    int64_t per = readers.floats ? 1 : form.rowsPerElement();
    // Large tiles hide a loop's own work by themselves.
    int64_t turns = sums > 12 ? schedule.unroll / 2 : schedule.unroll;
    // In 16 registers there is no room for the codes of several steps: LLVM
    // reads all that a turn needs at its beginning.
    if (fewRegisters() && !readers.floats && !form.isPlainF32() &&
        (height <= 2 || per > 1))
      turns = per;
    int64_t unroll = std::max(turns / per * per, per);
    /// Σ over rows [first, last), added to `before`.
    auto reduce = [&](Value first, Value last, ValueRange before,
                      ArrayRef<Value> zeroPoints) {
      Value whole =
          c.add(first, c.mul(c.div(c.sub(last, first), unroll), unroll));
      Code::Values sums = c.loop(
          first, whole, unroll, before, [&](Value row, ValueRange carried) {
            prefetch(readers, row, unroll);
            return step(row, unroll, carried, zeroPoints);
          });
      if (unroll == 1)
        return sums;
      Value pairs = last;
      if (per > 1)
        pairs = c.add(whole, c.mul(c.div(c.sub(last, whole), per), per));
      sums =
          c.loop(whole, pairs, per, sums, [&](Value row, ValueRange carried) {
            return step(row, per, carried, zeroPoints);
          });
      if (per > 1)
        sums =
            c.loop(pairs, last, per, sums, [&](Value row, ValueRange carried) {
              return step(row, 1, carried, zeroPoints);
            });
      return sums;
    };
    SmallVector<Value> none(width);
    if (readers.floats || !form.hasScales) {
      store(reduce(from, to, start(), none));
      return;
    }
    // With scales: sums of a group in registers, scaled into y.
    store(start());
    auto group = [&](Value number, Value first, Value last) {
      SmallVector<Value> zero;
      for (const PanelReader &reader : readers.panels)
        zero.push_back(reader.zeroPoint(number));
      Code::Values sums = reduce(first, last, zeros(), zero);
      Code::Values before = load(y, yRow);
      for (int64_t p = 0; p < width; ++p) {
        Value scale = readers.panels[p].scale(number);
        for (int64_t i = 0; i < height; ++i) {
          int64_t at = p * height + i;
          before[at] = multiplyAdd(sums[at], scale, before[at]);
        }
      }
      store(before);
    };
    if (!form.group)
      group(c.index(0), from, to);
    else
      c.loop(c.div(from, form.group), c.ceilDiv(to, form.group), 1,
             [&](Value number) {
               Value first = c.mul(number, form.group);
               group(number, first, c.add(first, form.group));
             });
  }

  /// Weights further on: memory works while the tile does. Of decoded panels
  /// those beside them, which are decoded next.
  void prefetch(const Readers &readers, Value row, int64_t rows) {
    if (!schedule.prefetchRows)
      return;
    for (const PanelReader &panel :
         readers.floats ? readers.next : readers.panels)
      panel.prefetch(readers.floats ? row : c.add(row, schedule.prefetchRows),
                     rows, /*isNear=*/!readers.floats);
  }

  Code &c;
  const StoredForm &form;
  const Schedule &schedule;
  const InstructionSet &isa;
  bool isPacked;
  Value x, codes, scales, zeroPoints, init, y;
  Value rows, panels, k, stride, scaleStride, initStride, yStride, hasInit;
  Value xList, initList, yList, xStride, rowStride;
  Value decoded;
};
} // namespace

std::string moec::lowering::scheduleSuffix(const Schedule &schedule,
                                           const Schedule &standard) {
  // What tasks are cut into does not change the kernel.
  static constexpr StringRef ofTasks[] = {"task_rows", "task_panels", "splits"};
  std::string text;
  for (const ScheduleField<Schedule> &field : Schedule::fields())
    if (int64_t value = schedule.*field.place;
        value != standard.*field.place &&
        !llvm::is_contained(ofTasks, field.name))
      text += ("_" + field.name + Twine(value)).str();
  return text;
}

static PanelReader readerOf(Code &c, const StoredForm &form, const Panels &w,
                            Value panel) {
  MLIRContext *context = c.b.getContext();
  auto list = [&](Value pointer, Type element, Value stride) {
    return c.listAt(c.advance(pointer, element, c.mul(panel, stride)), element);
  };
  return PanelReader(
      c, form, list(w.codes, form.elementType(context), w.stride),
      form.hasScales ? list(w.scales, form.scaleType(context), w.scaleStride)
                     : Value(),
      form.hasZeroPoints ? list(w.zeroPoints, c.b.getI8Type(), w.scaleStride)
                         : Value(),
      w.rowStride);
}

SmallVector<PanelReader> moec::lowering::readersOf(Code &c,
                                                   const StoredForm &form,
                                                   const Panels &w, Value panel,
                                                   int64_t count) {
  SmallVector<PanelReader> readers;
  for (int64_t p = 0; p < count; ++p)
    readers.push_back(readerOf(c, form, w, c.add(panel, p)));
  return readers;
}

void moec::lowering::neverInline(func::FuncOp function) {
  Builder b(function.getContext());
  Attribute noInline = b.getStringAttr("noinline");
  SmallVector<Attribute> hints;
  if (auto known = function->getAttrOfType<ArrayAttr>("passthrough"))
    llvm::append_range(hints, known);
  if (llvm::is_contained(hints, noInline))
    return;
  hints.push_back(noInline);
  function->setAttr("passthrough", b.getArrayAttr(hints));
}

/// Loops of kernels have as many steps in a turn as are good for them: LLVM is
/// not to look for more, which takes it a fifth of its time.
static void neverUnroll(func::FuncOp function) {
  MLIRContext *context = function.getContext();
  LLVM::LoopUnrollAttr unroll = LLVM::LoopUnrollAttr::get(
      context, /*disable=*/BoolAttr::get(context, true), {}, {}, {}, {}, {},
      {});
  auto annotation = LLVM::LoopAnnotationAttr::get(
      context, {}, {}, {}, unroll, {}, {}, {}, {}, {}, {}, {}, {}, {}, {}, {});
  function.walk([&](scf::ForOp loop) {
    loop->setAttr(LLVM::LoopAnnotationAttr::getMnemonic(), annotation);
  });
}

MatmulKernels::MatmulKernels(ModuleOp module, const InstructionSet &isa)
    : module(module), symbolTable(module), isa(isa) {}

func::FuncOp
MatmulKernels::function(StringRef name, TypeRange inputs,
                        llvm::function_ref<void(Code &, ValueRange)> emit) {
  if (auto known = symbolTable.lookup<func::FuncOp>(name))
    return known;
  OpBuilder builder(module.getContext());
  auto type = builder.getFunctionType(inputs, {});
  auto function = func::FuncOp::create(module.getLoc(), name, type);
  function.setPrivate();
  symbolTable.insert(function);
  if (isa.vectorBits == 512) {
    // LLVM otherwise keeps to half the registers' width.
    SmallVector<Attribute> wide;
    for (StringRef each : {"min-legal-vector-width", "prefer-vector-width"})
      wide.push_back(builder.getArrayAttr(
          {builder.getStringAttr(each), builder.getStringAttr("512")}));
    function->setAttr("passthrough", builder.getArrayAttr(wide));
  }
  Block *body = function.addEntryBlock();
  builder.setInsertionPointToStart(body);
  Code c(builder, module.getLoc());
  emit(c, body->getArguments());
  func::ReturnOp::create(builder, module.getLoc());
  neverUnroll(function);
  return function;
}

func::FuncOp MatmulKernels::matmul(const StoredForm &form,
                                   const Schedule &schedule, bool isPacked) {
  std::string name = "matmul_" + form.name() + (isPacked ? "" : "_loose") +
                     scheduleSuffix(schedule, isa.schedule);
  Builder b(module.getContext());
  Type pointer = LLVM::LLVMPointerType::get(module.getContext());
  SmallVector<Type> types(6, pointer);
  types.append(7, b.getIndexType());
  types.push_back(b.getI1Type());
  if (!isPacked) {
    types.append(3, pointer);
    types.push_back(b.getIndexType());
  }
  if (form.isRowMajor)
    types.push_back(b.getIndexType());
  return function(name, types, [&](Code &c, ValueRange arguments) {
    MatmulEmitter(c, form, schedule, isa, isPacked, arguments).emit();
  });
}

static void call(Code &c, func::FuncOp function, ValueRange operands) {
  func::CallOp::create(c.b, c.loc, function, operands);
}

void MatmulKernels::callPacked(Code &c, const StoredForm &form,
                               const Schedule &schedule, Value x,
                               const Panels &w, const Rows &init, Value hasInit,
                               const Rows &y, Value rows, Value panels,
                               Value k) {
  SmallVector<Value> operands{
      x,      w.codes, w.scales, w.zeroPoints,  init.data,   y.data,   rows,
      panels, k,       w.stride, w.scaleStride, init.stride, y.stride, hasInit};
  if (w.rowStride)
    operands.push_back(w.rowStride);
  call(c, matmul(form, schedule, /*isPacked=*/true), operands);
}

void MatmulKernels::callLoose(Code &c, const StoredForm &form,
                              const Schedule &schedule, const Rows &x,
                              const Panels &w, const Rows &init, Value hasInit,
                              const Rows &y, Value rows, Value panels,
                              Value k) {
  SmallVector<Value> operands{
      x.data,   w.codes, w.scales, w.zeroPoints, init.data,     y.data,
      rows,     panels,  k,        w.stride,     w.scaleStride, init.stride,
      y.stride, hasInit, x.list,   init.list,    y.list,        x.stride};
  if (w.rowStride)
    operands.push_back(w.rowStride);
  call(c, matmul(form, schedule, /*isPacked=*/false), operands);
}

void MatmulKernels::callPack(Code &c, const Schedule &schedule, Type element,
                             Value x, Value rows, Value k, Value packed) {
  Type pointer = c.pointer(), index = c.b.getIndexType();
  std::string name = "pack_rows" + std::to_string(schedule.tileRows);
  if (!element.isF32())
    name += "_" + debugString(element);
  auto pack = function(
      name, {pointer, index, index, pointer},
      [&](Code &c, ValueRange arguments) {
        Value from = c.listAt(arguments[0], element);
        Value rows = arguments[1], k = arguments[2];
        Value to = c.listAt(arguments[3], c.f32());
        c.when(c.isBelow(c.index(0), rows), [&] {
          Tiling tiles(c, rows, schedule.tileRows);
          c.loop(c.index(0), tiles.count, 1, [&](Value tile) {
            Value first = tiles.firstRow(c, tile);
            Value height = tiles.heightOf(c, tile);
            Value base = c.mul(first, k);
            // Some numbers of a row at a time: a line of the source is read
            // while it is near. What is not f32 is widened as a vector.
            int64_t step = element.isF32() ? 8 : lanes;
            Value whole = c.mul(c.div(k, step), step);
            auto copy = [&](Value column, int64_t count) {
              c.loop(c.index(0), height, 1, [&](Value i) {
                Value source = c.add(base, c.add(c.mul(i, k), column));
                Value vector =
                    count == lanes ? c.loadFloats(from, source) : Value();
                for (int64_t j = 0; j < count; ++j)
                  c.store(
                      vector ? c.extract(vector, j)
                             : c.loadFloat(from, c.add(source, j)),
                      to,
                      c.add(base, c.add(c.mul(c.add(column, j), height), i)));
              });
            };
            c.loop(c.index(0), whole, step,
                   [&](Value column) { copy(column, step); });
            c.loop(whole, k, 1, [&](Value column) { copy(column, 1); });
          });
        });
      });
  call(c, pack, {x, rows, k, packed});
}
