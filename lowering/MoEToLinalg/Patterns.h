// Patterns of the reference lowering, by op family.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_MOETOLINALG_PATTERNS_H
#define MOEC_LOWERING_MOETOLINALG_PATTERNS_H

#include "lowering/MoEToLinalg/Emitter.h"
#include "mlir/Transforms/DialectConversion.h"

namespace moec::lowering {

class ParamValues;

/// Lowers one kind of op by a function that emits a value for each result, in converted form up to static extents:
///   static SmallVector<Value> emitSpread(Emitter &e, SpreadOp op, SpreadOp::Adaptor in);
///   patterns.add<EmitPattern<SpreadOp>>(converter, context, emitSpread);
template <typename OpTy>
class EmitPattern : public mlir::OpConversionPattern<OpTy> {
public:
  using Adaptor = typename OpTy::Adaptor;
  using Emit = llvm::SmallVector<mlir::Value> (*)(Emitter &, OpTy, Adaptor);

  EmitPattern(const mlir::TypeConverter &converter, mlir::MLIRContext *context,
              Emit emit)
      : mlir::OpConversionPattern<OpTy>(converter, context), emit(emit) {}

  mlir::LogicalResult
  matchAndRewrite(OpTy op, Adaptor adaptor,
                  mlir::ConversionPatternRewriter &rewriter) const override {
    llvm::SmallVector<mlir::Type> types;
    if (failed(this->getTypeConverter()->convertTypes(op->getResultTypes(),
                                                      types)))
      return rewriter.notifyMatchFailure(op, "result type has no conversion");
    Emitter e(rewriter, op.getLoc());
    llvm::SmallVector<mlir::Value> values = emit(e, op, adaptor);
    for (auto [value, type] : llvm::zip_equal(values, types))
      value = e.castTo(value, type);
    rewriter.replaceOp(op, values);
    return mlir::success();
  }

private:
  Emit emit;
};

/// Type conversion: a weight becomes tensor<[entries x] IN x OUT x elt>, a table tensor<n x i32>, an id i32, an exchange an
/// index that says nothing.
void addMoEToLinalgTypeConversions(mlir::TypeConverter &converter);

/// Ops of other dialects that carry values of moe types: calls, structured control flow, branches, and whatever takes
/// or gives id tensors. Makes exactly the ops legal that carry no moe type.
void populateTypeConversionPatterns(const mlir::TypeConverter &converter,
                                    mlir::RewritePatternSet &patterns,
                                    mlir::ConversionTarget &target);

/// Params, leaves, wraps and weight expressions: every expression is built as a dense tensor.
void populateWeightToLinalgPatterns(const mlir::TypeConverter &converter,
                                    const ParamValues &params,
                                    mlir::RewritePatternSet &patterns);
/// moe.route.
void populateRouteToLinalgPatterns(const mlir::TypeConverter &converter,
                                   mlir::RewritePatternSet &patterns);
/// moe.experts.
void populateExpertsToLinalgPatterns(const mlir::TypeConverter &converter,
                                     mlir::RewritePatternSet &patterns);
/// moe.dispatch and moe.return, of one rank.
void populateCommunicationToLinalgPatterns(const mlir::TypeConverter &converter,
                                           mlir::RewritePatternSet &patterns);
/// Slot form.
void populateSlotToLinalgPatterns(const mlir::TypeConverter &converter,
                                  mlir::RewritePatternSet &patterns);
/// Scheduled form on tensors.
void populateScheduledToLinalgPatterns(const mlir::TypeConverter &converter,
                                       mlir::RewritePatternSet &patterns);

} // namespace moec::lowering

#endif // MOEC_LOWERING_MOETOLINALG_PATTERNS_H
