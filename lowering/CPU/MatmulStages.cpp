// moe.grouped_matmul and moe.grouped_up as stages of tasks.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// plan    rows of each group in blocks; pairs sorted by block and expert
//         (the runtime's plan.c)
// pack    rows of a block tile by tile, as register tiles read them
// shrink  T = x·[Au | Ag] for each pair, by expert
// base    a task is a block times a run of panels, a few panels at a time:
//         the base product of its rows, once for all experts of the cluster;
//         with pairs an epilogue by expert, while the base is in the cache:
//         + T·B, activation, gate-weighted sum into the row, and v = h·Ad
// reduce  v summed over the runs of panels, in their order: how many threads
//         there are does not change a bit
//
// docs/cpu.md shows the loops.
#include "lowering/Code/Activation.h"
#include "lowering/CPU/DotProduct.h"
#include "lowering/CPU/LayerEmitter.h"
#include "lowering/CPU/RoundRows.h"
#include "lowering/CPU/TileProduct.h"
#include "lowering/KernelSelection.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace moec::lowering;
using namespace moec::moe;

namespace {
/// A stored weight as tasks get it.
struct Stored {
  StoredForm form;
  int64_t rows, cols, entries;
  bool isIndexed;
  Value codes, scales, zeroPoints, slots;
  /// Of a paged pool: how many places it has, and elements from one to the
  /// next, of each part there is.
  Value places, codesStride, scalesStride, zeroPointsStride;

  int64_t panels() const { return (cols + lanes - 1) / lanes; }
  int64_t panelStride() const {
    return form.isRowMajor ? lanes : form.panelElements(rows);
  }
  int64_t scaleStride() const {
    return form.group ? rows / form.group * lanes : 0;
  }
  /// Elements from a row of a panel to the next.
  int64_t rowStride() const { return form.isRowMajor ? cols : lanes; }
};

struct StoredBias {
  int64_t cols;
  bool isIndexed;
  Value values;
};

/// What an operation asks for, of either kind.
struct Request {
  Operation *op;
  Value input, offsets, entries, pairRow, pairExpert, pairWeights;
  ValueRange weights, biases, residuals;
  Value segment, expand;
  ActivationAttr act;
  Value init;
  /// What rows are rounded to before the weights multiply them; null: nothing.
  EncodingAttr rounding;
  /// Of moe.grouped_up: rows are sums of their pairs, and v = h·shrink.
  bool combines = false;
  Value shrink, shrunk;
  bool accumulate = false;
  /// A result row for each pair.
  bool yieldsPairs = false;
};
} // namespace

namespace moec::lowering {
class MatmulStages {
public:
  MatmulStages(LayerEmitter &layer, Request request, const Schedule &schedule)
      : layer(layer), request(request), schedule(schedule), b(request.op),
        c(b, request.op->getLoc()) {
    for (Value weight : request.weights)
      weights.push_back(stored(weight));
    for (Value factor : request.residuals)
      residuals.push_back(stored(factor));
    for (Value bias : request.biases)
      biases.push_back(bias_(bias));
    if (request.expand)
      expand = stored(request.expand);
    if (request.shrink)
      shrink = stored(request.shrink);
    k = weights[0].rows;
    n = weights[0].cols;
    panels = weights[0].panels();
    // Nothing is gained by tasks of more panels than there are. Columns of a
    // chunk are rows of `shrink`: whole groups of them.
    int64_t &taskPanels = this->schedule.taskPanels;
    taskPanels = std::min(taskPanels, panels);
    while (shrink && shrink->form.group && taskPanels < panels &&
           taskPanels * lanes % shrink->form.group)
      ++taskPanels;
    many = cut(taskPanels);
    // Few rows make little work: runs are shorter then, but still as wide as
    // one row has panels beside each other.
    int64_t unit = std::max(schedule.panelsAt1, 2 * schedule.tilePanels);
    while (shrink && shrink->form.group && unit < panels &&
           unit * lanes % shrink->form.group)
      ++unit;
    few = cut(std::min(unit, taskPanels));
  }

  void emit() {
    input = layer.contiguous(c, request.input);
    init = layer.contiguous(c, request.init);
    rows = c.extent(request.input, 0);
    // Known from the number of rows alone, so sums are the same with any number
    // of threads.
    Value isFew = c.compare(arith::CmpIPredicate::ule, rows,
                            c.index(schedule.streamRows));
    runs = c.select(isFew, c.index(few.count), c.index(many.count));
    panelsOfRun = c.select(isFew, c.index(few.panels), c.index(many.panels));
    // moe.grouped_up may have other rows than its input: then it works in rows
    // of its own.
    Value result = init;
    // Rows that are summed up are f32, and rounded at the end.
    bool hasOwnRows = request.combines &&
                      (c.extent(request.init, 0) != rows || isNarrow(init));
    if (hasOwnRows)
      init = c.allocate(c.mul(rows, n), c.f32());
    planBlocks();
    if (request.pairRow)
      planPairs();
    baseInput = input;
    if (hasDot() || hasTiles())
      codeRows();
    else if (request.rounding)
      baseInput = roundedRows();
    else if (order)
      baseInput = layer.floats(c, request.input);
    if (!order && !hasDot())
      packRows();
    if (!residuals.empty())
      input = layer.floats(c, request.input);
    if (!residuals.empty())
      emitShrink();
    if (request.segment)
      scaleSegment();
    if (request.yieldsPairs)
      zeroPairsWithoutRow();
    if (request.shrink)
      partial = c.allocate(c.mul(c.mul(pairs, runs), shrink->panels() * lanes),
                           c.f32());
    emitBase();
    if (request.shrink)
      reduceShrunk();
    if (hasOwnRows)
      copyRows(result, c.extent(request.init, 0));
    request.op->erase();
  }

private:
  using Mapping = const IRMapping &;

  /// The panels of the result, cut into runs.
  struct Cut {
    int64_t panels, count;
  };
  /// At most `splits` runs, each of whole units but the last.
  Cut cut(int64_t unit) const {
    int64_t units = (panels + unit - 1) / unit;
    int64_t count = std::min(schedule.splits, units);
    int64_t each = (units + count - 1) / count * unit;
    return {each, (panels + each - 1) / each};
  }

