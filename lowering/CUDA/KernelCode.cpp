// What kernels are written in.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/KernelCode.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/Math/IR/Math.h"
#include "mlir/Dialect/MemRef/IR/MemRef.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace moec::lowering;

//===----------------------------------------------------------------------===//
// Places
//===----------------------------------------------------------------------===//

Value KernelCode::thread() {
  return gpu::ThreadIdOp::create(b, loc, gpu::Dimension::x);
}

Value KernelCode::block() {
  return gpu::BlockIdOp::create(b, loc, gpu::Dimension::x);
}

Value KernelCode::blocks() {
  return gpu::GridDimOp::create(b, loc, gpu::Dimension::x);
}

void KernelCode::spread(Value count, llvm::function_ref<void(Value)> body) {
  loop(thread(), count, threads, body);
}

void KernelCode::spreadOverGrid(Value first, Value end,
                                llvm::function_ref<void(Value)> body) {
  loop(add(first, threadOfGrid()), end, mul(blocks(), threads), body);
}

void KernelCode::shareMultiprocessor(int64_t blocks) {
  kernel->setAttr(NVVM::NVVMDialect::getMinctasmAttrName(),
                  b.getI32IntegerAttr(blocks));
}

//===----------------------------------------------------------------------===//
// Shared memory
//===----------------------------------------------------------------------===//

static Attribute sharedSpace(MLIRContext *context) {
  return gpu::AddressSpaceAttr::get(context, gpu::AddressSpace::Workgroup);
}

Value KernelCode::shared(int64_t elements, Type element) {
  // LLVM joins accesses to up to 16 bytes, over what nobody asked for where that is the list's.
  constexpr int64_t joined = 16;
  int64_t bytes = element.getIntOrFloatBitWidth() / 8;
  int64_t padded = llvm::alignTo(elements * bytes, joined) / bytes;
  auto type = MemRefType::get({padded}, element, MemRefLayoutAttrInterface(),
                              sharedSpace(b.getContext()));
  Value list = kernel.addWorkgroupAttribution(type, loc);
  // And it would print less of an alignment than it took for granted.
  kernel.setWorkgroupAttributionAttr(kernel.getNumWorkgroupAttributions() - 1,
                                     LLVM::LLVMDialect::getAlignAttrName(),
                                     b.getI64IntegerAttr(joined));
  if (padded != elements)
    when(isEqual(thread(), index(0)), [&] {
      auto zero = cast<TypedAttr>(b.getZeroAttr(element));
      for (int64_t i = elements; i < padded; ++i)
        store(arith::ConstantOp::create(b, loc, zero), list, index(i));
    });
  return list;
}

Value KernelCode::sharedView(Value bytes, int64_t offset, int64_t elements,
                             Type element) {
  auto type = MemRefType::get({elements}, element, MemRefLayoutAttrInterface(),
                              sharedSpace(b.getContext()));
  return memref::ViewOp::create(b, loc, type, bytes, index(offset),
                                ValueRange());
}

Value KernelCode::sharedAddress(Value list, Value at) {
  Type element = cast<MemRefType>(list.getType()).getElementType();
  Value base = memref::ExtractAlignedPointerAsIndexOp::create(b, loc, list);
  Value place = add(base, mul(at, (element.getIntOrFloatBitWidth() + 7) / 8));
  Value number = arith::IndexCastOp::create(b, loc, b.getI64Type(), place);
  auto type = LLVM::LLVMPointerType::get(
      b.getContext(), static_cast<unsigned>(NVVM::NVVMMemorySpace::Shared));
  return LLVM::IntToPtrOp::create(b, loc, type, number);
}

void KernelCode::barrier() { gpu::BarrierOp::create(b, loc); }

void KernelCode::atomicAdd(Value value, Value list, Value at) {
  memref::AtomicRMWOp::create(b, loc, arith::AtomicRMWKind::addi, value, list,
                              at);
}

void KernelCode::atomicMax(Value value, Value list, Value at) {
  memref::AtomicRMWOp::create(b, loc, arith::AtomicRMWKind::maxs, value, list,
                              at);
}

//===----------------------------------------------------------------------===//
// Control
//===----------------------------------------------------------------------===//

Code::Values
KernelCode::unrolledLoop(Value from, Value to, int64_t step, int64_t turns,
                         ValueRange inits,
                         llvm::function_ref<Values(Value, ValueRange)> body) {
  auto loop = scf::ForOp::create(
      b, loc, from, to, index(step), inits,
      [&](OpBuilder &, Location, Value i, ValueRange carried) {
        scf::YieldOp::create(b, loc, body(i, carried));
      });
  // LLVM does it, and tells ptxas to leave it so.
  MLIRContext *context = b.getContext();
  auto unroll = LLVM::LoopUnrollAttr::get(
      context, /*disable=*/turns == 1 ? b.getBoolAttr(true) : BoolAttr(),
      /*count=*/turns == 1 ? IntegerAttr() : b.getI32IntegerAttr(turns),
      /*runtimeDisable=*/{}, /*full=*/{}, /*followupUnrolled=*/{},
      /*followupRemainder=*/{}, /*followupAll=*/{});
  loop->setAttr(loopAnnotationAttrName,
                LLVM::LoopAnnotationAttr::get(
                    context, /*disableNonforced=*/{}, /*vectorize=*/{},
                    /*interleave=*/{}, unroll, {}, {}, {}, {}, {}, {}, {}, {},
                    {}, {}, {}));
  return Values(loop.getResults());
}

