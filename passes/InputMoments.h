// Second moments of what expert matrices multiply, as a profile has them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_PASSES_INPUTMOMENTS_H
#define MOEC_PASSES_INPUTMOMENTS_H

#include "dialects/MoE/IR/MoE.h"
#include "weights/Profile.h"
#include "weights/Recipes.h"
#include "llvm/ADT/ArrayRef.h"

#include <optional>
#include <string>

namespace moec {

/// All second moments of the inputs, or those of each input with itself.
enum class MomentsKind { full, diagonal };

/// Second moments of the inputs of a matrix of IN rows.
struct InputMoments {
  /// What the profile calls them: "layers.0.input_moments_full".
  std::string key;
  /// [rows, IN]: sums over tokens; rows are IN, or 1 for the diagonal.
  int64_t rows = 0, inputs = 0;
  llvm::ArrayRef<double> sums;
};

/// The moments that a layer's traffic, which may be null, has of the inputs of `values`, the param of a role's matrices. If
/// there are none, nothing, and why not, to stand behind a colon in a remark. Moments of another width are a diagnostic.
struct FoundMoments {
  std::optional<InputMoments> moments;
  llvm::StringRef reason;
};
mlir::FailureOr<FoundMoments>
findInputMoments(moe::ExpertsOp op, llvm::StringRef role, moe::ParamOp values,
                 const weights::LayerProfile *traffic, MomentsKind kind);

/// Their values in memory, up to a common factor.
weights::MatrixSourcePtr getMatrices(const InputMoments &moments);

/// The param of the moments of a role's inputs, external in the scope `profile`; declared in front of the layer unless it is
/// there.
moe::ParamOp getMomentsParam(moe::ExpertsOp op, llvm::StringRef role,
                             const InputMoments &moments);

} // namespace moec

#endif // MOEC_PASSES_INPUTMOMENTS_H