  Stored stored(Value weight) {
    auto wrap = weight.getDefiningOp<WrapOp>();
    auto type = cast<WeightType>(wrap.getType());
    auto list = [&](Value buffer) {
      return buffer ? c.flatten(buffer) : Value();
    };
    int64_t entries = 1;
    if (type.isIndexed())
      entries = cast<ShapedType>(wrap.getTensor().getType()).getDimSize(0);
    Stored result{*StoredForm::of(wrap),
                  type.getRows(),
                  type.getCols(),
                  entries,
                  type.isIndexed(),
                  Value(),
                  list(wrap.getScales()),
                  list(wrap.getZeroPoints()),
                  wrap.getSlots() ? layer.contiguous(c, wrap.getSlots())
                                  : Value(),
                  {},
                  {},
                  {},
                  {}};
    if (result.form.isRowMajor)
      takeRows(result, wrap.getTensor());
    else
      result.codes = list(wrap.getTensor());
    if (ShapedType::isDynamic(entries))
      takePlaces(result, wrap);
    return result;
  }

  /// Of a paged pool, places are as far from each other as records are. Kernels
  /// read one place at a time, so lists of its parts need not end where it does.
  void takePlaces(Stored &weight, WrapOp wrap) {
    auto stride = [&](Value part) -> Value {
      if (!part)
        return {};
      return memref::ExtractStridedMetadataOp::create(c.b, c.loc, part)
          .getStrides()
          .front();
    };
    weight.places = c.extent(wrap.getTensor(), 0);
    weight.codesStride = stride(wrap.getTensor());
    weight.scalesStride = stride(wrap.getScales());
    weight.zeroPointsStride = stride(wrap.getZeroPoints());
  }

  /// Codes of a matrix in row_major: where they are, if kernels can read them
  /// there. Columns that are no whole panels, and a matrix that lies
  /// transposed, are brought into panels first.
  void takeRows(Stored &weight, Value matrix) {
    auto transposed = matrix.getDefiningOp<memref::TransposeOp>();
    weight.codes =
        layer.contiguous(c, transposed ? transposed.getIn() : matrix);
    if (!transposed && weight.cols % lanes == 0)
      return;
    Value source = weight.codes;
    weight.form.isRowMajor = false;
    weight.codes = c.allocate(c.index(weight.panels() * weight.panelStride()),
                              elementOf(source));
    auto copyPanel = [&](Code &t, Mapping in, Value panel, Value count) {
      Value from = in.lookup(source), to = in.lookup(weight.codes);
      Value first = t.mul(panel, lanes);
      t.loop(t.index(0), t.index(weight.rows), 1, [&](Value row) {
        Value at = t.add(t.mul(panel, weight.panelStride()), t.mul(row, lanes));
        if (!transposed) {
          t.copy(from, t.add(t.mul(row, weight.cols), first), to, at, count);
          return;
        }
        t.loop(t.index(0), count, 1, [&](Value j) {
          Value place = t.add(t.mul(t.add(first, j), weight.rows), row);
          t.store(t.load(from, place), to, t.add(at, j));
        });
      });
    };
    int64_t whole = weight.cols / lanes;
    layer.stage(c, "panels", c.index(weight.panels()), {source, weight.codes},
                [&](Code &t, Mapping in, Value panel) {
                  t.when(
                      t.isBelow(panel, t.index(whole)),
                      [&] { copyPanel(t, in, panel, t.index(lanes)); },
                      [&] {
                        t.fillZeros(in.lookup(weight.codes),
                                    t.mul(panel, weight.panelStride()),
                                    t.index(weight.panelStride()));
                        copyPanel(t, in, panel, t.index(weight.cols % lanes));
                      });
                });
  }

  StoredBias bias_(Value bias) {
    auto wrap = bias.getDefiningOp<WrapOp>();
    auto type = cast<WeightType>(wrap.getType());
    return {type.getCols(), type.isIndexed(), c.flatten(wrap.getTensor())};
  }

  static void capture(SmallVectorImpl<Value> &captured, const Stored &weight) {
    for (Value each : {weight.codes, weight.scales, weight.zeroPoints,
                       weight.slots, weight.places, weight.codesStride,
                       weight.scalesStride, weight.zeroPointsStride})
      if (each)
        captured.push_back(each);
  }

  /// Numbers 0, 1, 2 ...: the list of rows that follow each other.
  Value countingList(Code &t) {
    SymbolTable &symbols = layer.kernels.symbols();
    constexpr int64_t size = 4096;
    auto type = MemRefType::get({size}, t.i32());
    auto global = symbols.lookup<memref::GlobalOp>("moe_counting");
    if (!global) {
      SmallVector<int32_t> numbers(size);
      for (int64_t i = 0; i < size; ++i)
        numbers[i] = int32_t(i);
      OpBuilder builder(t.b.getContext());
      global = memref::GlobalOp::create(
          builder, t.loc, "moe_counting", builder.getStringAttr("private"),
          type,
          DenseElementsAttr::get(RankedTensorType::get({size}, t.i32()),
                                 ArrayRef(numbers)),
          /*constant=*/true, IntegerAttr());
      symbols.insert(global);
    }
    Value list = memref::GetGlobalOp::create(t.b, t.loc, type, "moe_counting");
    return t.address(
        memref::CastOp::create(t.b, t.loc, flatType(t.i32()), list),
        t.index(0));
  }

  Value null(Code &t) { return LLVM::ZeroOp::create(t.b, t.loc, t.pointer()); }

