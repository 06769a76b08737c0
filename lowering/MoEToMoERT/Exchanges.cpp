// Exchanges of rows between ranks: what is done with received rows becomes the body of a loop over them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
//
// How many rows a rank receives is known when they are there, and may be many times the tokens it has itself. Scratch memory follows from the
// number of tokens alone, so received rows are done so many at a time; behind the last one ids are -1, and products skip what is of no expert.
#include "lowering/MoEToMoERT/Exchanges.h"

#include "dialects/MoE/IR/MoE.h"
#include "dialects/MoERT/IR/MoERT.h"
#include "lowering/MoEToLinalg/Emitter.h"
#include "mlir/Dialect/Arith/IR/Arith.h"
#include "mlir/Dialect/SCF/IR/SCF.h"
#include "mlir/Dialect/Tensor/IR/Tensor.h"
#include "mlir/IR/IRMapping.h"
#include "passes/Communication.h"
#include "llvm/ADT/SetVector.h"

using namespace mlir;
using namespace moec;
using lowering::Emitter;

namespace {
/// One moe.dispatch with its moe.return.
class Exchange {
public:
  Exchange(moe::ReturnOp back, int64_t fewest)
      : back(back), sent(back.getDispatch()), fewest(fewest),
        parts(partsOf(sent)), builder(back->getContext()),
        e(builder, back.getLoc()) {}

  LogicalResult convert() {
    if (failed(collectWork()) || failed(begin()))
      return failure();
    // While part c is computed, part c + 1 is on its way here, and what was
    // made of part c - 1 on its way back.
    dispatch(0);
    builder.setInsertionPoint(back);
    for (int64_t part = 0; part < parts; ++part) {
      if (part + 1 < parts)
        dispatch(part + 1);
      compute(part);
      if (part > 0)
        collect(part - 1);
    }
    collect(parts - 1);
    back.replaceAllUsesWith(sums);
    back.erase();
    for (Operation *op : llvm::reverse(work))
      op->erase();
    sent.erase();
    return success();
  }

private:
  static RankedTensorType typeOf(Value value) {
    return cast<RankedTensorType>(value.getType());
  }
  Location loc() { return back.getLoc(); }

  /// What depends on received rows, in the order of the text.
  LogicalResult collectWork() {
    if (sent->getBlock() != back->getBlock() ||
        !isa<func::FuncOp>(sent->getParentOp()))
      return sent.emitOpError("expected its moe.return behind it in the block "
                              "of a function");
    if (!sent.getExchange().hasOneUse())
      return sent.emitOpError("expected one moe.return, found several");
    llvm::SetVector<Operation *> known;
    known.insert(sent);
    auto isKnown = [&](Value value) {
      return known.contains(value.getDefiningOp());
    };
    for (Operation *op = sent->getNextNode(); op != back;
         op = op->getNextNode()) {
      WalkResult walk = op->walk([&](Operation *inner) {
        return llvm::any_of(inner->getOperands(), isKnown)
                   ? WalkResult::interrupt()
                   : WalkResult::advance();
      });
      if (!walk.wasInterrupted())
        continue;
      if (!isMemoryEffectFree(op))
        return op->emitError("'")
               << op->getName() << "' has effects: expected none of what uses "
               << "received rows";
      known.insert(op);
      work.push_back(op);
    }
    for (Operation *op : known)
      for (Operation *user : op->getUsers()) {
        Operation *inBlock = back->getBlock()->findAncestorOpInBlock(*user);
        if (inBlock != back && !known.contains(inBlock))
          return user->emitError("'")
                 << user->getName() << "' uses what was computed of received "
                 << "rows: expected it between moe.dispatch and moe.return";
      }
    return success();
  }

  //===--------------------------------------------------------------------===//
  // What is sent
  //===--------------------------------------------------------------------===//

  LogicalResult begin() {
    builder.setInsertionPoint(sent);
    rows = sent.getInput();
    auto choices = typeOf(sent.getIds());
    ids = moe::IdCastOp::create(
        builder, loc(), choices.clone(builder.getI32Type()), sent.getIds());
    gates = asFloats(sent.getWeights(), builder.getF32Type());
    if (sent.getTable()) {
      auto table = sent.getTable().getDefiningOp<moe::WrapOp>();
      if (!table)
        return sent.emitOpError("expected a table that a tensor holds: behind "
                                "moe-bind-params");
      clusters = emitClusters(table.getTensor());
    }
    SmallVector<OpFoldResult> sizes =
        tensor::getMixedSizes(builder, loc(), rows);
    Value init = tensor::EmptyOp::create(builder, loc(), sizes,
                                         typeOf(rows).getElementType());
    auto begun = moert::BeginOp::create(
        builder, loc(), moert::ExchangeType::get(builder.getContext()),
        init.getType(), rows, ids, gates, clusters, init, int32_t(parts));
    exchange = begun.getExchange();
    sums = begun.getSums();
    // As many rows at a time as a part has tokens: on one rank these are all.
    Value tokens = e.extent(rows, 0);
    Value ofPart =
        arith::CeilDivUIOp::create(builder, loc(), tokens, e.index(parts));
    atATime = arith::MaxUIOp::create(builder, loc(), ofPart, e.index(fewest));
    return success();
  }