//===----------------------------------------------------------------------===//
// Warps
//===----------------------------------------------------------------------===//

std::pair<Value, Value> KernelCode::fromBefore(Value value, int64_t distance) {
  auto shuffle = gpu::ShuffleOp::create(b, loc, value, distance, warpSize,
                                        gpu::ShuffleMode::UP);
  return {shuffle.getShuffleResult(), shuffle.getValid()};
}

Value KernelCode::sumOfLanes(Value value, int64_t stride) {
  for (int64_t distance = warpSize / 2; distance >= stride; distance /= 2)
    value = addF(value, gpu::ShuffleOp::create(b, loc, value, distance,
                                               warpSize, gpu::ShuffleMode::XOR)
                            .getShuffleResult());
  return value;
}

Value KernelCode::lanesWith(Value i32) {
  return NVVM::MatchSyncOp::create(b, loc, this->i32(), number(-1, this->i32()),
                                   i32, NVVM::MatchSyncKind::any);
}

Value KernelCode::countBits(Value i32) {
  return math::CtPopOp::create(b, loc, i32);
}

Value KernelCode::lanesBelow() {
  Value bit = arith::ShLIOp::create(b, loc, number(1, i32()), toI32(lane()));
  return sub(bit, number(1, i32()));
}

Value KernelCode::countBitsBefore(Value i32) {
  return countBits(both(i32, lanesBelow()));
}

std::pair<Value, Value> KernelCode::sumBefore(Value i32, Value scratch) {
  Value sum = i32;
  for (int64_t distance = 1; distance < warpSize; distance *= 2) {
    auto [before, isThere] = fromBefore(sum, distance);
    sum = add(sum, select(isThere, before, number(0, this->i32())));
  }
  int64_t warps = threads / warpSize;
  when(isEqual(lane(), index(warpSize - 1)),
       [&] { store(sum, scratch, warp()); });
  barrier();
  // Each thread adds up the warps: there are few, and all read the same.
  Values sums =
      loop(index(0), index(warps), 1,
           {number(0, this->i32()), number(0, this->i32())},
           [&](Value w, ValueRange carried) {
             Value one = load(scratch, w);
             Value isBefore = isBelow(w, warp());
             Value before = select(isBefore, one, number(0, this->i32()));
             return Values{add(carried[0], before), add(carried[1], one)};
           });
  barrier();
  return {add(sums[0], sub(sum, i32)), sums[1]};
}

Value KernelCode::fromLane(Value value, Value lane) {
  return gpu::ShuffleOp::create(b, loc, value, lane, number(warpSize, i32()),
                                gpu::ShuffleMode::IDX)
      .getShuffleResult();
}

Value KernelCode::leastOfLanes(Value i32) {
  for (int64_t distance = warpSize / 2; distance > 0; distance /= 2)
    i32 = arith::MinSIOp::create(b, loc, i32,
                                 gpu::ShuffleOp::create(b, loc, i32, distance,
                                                        warpSize,
                                                        gpu::ShuffleMode::XOR)
                                     .getShuffleResult());
  return i32;
}

//===----------------------------------------------------------------------===//
// Pairs of 16-bit floats
//===----------------------------------------------------------------------===//

Value KernelCode::instruction(StringRef text, StringRef constraints,
                              ValueRange operands, Type result) {
  return LLVM::InlineAsmOp::create(
             b, loc, result, operands, text, constraints,
             /*has_side_effects=*/false, /*is_align_stack=*/false,
             LLVM::TailCallKind::None,
             LLVM::AsmDialectAttr::get(b.getContext(),
                                       LLVM::AsmDialect::AD_ATT),
             /*operand_attrs=*/ArrayAttr())
      .getRes();
}

Value KernelCode::pack(Type element, Value first, Value second) {
  return instruction(element.isBF16() ? "cvt.rn.bf16x2.f32 $0, $2, $1;"
                                      : "cvt.rn.f16x2.f32 $0, $2, $1;",
                     "=r,f,f", {first, second}, i32());
}

std::array<Value, 2> KernelCode::unpack(Type element, Value pair) {
  Value sixteen = number(16, i32());
  if (element.isBF16()) {
    Value first = arith::ShLIOp::create(b, loc, pair, sixteen);
    Value second = both(pair, number(-65536, i32()));
    return {arith::BitcastOp::create(b, loc, f32(), first),
            arith::BitcastOp::create(b, loc, f32(), second)};
  }
  auto widen = [&](Value bits) {
    Value half = arith::TruncIOp::create(b, loc, b.getI16Type(), bits);
    return instruction("cvt.f32.f16 $0, $1;", "=f,h", half, f32());
  };
  return {widen(pair), widen(arith::ShRUIOp::create(b, loc, pair, sixteen))};
}