  /// Panels of one entry, in a task. `*count` becomes 0 where there is no such
  /// entry: nothing is added then. `entry` is an i32 that may be anything, null
  /// for a weight without axis.
  Panels panelsOf(Code &t, Mapping in, const Stored &w, Value entry,
                  Value firstPanel, Value firstRow, Value *count) {
    Value at = t.index(0);
    if (w.isIndexed) {
      Value place = entry;
      if (w.slots) {
        Value slots = in.lookup(w.slots);
        Value bound = memref::DimOp::create(t.b, t.loc, slots, t.index(0));
        Value isEntry = t.isWithin(place, bound);
        Value safe = t.select(isEntry, t.toIndex(place), t.index(0));
        place = t.select(isEntry, t.load(slots, safe), t.number(-1, t.i32()));
      }
      Value isThere = t.isWithin(place, w.places ? in.lookup(w.places)
                                                 : t.index(w.entries));
      at = t.select(isThere, t.toIndex(place), t.index(0));
      *count = t.select(isThere, *count, t.index(0));
    }
    // Entries lie behind each other, but for places of a paged pool.
    Value panel =
        w.places ? firstPanel : t.add(t.mul(at, w.panels()), firstPanel);
    auto partAt = [&](Value part, Value stride, Value element) {
      if (w.places)
        element = t.add(t.mul(at, in.lookup(stride)), element);
      return t.address(in.lookup(part), element);
    };
    Value element = t.mul(panel, w.panelStride());
    if (firstRow)
      element = t.add(element, t.mul(t.div(firstRow, w.form.rowsPerElement()),
                                     w.rowStride()));
    Panels result;
    result.codes = partAt(w.codes, w.codesStride, element);
    Value scale = w.form.group ? t.mul(panel, w.scaleStride())
                  : w.places   ? t.index(0)
                               : at;
    if (firstRow && w.form.group)
      scale = t.add(scale, t.mul(t.div(firstRow, w.form.group), lanes));
    result.scales =
        w.scales ? partAt(w.scales, w.scalesStride, scale) : null(t);
    result.zeroPoints = w.zeroPoints
                            ? partAt(w.zeroPoints, w.zeroPointsStride, scale)
                            : null(t);
    result.stride = t.index(w.panelStride());
    result.scaleStride = t.index(w.scaleStride());
    if (w.form.isRowMajor)
      result.rowStride = t.index(w.rowStride());
    return result;
  }

  Value isTrue(Code &t, bool value) { return t.number(value, t.b.getI1Type()); }

  //===--------------------------------------------------------------------===//
  // Plans
  //===--------------------------------------------------------------------===//

  void planBlocks() {
    blocks = c.allocate(c.mul(rows, 3), c.i32());
    Value most = c.index(schedule.taskRows);
    if (request.entries) {
      Value groups = c.index(weightCount());
      order = c.allocate(rows, c.i32());
      Value counts = c.allocate(c.add(groups, 2), c.i32());
      blockCount =
          layer.callRuntime(c, "moert_plan_entries",
                            {layer.contiguous(c, numbersOf(request.entries)),
                             rows, groups, most, order, blocks, counts},
                            /*returnsIndex=*/true);
      return;
    }
    Value offsets, groups;
    if (request.offsets) {
      offsets = layer.contiguous(c, request.offsets);
      groups = c.index(weightCount());
    } else {
      // One group of all rows.
      offsets = c.allocate(c.index(2), c.i32());
      c.store(c.number(0, c.i32()), offsets, c.index(0));
      c.store(c.toI32(rows), offsets, c.index(1));
      groups = c.index(1);
    }
    blockCount = layer.callRuntime(c, "moert_plan_groups",
                                   {offsets, groups, rows, most, blocks},
                                   /*returnsIndex=*/true);
  }

  int64_t weightCount() {
    return cast<WeightType>(request.weights[0].getType()).getCount();
  }

  /// Experts of the pairs: the most that any weight indexed by them has.
  Value expertCount() {
    auto type = cast<ShapedType>(request.pairExpert.getType());
    if (auto id = dyn_cast<IdType>(type.getElementType()))
      return c.index(id.getCount());
    llvm_unreachable("pairs have ids");
  }

  void planPairs() {
    pairs = c.extent(request.pairRow, 0);
    Value experts = expertCount();
    Value most = arith::MaxUIOp::create(b, c.loc, rows, experts);
    Value scratch = c.allocate(
        c.add(c.add(c.add(rows, c.mul(pairs, 4)), most), 3), c.i32());
    pairOf = c.allocate(pairs, c.i32());
    rowOf = c.allocate(pairs, c.i32());
    weightOf = c.allocate(pairs, c.f32());
    segments = c.allocate(c.mul(c.add(pairs, 1), 2), c.i32());
    segmentOfBlock = c.allocate(c.add(rows, 1), c.i32());
    validPairs = layer.callRuntime(
        c, "moert_plan_pairs",
        {layer.contiguous(c, request.pairRow),
         layer.contiguous(c, numbersOf(request.pairExpert)),
         request.pairWeights ? layer.floats(c, request.pairWeights) : null(c),
         pairs, experts, blocks, blockCount, rows, scratch, pairOf, rowOf,
         weightOf, segments, segmentOfBlock},
        /*returnsIndex=*/true);
  }

  struct Block {
    Value group, first, rows;
  };
  Block block(Code &t, Mapping in, Value number) {
    Value list = in.lookup(blocks), at = t.mul(number, 3);
    return {t.load(list, at), t.toIndex(t.load(list, t.add(at, 1))),
            t.toIndex(t.load(list, t.add(at, 2)))};
  }

  struct Segment {
    Value expert, first, last;
  };
  Segment segment(Code &t, Mapping in, Value number) {
    Value list = in.lookup(segments), at = t.mul(number, 2);
    return {t.load(list, at), t.toIndex(t.load(list, t.add(at, 1))),
            t.toIndex(t.load(list, t.add(at, 3)))};
  }

  //===--------------------------------------------------------------------===//
  // Before the base
  //===--------------------------------------------------------------------===//

  /// Whether weights multiply codes of rows, and not floats.
  bool hasDot() const {
    return request.rounding && !order &&
           llvm::all_of(weights, [&](const Stored &weight) {
             return hasDotProduct(layer.kernels.instructionSet(), schedule,
                                  request.rounding, weight.form, k);
           });
  }

  /// Whether many rows are multiplied in tile registers.
  bool hasTiles() const {
    return !order && llvm::all_of(weights, [&](const Stored &weight) {
      return hasTileProduct(layer.kernels.instructionSet(), schedule, element(),
                            request.rounding, weight.form, k);
    });
  }
  /// The same of codes of int8.
  bool hasIntegerTiles() const {
    return hasDot() && hasInt8Rows() &&
           llvm::all_of(weights, [&](const Stored &weight) {
             return hasIntegerTileProduct(layer.kernels.instructionSet(),
                                          schedule, weight.form);
           });
  }
  /// Whether rows of a block are so many.
  Value isForTiles(Code &t, const Block &block) {
    return t.compare(
        arith::CmpIPredicate::sge, block.rows,
        t.index(hasInt8Rows() ? schedule.amxInt8Rows : schedule.amxRows));
  }

