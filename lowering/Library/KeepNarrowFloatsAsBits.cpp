// moe-keep-narrow-floats-as-bits: replaces f16 and bf16 by i16 in the LLVM
// dialect. Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "lowering/Passes.h"

#include "mlir/Dialect/LLVMIR/LLVMDialect.h"
#include "mlir/IR/AttrTypeSubElements.h"
#include "mlir/IR/BuiltinOps.h"
#include "mlir/IR/BuiltinTypes.h"
#include "mlir/IR/TypeUtilities.h"

namespace moec::lowering {
#define GEN_PASS_DEF_KEEPNARROWFLOATSASBITSPASS
#include "lowering/Passes.h.inc"
} // namespace moec::lowering

using namespace mlir;

static bool isNarrow(Type type) { return type.isF16() || type.isBF16(); }

static bool isNarrowVector(Type type) {
  return isa<VectorType>(type) && isNarrow(getElementTypeOrSelf(type));
}

/// Operations that only move numbers.
static bool movesOnly(Operation *op) {
  return isa<LLVM::LoadOp, LLVM::StoreOp, LLVM::GEPOp, LLVM::AllocaOp,
             LLVM::ConstantOp, LLVM::GlobalOp, LLVM::BitcastOp, LLVM::SelectOp,
             LLVM::InsertElementOp, LLVM::ExtractElementOp,
             LLVM::ShuffleVectorOp, LLVM::UndefOp, LLVM::PoisonOp, LLVM::ZeroOp,
             LLVM::BrOp, LLVM::CondBrOp, LLVM::ReturnOp, LLVM::LLVMFuncOp,
             LLVM::CallOp>(op);
}

namespace {
struct KeepNarrowFloatsAsBitsPass
    : moec::lowering::impl::KeepNarrowFloatsAsBitsPassBase<
          KeepNarrowFloatsAsBitsPass> {
  using Base::Base;

  void runOnOperation() override {
    WalkResult checked = getOperation().walk([](Operation *op) -> WalkResult {
      if (movesOnly(op) || (!llvm::any_of(op->getOperandTypes(), isNarrow) &&
                            !llvm::any_of(op->getResultTypes(), isNarrow)))
        return WalkResult::advance();
      return op->emitError("arithmetic on f16 or bf16 is left: expected it in "
                           "f32, found '")
             << op->getName() << "'";
    });
    if (checked.wasInterrupted())
      return signalPassFailure();

    // Vectors that an instruction multiplies, widens or rounds stay what they
    // are for it.
    SmallVector<std::pair<OpOperand *, Type>> read;
    SmallVector<std::pair<LLVM::FPTruncOp, Type>> rounded;
    getOperation().walk([&](Operation *op) {
      if (isa<LLVM::FPExtOp, LLVM::CallIntrinsicOp>(op))
        for (OpOperand &operand : op->getOpOperands())
          if (Type type = operand.get().getType(); isNarrowVector(type))
            read.emplace_back(&operand, type);
      if (auto narrow = dyn_cast<LLVM::FPTruncOp>(op);
          narrow && isNarrowVector(narrow.getType()))
        rounded.emplace_back(narrow, narrow.getType());
    });

    Type bits = IntegerType::get(&getContext(), 16);
    AttrTypeReplacer replacer;
    replacer.addReplacement([&](Type type) -> std::optional<Type> {
      return isNarrow(type) ? std::optional(bits) : std::nullopt;
    });
    replacer.addReplacement([&](FloatAttr value) -> std::optional<Attribute> {
      if (!isNarrow(value.getType()))
        return std::nullopt;
      return IntegerAttr::get(bits, value.getValue().bitcastToAPInt());
    });
    replacer.addReplacement(
        [&](DenseElementsAttr values) -> std::optional<Attribute> {
          if (!isNarrow(values.getElementType()))
            return std::nullopt;
          return values.bitcast(bits);
        });
    replacer.recursivelyReplaceElementsIn(getOperation(), /*replaceAttrs=*/true,
                                          /*replaceLocs=*/false,
                                          /*replaceTypes=*/true);
    for (auto [operand, type] : read) {
      OpBuilder builder(operand->getOwner());
      operand->set(LLVM::BitcastOp::create(
          builder, operand->getOwner()->getLoc(), type, operand->get()));
    }
    for (auto [op, type] : rounded) {
      OpBuilder builder(op->getContext());
      builder.setInsertionPointAfter(op);
      Type moved = op.getType();
      op.getResult().setType(type);
      Value cast =
          LLVM::BitcastOp::create(builder, op.getLoc(), moved, op.getResult());
      op.getResult().replaceAllUsesExcept(cast, cast.getDefiningOp());
    }
  }
};
} // namespace
