// Scheduled operations on buffers: what is common, and those that move rows.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CPU/LayerEmitter.h"

#include "lowering/KernelSelection.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Support/DebugStringHelper.h"
#include "llvm/ADT/TypeSwitch.h"

using namespace mlir;
using namespace moec::lowering;
using namespace moec::moe;

//===----------------------------------------------------------------------===//
// What kernels can do
//===----------------------------------------------------------------------===//

/// Why numbers of these cannot be read and written: between that kernels
/// compute in f32.
static std::string reasonAgainstTypes(ValueRange values) {
  for (Value value : values) {
    Type element = cast<ShapedType>(value.getType()).getElementType();
    if (!plainFormatOf(element))
      return (llvm::Twine("it computes in ") + debugString(element)).str();
  }
  return "";
}

/// Whether a bias can be read row by row.
static bool isReadableBias(Value bias) {
  auto wrap = bias.getDefiningOp<WrapOp>();
  if (!wrap || wrap.getSlots() ||
      wrap.getLayoutOrDefault() != Layout::row_major)
    return false;
  EncodingAttr encoding = wrap.getEncodingAttr();
  if (encoding)
    return isPlainFloat(encoding.getFormat());
  return plainFormatOf(cast<WeightType>(wrap.getType()).getElementType())
      .has_value();
}

static std::string reasonAgainst(ValueRange weights) {
  for (Value weight : weights) {
    auto wrap = weight.getDefiningOp<WrapOp>();
    if (!wrap)
      return "its weights are expressions, not stored matrices";
    if (!StoredForm::of(wrap))
      return "a weight is not stored in panels of 16 that kernels read";
  }
  return "";
}

std::string moec::lowering::reasonAgainstKernels(Operation *op) {
  auto columns = [](Value value) {
    return cast<ShapedType>(value.getType()).getDimSize(1);
  };
  return llvm::TypeSwitch<Operation *, std::string>(op)
      .Case([&](GroupOp group) -> std::string {
        return reasonAgainstTypes(group.getWeights());
      })
      .Case([&](GatherOp gather) -> std::string {
        auto type = cast<ShapedType>(gather.getInput().getType());
        Type element = type.getElementType();
        if (type.getRank() == 2 && type.isDynamicDim(1))
          return "its columns are not known";
        return element.isInteger(32) || isa<IdType>(element)
                   ? ""
                   : reasonAgainstTypes(gather.getInput());
      })
      .Case([&](ScatterCombineOp scatter) -> std::string {
        if (columns(scatter.getInit()) == ShapedType::kDynamic)
          return "its columns are not known";
        return reasonAgainstTypes({scatter.getInput(), scatter.getInit()});
      })
      .Case([&](GroupedMatmulOp matmul) -> std::string {
        std::string reason =
            reasonAgainstTypes({matmul.getInput(), matmul.getInit()});
        if (!reason.empty())
          return reason;
        if (matmul.getEntries() && (matmul.getPairRow() || matmul.getAct() ||
                                    !matmul.getBiases().empty()))
          return "rows of entries have pairs, a bias or an activation";
        if (!llvm::all_of(matmul.getBiases(), isReadableBias))
          return "a bias is not stored as plain floats";
        reason = reasonAgainst(matmul.getWeights());
        if (reason.empty())
          reason = reasonAgainst(matmul.getResiduals());
        if (reason.empty() && matmul.getExpand())
          reason = reasonAgainst(matmul.getExpand());
        return reason;
      })
      .Case([&](GroupedUpOp up) -> std::string {
        std::string reason =
            reasonAgainstTypes({up.getInput(), up.getHidden()});
        if (!reason.empty())
          return reason;
        if (!llvm::all_of(up.getBiases(), isReadableBias))
          return "a bias is not stored as plain floats";
        reason = reasonAgainst(up.getWeights());
        if (reason.empty())
          reason = reasonAgainst(up.getResiduals());
        if (reason.empty() && up.getShrink())
          reason = reasonAgainst(up.getShrink());
        return reason;
      })
      .Default([](Operation *) { return "it is not of the scheduled form"; });
}

FailureOr<Schedule> moec::lowering::scheduleOf(Operation *op,
                                               const InstructionSet &isa) {
  Schedule schedule = isa.schedule;
  auto overrides = op->getAttrOfType<DictionaryAttr>(scheduleAttrName);
  if (!overrides)
    return schedule;
  if (failed(readFields(op, overrides, Schedule::fields(), schedule)))
    return failure();
  if (int64_t task = schedule.taskRows * schedule.taskPanels;
      task > Schedule::mostOfTask)
    return op->emitError(
               "moe.schedule: expected task_rows times task_panels to "
               "be at most ")
           << Schedule::mostOfTask << ", found " << task;
  return schedule;
}