  bool hasInt8Rows() const {
    return request.rounding && request.rounding.getFormat() == Format::int8;
  }
  int64_t groupsOfRow() const {
    return request.rounding.getGroup() ? k / request.rounding.getGroup() : 1;
  }

  /// A stage of all rows; `captured` has their number among others.
  void eachRow(StringRef name, ValueRange captured,
               llvm::function_ref<void(Code &, Mapping, Value)> body) {
    constexpr int64_t rowsOfTask = 8;
    layer.stage(c, name, c.ceilDiv(rows, rowsOfTask), captured,
                [&](Code &t, Mapping in, Value task) {
                  Value first = t.mul(task, rowsOfTask);
                  Value last = t.min(t.add(first, rowsOfTask), in.lookup(rows));
                  t.loop(first, last, 1, [&](Value row) { body(t, in, row); });
                });
  }

  /// Rows as codes.
  void codeRows() {
    bool isInt8 = hasInt8Rows();
    int64_t groups = isInt8 ? groupsOfRow() : 0;
    int64_t behind =
        hasTiles() || hasIntegerTiles() ? rowsBehindTiles(schedule) : 0;
    coded = c.allocate(c.mul(c.add(rows, behind), k),
                       isInt8 ? Type(c.b.getI8Type()) : c.b.getBF16Type());
    if (!isInt8)
      baseInput = coded;
    SmallVector<Value> captured{input, rows, coded};
    if (isInt8) {
      codeScales = c.allocate(c.mul(rows, groups), c.f32());
      codeSums = c.allocate(c.mul(rows, groups), c.i32());
      captured.append({codeScales, codeSums});
    }
    eachRow("code", captured, [&](Code &t, Mapping in, Value row) {
      Value at = t.mul(row, k), from = in.lookup(input);
      if (!isInt8) {
        t.copy(from, at, in.lookup(coded), at, t.index(k));
        return;
      }
      quantizeRow(t, k / groups, {from, at, k},
                  {in.lookup(coded), at, in.lookup(codeScales),
                   in.lookup(codeSums), t.mul(row, groups)});
    });
  }

  /// Rows as their codes decode, for kernels of f32.
  Value roundedRows() {
    Value result = c.allocate(c.mul(rows, k), c.f32());
    eachRow("round", {input, rows, result},
            [&](Code &t, Mapping in, Value row) {
              Value at = t.mul(row, k);
              roundRow(t, request.rounding, {in.lookup(input), at, k},
                       in.lookup(result), at);
            });
    return result;
  }

  void packRows() {
    packed = c.allocate(c.mul(rows, k), c.f32());
    layer.stage(c, "pack", blockCount, {blocks, baseInput, packed},
                [&](Code &t, Mapping in, Value task) {
                  Block of = block(t, in, task);
                  Value at = t.mul(of.first, k);
                  auto pack = [&] {
                    layer.kernels.callPack(t, schedule, elementOf(baseInput),
                                           t.address(in.lookup(baseInput), at),
                                           of.rows, t.index(k),
                                           t.address(in.lookup(packed), at));
                  };
                  if (!hasTiles())
                    return pack();
                  t.when(isForTiles(t, of), [] {}, pack);
                });
  }

  /// Columns of T that one matrix's residual takes: the rank, filled up to
  /// panels.
  int64_t shrunkColumns(size_t i) { return residuals[2 * i].panels() * lanes; }
  int64_t shrunkOffset(size_t i) {
    int64_t columns = 0;
    for (size_t j = 0; j < i; ++j)
      columns += shrunkColumns(j);
    return columns;
  }
  int64_t shrunkStride() { return shrunkOffset(weights.size()); }

  void emitShrink() {
    shrunk = c.allocate(c.mul(pairs, shrunkStride()), c.f32());
    Value count = c.toIndex(c.load(segmentOfBlock, blockCount));
    SmallVector<Value> captured{segments, rowOf, input, shrunk};
    for (size_t i = 0; i < weights.size(); ++i)
      capture(captured, residuals[2 * i]);
    layer.stage(
        c, "shrink", count, captured, [&](Code &t, Mapping in, Value task) {
          Segment of = segment(t, in, task);
          Value size = t.sub(of.last, of.first);
          Value list = countingList(t);
          for (size_t i = 0; i < weights.size(); ++i) {
            const Stored &factor = residuals[2 * i];
            Value reduction = t.index(k);
            Panels w = panelsOf(t, in, factor, of.expert, t.index(0), Value(),
                                &reduction);
            Value place = t.add(t.mul(of.first, shrunkStride()),
                                t.index(shrunkOffset(i)));
            Rows x{t.address(in.lookup(input), t.index(0)), t.index(k),
                   t.address(in.lookup(rowOf), of.first)};
            Rows y{t.address(in.lookup(shrunk), place), t.index(shrunkStride()),
                   list};
            layer.kernels.callLoose(t, factor.form, schedule, x, w, y,
                                    isTrue(t, false), y, size,
                                    t.index(factor.panels()), reduction);
          }
        });
  }

  /// weight·v in the order of the segments.
  void scaleSegment() {
    constexpr int64_t pairsOfTask = 64;
    int64_t rank = expand->rows;
    Value v = layer.contiguous(c, request.segment);
    scaled = c.allocate(c.mul(pairs, rank), c.f32());
    layer.stage(c, "scale", c.ceilDiv(validPairs, pairsOfTask),
                {validPairs, pairOf, weightOf, v, scaled},
                [&](Code &t, Mapping in, Value task) {
                  Value first = t.mul(task, pairsOfTask);
                  Value last =
                      t.min(t.add(first, pairsOfTask), in.lookup(validPairs));
                  t.loop(first, last, 1, [&](Value at) {
                    Value weight = t.load(in.lookup(weightOf), at);
                    Value from =
                        t.mul(t.toIndex(t.load(in.lookup(pairOf), at)), rank);
                    Value to = t.mul(at, rank);
                    t.loop(t.index(0), t.index(rank), 1, [&](Value j) {
                      Value x = t.loadFloat(in.lookup(v), t.add(from, j));
                      t.store(arith::MulFOp::create(t.b, t.loc, weight, x),
                              in.lookup(scaled), t.add(to, j));
                    });
                  });
                });
  }

