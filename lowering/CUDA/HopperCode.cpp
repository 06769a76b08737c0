// What kernels for Hopper are written in besides.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/HopperCode.h"

#include "lowering/CUDA/KernelTable.h"
#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/Dialect/LLVMIR/NVVMDialect.h"
#include "mlir/Dialect/SCF/IR/SCF.h"

using namespace mlir;
using namespace moec::lowering;

//===----------------------------------------------------------------------===//
// Places
//===----------------------------------------------------------------------===//

Code::Values
HopperCode::stride(Value count, int64_t cluster, ValueRange inits,
                   llvm::function_ref<Values(Value, ValueRange)> body) {
  return loop(div(block(), cluster), count, div(blocks(), cluster), inits,
              body);
}

Value HopperCode::blockOfCluster() {
  return NVVM::ClusterId::create(b, loc, i32());
}

void HopperCode::once(llvm::function_ref<void()> body) {
  when(NVVM::ElectSyncOp::create(b, loc, b.getI1Type(), /*membermask=*/Value()),
       body);
}

//===----------------------------------------------------------------------===//
// Memory and warps
//===----------------------------------------------------------------------===//

Value HopperCode::dynamicShared() {
  auto space =
      gpu::AddressSpaceAttr::get(b.getContext(), gpu::AddressSpace::Workgroup);
  auto type =
      MemRefType::get({ShapedType::kDynamic}, b.getIntegerType(8),
                      MemRefLayoutAttrInterface(), cast<Attribute>(space));
  return gpu::DynamicSharedMemoryOp::create(b, loc, type);
}

void HopperCode::syncWarp() {
  NVVM::SyncWarpOp::create(b, loc, number(-1, i32()));
}

void HopperCode::giveRegisters(int64_t count) {
  NVVM::SetMaxRegisterOp::create(b, loc, static_cast<uint32_t>(count),
                                 NVVM::SetMaxRegisterAction::decrease);
}

void HopperCode::takeRegisters(int64_t count) {
  NVVM::SetMaxRegisterOp::create(b, loc, static_cast<uint32_t>(count),
                                 NVVM::SetMaxRegisterAction::increase);
}

/// To shared memory of any block of the cluster.
Type HopperCode::clusterPointer() {
  return LLVM::LLVMPointerType::get(
      b.getContext(),
      static_cast<unsigned>(NVVM::NVVMMemorySpace::SharedCluster));
}

//===----------------------------------------------------------------------===//
// Barriers
//===----------------------------------------------------------------------===//

void HopperCode::initBarrier(Value barrier, int64_t count) {
  NVVM::MBarrierInitOp::create(b, loc, barrier, number(count, i32()),
                               /*predicate=*/Value());
}

void HopperCode::fenceBarriers() { NVVM::FenceMbarrierInitOp::create(b, loc); }

void HopperCode::arrive(Value barrier) {
  NVVM::MBarrierArriveOp::create(b, loc, b.getI64Type(), barrier,
                                 /*count=*/Value());
}

void HopperCode::arriveAt(Value barrier, Value block) {
  Value there = NVVM::MapaOp::create(b, loc, clusterPointer(), barrier, block);
  NVVM::MBarrierArriveOp::create(b, loc, /*res=*/Type(), there,
                                 /*count=*/Value(),
                                 NVVM::MemScopeKind::CLUSTER);
}

void HopperCode::arriveExpecting(Value barrier, int64_t bytes) {
  NVVM::MBarrierArriveExpectTxOp::create(
      b, loc, /*res=*/Type(), barrier, number(bytes, i32()),
      NVVM::MemScopeKind::CTA, /*relaxed=*/false, /*predicate=*/Value());
}

void HopperCode::waitFor(Value barrier, Value parity) {
  // Nanoseconds until the hardware lets the loop look again.
  constexpr int64_t patience = 10'000'000;
  NVVM::MBarrierTryWaitParityOp::create(b, loc, barrier, parity,
                                        number(patience, i32()));
}

void HopperCode::clusterBarrier() {
  // Lanes of a warp may have gone their own ways.
  NVVM::ClusterArriveOp::create(b, loc, /*aligned=*/UnitAttr());
  NVVM::ClusterWaitOp::create(b, loc, /*aligned=*/UnitAttr());
}

//===----------------------------------------------------------------------===//
// Tensor maps
//===----------------------------------------------------------------------===//

Value HopperCode::tensorMap(Value view, ArrayRef<int64_t> box) {
  auto map =
      UnrealizedConversionCastOp::create(b, loc, TypeRange{pointer()}, view);
  map->setAttr(tensorMapAttrName, b.getDenseI64ArrayAttr(box));
  return map.getResult(0);
}

void HopperCode::prefetchMap(Value map) {
  // Without its space LLVM makes two instructions of it.
  NVVM::PrefetchOp::create(b, loc, /*cacheLevel=*/nullptr,
                           /*evictPriority=*/nullptr, map,
                           /*predicate=*/Value(), /*tensormap=*/true,
                           /*uniform=*/false, /*inParamSpace=*/true);
}

