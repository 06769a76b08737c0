// convert-moert-to-llvm: what compiled code asks of the runtime becomes calls.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoERT/IR/MoERT.h"
#include "lowering/Code/Code.h"
#include "lowering/Library/EntryArguments.h"
#include "lowering/Passes.h"

#include "mlir/Dialect/Func/IR/FuncOps.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/SymbolTable.h"
#include "moert/abi.h"
#include "llvm/ADT/TypeSwitch.h"

namespace moec::lowering {
#define GEN_PASS_DEF_CONVERTMOERTTOLLVMPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;
using namespace moec;
using namespace moec::moert;

namespace {
/// Replaces the operations of one entry.
class Converter {
public:
  Converter(func::FuncOp entry, SymbolTable &symbols)
      : entry(entry), symbols(symbols) {}

  LogicalResult run() {
    SmallVector<Operation *> found;
    entry.walk([&](Operation *op) {
      if (isa_and_nonnull<MoERTDialect>(op->getDialect()))
        found.push_back(op);
    });
    if (found.empty())
      return success();
    addStates(llvm::any_of(found, llvm::IsaPred<BeginOp>));
    for (Operation *op : found)
      if (failed(convert(op)))
        return failure();
    // Leases have lost their releases, and exchanges what follows them.
    for (Operation *op : llvm::reverse(found))
      op->erase();
    return success();
  }

private:
  /// The last arguments of an entry: the executor, the call's paging, and its
  /// exchanges.
  void addStates(bool exchanges) {
    auto pointer = LLVM::LLVMPointerType::get(entry.getContext());
    auto append = [&] {
      LogicalResult inserted = entry.insertArgument(
          entry.getNumArguments(), pointer, /*argAttrs=*/{}, entry.getLoc());
      assert(succeeded(inserted) && "functions take any argument");
      (void)inserted;
      return entry.getArguments().back();
    };
    // Without parallel loops there is no executor yet.
    if (entry.getNumArguments() == 0 ||
        entry.getArgumentTypes().back() != pointer)
      append();
    paging = append();
    if (!exchanges)
      return;
    exchange = append();
    entry->setAttr(lowering::exchangesAttrName,
                   UnitAttr::get(entry.getContext()));
  }

  /// Numbers one behind the other. An argument's are: moe-export-entries asks
  /// for that.
  FailureOr<Value> pointerTo(lowering::Code &c, Value numbers, Operation *op) {
    Value origin = numbers;
    while (auto cast = origin.getDefiningOp<memref::CastOp>())
      origin = cast.getSource();
    auto type = cast<MemRefType>(numbers.getType());
    if (!isa<BlockArgument>(origin) && !lowering::isCompact(type))
      return op->emitOpError("expected numbers one behind the other, found ")
             << type;
    return c.address(c.flatten(numbers), c.index(0));
  }

  Value countOf(lowering::Code &c, Value numbers) {
    Value count = c.index(1);
    auto type = cast<MemRefType>(numbers.getType());
    for (int64_t d = 0; d < type.getRank(); ++d)
      count = c.mul(count, c.extent(numbers, d));
    return arith::IndexCastOp::create(c.b, c.loc, c.b.getI64Type(), count);
  }

  LogicalResult convert(Operation *op) {
    OpBuilder b(op);
    lowering::Code c(b, op->getLoc());
    return llvm::TypeSwitch<Operation *, LogicalResult>(op)
        .Case<PrefetchOp, AcquireOp, ReleaseOp, BeginOp, DispatchOp, ReceiveOp,
              ReadOp, WriteOp, SendBackOp, CollectOp>(
            [&](auto known) { return convert(known, c); });
  }

  /// Calls what moert/abi.h declares; a null type: without a result.
  Value call(lowering::Code &c, StringRef name, ValueRange arguments,
             Type result = {}) {
    auto function = symbols.lookup<func::FuncOp>(name);
    if (!function) {
      function = func::FuncOp::create(
          c.loc, name,
          FunctionType::get(entry.getContext(), arguments.getTypes(),
                            result ? TypeRange(result) : TypeRange()));
      function.setPrivate();
      symbols.insert(function);
    }
    auto made = func::CallOp::create(c.b, c.loc, function, arguments);
    return result ? made.getResult(0) : Value();
  }

  //===--------------------------------------------------------------------===//
  // Residency
  //===--------------------------------------------------------------------===//