  /// Result rows of pairs whose row is nowhere.
  void zeroPairsWithoutRow() {
    layer.stage(c, "zero", c.sub(pairs, validPairs), {validPairs, pairOf, init},
                [&](Code &t, Mapping in, Value task) {
                  Value at = t.add(in.lookup(validPairs), task);
                  Value pair = t.toIndex(t.load(in.lookup(pairOf), at));
                  t.fillZeros(in.lookup(init), t.mul(pair, n), t.index(n));
                });
  }

  /// Rows of `init` that the result has; what else it has is zero.
  void copyRows(Value result, Value count) {
    layer.stage(c, "copy", count, {init, rows, result},
                [&](Code &t, Mapping in, Value row) {
                  Value at = t.mul(row, n);
                  t.when(
                      t.isBelow(row, in.lookup(rows)),
                      [&] {
                        t.copy(in.lookup(init), at, in.lookup(result), at,
                               t.index(n));
                      },
                      [&] { t.fillZeros(in.lookup(result), at, t.index(n)); });
                });
  }

  //===--------------------------------------------------------------------===//
  // Columns at the ragged end
  //===--------------------------------------------------------------------===//

  bool isRagged() const { return n % lanes != 0; }

  /// Runs `full` where 16 columns from `column` on exist, else `each` for those
  /// that do.
  void columns16(Code &t, Value column, llvm::function_ref<void()> full,
                 llvm::function_ref<void(Value)> each) {
    if (!isRagged()) {
      full();
      return;
    }
    Value isFull =
        t.compare(arith::CmpIPredicate::sle, t.add(column, lanes), t.index(n));
    t.when(isFull, full,
           [&] { t.loop(t.index(0), t.sub(t.index(n), column), 1, each); });
  }

  /// Stores 16 results of row `at` (an element place), or adds them.
  void storeColumns(Code &t, Value vector, Value list, Value at, Value column,
                    bool adds, Value spill) {
    auto sum = [&](Value before, Value x) -> Value {
      return arith::AddFOp::create(t.b, t.loc, before, x);
    };
    columns16(
        t, column,
        [&] {
          Value x = vector;
          if (adds)
            x = sum(t.loadFloats(list, at), x);
          t.storeFloats(x, list, at);
        },
        [&](Value j) {
          t.storeVector(vector, spill, t.index(0));
          Value x = t.load(spill, j);
          if (adds)
            x = sum(t.loadFloat(list, t.add(at, j)), x);
          t.storeFloat(x, list, t.add(at, j));
        });
  }

  /// 16 numbers of a bias, from `spill` at the ragged end.
  Value biasColumns(Code &t, Mapping in, const StoredBias &bias, Value entry,
                    Value column, Value spill) {
    Value list = in.lookup(bias.values);
    Value at = column;
    if (bias.isIndexed)
      at = t.add(t.mul(entry, bias.cols), column);
    if (!isRagged())
      return t.loadFloats(list, at);
    t.storeVector(t.zeros(), spill, t.index(0));
    columns16(
        t, column,
        [&] { t.storeVector(t.loadFloats(list, at), spill, t.index(0)); },
        [&](Value j) { t.store(t.loadFloat(list, t.add(at, j)), spill, j); });
    return t.loadVector(spill, t.index(0));
  }

  //===--------------------------------------------------------------------===//
  // The base, and what is done with it
  //===--------------------------------------------------------------------===//

  /// What a task of the base stage has.
  struct Task {
    Task(Code &t, Mapping in) : t(t), in(in) {}

    Code &t;
    Mapping in;
    Value run, firstPanel, blockNumber;
    Block block;
    /// Of the chunk at hand.
    Value panel, count, column;
    /// Scratch: base products of each weight, [rows of a task][columns of a
    /// chunk]; the same with residuals for a few pairs; activations of these;
    /// 16 numbers.
    SmallVector<Value> base, own;
    Value hidden, spill;
  };

  /// Whether an epilogue by expert follows the base.
  bool hasPairs() const { return request.combines || request.yieldsPairs; }

  /// What the operation's rows have.
  Type element() const {
    return cast<ShapedType>(request.input.getType()).getElementType();
  }
  static bool isNarrow(Value list) { return !elementOf(list).isF32(); }
  int64_t chunkColumns() const { return schedule.taskPanels * lanes; }

  /// Whether results are written where they belong, without scratch.
  bool isDirect() const {
    return !request.act && !request.yieldsPairs && !isRagged() && !order &&
           !isNarrow(init);
  }

  void emitBase() {
    SmallVector<Value> captured{blocks, blockCount, panelsOfRun, init};
    if (coded)
      captured.push_back(coded);
    if (order || packed)
      captured.push_back(order ? baseInput : packed);
    if (codeScales)
      captured.append({codeScales, codeSums});
    if (order)
      captured.push_back(order);
    for (const Stored &weight : weights)
      capture(captured, weight);
    for (const StoredBias &bias : biases)
      captured.push_back(bias.values);
    if (request.pairRow)
      captured.append({segments, segmentOfBlock, rowOf, pairOf, weightOf});
    if (shrunk)
      captured.push_back(shrunk);
    for (size_t i = 0; i < residuals.size() / 2; ++i)
      capture(captured, residuals[2 * i + 1]);
    if (expand) {
      captured.push_back(scaled);
      capture(captured, *expand);
    }
    if (shrink) {
      captured.append({partial, pairs});
      capture(captured, *shrink);
    }
    StringRef name = hasPairs() ? "up" : "matmul";
    layer.stage(
        c, name, c.mul(blockCount, runs), captured,
        [&](Code &t, Mapping in, Value number) { emitTask(t, in, number); });
  }