Value KernelCode::firstOfBoth(Value a, Value b) {
  return instruction("prmt.b32 $0, $1, $2, 0x5410;", "=r,r,r", {a, b}, i32());
}

Value KernelCode::secondOfBoth(Value a, Value b) {
  return instruction("prmt.b32 $0, $1, $2, 0x7632;", "=r,r,r", {a, b}, i32());
}

Value KernelCode::globalAddress(Value list, Value at) {
  auto global = LLVM::LLVMPointerType::get(
      b.getContext(), static_cast<unsigned>(NVVM::NVVMMemorySpace::Global));
  return LLVM::AddrSpaceCastOp::create(b, loc, global, address(list, at));
}

void KernelCode::atomicAddF(Value value, Value list, Value at) {
  // The kernel that reads the sum is launched later.
  LLVM::AtomicRMWOp::create(b, loc, LLVM::AtomicBinOp::fadd,
                            globalAddress(list, at), value,
                            LLVM::AtomicOrdering::monotonic, "device");
}

Value KernelCode::loadPair(Value list, Value at) {
  return LLVM::LoadOp::create(b, loc, i32(), globalAddress(list, at),
                              /*alignment=*/4);
}

void KernelCode::storePair(Value pair, Value list, Value at) {
  LLVM::StoreOp::create(b, loc, pair, globalAddress(list, at),
                        /*alignment=*/4);
}

//===----------------------------------------------------------------------===//
// Floats
//===----------------------------------------------------------------------===//

Value KernelCode::addF(Value lhs, Value rhs) {
  return arith::AddFOp::create(b, loc, lhs, rhs);
}

Value KernelCode::mulF(Value lhs, Value rhs) {
  return arith::MulFOp::create(b, loc, lhs, rhs);
}

Value KernelCode::fma(Value a, Value b, Value c) {
  return math::FmaOp::create(this->b, loc, a, b, c);
}

Value KernelCode::approximateTanh(Value x) {
  return instruction("tanh.approx.f32 $0, $1;", "=f,f", x, f32());
}

//===----------------------------------------------------------------------===//
// Tensor cores
//===----------------------------------------------------------------------===//

void KernelCode::copyAsync(Value to, Value from, Value isInside) {
  auto global = LLVM::LLVMPointerType::get(
      b.getContext(), static_cast<unsigned>(NVVM::NVVMMemorySpace::Global));
  Value source = LLVM::AddrSpaceCastOp::create(b, loc, global, from);
  Value bytes = select(isInside, number(16, i32()), number(0, i32()));
  NVVM::CpAsyncOp::create(b, loc, to, source, 16,
                          NVVM::LoadCacheModifierKind::CG, bytes);
}

void KernelCode::commitCopies() { NVVM::CpAsyncCommitGroupOp::create(b, loc); }

void KernelCode::waitCopies(int64_t pending) {
  NVVM::CpAsyncWaitGroupOp::create(b, loc, static_cast<uint32_t>(pending));
}

std::array<Value, 4> KernelCode::loadMatrices(Value address,
                                              bool isTransposed) {
  Type type = LLVM::LLVMStructType::getLiteral(b.getContext(),
                                               SmallVector<Type>(4, i32()));
  auto shape = NVVM::LdStMatrixShapeAttr::get(b.getContext(), 8, 8);
  Value loaded = NVVM::LdMatrixOp::create(b, loc, type, address, 4,
                                          isTransposed ? NVVM::MMALayout::col
                                                       : NVVM::MMALayout::row,
                                          shape, NVVM::LdStMatrixEltType::B16);
  std::array<Value, 4> parts;
  for (int64_t i = 0; i < 4; ++i)
    parts[i] = LLVM::ExtractValueOp::create(b, loc, loaded, i);
  return parts;
}

std::array<Value, 4> KernelCode::multiply(Type element, std::array<Value, 4> a,
                                          std::array<Value, 2> b,
                                          std::array<Value, 4> sums) {
  OpBuilder &builder = this->b;
  // bf16 travels in i32, f16 in pairs.
  auto operand = [&](Value bits) -> Value {
    if (element.isBF16())
      return bits;
    return LLVM::BitcastOp::create(builder, loc, VectorType::get({2}, element),
                                   bits);
  };
  SmallVector<Value> left, right;
  for (Value each : a)
    left.push_back(operand(each));
  for (Value each : b)
    right.push_back(operand(each));
  auto kind = element.isBF16() ? NVVM::MMATypes::bf16 : NVVM::MMATypes::f16;
  Type type = LLVM::LLVMStructType::getLiteral(builder.getContext(),
                                               SmallVector<Type>(4, f32()));
  Value product = NVVM::MmaOp::create(
      builder, loc, type, left, right, ArrayRef<Value>(sums), {16, 8, 16},
      std::nullopt, std::nullopt, std::array<NVVM::MMATypes, 2>{kind, kind},
      std::array<NVVM::MMALayout, 2>{NVVM::MMALayout::row,
                                     NVVM::MMALayout::col});
  std::array<Value, 4> results;
  for (int64_t i = 0; i < 4; ++i)
    results[i] = LLVM::ExtractValueOp::create(builder, loc, product, i);
  return results;
}
