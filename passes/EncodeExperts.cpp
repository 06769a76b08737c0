// moe-encode-experts: the matrices of plain experts in another encoding.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"

#include "mlir/IR/BuiltinOps.h"
#include "passes/Decisions.h"
#include "passes/InputMoments.h"
#include "passes/LayerParams.h"
#include "weights/ExpertFactors.h"
#include "llvm/Support/FormatVariadic.h"

#include <numeric>

namespace moec {
#define GEN_PASS_DEF_ENCODEEXPERTSPASS
#include "passes/Passes.h.inc"
} // namespace moec

using namespace mlir;
using namespace moec;
using namespace moec::moe;

static constexpr llvm::StringLiteral passName = "encode-experts";

namespace {
struct EncodeExpertsPass
    : moec::impl::EncodeExpertsPassBase<EncodeExpertsPass> {
  using Base::Base;

  void runOnOperation() override {
    ModuleOp module = getOperation();
    auto parsed = parseEncoding(module, "encoding", encoding);
    auto read = readProfileOf(module, profilePath);
    weights::WeightProvider provider;
    if (failed(parsed) || failed(read) ||
        failed(bindScopes(module, weights, provider)))
      return signalPassFailure();
    profile = *std::move(read);
    if (!*parsed) {
      module.emitError("expected the option encoding, found none");
      return signalPassFailure();
    }
    ParamSources sources(provider);
    llvm::SmallPtrSet<Operation *, 8> done;
    for (const ExpertLayer &layer : findExpertLayers(module, passName))
      for (const ExpertMatrix &matrix : layer.matrices)
        // Layers may share params.
        if (done.insert(matrix.param).second &&
            failed(encode(layer.op, matrix, *parsed, sources)))
          return signalPassFailure();
  }

  LogicalResult encode(ExpertsOp op, const ExpertMatrix &matrix,
                       EncodingAttr wanted, ParamSources &sources) {
    ParamOp param = matrix.param;
    auto type = cast<WeightType>(param.getType());
    int64_t side = wanted.getAlong() == Side::input ? type.getRows() : type.getCols();
    if (wanted.getGroup() && side % wanted.getGroup())
      return op.emitOpError("option encoding: expected a group that divides ")
             << side << " of " << matrix.role << ", found "
             << wanted.getGroup();
    FailureOr<weights::MatrixSourcePtr> before = sources.openLeaf(param);
    if (failed(before))
      return failure();
    FailureOr<std::optional<InputMoments>> moments =
        findMoments(op, matrix, wanted);
    if (failed(moments))
      return failure();
    weights::MatrixSourcePtr rounding =
        *moments ? getMatrices(**moments) : nullptr;
    auto after = weights::encodedMatrices((*before)->name(), *before,
                                          getPlainEncoding(wanted), rounding);
    if (!after)
      return op.emitOpError(after.error());
    std::vector<int32_t> each(size_t(type.getCount()));
    std::iota(each.begin(), each.end(), 0);
    // Matrix by matrix: each is its own base, with no residual.
    auto report =
        weights::measureExperts(*before, *after, each, {}, {rounding});
    if (!report)
      return op.emitOpError(report.error());
    param.setEncodingAttr(wanted);
    param.setRoundedByAttr(
        *moments ? FlatSymbolRefAttr::get(
                       getMomentsParam(op, matrix.role, **moments)
                           .getSymNameAttr())
                 : FlatSymbolRefAttr());
    setRelativeError(param, report->meanRelative(), report->maxRelative());
    Decision decision = Decision::taken(op.getLoc(), passName);
    decision << matrix.role << ": "
             << weights::toString(getPlainEncoding(wanted))
             << llvm::formatv("; relative error {0:F4} mean, {1:F4} largest",
                              report->meanRelative(), report->maxRelative())
                    .str();
    if (*moments)
      decision << llvm::formatv(
                      "; calibrated, of outputs {0:F4} mean, {1:F4} largest",
                      report->meanWhitened(), report->maxWhitened())
                      .str();
    return success();
  }

private:
  /// What codes are chosen by, if that was asked for and is known.
  FailureOr<std::optional<InputMoments>>
  findMoments(ExpertsOp op, const ExpertMatrix &matrix, EncodingAttr wanted) {
    if (rounding == Rounding::nearest || !wanted.hasScales())
      return std::optional<InputMoments>();
    auto traffic = findTraffic(op, profile);
    if (failed(traffic))
      return failure();
    auto found = findInputMoments(op, matrix.role, matrix.param, *traffic,
                                  MomentsKind::full);
    if (failed(found))
      return failure();
    if (!found->moments)
      Decision::declined(op.getLoc(), passName)
          << matrix.role << " is rounded to nearest: " << found->reason;
    return found->moments;
  }

  std::optional<weights::Profile> profile;
};
} // namespace