  void emitTask(Code &t, Mapping in, Value number) {
    Task task(t, in);
    if (!isDirect())
      for (size_t i = 0; i < weights.size(); ++i)
        task.base.push_back(
            t.scratch(schedule.taskRows * chunkColumns(), t.f32()));
    if (hasPairs()) {
      for (size_t i = 0; i < residuals.size() / 2; ++i)
        task.own.push_back(
            t.scratch(schedule.looseRows * chunkColumns(), t.f32()));
      task.hidden = t.scratch(schedule.looseRows * chunkColumns(), t.f32());
    }
    task.spill = t.scratch(lanes, t.f32());

    // Neighbours share panels: blocks of one group come one after the other.
    Value blockCount = in.lookup(this->blockCount);
    task.run = t.div(number, blockCount);
    task.blockNumber = t.rem(number, blockCount);
    task.block = block(t, in, task.blockNumber);
    Value panelsOfRun = in.lookup(this->panelsOfRun);
    Value firstPanel = task.firstPanel = t.mul(task.run, panelsOfRun);
    Value lastPanel = t.min(t.add(firstPanel, panelsOfRun), t.index(panels));
    Value isGroup = t.compare(arith::CmpIPredicate::sge, task.block.group,
                              t.number(0, t.i32()));
    t.when(
        isGroup,
        [&] {
          t.loop(firstPanel, lastPanel, schedule.taskPanels, [&](Value panel) {
            task.panel = panel;
            task.count =
                t.min(t.index(schedule.taskPanels), t.sub(lastPanel, panel));
            task.column = t.mul(panel, lanes);
            emitChunk(task);
          });
        },
        [&] {
          // Rows of no group are zero; with pairs result rows are the pairs',
          // or the row's own.
          if (request.yieldsPairs || request.accumulate)
            return;
          Value first = t.mul(firstPanel, lanes);
          Value last = t.min(t.mul(lastPanel, lanes), t.index(n));
          t.loop(t.index(0), task.block.rows, 1, [&](Value i) {
            zeroColumns(task, rowNumber(task, i), first, last);
          });
        });
  }

  /// Row i of the block, as its number.
  Value rowNumber(Task &task, Value i) {
    Value at = task.t.add(task.block.first, i);
    if (!order)
      return at;
    return task.t.toIndex(task.t.load(task.in.lookup(order), at));
  }

  void zeroColumns(Task &task, Value row, Value first, Value last) {
    Code &t = task.t;
    t.fillZeros(task.in.lookup(init), t.add(t.mul(row, n), first),
                t.sub(last, first));
  }

  void emitChunk(Task &task) {
    Code &t = task.t;
    MatmulKernels &kernels = layer.kernels;
    Value no = isTrue(t, false);
    for (size_t i = 0; i < weights.size(); ++i) {
      Value reduction = t.index(k);
      Panels w = panelsOf(t, task.in, weights[i], task.block.group, task.panel,
                          Value(), &reduction);
      Rows y;
      Value hasInit = no;
      if (isDirect()) {
        Value at = t.add(t.mul(task.block.first, n), task.column);
        y = {t.address(task.in.lookup(init), at), t.index(n), {}};
        hasInit = isTrue(t, request.accumulate);
      } else {
        y = {t.address(task.base[i], t.index(0)), t.index(chunkColumns()), {}};
      }
      if (order) {
        Rows x{t.address(task.in.lookup(baseInput), t.index(0)), t.index(k),
               t.address(task.in.lookup(order), task.block.first)};
        y.list = countingList(t);
        kernels.callLoose(t, weights[i].form, schedule, x, w, y, no, y,
                          task.block.rows, task.count, reduction);
        continue;
      }
      auto fewRows = [&] {
        if (hasDot())
          callDot(task, weights[i], w, y, hasInit, reduction, callDotProduct);
        else
          callPacked(task, weights[i], w, y, hasInit, reduction);
      };
      if (!hasTiles() && !hasIntegerTiles()) {
        fewRows();
        continue;
      }
      t.when(
          isForTiles(t, task.block),
          [&] {
            if (hasIntegerTiles())
              callDot(task, weights[i], w, y, hasInit, reduction,
                      callIntegerTileProduct);
            else
              callTiles(task, weights[i], w, y, hasInit, reduction);
          },
          fewRows);
    }
    if (hasPairs()) {
      emitPairs(task);
      return;
    }
    if (expand)
      emitExpand(task);
    if (isDirect()) {
      if (!biases.empty())
        addBias(task);
      return;
    }
    emitRows(task);
  }

  void callPacked(Task &task, const Stored &weight, const Panels &w,
                  const Rows &y, Value adds, Value reduction) {
    Code &t = task.t;
    Value x = t.address(task.in.lookup(packed), t.mul(task.block.first, k));
    layer.kernels.callPacked(t, weight.form, schedule, x, w, y, adds, y,
                             task.block.rows, task.count, reduction);
  }

  void callTiles(Task &task, const Stored &weight, const Panels &w,
                 const Rows &y, Value adds, Value reduction) {
    Code &t = task.t;
    Value x = t.address(task.in.lookup(coded), t.mul(task.block.first, k));
    callTileProduct(t, layer.kernels, weight.form, schedule, x, w, y, adds,
                    task.block.rows, task.count, reduction);
  }

  void callDot(Task &task, const Stored &weight, const Panels &w, const Rows &y,
               Value adds, Value reduction, decltype(callDotProduct) product) {
    Code &t = task.t;
    Value first = task.block.first, groups = t.index(groupsOfRow());
    auto at = [&](Value list, Value place) {
      return list ? t.address(task.in.lookup(list), place) : null(t);
    };
    DotRows x{at(coded, t.mul(first, k)), at(codeScales, t.mul(first, groups)),
              at(codeSums, t.mul(first, groups))};
    product(t, layer.kernels, weight.form, schedule, k, x, w, y, adds,
            task.block.rows, task.count, reduction);
  }

  /// For each pair of the block's segments.
  void forEachSegment(Task &task, llvm::function_ref<void(Segment)> body) {
    Code &t = task.t;
    Value list = task.in.lookup(segmentOfBlock);
    Value from = t.toIndex(t.load(list, task.blockNumber));
    Value to = t.toIndex(t.load(list, t.add(task.blockNumber, 1)));
    t.loop(from, to, 1, [&](Value at) { body(segment(t, task.in, at)); });
  }

