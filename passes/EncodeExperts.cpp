// moe-encode-experts: the matrices of plain experts in another encoding.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#include "passes/Passes.h"

#include "mlir/IR/BuiltinOps.h"
#include "passes/Decisions.h"
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
    weights::WeightProvider provider;
    if (failed(parsed) || failed(bindScopes(module, weights, provider)))
      return signalPassFailure();
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
    auto after = weights::encodedMatrices((*before)->name(), *before,
                                          getPlainEncoding(wanted));
    if (!after)
      return op.emitOpError(after.error());
    std::vector<int32_t> each(size_t(type.getCount()));
    std::iota(each.begin(), each.end(), 0);
    // Matrix by matrix: each is its own base, with no residual.
    auto report = weights::measureExperts(*before, *after, each, {});
    if (!report)
      return op.emitOpError(report.error());
    param.setEncodingAttr(wanted);
    setRelativeError(param, report->meanRelative(), report->maxRelative());
    Decision::taken(op.getLoc(), passName)
        << matrix.role << ": " << weights::toString(getPlainEncoding(wanted))
        << llvm::formatv("; relative error {0:F4} mean, {1:F4} largest",
                         report->meanRelative(), report->maxRelative())
               .str();
    return success();
  }
};
} // namespace
