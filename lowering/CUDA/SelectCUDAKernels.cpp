// moe-select-cuda-kernels: which operations have CUDA kernels of their own.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/CUDA/ScheduledKernels.h"
#include "lowering/CUDA/SortByGroup.h"
#include "lowering/KernelSelection.h"
#include "lowering/Passes.h"

#include "llvm/ADT/TypeSwitch.h"

namespace moec::lowering {
#define GEN_PASS_DEF_SELECTCUDAKERNELSPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;
using namespace moec::lowering;
using namespace moec::moe;

/// Most columns of x·A: sums of four warps are in shared memory.
static constexpr int64_t mostLowColumns = 2048;

static Type elementTypeOf(Value value) {
  return cast<ShapedType>(value.getType()).getElementType();
}

/// The group whose result `value` is, at that place; null if it is none's.
static GroupOp groupOf(Value value, unsigned place) {
  auto group = value.getDefiningOp<GroupOp>();
  return group && cast<OpResult>(value).getResultNumber() == place ? group
                                                                   : GroupOp();
}

/// Why stored numbers cannot be read as a kernel does; empty if they can.
static std::string reasonAgainst(ValueRange weights, Type element,
                                 bool isBase) {
  for (Value weight : weights) {
    auto wrap = weight.getDefiningOp<WrapOp>();
    if (!wrap)
      return "its weights are expressions, not stored matrices";
    if (wrap.getScales() || wrap.getZeroPoints() ||
        wrap.getLayoutOrDefault() != Layout::row_major)
      return "a weight is not stored as floats in row_major";
    Type stored = elementTypeOf(wrap.getTensor());
    if (isBase ? stored != element : !isa<FloatType>(stored))
      return "a weight is not of the type of the rows it is multiplied by";
    auto type = cast<WeightType>(wrap.getType());
    // Copies bring eight numbers.
    if (isBase && (type.getRows() % 8 != 0 || type.getCols() % 8 != 0))
      return "extents of a weight are not multiples of 8";
  }
  return "";
}

/// The type of the rows that are multiplied: as they are, or rounded. Null for rounding that there is no kernel for.
template <typename Op> static Type factorType(Op op) {
  Type element = elementTypeOf(op.getInput());
  EncodingAttr rounding = op.getRoundingAttr();
  if (!rounding)
    return element;
  return rounding.getFormat() == Format::bf16
             ? BFloat16Type::get(op.getContext())
             : Type();
}

/// What both products need.
template <typename Op>
static std::string reasonAgainstProduct(Op op, Value pairRow) {
  Type element = factorType(op);
  if (!element)
    return "its rows are rounded to int8";
  if (!element.isF16() && !element.isBF16())
    return "tensor cores take f16 and bf16";
  if (!op.getOffsets() || !groupOf(op.getOffsets(), 1))
    return "its rows are not those of a moe.group";
  if (pairRow && !groupOf(pairRow, 2))
    return "its pairs are not those of a moe.group";
  if (!op.getBiases().empty())
    return "it has a bias";
  return reasonAgainst(op.getWeights(), element, /*isBase=*/true);
}

std::string moec::lowering::reasonAgainstCUDAKernels(Operation *op) {
  return llvm::TypeSwitch<Operation *, std::string>(op)
      .Case([](GroupOp group) -> std::string {
        return getIdType(group.getClusters()).getCount() <= mostSortedGroups
                   ? ""
                   : "it has more groups than shared memory has room for";
      })
      .Case([](GatherOp) -> std::string { return "it only copies"; })
      .Case([](ScatterCombineOp scatter) -> std::string {
        if (!groupOf(scatter.getIndex(), 0))
          return "its rows are not those of a moe.group";
        return elementTypeOf(scatter.getInit()).isF64() ? "its sums are in f64"
                                                        : "";
      })
      .Case([](GroupedUpOp up) -> std::string {
        std::string reason = reasonAgainstProduct(up, up.getPairRow());
        Type element = factorType(up);
        if (reason.empty())
          reason = reasonAgainst(up.getResiduals(), element, /*isBase=*/false);
        if (reason.empty() && up.getShrink())
          reason = reasonAgainst(up.getShrink(), element, /*isBase=*/false);
        int64_t columns = 0;
        for (size_t i = 0; i < up.getResiduals().size(); i += 2)
          columns += cast<WeightType>(up.getResiduals()[i].getType()).getCols();
        if (reason.empty() && columns > mostLowColumns)
          reason = "its ranks are more than shared memory has room for";
        return reason;
      })
      .Case([](GroupedMatmulOp matmul) -> std::string {
        if (matmul.getEntries() || matmul.getAccumulate() ||
            !matmul.getResiduals().empty() ||
            (matmul.getPairRow() && !matmul.getSegment()))
          return "only rows of groups, and what pairs add to them, have one";
        std::string reason = reasonAgainstProduct(matmul, matmul.getPairRow());
        if (reason.empty() && matmul.getExpand())
          reason = reasonAgainst(matmul.getExpand(), factorType(matmul),
                                 /*isBase=*/false);
        return reason;
      })
      .Default([](Operation *) { return "it is not of the scheduled form"; });
}

namespace {
struct SelectCUDAKernelsPass
    : moec::lowering::impl::SelectCUDAKernelsPassBase<SelectCUDAKernelsPass> {
  using Base::Base;

  void runOnOperation() override {
    selectKernels(getOperation(), "select-cuda-kernels",
                  reasonAgainstCUDAKernels);
    getOperation().walk([](ScatterCombineOp op) {
      if (!op->hasAttr(kernelAttrName))
        return;
      GroupOp group = groupOf(op.getIndex(), 0);
      auto type = cast<ShapedType>(group.getClusters().getType());
      op->setAttr(rowsPerTokenAttrName,
                  Builder(op).getI64IntegerAttr(type.getDimSize(1)));
    });
  }
};
} // namespace