  /// Σ weight·v·B into the block's rows: the second segment of the reduction.
  void emitExpand(Task &task) {
    Code &t = task.t;
    forEachSegment(task, [&](Segment of) {
      Value reduction = t.index(expand->rows);
      Panels w = panelsOf(t, task.in, *expand, of.expert, task.panel, Value(),
                          &reduction);
      Rows x{t.address(task.in.lookup(scaled), t.mul(of.first, expand->rows)),
             t.index(expand->rows), countingList(t)};
      Value rowsAt = t.address(task.in.lookup(rowOf), of.first);
      Rows y;
      if (isDirect())
        y = {t.address(task.in.lookup(init), task.column), t.index(n), rowsAt};
      else
        y = {rowZero(task, 0), t.index(chunkColumns()), rowsAt};
      layer.kernels.callLoose(t, expand->form, schedule, x, w, y,
                              isTrue(t, true), y, t.sub(of.last, of.first),
                              task.count, reduction);
    });
  }

  /// Where row 0 of all rows would be in a block's scratch.
  Value rowZero(Task &task, size_t i) {
    Code &t = task.t;
    Value back = t.sub(t.index(0), t.mul(task.block.first, chunkColumns()));
    return t.advance(t.address(task.base[i], t.index(0)), t.f32(), back);
  }

  void addBias(Task &task) {
    Code &t = task.t;
    t.loop(t.index(0), task.count, 1, [&](Value q) {
      Value column = t.add(task.column, t.mul(q, lanes));
      Value bias = biasColumns(t, task.in, biases[0],
                               t.toIndex(task.block.group), column, task.spill);
      t.loop(t.index(0), task.block.rows, 1, [&](Value i) {
        Value at = t.add(t.mul(t.add(task.block.first, i), n), column);
        storeColumns(t, bias, task.in.lookup(init), at, column, /*adds=*/true,
                     task.spill);
      });
    });
  }

  /// act(up, gate), or what there is where the operation has none: products are
  /// rounded before.
  Value activated(Code &t, MutableArrayRef<Value> products) {
    if (!request.act)
      return products[0];
    for (Value &each : products)
      each = t.rounded(each, element());
    return activate(t, request.act, products[0],
                    products.size() == 2 ? products[1] : Value());
  }

  /// Results of rows from scratch: bias, activation, ragged columns.
  void emitRows(Task &task) {
    Code &t = task.t;
    t.loop(t.index(0), task.count, 1, [&](Value q) {
      Value column = t.add(task.column, t.mul(q, lanes));
      SmallVector<Value> bias;
      for (const StoredBias &each : biases)
        bias.push_back(biasColumns(
            t, task.in, each, t.toIndex(task.block.group), column, task.spill));
      t.loop(t.index(0), task.block.rows, 1, [&](Value i) {
        Value from = t.add(t.mul(i, chunkColumns()), t.mul(q, lanes));
        SmallVector<Value> values;
        for (size_t w = 0; w < weights.size(); ++w) {
          values.push_back(t.loadVector(task.base[w], from));
          if (!bias.empty())
            values[w] = arith::AddFOp::create(t.b, t.loc, values[w], bias[w]);
        }
        Value result = activated(t, values);
        Value at = t.add(t.mul(rowNumber(task, i), n), column);
        storeColumns(t, result, task.in.lookup(init), at, column,
                     request.accumulate, task.spill);
      });
    });
  }

  /// The epilogue by expert: residual, activation, sum into rows, v.
  void emitPairs(Task &task) {
    Code &t = task.t;
    if (request.combines) {
      Value first = task.column;
      Value last = t.min(t.add(first, t.mul(task.count, lanes)), t.index(n));
      t.loop(t.index(0), task.block.rows, 1, [&](Value i) {
        zeroColumns(task, t.add(task.block.first, i), first, last);
      });
    }
    int64_t most = schedule.looseRows;
    forEachSegment(task, [&](Segment of) {
      t.loop(of.first, of.last, most, [&](Value first) {
        Value size = t.min(t.index(most), t.sub(of.last, first));
        emitPairTile(task, of.expert, first, size);
      });
    });
  }

  void emitPairTile(Task &task, Value expert, Value first, Value size) {
    Code &t = task.t;
    Value rowsAt = t.address(task.in.lookup(rowOf), first);
    Value counting = countingList(t);
    for (size_t i = 0; i < residuals.size() / 2; ++i) {
      const Stored &factor = residuals[2 * i + 1];
      Value reduction = t.index(factor.rows);
      Panels w =
          panelsOf(t, task.in, factor, expert, task.panel, Value(), &reduction);
      Value place =
          t.add(t.mul(first, shrunkStride()), t.index(shrunkOffset(i)));
      Rows x{t.address(task.in.lookup(shrunk), place), t.index(shrunkStride()),
             counting};
      Rows before{rowZero(task, i), t.index(chunkColumns()), rowsAt};
      Rows y{t.address(task.own[i], t.index(0)), t.index(chunkColumns()),
             counting};
      layer.kernels.callLoose(t, factor.form, schedule, x, w, before,
                              isTrue(t, true), y, size, task.count, reduction);
    }
    Value isExpert =
        t.compare(arith::CmpIPredicate::sge, expert, t.number(0, t.i32()));
    t.loop(t.index(0), size, 1, [&](Value i) {
      Value at = t.add(first, i);
      Value row = t.toIndex(t.load(task.in.lookup(rowOf), at));
      Value local = t.sub(row, task.block.first);
      Value weight = t.broadcast(t.load(task.in.lookup(weightOf), at));
      Value result = row;
      if (request.yieldsPairs)
        result = t.toIndex(t.load(task.in.lookup(pairOf), at));
      t.loop(t.index(0), task.count, 1, [&](Value q) {
        Value inChunk = t.mul(q, lanes);
        Value column = t.add(task.column, inChunk);
        SmallVector<Value> values;
        for (size_t w = 0; w < weights.size(); ++w) {
          bool isOwn = !task.own.empty();
          Value x = t.loadVector(
              isOwn ? task.own[w] : task.base[w],
              t.add(t.mul(isOwn ? i : local, chunkColumns()), inChunk));
          if (!biases.empty()) {
            // A pair without expert has no bias.
            Value entry = t.select(isExpert, t.toIndex(expert), t.index(0));
            Value bias =
                biasColumns(t, task.in, biases[w], entry, column, task.spill);
            bias = t.select(isExpert, bias, t.zeros());
            x = arith::AddFOp::create(t.b, t.loc, x, bias);
          }
          values.push_back(x);
        }
        Value h = t.rounded(activated(t, values), element());
        if (shrink)
          t.storeVector(h, task.hidden,
                        t.add(t.mul(i, chunkColumns()), inChunk));
        if (request.combines)
          h = arith::MulFOp::create(t.b, t.loc, weight, h);
        Value to = t.add(t.mul(result, n), column);
        storeColumns(t, h, task.in.lookup(init), to, column,
                     request.combines || request.accumulate, task.spill);
      });
    });
    if (!shrink)
      return;
    // v of this run of panels; its first chunk starts it.
    int64_t stride = shrink->panels() * lanes;
    Value reduction =
        t.min(t.mul(task.count, lanes), t.sub(t.index(n), task.column));
    Panels w = panelsOf(t, task.in, *shrink, expert, t.index(0), task.column,
                        &reduction);
    Rows x{t.address(task.hidden, t.index(0)), t.index(chunkColumns()),
           counting};
    Value place = t.mul(t.mul(task.run, task.in.lookup(pairs)), stride);
    Rows y{t.address(task.in.lookup(partial), place), t.index(stride),
           t.address(task.in.lookup(pairOf), first)};
    Value isLater = t.isBelow(task.firstPanel, task.panel);
    layer.kernels.callLoose(t, shrink->form, schedule, x, w, y, isLater, y,
                            size, t.index(shrink->panels()), reduction);
  }