//===----------------------------------------------------------------------===//
// Stages
//===----------------------------------------------------------------------===//

void LayerEmitter::stage(Code &c, StringRef name, Value count, ValueRange used,
                         Body body) {
  // What is used twice is handed in once.
  llvm::SmallSetVector<Value, 16> unique(used.begin(), used.end());
  ValueRange captured = unique.getArrayRef();
  SmallVector<Type> types{c.b.getIndexType()};
  llvm::append_range(types, captured.getTypes());
  std::string full = (entry.getSymName() + "_" + name + Twine(tasks++)).str();
  func::FuncOp task =
      kernels.function(full, types, [&](Code &inner, ValueRange arguments) {
        IRMapping in;
        in.map(captured, arguments.drop_front());
        body(inner, in, arguments[0]);
      });
  scf::ParallelOp::create(c.b, c.loc, ValueRange{c.index(0)}, ValueRange{count},
                          ValueRange{c.index(1)},
                          [&](OpBuilder &b, Location loc, ValueRange i) {
                            SmallVector<Value> operands{i[0]};
                            llvm::append_range(operands, captured);
                            func::CallOp::create(b, loc, task, operands);
                          });
}

Value LayerEmitter::callRuntime(Code &c, StringRef name, ValueRange arguments,
                                bool returnsIndex) {
  SymbolTable &symbols = kernels.symbols();
  OpBuilder outside(c.b.getContext());
  Type i64 = c.b.getI64Type(), index = c.b.getIndexType();
  TypeRange results = returnsIndex ? TypeRange(index) : TypeRange();
  // Through a function of buffers: up to its call everyone sees that they are
  // in use.
  std::string through =
      (entry.getSymName() + "_" + name + Twine(tasks++)).str();
  auto wrapper = func::FuncOp::create(
      c.loc, through, outside.getFunctionType(arguments.getTypes(), results));
  wrapper.setPrivate();
  symbols.insert(wrapper);
  Block *body = wrapper.addEntryBlock();
  outside.setInsertionPointToStart(body);
  Code inner(outside, c.loc);
  SmallVector<Value> operands;
  for (Value argument : body->getArguments()) {
    if (isa<IndexType>(argument.getType()))
      argument = arith::IndexCastOp::create(outside, c.loc, i64, argument);
    else if (isa<MemRefType>(argument.getType()))
      argument = inner.address(argument, inner.index(0));
    operands.push_back(argument);
  }
  auto function = symbols.lookup<func::FuncOp>(name);
  if (!function) {
    auto type =
        outside.getFunctionType(ValueRange(operands).getTypes(),
                                returnsIndex ? TypeRange(i64) : TypeRange());
    function = func::FuncOp::create(c.loc, name, type);
    function.setPrivate();
    symbols.insert(function);
  }
  auto inside = func::CallOp::create(outside, c.loc, function, operands);
  SmallVector<Value> returned;
  if (returnsIndex)
    returned.push_back(
        arith::IndexCastOp::create(outside, c.loc, index, inside.getResult(0)));
  func::ReturnOp::create(outside, c.loc, returned);
  auto call = func::CallOp::create(c.b, c.loc, wrapper, arguments);
  return returnsIndex ? call.getResult(0) : Value();
}