  LogicalResult convert(PrefetchOp prefetch, lowering::Code &c) {
    FailureOr<Value> clusters = pointerTo(c, prefetch.getClusters(), prefetch);
    if (failed(clusters))
      return failure();
    call(c, "moert_paging_prefetch",
         {paging, c.number(prefetch.getAhead(), c.i32()), *clusters,
          countOf(c, prefetch.getClusters())});
    return success();
  }

  LogicalResult convert(AcquireOp acquire, lowering::Code &c) {
    FailureOr<Value> clusters = pointerTo(c, acquire.getClusters(), acquire);
    FailureOr<Value> table = pointerTo(c, acquire.getTable(), acquire);
    FailureOr<Value> slots = pointerTo(c, acquire.getInit(), acquire);
    if (failed(clusters) || failed(table) || failed(slots))
      return failure();
    call(c, "moert_paging_acquire",
         {paging, *clusters, countOf(c, acquire.getClusters()), *table,
          countOf(c, acquire.getTable()), *slots});
    return success();
  }

  LogicalResult convert(ReleaseOp release, lowering::Code &c) {
    FailureOr<Value> slots = pointerTo(c, release.getSlots(), release);
    if (failed(slots))
      return failure();
    call(c, "moert_paging_release", {paging, *slots});
    return success();
  }

  //===--------------------------------------------------------------------===//
  // Exchanges
  //===--------------------------------------------------------------------===//

  /// Fields of moert_received.
  enum Field { count, rows, ids, gates, results };

  Type receivedType() {
    auto pointer = LLVM::LLVMPointerType::get(entry.getContext());
    auto i64 = IntegerType::get(entry.getContext(), 64);
    return LLVM::LLVMStructType::getLiteral(
        entry.getContext(), {i64, pointer, pointer, pointer, pointer});
  }

  static Type elementOf(Value buffer) {
    return cast<MemRefType>(buffer.getType()).getElementType();
  }
  static int64_t columnsOf(Value buffer) {
    return cast<MemRefType>(buffer.getType()).getDimSize(1);
  }
  static int64_t bytesOfRow(Value buffer) {
    return columnsOf(buffer) * elementOf(buffer).getIntOrFloatBitWidth() / 8;
  }
  static Value toI64(lowering::Code &c, Value index) {
    return arith::IndexCastOp::create(c.b, c.loc, c.b.getI64Type(), index);
  }
  static Value i64(lowering::Code &c, int64_t number) {
    return c.number(number, c.b.getI64Type());
  }

  LogicalResult convert(BeginOp begin, lowering::Code &c) {
    SmallVector<Value> pointers;
    for (Value buffer : {begin.getRows(), begin.getIds(), begin.getClusters(),
                         begin.getGates(), begin.getInit()}) {
      FailureOr<Value> pointer =
          buffer ? pointerTo(c, buffer, begin)
                 : Value(LLVM::ZeroOp::create(c.b, c.loc, c.pointer()));
      if (failed(pointer))
        return failure();
      pointers.push_back(*pointer);
    }
    Value rows = begin.getRows();
    auto element = lowering::entryElementType(elementOf(rows));
    Value type = c.number(MOERT_ELEMENT(element->code, element->bits), c.i32());
    Value columns = i64(c, columnsOf(rows));
    SmallVector<Value> arguments{exchange};
    llvm::append_range(arguments, pointers);
    llvm::append_range(arguments, ValueRange{toI64(c, c.extent(rows, 0)),
                                             i64(c, columnsOf(begin.getIds())),
                                             columns, columns, type, type,
                                             i64(c, begin.getParts())});
    call(c, "moert_exchange_begin", arguments);
    return success();
  }

  LogicalResult convert(DispatchOp dispatch, lowering::Code &c) {
    call(c, "moert_exchange_dispatch", {exchange, i64(c, dispatch.getPart())});
    return success();
  }

  LogicalResult convert(ReceiveOp receive, lowering::Code &c) {
    // Once, whatever loop this stands in.
    OpBuilder start = OpBuilder::atBlockBegin(&entry.getBody().front());
    Value one = LLVM::ConstantOp::create(start, c.loc, start.getI64Type(),
                                         start.getI64IntegerAttr(1));
    Value place =
        LLVM::AllocaOp::create(start, c.loc, c.pointer(), receivedType(), one);
    Value number =
        call(c, "moert_exchange_receive",
             {exchange, i64(c, receive.getPart()), place}, c.b.getI64Type());
    receive.getCount().replaceAllUsesWith(
        arith::IndexCastOp::create(c.b, c.loc, c.b.getIndexType(), number));
    places[receive.getReceived()] = {place, receive.getPart()};
    return success();
  }