  void reduceShrunk() {
    constexpr int64_t pairsOfTask = 32;
    int64_t rank = shrink->cols, stride = shrink->panels() * lanes;
    Value v = layer.contiguous(c, request.shrunk);
    layer.stage(
        c, "reduce", c.ceilDiv(pairs, pairsOfTask),
        {pairs, validPairs, pairOf, partial, v, runs},
        [&](Code &t, Mapping in, Value task) {
          Value count = in.lookup(pairs);
          Value first = t.mul(task, pairsOfTask);
          Value last = t.min(t.add(first, pairsOfTask), count);
          Value spill = t.scratch(lanes, t.f32());
          t.loop(first, last, 1, [&](Value at) {
            Value pair = t.toIndex(t.load(in.lookup(pairOf), at));
            Value to = t.mul(pair, rank);
            t.when(
                t.isBelow(at, in.lookup(validPairs)),
                [&] {
                  for (int64_t q = 0; q < shrink->panels(); ++q) {
                    Value sum = t.loop(
                        t.index(0), in.lookup(runs), 1, {t.zeros()},
                        [&](Value s, ValueRange before) {
                          Value from =
                              t.add(t.mul(t.add(t.mul(s, count), pair), stride),
                                    q * lanes);
                          Value x = t.loadVector(in.lookup(partial), from);
                          return Code::Values{
                              arith::AddFOp::create(t.b, t.loc, before[0], x)};
                        })[0];
                    int64_t left = std::min(lanes, rank - q * lanes);
                    Value place = t.add(to, q * lanes);
                    if (left == lanes) {
                      t.storeFloats(sum, in.lookup(v), place);
                      continue;
                    }
                    t.storeVector(sum, spill, t.index(0));
                    t.loop(t.index(0), t.index(left), 1, [&](Value j) {
                      t.storeFloat(t.load(spill, j), in.lookup(v),
                                   t.add(place, j));
                    });
                  }
                },
                [&] { t.fillZeros(in.lookup(v), to, t.index(rank)); });
          });
        });
  }

  LayerEmitter &layer;
  Request request;
  Schedule schedule;
  OpBuilder b;
  Code c;
  SmallVector<Stored> weights, residuals;
  SmallVector<StoredBias> biases;
  std::optional<Stored> expand, shrink;
  int64_t k, n, panels;
  Cut few, many;
  Value runs, panelsOfRun;
  // Lists of the entry.
  /// The rows, and the same as the weights get them.
  Value input, baseInput;
  /// As codes, with what int8 has for each group.
  Value coded, codeScales, codeSums;
  Value init, rows, order, blocks, blockCount, packed;
  Value pairs, validPairs, pairOf, rowOf, weightOf, segments, segmentOfBlock;
  Value shrunk, scaled, partial;
};
} // namespace moec::lowering

/// What both operations have.
template <typename OpTy> static Request requestOf(OpTy op) {
  Request request;
  request.op = op;
  request.input = op.getInput();
  request.offsets = op.getOffsets();
  request.pairRow = op.getPairRow();
  request.pairExpert = op.getPairExpert();
  request.weights = op.getWeights();
  request.biases = op.getBiases();
  request.residuals = op.getResiduals();
  request.act = op.getActAttr();
  request.rounding = op.getRoundingAttr();
  return request;
}

static LogicalResult emitStages(LayerEmitter &layer, const Request &request,
                                const InstructionSet &isa) {
  FailureOr<Schedule> schedule = scheduleOf(request.op, isa);
  if (failed(schedule))
    return failure();
  MatmulStages(layer, request, *schedule).emit();
  return success();
}

LogicalResult LayerEmitter::emit(GroupedMatmulOp op) {
  Request request = requestOf(op);
  request.entries = op.getEntries();
  request.pairWeights = op.getSegmentWeights();
  request.segment = op.getSegment();
  request.expand = op.getExpand();
  request.init = op.getInit();
  request.accumulate = op.getAccumulate();
  request.yieldsPairs = op.yieldsPairs();
  return emitStages(*this, request, kernels.instructionSet());
}

LogicalResult LayerEmitter::emit(GroupedUpOp op) {
  Request request = requestOf(op);
  request.pairWeights = op.getPairWeights();
  request.init = op.getHidden();
  request.combines = true;
  request.shrink = op.getShrink();
  request.shrunk = op.getShrunk();
  return emitStages(*this, request, kernels.instructionSet());
}