Value LayerEmitter::contiguous(Code &c, Value buffer) {
  auto type = cast<MemRefType>(buffer.getType());
  if (isCompact(type))
    return c.flatten(buffer);
  Value &known = compacted[buffer];
  if (known)
    return known;
  // A caller's view: its strides may be wide. Once for all uses.
  OpBuilder::InsertionGuard guard(c.b);
  if (isa<BlockArgument>(buffer))
    c.b.setInsertionPointToStart(&entry.getBody().front());
  else
    c.b.setInsertionPointAfterValue(buffer);
  int64_t rank = type.getRank();
  auto parts = memref::ExtractStridedMetadataOp::create(c.b, c.loc, buffer);
  SmallVector<Value> extents;
  Value count = c.index(1);
  for (int64_t d = 0; d < rank; ++d) {
    extents.push_back(c.b.createOrFold<memref::DimOp>(c.loc, buffer, d));
    count = c.mul(count, extents[d]);
  }
  Value isCompact = c.number(1, c.b.getI1Type()), stride = c.index(1);
  for (int64_t d = rank - 1; d >= 0; --d) {
    // One row may have any stride.
    Value fits = c.either(c.isEqual(parts.getStrides()[d], stride),
                          c.isEqual(extents[d], c.index(1)));
    isCompact = c.both(isCompact, fits);
    stride = c.mul(stride, extents[d]);
  }
  Value copy = c.allocate(count, type.getElementType());
  known = c.choose(
      isCompact, {copy.getType()},
      [&] { return Code::Values{c.flatten(buffer)}; },
      [&] {
        std::function<void(int64_t, SmallVector<Value>, Value)> copyFrom =
            [&](int64_t d, SmallVector<Value> at, Value place) {
              if (d == rank) {
                c.store(memref::LoadOp::create(c.b, c.loc, buffer, at), copy,
                        place);
                return;
              }
              c.loop(c.index(0), extents[d], 1, [&](Value i) {
                SmallVector<Value> next(at);
                next.push_back(i);
                copyFrom(d + 1, next, c.add(c.mul(place, extents[d]), i));
              });
            };
        copyFrom(0, {}, c.index(0));
        return Code::Values{copy};
      })[0];
  return known;
}

void LayerEmitter::convert(Code &c, StringRef name, Value from, Value to,
                           Value count) {
  constexpr int64_t elementsOfTask = 4096;
  stage(c, name, c.ceilDiv(count, elementsOfTask), {from, to, count},
        [&](Code &t, const IRMapping &in, Value task) {
          Value first = t.mul(task, elementsOfTask);
          Value left = t.sub(in.lookup(count), first);
          t.copy(in.lookup(from), first, in.lookup(to), first,
                 t.min(left, t.index(elementsOfTask)));
        });
}

Value LayerEmitter::floats(Code &c, Value buffer) {
  Value list = contiguous(c, buffer);
  if (elementOf(list).isF32())
    return list;
  Value count = c.index(1);
  for (int64_t d = 0; d < cast<MemRefType>(buffer.getType()).getRank(); ++d)
    count = c.mul(count, c.extent(buffer, d));
  Value wide = c.allocate(count, c.f32());
  convert(c, "widen", list, wide, count);
  return wide;
}

//===----------------------------------------------------------------------===//
// moe.group, moe.gather, moe.scatter_combine
//===----------------------------------------------------------------------===//

static int64_t idCount(Value ids) {
  return cast<IdType>(cast<ShapedType>(ids.getType()).getElementType())
      .getCount();
}

LogicalResult LayerEmitter::emit(GroupOp op) {
  OpBuilder b(op);
  Code c(b, op.getLoc());
  auto list = [&](Value buffer) { return contiguous(c, numbersOf(buffer)); };
  Value tokens = c.extent(op.getClusters(), 0);
  Value places = c.extent(op.getClusters(), 1);
  Value groups = c.index(idCount(op.getClusters()));
  Value scratch = c.allocate(c.add(groups, c.mul(tokens, places)), c.i32());
  Value none = LLVM::ZeroOp::create(c.b, c.loc, c.pointer());
  Value pairs = c.extent(op.getPairRow(), 0);
  // Gate weights are moved as f32, which holds them all.
  Value pairWeight = list(op.getPairWeight()), moved = pairWeight;
  if (!elementOf(moved).isF32())
    moved = c.allocate(pairs, c.f32());
  callRuntime(c, "moert_group_rows",
              {list(op.getClusters()), list(op.getIds()),
               floats(c, op.getWeights()),
               op.getSlots() ? list(op.getSlots()) : none, tokens, places,
               c.extent(op.getIds(), 1), groups, c.index(idCount(op.getIds())),
               scratch, list(op.getRowToken()), c.extent(op.getRowToken(), 0),
               list(op.getRowOffsets()), list(op.getPairRow()),
               list(op.getPairExpert()), moved, pairs},
              /*returnsIndex=*/false);
  if (moved != pairWeight)
    convert(c, "round", moved, pairWeight, pairs);
  op.erase();
  return success();
}

