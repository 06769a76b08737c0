// Scheduled operations on buffers of a GPU: what is common.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/ScheduledKernels.h"

#include "lowering/KernelSelection.h"
#include "lowering/Library/EntryArguments.h"
#include "mlir/Dialect/Linalg/IR/Linalg.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"

using namespace mlir;
using namespace moec::lowering;
using namespace moec::moe;

int64_t moec::lowering::countExperts(Value ids) {
  IdType type = getIdType(ids);
  return type.getCount() + type.getSpecials();
}

LogicalResult moec::lowering::launchKernel(
    KernelTable &kernels, func::FuncOp entry, Code &host, StringRef name,
    Value blocks, int64_t threads, llvm::function_ref<void(KernelCode &)> body,
    int64_t sharedBytes, int64_t cluster) {
  FailureOr<Kernel> kernel = kernels.add(
      host.loc, (entryNameOf(entry) + "_" + name).str(), threads,
      [&](OpBuilder &builder, gpu::GPUFuncOp function) {
        KernelCode code(builder, function, threads);
        body(code);
      },
      sharedBytes, cluster);
  if (failed(kernel))
    return failure();
  Value one = host.index(1), size = host.index(threads);
  gpu::LaunchFuncOp::create(
      host.b, host.loc, kernel->function, gpu::KernelDim3{blocks, one, one},
      gpu::KernelDim3{size, one, one},
      /*dynamicSharedMemorySize=*/Value(), kernel->captures);
  return success();
}

Value ScheduledKernels::destination(Code &host, Value buffer) {
  return listOf(host, numbersOf(buffer));
}

Value ScheduledKernels::listOf(Code &host, Value buffer) {
  Value &list = lists[buffer];
  if (!list)
    list = host.flatten(buffer);
  return list;
}

Value ScheduledKernels::contiguous(Code &host, Value buffer) {
  buffer = numbersOf(buffer);
  auto type = cast<MemRefType>(buffer.getType());
  if (isCompact(type))
    return listOf(host, buffer);
  Value &list = lists[buffer];
  if (list)
    return list;
  SmallVector<Value> extents;
  for (int64_t d = 0; d < type.getRank(); ++d)
    if (type.isDynamicDim(d))
      extents.push_back(host.extent(buffer, d));
  Value copy = memref::AllocOp::create(
      host.b, host.loc, MemRefType::get(type.getShape(), type.getElementType()),
      extents, host.b.getI64IntegerAttr(64));
  memref::CopyOp::create(host.b, host.loc, buffer, copy);
  return list = host.flatten(copy);
}

Value ScheduledKernels::allocateFilled(Code &host, Value count, Value value) {
  Value list = host.allocate(count, value.getType());
  linalg::FillOp::create(host.b, host.loc, value, list);
  return list;
}

MatrixPool ScheduledKernels::poolOf(Code &host, Value weight) {
  auto wrap = weight.getDefiningOp<WrapOp>();
  auto type = cast<WeightType>(wrap.getType());
  auto stored = cast<MemRefType>(wrap.getTensor().getType());
  MatrixPool pool;
  // Who calls is told to bring them so.
  pool.list = listOf(host, wrap.getTensor());
  pool.slots = wrap.getSlots() ? listOf(host, wrap.getSlots()) : Value();
  pool.isIndexed = type.isIndexed();
  pool.entries = type.isIndexed() ? type.getCount() : 1;
  pool.places = type.isIndexed() ? stored.getDimSize(0) : 1;
  pool.rows = type.getRows();
  pool.columns = type.getCols();
  pool.element = stored.getElementType();
  return pool;
}

std::pair<Value, Value> MatrixPool::find(KernelCode &k, Value entry) const {
  if (!isIndexed)
    return {k.index(0), k.number(1, k.b.getI1Type())};
  Value isThere = k.isWithin(entry, k.index(entries));
  Value place = k.select(isThere, entry, k.number(0, k.i32()));
  if (slots) {
    place = k.load(slots, k.toIndex(place));
    isThere = k.both(isThere, k.isWithin(place, k.index(places)));
    place = k.select(isThere, place, k.number(0, k.i32()));
  }
  return {k.mul(k.toIndex(place), rows * columns), isThere};
}