void HopperCode::copyBox(Value to, Value map, ArrayRef<Value> at, Value barrier,
                         int64_t cluster) {
  // The instruction's form for a block alone is newer than the PTX version that old drivers take.
  Value target = LLVM::AddrSpaceCastOp::create(b, loc, clusterPointer(), to);
  Value mask;
  if (cluster > 1)
    mask = number((1 << cluster) - 1, b.getI16Type());
  // It counts dimensions from the innermost on.
  Values coordinates(llvm::reverse(at));
  NVVM::CpAsyncBulkTensorGlobalToSharedClusterOp::create(
      b, loc, target, map, coordinates, barrier,
      /*im2colOffsets=*/ValueRange(), mask,
      /*l2CacheHint=*/Value(), NVVM::TMALoadMode::TILE, /*isCTAOnly=*/false,
      /*group=*/nullptr, /*predicate=*/Value());
}

//===----------------------------------------------------------------------===//
// Products
//===----------------------------------------------------------------------===//

// A matrix descriptor: its fields count units of 16 bytes.
static constexpr int64_t unitBytes = 16, addressMask = 0x3fff;
static constexpr int64_t leadingShift = 16, strideShift = 32;
/// Patterns of 128 bytes.
static constexpr int64_t swizzle128 = int64_t(1) << 62;

Value HopperCode::matrix(Value address, int64_t leading, int64_t stride) {
  Type i64 = b.getI64Type();
  Value bytes = LLVM::PtrToIntOp::create(b, loc, i64, address);
  Value units =
      both(div(bytes, number(unitBytes, i64)), number(addressMask, i64));
  return either(units,
                number(swizzle128 | (leading / unitBytes) << leadingShift |
                           (stride / unitBytes) << strideShift,
                       i64));
}

Value HopperCode::moved(Value matrix, int64_t bytes) {
  return add(matrix, number(bytes / unitBytes, b.getI64Type()));
}

static Type typeOfSums(OpBuilder &b, int64_t columns) {
  SmallVector<Type> numbers(columns / 2, b.getF32Type());
  return LLVM::LLVMStructType::getLiteral(b.getContext(), numbers);
}

Value HopperCode::sums(int64_t columns) {
  return LLVM::PoisonOp::create(b, loc, typeOfSums(b, columns));
}

void HopperCode::beginProducts() { NVVM::WgmmaFenceAlignedOp::create(b, loc); }

Value HopperCode::addProduct(Type element, Value a, Value factor, Value sums,
                             bool isFirst) {
  auto type = cast<LLVM::LLVMStructType>(sums.getType());
  int64_t columns = 2 * static_cast<int64_t>(type.getBody().size());
  auto shape = NVVM::MMAShapeAttr::get(b.getContext(), 64, columns, 16);
  auto kind = element.isBF16() ? NVVM::WGMMATypes::bf16 : NVVM::WGMMATypes::f16;
  auto scale = isFirst ? NVVM::WGMMAScaleOut::zero : NVVM::WGMMAScaleOut::one;
  auto one = NVVM::WGMMAScaleIn::one;
  // Of both factors rows as they lie: that of the second is along its columns.
  return NVVM::WgmmaMmaAsyncOp::create(
      b, loc, type, sums, a, factor, shape, kind, kind, NVVM::WGMMATypes::f32,
      scale, one, one, NVVM::MMALayout::row, NVVM::MMALayout::row,
      /*satfinite=*/nullptr);
}

void HopperCode::commitProducts() {
  NVVM::WgmmaGroupSyncAlignedOp::create(b, loc);
}

void HopperCode::waitProducts(int64_t pending) {
  NVVM::WgmmaWaitGroupSyncOp::create(b, loc, static_cast<uint64_t>(pending));
}

Code::Values HopperCode::numbersOf(Value sums) {
  auto type = cast<LLVM::LLVMStructType>(sums.getType());
  Values numbers;
  for (size_t i = 0; i < type.getBody().size(); ++i)
    numbers.push_back(LLVM::ExtractValueOp::create(b, loc, sums, i));
  // LLVM does not know that a wait changes registers: an operation that it cannot look into comes between.
  std::string constraints;
  for (size_t i = 0; i < numbers.size(); ++i)
    constraints += "=f,";
  for (size_t i = 0; i < numbers.size(); ++i)
    constraints += std::to_string(i) + (i + 1 < numbers.size() ? "," : "");
  Value settled =
      LLVM::InlineAsmOp::create(
          b, loc, type, numbers, "", constraints, /*has_side_effects=*/true,
          /*is_align_stack=*/false, LLVM::TailCallKind::None,
          LLVM::AsmDialectAttr::get(b.getContext(), LLVM::AsmDialect::AD_ATT),
          /*operand_attrs=*/ArrayAttr())
          .getRes();
  for (auto [i, each] : llvm::enumerate(numbers))
    each = LLVM::ExtractValueOp::create(b, loc, settled, i);
  return numbers;
}
