// Patterns of the reference lowering, by op family.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_LOWERING_MOETOLINALG_PATTERNS_H
#define MOEC_LOWERING_MOETOLINALG_PATTERNS_H

#include "mlir/Transforms/DialectConversion.h"

namespace moec::lowering {

class ParamValues;

/// Type conversion: a weight becomes tensor<[entries x] IN x OUT x elt>, a table tensor<n x i32>, an id i32.
void addMoEToLinalgTypeConversions(mlir::TypeConverter &converter);

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
/// Slot form.
void populateSlotToLinalgPatterns(const mlir::TypeConverter &converter,
                                  mlir::RewritePatternSet &patterns);
/// Scheduled form on tensors.
void populateScheduledToLinalgPatterns(const mlir::TypeConverter &converter,
                                       mlir::RewritePatternSet &patterns);

} // namespace moec::lowering

#endif // MOEC_LOWERING_MOETOLINALG_PATTERNS_H