  Value asFloats(Value value, Type element) {
    RankedTensorType type = typeOf(value);
    if (type.getElementType() == element)
      return value;
    if (element.isF32())
      return arith::ExtFOp::create(builder, loc(), type.clone(element), value);
    return arith::TruncFOp::create(builder, loc(), type.clone(element), value);
  }

  /// The cluster of each choice; -1 of none.
  Value emitClusters(Value table) {
    int64_t experts = typeOf(table).getDimSize(0);
    Value none = e.i32(-1);
    Value init = e.empty(tensor::getMixedSizes(builder, loc(), ids),
                         builder.getI32Type());
    return e.generic("pp", {ids}, {{0, 1}}, init, {0, 1},
                     [&](Emitter &inner, ValueRange at) {
                       Value isExpert = inner.inRange(at[0], experts);
                       Value cluster = inner.extract(
                           table, inner.safeIndex(at[0], isExpert));
                       return inner.select(isExpert, cluster, none);
                     });
  }

  void dispatch(int64_t part) {
    moert::DispatchOp::create(builder, loc(), exchange, int32_t(part));
  }

  //===--------------------------------------------------------------------===//
  // What is received
  //===--------------------------------------------------------------------===//

  void compute(int64_t part) {
    auto received =
        moert::ReceiveOp::create(builder, loc(), builder.getIndexType(),
                                 moert::ReceivedType::get(builder.getContext()),
                                 exchange, int32_t(part));
    auto loop = scf::ForOp::create(builder, loc(), e.index(0),
                                   received.getCount(), atATime);
    {
      OpBuilder::InsertionGuard guard(builder);
      builder.setInsertionPointToStart(loop.getBody());
      emitTurn(received.getReceived(), loop.getInductionVar());
    }
    moert::SendBackOp::create(builder, loc(), received.getReceived());
  }

  /// A destination for rows of the type.
  Value emptyRows(RankedTensorType type) {
    return tensor::EmptyOp::create(builder, loc(), type, ValueRange{atATime});
  }

  void emitTurn(Value received, Value first) {
    RankedTensorType idsType = typeOf(sent.getRowIds());
    Value destinations[] = {
        emptyRows(typeOf(sent.getRows())),
        emptyRows(idsType.clone(builder.getI32Type())),
        emptyRows(typeOf(sent.getRowWeights()).clone(builder.getF32Type()))};
    auto read = moert::ReadOp::create(
        builder, loc(), ValueRange(destinations).getTypes(), received, first,
        destinations[0], destinations[1], destinations[2]);
    IRMapping mapping;
    mapping.map(sent.getRows(), read.getResult(0));
    mapping.map(sent.getRowIds(), moe::IdCastOp::create(builder, loc(), idsType,
                                                        read.getResult(1))
                                      .getResult());
    mapping.map(sent.getRowWeights(),
                asFloats(read.getResult(2),
                         typeOf(sent.getRowWeights()).getElementType()));
    for (Operation *op : work)
      builder.clone(*op, mapping);
    moert::WriteOp::create(builder, loc(), received, first,
                           mapping.lookup(back.getRows()));
  }

  void collect(int64_t part) {
    auto collected =
        moert::CollectOp::create(builder, loc(), sums.getType(), exchange, rows,
                                 ids, gates, clusters, sums, int32_t(part));
    sums = collected.getResult();
  }

  moe::ReturnOp back;
  moe::DispatchOp sent;
  int64_t fewest, parts;
  OpBuilder builder;
  Emitter e;
  SmallVector<Operation *> work;
  /// Of this rank's tokens.
  Value rows, ids, gates, clusters, sums;
  Value exchange, atATime;
};
} // namespace

FailureOr<size_t> moec::lowering::convertExchanges(func::FuncOp function,
                                                   int64_t fewest) {
  SmallVector<moe::ReturnOp> returns;
  WalkResult walk = function.walk([&](Operation *op) {
    if (auto sent = dyn_cast<moe::DispatchOp>(op);
        sent && sent.getExchange().use_empty()) {
      sent.emitOpError("expected a moe.return of its exchange");
      return WalkResult::interrupt();
    }
    if (auto back = dyn_cast<moe::ReturnOp>(op))
      returns.push_back(back);
    return WalkResult::advance();
  });
  if (walk.wasInterrupted())
    return failure();
  for (moe::ReturnOp back : returns)
    if (failed(Exchange(back, fewest).convert()))
      return failure();
  return returns.size();
}