  /// Where row `first` of what was received is, in bytes from the beginning of
  /// a field.
  Value placeOf(lowering::Code &c, Value received, Field field, Value first,
                Value buffer) {
    Value at = LLVM::GEPOp::create(c.b, c.loc, c.pointer(), receivedType(),
                                   places.at(received).pointer,
                                   ArrayRef<LLVM::GEPArg>{0, int32_t(field)});
    Value base = LLVM::LoadOp::create(c.b, c.loc, c.pointer(), at);
    return c.advance(base, c.b.getI8Type(), c.mul(first, bytesOfRow(buffer)));
  }

  /// How many of a buffer's rows there are from `first` on.
  Value countFrom(lowering::Code &c, Value received, Value first,
                  Value buffer) {
    Value total = LLVM::LoadOp::create(c.b, c.loc, c.b.getI64Type(),
                                       places.at(received).pointer);
    Value left =
        c.sub(arith::IndexCastOp::create(c.b, c.loc, c.b.getIndexType(), total),
              first);
    return c.min(left, c.extent(buffer, 0));
  }

  static void copyBytes(lowering::Code &c, Value to, Value from, Value bytes) {
    LLVM::MemcpyOp::create(c.b, c.loc, to, from, toI64(c, bytes),
                           /*isVolatile=*/false);
  }

  LogicalResult convert(ReadOp read, lowering::Code &c) {
    Value received = read.getReceived(), first = read.getFirst();
    Value present = countFrom(c, received, first, read.getRows());
    for (auto [field, buffer] :
         {std::pair(rows, read.getRows()), std::pair(ids, read.getIds()),
          std::pair(gates, read.getGates())}) {
      FailureOr<Value> to = pointerTo(c, buffer, read);
      if (failed(to))
        return failure();
      Value bytes = c.mul(present, bytesOfRow(buffer));
      copyBytes(c, *to, placeOf(c, received, field, first, buffer), bytes);
      if (field == rows)
        continue;
      // Behind them an id is -1, all of whose bits are set, and a gate weight
      // 0.
      Value missing = c.sub(c.extent(buffer, 0), present);
      LLVM::MemsetOp::create(c.b, c.loc, c.advance(*to, c.b.getI8Type(), bytes),
                             c.number(field == ids ? -1 : 0, c.b.getI8Type()),
                             toI64(c, c.mul(missing, bytesOfRow(buffer))),
                             /*isVolatile=*/false);
    }
    return success();
  }

  LogicalResult convert(WriteOp write, lowering::Code &c) {
    Value received = write.getReceived(), buffer = write.getRows();
    FailureOr<Value> from = pointerTo(c, buffer, write);
    if (failed(from))
      return failure();
    Value present = countFrom(c, received, write.getFirst(), buffer);
    copyBytes(c, placeOf(c, received, results, write.getFirst(), buffer), *from,
              c.mul(present, bytesOfRow(buffer)));
    return success();
  }

  LogicalResult convert(SendBackOp back, lowering::Code &c) {
    call(c, "moert_exchange_send_back",
         {exchange, i64(c, places.at(back.getReceived()).part)});
    return success();
  }

  LogicalResult convert(CollectOp collect, lowering::Code &c) {
    call(c, "moert_exchange_collect", {exchange, i64(c, collect.getPart())});
    return success();
  }

  /// A moert_received on the entry's stack.
  struct Place {
    Value pointer;
    int64_t part;
  };

  func::FuncOp entry;
  SymbolTable &symbols;
  Value paging, exchange;
  DenseMap<Value, Place> places;
};

struct ConvertMoERTToLLVMPass
    : lowering::impl::ConvertMoERTToLLVMPassBase<ConvertMoERTToLLVMPass> {
  using Base::Base;

  void runOnOperation() override {
    SymbolTable symbols(getOperation());
    for (func::FuncOp entry : lowering::findEntries(getOperation()))
      if (failed(Converter(entry, symbols).run()))
        return signalPassFailure();
  }
};
} // namespace
