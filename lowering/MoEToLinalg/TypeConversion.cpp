// Type conversion of the reference lowering, and of ops of other dialects that carry values of moe types.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "dialects/MoE/IR/MoE.h"
#include "lowering/MoEToLinalg/Patterns.h"
#include "mlir/IR/AttrTypeSubElements.h"

using namespace mlir;
using namespace moec::lowering;
using namespace moec::moe;

/// Replaces moe types wherever they stand in a type or an attribute: elements of tensors and buffers, signatures.
static void addReplacements(AttrTypeReplacer &replacer) {
  replacer.addReplacement([](WeightType type) -> Type {
    return RankedTensorType::get(type.getStoredShape(), type.getElementType());
  });
  replacer.addReplacement([](TableType type) -> Type {
    return RankedTensorType::get({type.getFromCount()},
                                 IntegerType::get(type.getContext(), 32));
  });
  replacer.addReplacement([](IdType type) -> Type {
    return IntegerType::get(type.getContext(), 32);
  });
  replacer.addReplacement([](ExchangeType type) -> Type {
    return IndexType::get(type.getContext());
  });
}

void moec::lowering::addMoEToLinalgTypeConversions(TypeConverter &converter) {
  auto replacer = std::make_shared<AttrTypeReplacer>();
  addReplacements(*replacer);
  converter.addConversion(
      [replacer](Type type) { return replacer->replace(type); });
  // Where operations that stay meet converted ones, ids are their numbers.
  auto castIds = [](OpBuilder &builder, Type type, ValueRange inputs,
                    Location loc) -> Value {
    auto from = inputs.size() == 1
                    ? dyn_cast<RankedTensorType>(inputs[0].getType())
                    : RankedTensorType();
    auto to = dyn_cast<RankedTensorType>(type);
    if (!from || !to || (!isa<IdType>(from.getElementType()) &&
                         !isa<IdType>(to.getElementType())))
      return Value();
    return IdCastOp::create(builder, loc, to, inputs[0]);
  };
  converter.addSourceMaterialization(castIds);
  converter.addTargetMaterialization(castIds);
}

namespace {
/// Recreates an op of another dialect with converted operands, results, block arguments and types in attributes. What
/// an op means for ids it means for their numbers, and only moe ops compute with weights: so this is all there is to
/// functions, calls, branches, loops, and tensor and linalg ops on ids.
class ConvertCarriedTypes : public ConversionPattern {
public:
  ConvertCarriedTypes(const TypeConverter &converter, MLIRContext *context)
      : ConversionPattern(converter, MatchAnyOpTypeTag(), /*benefit=*/1,
                          context) {}

  LogicalResult
  matchAndRewrite(Operation *op, ArrayRef<Value> operands,
                  ConversionPatternRewriter &rewriter) const override {
    if (isa_and_nonnull<MoEDialect>(op->getDialect()))
      return rewriter.notifyMatchFailure(op, "moe ops have their own patterns");
    SmallVector<Type> types;
    if (failed(getTypeConverter()->convertTypes(op->getResultTypes(), types)))
      return rewriter.notifyMatchFailure(op, "result type has no conversion");
    AttrTypeReplacer replacer;
    addReplacements(replacer);
    auto attributes =
        cast<DictionaryAttr>(replacer.replace(op->getAttrDictionary()));
    OperationState state(op->getLoc(), op->getName(), operands, types,
                         attributes.getValue(), op->getSuccessors());
    for (unsigned i = 0; i < op->getNumRegions(); ++i)
      state.addRegion();
    Operation *converted = rewriter.create(state);
    for (auto [from, to] :
         llvm::zip_equal(op->getRegions(), converted->getRegions())) {
      rewriter.inlineRegionBefore(from, to, to.end());
      if (failed(rewriter.convertRegionTypes(&to, *getTypeConverter())))
        return failure();
    }
    rewriter.replaceOp(op, converted->getResults());
    return success();
  }
};
} // namespace

/// True if no moe type stands in the op's operands, results, block arguments or attributes.
static bool carriesNoMoEType(const TypeConverter &converter, Operation *op) {
  if (!converter.isLegal(op->getOperandTypes()) ||
      !converter.isLegal(op->getResultTypes()))
    return false;
  for (Region &region : op->getRegions())
    for (Block &block : region)
      if (!converter.isLegal(block.getArgumentTypes()))
        return false;
  WalkResult result = op->getAttrDictionary().walk([](Type type) {
    return isa<MoEDialect>(type.getDialect()) ? WalkResult::interrupt()
                                              : WalkResult::advance();
  });
  return !result.wasInterrupted();
}

void moec::lowering::populateTypeConversionPatterns(
    const TypeConverter &converter, RewritePatternSet &patterns,
    ConversionTarget &target) {
  patterns.add<ConvertCarriedTypes>(converter, patterns.getContext());
  target.markUnknownOpDynamicallyLegal(
      [&converter](Operation *op) { return carriesNoMoEType(converter, op); });
}