LogicalResult LayerEmitter::emit(GatherOp op) {
  OpBuilder b(op);
  Code c(b, op.getLoc());
  constexpr int64_t rowsOfTask = 8;
  Value input = contiguous(c, numbersOf(op.getInput()));
  Value index = contiguous(c, op.getIndex());
  Value init = contiguous(c, numbersOf(op.getInit()));
  auto type = cast<MemRefType>(op.getInput().getType());
  int64_t columns = type.getRank() == 2 ? type.getDimSize(1) : 1;
  Value sources = c.extent(op.getInput(), 0), rows = c.extent(op.getInit(), 0);
  stage(c, "gather", c.ceilDiv(rows, rowsOfTask),
        {input, index, init, sources, rows},
        [&](Code &t, const IRMapping &in, Value task) {
          auto of = [&](Value value) { return in.lookup(value); };
          Value first = t.mul(task, rowsOfTask);
          Value last = t.min(t.add(first, rowsOfTask), of(rows));
          Value size = t.index(columns);
          t.loop(first, last, 1, [&](Value row) {
            Value from = t.load(of(index), row);
            Value to = t.mul(row, columns);
            t.when(
                t.isWithin(from, of(sources)),
                [&] {
                  t.copy(of(input), t.mul(t.toIndex(from), columns), of(init),
                         to, size);
                },
                [&] {
                  if (Type element = elementOf(of(init)); element.isInteger())
                    t.fill(t.number(-1, element), of(init), to, size);
                  else
                    t.fillZeros(of(init), to, size);
                });
          });
        });
  op.erase();
  return success();
}

LogicalResult LayerEmitter::emit(ScatterCombineOp op) {
  OpBuilder b(op);
  Code c(b, op.getLoc());
  // Columns are split, not rows: rows that meet in one place are added in their
  // order whoever does it.
  constexpr int64_t columnsOfTask = 8 * lanes;
  Value input = contiguous(c, op.getInput());
  Value index = contiguous(c, op.getIndex());
  Value init = contiguous(c, op.getInit());
  SmallVector<Value> captured{input, index, init};
  Value weights;
  if (op.getWeights())
    captured.push_back(weights = floats(c, op.getWeights()));
  int64_t columns = cast<MemRefType>(op.getInit().getType()).getDimSize(1);
  Value sources = c.extent(op.getInput(), 0), rows = c.extent(op.getInit(), 0);
  // What is added up is rounded once, at the end.
  Value sums = init;
  if (!elementOf(init).isF32())
    captured.push_back(sums =
                           c.allocate(c.mul(rows, c.index(columns)), c.f32()));
  captured.append({sources, rows});
  bool accumulate = op.getAccumulate();
  int64_t tasks = (columns + columnsOfTask - 1) / columnsOfTask;
  stage(
      c, "scatter", c.index(tasks), captured,
      [&](Code &t, const IRMapping &in, Value task) {
        auto of = [&](Value value) { return in.lookup(value); };
        Value first = t.mul(task, columnsOfTask);
        Value last = t.min(t.add(first, columnsOfTask), t.index(columns));
        Value size = t.sub(last, first);
        Value whole = t.add(first, t.mul(t.div(size, lanes), lanes));
        auto forRows = [&](llvm::function_ref<void(Value)> body) {
          t.loop(t.index(0), of(rows), 1,
                 [&](Value row) { body(t.add(t.mul(row, columns), first)); });
        };
        if (!accumulate)
          forRows([&](Value at) { t.fillZeros(of(sums), at, size); });
        else if (sums != init)
          forRows([&](Value at) { t.copy(of(init), at, of(sums), at, size); });
        t.loop(t.index(0), of(sources), 1, [&](Value row) {
          Value target = t.load(of(index), row);
          t.when(t.isWithin(target, of(rows)), [&] {
            Value from = t.mul(row, columns);
            Value to = t.mul(t.toIndex(target), columns);
            Value weight = weights ? t.load(of(weights), row) : Value();
            Value weightVector = weights ? t.broadcast(weight) : Value();
            auto sum = [&](Value x, Value factor, Value before) -> Value {
              if (factor)
                x = arith::MulFOp::create(t.b, t.loc, factor, x);
              return arith::AddFOp::create(t.b, t.loc, before, x);
            };
            t.loop(first, whole, lanes, [&](Value at) {
              Value place = t.add(to, at);
              t.storeVector(sum(t.loadFloats(of(input), t.add(from, at)),
                                weightVector, t.loadVector(of(sums), place)),
                            of(sums), place);
            });
            t.loop(whole, last, 1, [&](Value at) {
              Value place = t.add(to, at);
              t.store(sum(t.loadFloat(of(input), t.add(from, at)), weight,
                          t.load(of(sums), place)),
                      of(sums), place);
            });
          });
        });
        if (sums != init)
          forRows([&](Value at) { t.copy(of(sums), at, of(init), at, size); });
      });
  op.erase();
  return success();
}
