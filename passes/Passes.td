// Passes from moe to moe, in pipeline order. Each takes one decision; all are exact unless they say otherwise.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_PASSES_PASSES_TD
#define MOEC_PASSES_PASSES_TD

include "mlir/Pass/PassBase.td"

class MoE_FunctionPass<string flag> : Pass<flag, "::mlir::func::FuncOp"> {
  let dependentDialects = ["::mlir::arith::ArithDialect", "::mlir::tensor::TensorDialect", "::moec::moe::MoEDialect"];
}

class MoE_ModulePass<string flag> : Pass<flag, "::mlir::ModuleOp"> {
  let dependentDialects = ["::moec::moe::MoEDialect"];
}
defvar MoE_WeightsOption = ListOption<"weights", "weights", "std::string",
  "Binds a scope of external params: scope=file.safetensors, scope=DIRECTORY of a checkpoint, scope=splat:V or "
  "scope=seeded:S[:scale]">;
defvar MoE_CacheOption = Option<"cacheDirectory", "cache", "std::string", "",
  "Directory where statistics of weights are kept by content, made if need be">;
defvar MoE_ProgressOption = Option<"progress", "progress", "bool", "false",
  "Count what is done in a line of stderr, where that is a terminal">;
defvar MoE_RoundingOption = Option<"rounding", "rounding", "::moec::Rounding", "::moec::Rounding::nearest", "How codes are chosen",
  [{::llvm::cl::values(clEnumValN(::moec::Rounding::nearest, "nearest", "the nearest to each value"),
                       clEnumValN(::moec::Rounding::calibrated, "calibrated",
                                  "by the profile's second moments, where it has them"))}]>;
defvar MoE_ProfileOption = Option<"profilePath", "profile", "std::string", "", "File of a traffic profile (docs/profile.md)">;

//===----------------------------------------------------------------------===//
// Graph form: compression. These passes lose, each when it is asked to
//===----------------------------------------------------------------------===//

def ClusterExpertsPass : MoE_ModulePass<"moe-cluster-experts"> {
  let summary = "groups the experts of each layer into clusters";
  let description = [{
    Similarity of two experts is S = alpha·cos(weights) + (1 - alpha)·cos(centroids of the inputs they answer); without a
    profile of the layer alpha is 1. Kernel k-means++ on S, seeded, balanced, makes the clusters (docs/clustering.md;
    arXiv 2510.02345). The result is a table param `@FUNCTION.cluster`, named by the attribute `moe.clusters` of
    moe.experts. By itself the pass changes no value. Takes layers whose matrices are leaves with one entry for each
    expert. With `clustering=random` the seed alone decides, and sizes differ by at most one: what clusters are to be
    compared with.
  }];
  let options = [
    MoE_WeightsOption, MoE_ProfileOption, MoE_CacheOption, MoE_ProgressOption,
    Option<"clusters", "clusters", "int64_t", "4", "Clusters of a layer">,
    Option<"clustering", "clustering", "::moec::ClusteringKind", "::moec::ClusteringKind::similarity", "Who belongs together",
           [{::llvm::cl::values(clEnumValN(::moec::ClusteringKind::similarity, "similarity", "experts that are alike"),
                                clEnumValN(::moec::ClusteringKind::random, "random", "experts drawn by the seed"))}]>,
    Option<"alpha", "alpha", "double", "0.7", "Share of the weights in the similarity, 0 to 1">,
    Option<"threshold", "threshold", "double", "0.1", "Pairs less similar than this are no neighbours">,
    Option<"slack", "slack", "double", "1.25", "Largest cluster, in units of an even one; 0 for any size">,
    Option<"exactBalance", "exact-balance", "bool", "false", "Sizes of clusters differ by at most one">,
    Option<"removeMean", "remove-mean", "bool", "true", "Compare what experts have beyond their common mean">,
    Option<"seed", "seed", "uint64_t", "0", "Of the random starts">
  ];
}

def FactorizeExpertsPass : MoE_ModulePass<"moe-factorize-experts"> {
  let summary = "writes each expert matrix as the base of its cluster plus a low-rank residual";
  let description = [{
    ```
    %gate = moe.leaf @layer0.gate : !moe.weight<64x32xf32, expert[8]>
      becomes
    moe.param private @layer0.gate.base : !moe.weight<64x32xf32, cluster[2]> = #moe.mean<@layer0.gate by @layer0.cluster>
    moe.param private @layer0.gate.a : !moe.weight<64x16xf32, expert[8]> = #moe.svd<input rank 16 of @layer0.gate minus ...>
    moe.param private @layer0.gate.b : !moe.weight<16x32xf32, expert[8]> = #moe.svd<output rank 16 of ...>
    %gate = (moe.leaf @layer0.gate.base by the table) + (moe.leaf @layer0.gate.a)·(moe.leaf @layer0.gate.b)
    ```
    Takes layers that moe-cluster-experts gave a table. Lossy unless the rank is full; a remark states the relative error
    of each matrix. Residuals are fitted to what the base is worth after its encoding. Ranks are multiples of 16, one for
    all layers: they are given, or the smallest that keep every expert within an error bound, or the best within a
    budget of bytes for all residuals. docs/factorization.md.

    With `align` the hidden neurons of a cluster's experts are first put in like order (docs/clustering.md), where that
    brings them nearer to their mean: by itself this changes no value.

    ```
    moe.param private @layer0.gate.aligned : !moe.weight<64x32xf32, expert[8]> = #moe.permuted<output of @layer0.gate by ...>
    ```
    Declined where the layer has biases of gate or up. `down` is then not whitened: a profile knows the old order.

    With `base=none` each expert is a low-rank product alone, `#moe.svd<input rank 16 of @layer0.gate>`, and layers need no
    clusters. With `residual=none` each expert is the base of its cluster: merged experts.

    With `rounding=calibrated` input factors, and bases without residuals, whose encodings have scales are `rounded by` the profile's
    second moments (moe-encode-experts). A base that has a residual is rounded to nearest, of which the residual takes up more.
  }];
  let options = [
    MoE_WeightsOption, MoE_ProfileOption, MoE_CacheOption, MoE_ProgressOption, MoE_RoundingOption,
    Option<"rank", "rank", "int64_t", "0", "Rank of all residuals">,
    Option<"errorBound", "error-bound", "double", "0", "Largest relative Frobenius error of a matrix">,
    Option<"bytes", "bytes", "int64_t", "0", "Bytes that all residuals together may take">,
    Option<"base", "base", "::moec::BaseKind", "::moec::BaseKind::mean", "What the members of a cluster share",
           [{::llvm::cl::values(clEnumValN(::moec::BaseKind::mean, "mean", "their mean"),
                                clEnumValN(::moec::BaseKind::usage, "usage", "their mean weighted by usage"),
                                clEnumValN(::moec::BaseKind::fisher, "fisher", "their mean weighted by Fisher information"),
                                clEnumValN(::moec::BaseKind::none, "none", "nothing"))}]>,
    Option<"residual", "residual", "::moec::ResidualKind", "::moec::ResidualKind::svd", "What an expert has of its own",
           [{::llvm::cl::values(clEnumValN(::moec::ResidualKind::svd, "svd", "a low-rank product"),
                                clEnumValN(::moec::ResidualKind::none, "none", "nothing"))}]>,
    Option<"whiten", "whiten", "::moec::Whitening", "::moec::Whitening::none", "Second moments that weigh the residual's error",
           [{::llvm::cl::values(clEnumValN(::moec::Whitening::none, "none", "all inputs count alike"),
                                clEnumValN(::moec::Whitening::diagonal, "diagonal", "their diagonal"),
                                clEnumValN(::moec::Whitening::full, "full", "the whole matrix"))}]>,
    Option<"align", "align", "bool", "false", "Put the neurons of a cluster's experts in like order first">,
    Option<"baseEncoding", "base-encoding", "std::string", "", "Encoding of bases, for example 'int8 group 32'">,
    Option<"residualEncoding", "residual-encoding", "std::string", "", "Encoding of residuals">
  ];
}

def MixExpertsPass : MoE_ModulePass<"moe-mix-experts"> {
  let summary = "writes each expert matrix as a mix of the layer's bases, times a factor of its own";
  let description = [{
    ```
    %up = moe.leaf @layer0.up : !moe.weight<64x32xf32, expert[8]>
      becomes
    moe.param private @layer0.up.bases : !moe.weight<64x32xf32, basis[3]> = #moe.basis_mix<bases of 3 on input rank 32 of @layer0.up>
    moe.param private @layer0.up.mix : !moe.weight<1x3xf32, expert[8]> = #moe.basis_mix<coefficients of 3 on input rank 32 of @layer0.up>
    moe.param private @layer0.up.own : !moe.weight<32x32xf32, expert[8]> = #moe.mix_factor<on input @layer0.up.bases by @layer0.up.mix of @layer0.up>
    %up = (moe.weight.mix of bases and mix)·(moe.leaf @layer0.up.own)
    ```
    MoBE (arXiv 2508.05257), docs/factorization.md. Bases are on the side of the matrix that is larger, or the input side; with
    `phi` the mix goes through a map. Lossy; a remark states the relative error of each matrix, encodings included. Takes layers
    whose matrices are leaves with one entry for each expert, all of them (the paper leaves `down` as it is). Fits take a while,
    and memory for all experts in f64; with `cache` they are made once. There is no kernel for mixes: such layers are
    lowered plainly.
  }];
  let options = [
    MoE_WeightsOption, MoE_CacheOption,
    Option<"bases", "bases", "int64_t", "4", "Bases that a layer's experts mix">,
    Option<"rank", "rank", "int64_t", "0", "Rank of bases and factors; 0: the smaller side of each matrix">,
    Option<"phi", "phi", "::moec::moe::Phi", "::moec::moe::Phi::identity", "Map that a mix goes through, element by element",
           [{::llvm::cl::values(clEnumValN(::moec::moe::Phi::identity, "identity", "none"),
                                clEnumValN(::moec::moe::Phi::silu, "silu", "x·sigmoid(x)"),
                                clEnumValN(::moec::moe::Phi::tanh, "tanh", "hyperbolic tangent"))}]>,
    Option<"baseEncoding", "base-encoding", "std::string", "", "Encoding of bases, for example 'int8 group 32'">,
    Option<"factorEncoding", "factor-encoding", "std::string", "", "Encoding of factors">
  ];
}

def EncodeExpertsPass : MoE_ModulePass<"moe-encode-experts"> {
  let summary = "stores the matrices of plain experts in another encoding";
  let description = [{
    ```
    moe.param private @layer0.gate : !moe.weight<64x32xf32, expert[8]> = #moe.external<..> encoding <bf16>
      becomes
    moe.param private @layer0.gate : !moe.weight<64x32xf32, expert[8]> = #moe.external<..> encoding <int4 group 32 scale f16>
    ```
    Lossy, by what the encoding rounds; a remark states the relative error of each matrix. Takes layers whose matrices are
    leaves with one entry for each expert; matrices of factorised layers have encodings of their own
    (moe-factorize-experts).

    With `rounding=calibrated`, an encoding that has scales, and a profile with all second moments of the inputs, codes are
    chosen so that outputs err less (docs/precision.md), and the errors stated are those of outputs:

    ```
    moe.param private @layer0.gate.moments : !moe.weight<64x64xf32> = #moe.external<"profile"::"layers.0.input_moments_full">
    moe.param private @layer0.gate : .. = #moe.external<..> encoding <int4 group 32 scale f16> rounded by @layer0.gate.moments
    ```
  }];
  let options = [
    MoE_WeightsOption, MoE_ProfileOption, MoE_RoundingOption,
    Option<"encoding", "encoding", "std::string", "", "For example 'int4 group 32 scale f16'">
  ];
}

def SelectPrecisionPass : MoE_ModulePass<"moe-select-precision"> {
  let summary = "chooses the encodings of experts, bases and residuals within a budget";
  let description = [{
    ```
    moe.param private @layer0.up.base ... = #moe.mean<@layer0.up by @layer0.cluster> encoding <bf16>
      becomes
    moe.param private @layer0.up.base ... = #moe.mean<@layer0.up by @layer0.cluster> encoding <int4 group 32 scale f16>
    ```
    Takes matrices of experts as leaves, and what moe-factorize-experts makes of them; mixed bases are left as they are. Each
    matrix role of a layer is a unit, whose base and residuals are chosen together from all pairs of encodings: residuals
    are fitted to each base as it is stored, and the error is measured on what is stored, of outputs where the profile
    has second moments of the inputs, else of weights. Over all units the budget is kept, and of what keeps it the least error
    (bytes, latency-us), the fewest bytes (error-budget) or the shortest time (error-budget or none, with target-tokens) is taken;
    times are bounds of the cost model. Lossy; remarks state the numbers behind each choice. docs/precision.md.

    Presets: `paper` f16 bases and experts, int4 residuals; `exact` as they are stored; `small` the fewest bytes, and `fast` the
    shortest time at target-tokens, whose rounding adds at most 0.1 to the relative error, squares added, or within
    error-budget.

    With `activations` times are those of rows that are rounded; errors are of weights alone, and nothing is rounded here.

    With `rounding=calibrated` experts, bases without residuals, and input factors are `rounded by` the profile's second moments
    (moe-encode-experts), and errors are measured so.
  }];
  let options = [
    MoE_WeightsOption, MoE_ProfileOption, MoE_CacheOption, MoE_ProgressOption, MoE_RoundingOption,
    Option<"preset", "preset", "::moec::PrecisionPreset", "::moec::PrecisionPreset::none", "What is asked for, by name",
           [{::llvm::cl::values(clEnumValN(::moec::PrecisionPreset::none, "none", "what the other options say"),
                                clEnumValN(::moec::PrecisionPreset::paper, "paper", "f16 bases, int4 residuals"),
                                clEnumValN(::moec::PrecisionPreset::exact, "exact", "as they are stored"),
                                clEnumValN(::moec::PrecisionPreset::small, "small", "fewest bytes"),
                                clEnumValN(::moec::PrecisionPreset::fast, "fast", "shortest time"))}]>,
    Option<"bytes", "bytes", "int64_t", "0", "Bytes that the matrices of all experts together may take">,
    Option<"errorBudget", "error-budget", "double", "0", "Largest relative error, root mean square over matrices">,
    Option<"latency", "latency-us", "double", "0", "Microseconds that the matrices of all layers may take at target-tokens">,
    Option<"targetTokens", "target-tokens", "int64_t", "0", "Tokens of a call; 0: 1, and time is not what counts">,
    Option<"target", "target-description", "std::string", "\"x86-64-core\"", "Built-in target, or file that describes one">,
    Option<"activations", "activations", "::moec::Activations", "::moec::Activations::f32",
           "What moe-round-activations rounds rows to, for times",
           [{::llvm::cl::values(clEnumValN(::moec::Activations::f32, "f32", "nothing"),
                                clEnumValN(::moec::Activations::bf16, "bf16", "bf16"),
                                clEnumValN(::moec::Activations::int8, "int8", "int8"))}]>,
    Option<"encodings", "encodings", "std::string", "",
           "Encodings to choose from beside that of the checkpoint, between commas (default: the usual ones)">
  ];
}

def RouteTwoStagePass : Pass<"moe-route-two-stage", "::mlir::ModuleOp"> {
  let summary = "restricts each token to a few clusters, chosen by their members' scores";
  let description = [{
    ```
    %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores, l1>
      becomes
    %ids, %p = moe.route %l score softmax limit <keep 1 of 4 by max> clusters %table choose <top_k 2> gates <scores, l1>
    ```
    Takes layers that moe-cluster-experts gave a table. Lossy: a token whose best experts lie in more clusters than it
    keeps gets others. Without this pass every token keeps its flat choices. With softmax scores and no bias, `by=sum`
    orders clusters as the log-sum-exp of their members' logits does.
  }];
  let options = [
    MoE_ProfileOption,
    Option<"keep", "clusters-per-token", "int64_t", "1", "Clusters that a token keeps">,
    Option<"by", "by", "::moec::moe::GroupBy", "::moec::moe::GroupBy::max", "Score of a cluster",
           [{::llvm::cl::values(clEnumValN(::moec::moe::GroupBy::max, "max", "its best member"),
                                clEnumValN(::moec::moe::GroupBy::top2_sum, "top2_sum", "its two best members together"),
                                clEnumValN(::moec::moe::GroupBy::sum, "sum", "all its members together"),
                                clEnumValN(::moec::moe::GroupBy::logits, "prototypes",
                                           "a prototype, learned by least squares on the profile"))}]>
  ];
  let dependentDialects = ["::moec::moe::MoEDialect"];
}

def InstrumentPass : MoE_FunctionPass<"moe-instrument"> {
  let summary = "returns what routers decide, for a traffic profile";
  let description = [{
    Public functions get results `ids` and `gates` for each moe.route (`ids0`, `gates0`, ... for several): what moe-run
    --profile counts. Other results stay as they are.
  }];
}

//===----------------------------------------------------------------------===//
// Graph form
//===----------------------------------------------------------------------===//

def VerifyGraphFormPass : MoE_FunctionPass<"moe-verify-graph-form"> {
  let summary = "checks that a function is in graph form";
  let description = [{
    Allowed moe operations: leaf, wrap, id_cast, weight.*, route, dispatch, return, experts, and apply without ids: a router's product with a
    param. Anything else is an error at the operation.
  }];
}

def InsertCommunicationPass : MoE_FunctionPass<"moe-insert-communication"> {
  let summary = "lets expert layers compute where their clusters are";
  let description = [{
    ```
    %y = moe.experts %x to %ids weighted %p …
      becomes
    %rows, %row_ids, %row_weights, %exchange = moe.dispatch %x, %ids, %p by %table
    %out = moe.experts %rows to %row_ids weighted %row_weights …
    %y = moe.return %out, %exchange
    ```
    Ranks have clusters, each rank's tokens are its own, and which rank has what is data: one program serves any number of them. The layer's weights
    say which table leads from experts to clusters; where they name none, or several, each expert is a cluster. All that follows – sharing
    bases, one row for each (token, cluster), combining before down – happens to the rows that a rank receives, so a token is sent once for each rank
    instead of once for each expert, and one row comes back. Exact but for the order of a token's sum.

    Declines, with a remark: a layer of one expert, which is computed where its tokens are; special experts, which no rank has; f64, which
    the runtime does not send; and layers in control flow, as ranks could take different ways. Declarations, and layers that have been
    dispatched, are left alone.
  }];
}

def PlaceExpertsPass : MoE_ModulePass<"moe-place-experts"> {
  let summary = "decides which ranks have which clusters";
  let description = [{
    ```
    module {                            module attributes {moe.placement = {ranks = 2 : i64, layers = {layer0 =
      func.func @layer0 … {        ->       [array<i32: 0>, array<i32: 1>, array<i32: 0, 1>, array<i32: 1>]}}} {
    ```
    For each layer with a moe.dispatch (moe-insert-communication), for each of its clusters, the ranks that have it. Nothing else in the module changes: the
    runtime reads where clusters are. A cluster's load is the rows that a token is expected to have of it: by the profile, exactly where tokens have two
    choices, and else from counts of pairs; without a profile as if all choices were alike. Heaviest clusters first, each goes to the rank with
    the least load that has room for its base and its experts' residuals (Graham's longest processing time first, at most 4/3 of the least possible largest load
    where nothing else decides). With `ranks-per-node`, of ranks whose loads differ by less than a twentieth of the mean the one is taken whose node has the clusters that
    this one is chosen together with most often: such a token is sent there once; else the node with less load. Then, while the hottest rank of a layer has more than `replicate-above`
    times the mean load, one of its clusters is given to the rank with the least load too, if that makes the hottest one cooler; replicas share rows evenly.
    The same input gives the same placement.

    Declines, with a remark, a layer whose table is not known when it is compiled. Clusters for which no rank has room are an error.
  }];
  let options = [
    MoE_ProfileOption,
    Option<"ranks", "ranks", "int64_t", "/*default=*/1", "Ranks that there will be">,
    Option<"ranksPerNode", "ranks-per-node", "int64_t", "/*default=*/0", "Ranks that are near each other; 0: all are">,
    Option<"memory", "memory", "int64_t", "/*default=*/0", "Bytes that the clusters of a rank may take, of all layers; 0: any number">,
    Option<"replicateAbove", "replicate-above", "double", "/*default=*/1.05",
           "Load of the hottest rank, in mean loads, above which clusters are replicated">
  ];
}

def DecomposeExpertsPass : MoE_FunctionPass<"moe-decompose-experts"> {
  let summary = "graph form to slot form: writes an expert layer as rows per (token, slot)";
  let description = [{
    ```
    %y = moe.experts %x to %ids weighted %p gate %g up %u down %d act <silu>
      becomes
    %a = moe.apply %x, %u at %ids
    %b = moe.apply %x, %g at %ids
    %h = moe.activate <silu> %a gated by %b
    %c = moe.apply %h, %d at %ids
    %y = moe.combine %c weighted %p
    ```
    Biases become lookups that are added, gating on the input becomes `moe.scale_rows` in front and an unweighted
    combine behind, special experts a `moe.special_experts` that is added. Ids and gate weights that do not come from one
    `moe.route` are masked by `moe.real_experts`, so that slots of id -1 contribute nothing whatever their weight.
    Takes every moe.experts.
  }];
}

//===----------------------------------------------------------------------===//
// Slot form: the algebra
//===----------------------------------------------------------------------===//

def VerifySlotFormPass : MoE_FunctionPass<"moe-verify-slot-form"> {
  let summary = "checks that a function is in slot form";
  let description = [{
    Allowed moe operations: leaf, wrap, id_cast, weight.*, route, dispatch, return, apply, and those of slot form. Anything else is an error at the
    operation.
  }];
}

def DistributeWeightsPass : MoE_FunctionPass<"moe-distribute-weights"> {
  let summary = "multiplies by the parts of a weight expression instead of building it";
  let description = [{
    ```
    x·(P + Q)          ->  x·P + x·Q
    x·(L·R)            ->  (x·L)·R
    x·(diag(d)·W)      ->  (x ⊙ d)·W        x·(W·diag(d))  ->  (x·W) ⊙ d
    ```
    Declines, with a remark: a mix (under a non-linear map it must be built, and otherwise building it is cheaper than
    m products), ragged and sliced weights, expressions of more than 256 products, and those whose parts would need as
    many stored numbers *and* as many multiply-adds per row as the built matrix, or more than four times as many
    multiply-adds; `always` distributes these last ones too.
  }];
  let options = [
    Option<"always", "always", "bool", "/*default=*/false",
           "Distribute even if the parts store and cost as much as the built matrix">
  ];
}

def ShareBasePass : MoE_FunctionPass<"moe-share-base"> {
  let summary = "computes what a cluster's experts share once per (token, cluster)";
  let description = [{
    Four rewrites, to a fixed point together with those of moe-distribute-weights (one lays open what the other needs):

    ```
    base once        apply(x, select(W, t) at ids)          -> spread(apply(x, W at clusters) at slot)
                     apply(x, W at ids), W without axis     -> spread(apply(x, W)) for ids
    scale after      apply(scale_rows(x by p), W)           -> scale_rows(apply(x, W) by p)
    combine first    combine(apply(h, select(W, t) at ids) weighted p)
                       -> combine(apply(combine(h weighted p into slot), W at clusters))
                     combine(apply(h, W) weighted p), W without axis -> apply(combine(h weighted p), W)
    spread last      activate, addf, mulf of spreads by the same slots -> spread of the result
    ```
    with clusters, slot = moe.clusters_of ids by t. The number of clusters per token is the limit of the router if it
    keeps M clusters of the same table and masks the others with -inf, else min(k, clusters). All exact: base products
    fall from k to the clusters hit, at both ends of the layer.

    Declines, with a remark, where rows differ from expert to expert (a shared factor behind an expert's own), where
    the rows follow another table, and where no combine follows.
  }];
}

//===----------------------------------------------------------------------===//
// Scheduled form
//===----------------------------------------------------------------------===//

def GroupTokensPass : MoE_FunctionPass<"moe-group-tokens"> {
  let summary = "slot form to scheduled form: one row per (token, cluster), sorted by cluster";
  let description = [{
    Layer by layer: a `moe.group` sorts the rows, slot tensors become lists of rows or of pairs, and
    ```
    apply at clusters    -> grouped_matmul groups(row_offsets)
    apply at ids         -> grouped_matmul entries(pair_expert), or groups where the layer has no clusters
    spread at slot       -> gather by pair_row
    combine into slot    -> scatter_combine by pair_row
    combine              -> scatter_combine by row_token
    apply without ids    -> grouped_matmul
    ```
    Declines a whole layer, with a remark, if it uses two tables for the same ids, gate weights of two kinds or none,
    slot tensors that are used or made by operations other than slot form and element-wise arith, or residuals under a
    table that is no param: such a table may point outside, and then a choice has no row.
  }];
}

def FuseResidualPass : MoE_FunctionPass<"moe-fuse-residual"> {
  let summary = "adds the residual in the base matmul instead of a second pass";
  let description = [{
    ```
    gather(x·W) + (x·A)·B        -> grouped_matmul … residual(A, B)             up: expand in the epilogue
    y + lookup(b)                -> grouped_matmul … bias(b)
    activate(up) gated by (gate) -> grouped_matmul weights(up, gate) … act      both in one epilogue
    z·W + scatter_combine(v·B)   -> grouped_matmul … segment(v) expand(B)       down: extra rows of the reduction
    ```
    Declines, with a remark, where base and residual read different rows, or one of them has another use. Rows, pairs
    and experts must come from one moe.group, which tells that they belong together.
  }];
}

def FuseCombinePass : MoE_FunctionPass<"moe-fuse-combine"> {
  let summary = "sums hidden activations as they arise instead of storing one row for each pair";
  let description = [{
    ```
    h = grouped_matmul … pair_rows(row) pair_experts(e) act     -> hidden, v = grouped_up … weighted(p) act … shrink(A)
    hidden = scatter_combine(h by row weighted p)
    v = h·A entries(e)                                             (where there is one)
    ```
    h is read by nothing else, so that a kernel needs it a tile at a time. Declines, with a remark, where h has another
    use, or is summed unweighted or by another index. Takes functions in scheduled form, behind moe-fuse-residual and a
    canonicalisation, which takes away questions for the extents of h.
  }];
}

def RoundActivationsPass : MoE_FunctionPass<"moe-round-activations"> {
  let summary = "rounds rows before the weights of experts multiply them; lossy";
  let description = [{
    Products of rows by groups, and those of whole layers, get `rounded <bf16>` or `rounded <int8 [group g]>`: what the
    instructions of a CPU for bf16 and int8 multiply. int8 rows are in groups where the weights are int8 or int4 in
    groups of that size, else each row has one scale. Residuals, routers, biases and what is outside of layers in
    scheduled form stay as they are: factors of residuals take little of the time, and carry what clustering lost.

    ```
    grouped_up ins(%x) weights(%u, %g : <int4 group 32>) …   -> grouped_up ins(%x) rounded <int8 group 32> weights(…) …
    ```
    A remark says by how much numbers change at most, and what was declined. Never part of a pipeline: it is asked for.
  }];
  let options = [
    Option<"to", "to", "::moec::Activations", "::moec::Activations::f32", "What rows are rounded to",
           [{::llvm::cl::values(clEnumValN(::moec::Activations::f32, "f32", "nothing: they stay as they are"),
                                clEnumValN(::moec::Activations::bf16, "bf16", "bf16"),
                                clEnumValN(::moec::Activations::int8, "int8", "symmetric int8, by rows or groups of them"))}]>
  ];
}

def VerifyScheduledFormPass : MoE_FunctionPass<"moe-verify-scheduled-form"> {
  let summary = "checks that a function is in scheduled form";
  let description = [{
    Allowed moe operations: leaf, wrap, id_cast, weight.*, route, dispatch, return, those of scheduled form, and lookup, activate and
    scale_rows on lists. Layers that moe-group-tokens declined keep their slot ops unless `strict`.
  }];
  let options = [
    Option<"strict", "strict", "bool", "/*default=*/false", "Refuse what is left of slot form as well">
  ];
}

def VerifyWeightsPass : MoE_FunctionPass<"moe-verify-weights"> {
  let summary = "checks that weights stay symbolic";
  let description = [{
    Values of weight and table type may be used by moe operations, calls and returns only: not by arith.select or scf,
    through which a weight could no longer be followed to its params.
  }];
}

def VerifyLeasesPass : MoE_FunctionPass<"moe-verify-leases"> {
  let summary = "checks that leases are released once, and not used behind it";
  let description = [{
    What types cannot say of moert: each moert.acquire is released once on every path, by a moert.release of this function that names its places; nothing
    reads through them behind it; a lease is passed to nothing else; and none is taken while another one is held, so that calls
    that wait for memory cannot wait for each other. Takes tensors and buffers, any control flow. What is read through places is followed to views of
    them and to weights that are looked up by them.
  }];
}

def OverlapCommunicationPass : MoE_FunctionPass<"moe-overlap-communication"> {
  let summary = "parts tokens, and finds work, so that ranks compute while rows are on their way";
  let description = [{
    ```
    %rows, … = moe.dispatch %x, …                     %rows, … = moe.dispatch %x, … {moe.parts = 2}
    %out = … %rows …                            ->    %shared = … %x …
    %y = moe.return %out, %exchange                   %out = … %rows …
    %shared = … %x …                                  %y = moe.return %out, %exchange
    ```
    What needs nothing that comes back, such as a shared expert, moves in front of the moe.return, and so does what moe.dispatch does not wait for: it is computed while the first
    part's rows come. convert-moe-to-moert then sends tokens in `moe.parts` parts: one is computed while the next one comes and the one before goes back.

    Their number is `parts`, or for `parts=0` the one for which a layer of `tokens` tokens on `ranks` ranks takes the least time: with C a part's way and M
    its products, dispatch, n − 1 times the longer of the two, products and return, 2·C + M + (n − 1)·max(C, M). C is the latency and the bytes of rows that leave a rank over the bandwidth; M
    is the longer of multiply-adds at the rate given and of reading a rank's share of the weights, which each part does again. A token is sent to as many ranks as it may have clusters,
    less its own one's share. Remarks state the times.
  }];
  let options = [
    Option<"parts", "parts", "int64_t", "/*default=*/0", "Parts that tokens go in, 1 to 16; 0: by the model">,
    Option<"tokens", "tokens", "int64_t", "/*default=*/512", "Tokens of a rank in one call">,
    Option<"ranks", "ranks", "int64_t", "/*default=*/4", "Ranks that there will be">,
    Option<"latency", "latency-us", "double", "/*default=*/20", "Microseconds that a message takes, whatever its size">,
    Option<"bandwidth", "bandwidth-gbs", "double", "/*default=*/10", "Gigabytes a second that a rank sends, and as many that it receives">,
    Option<"compute", "compute-gflops", "double", "/*default=*/100", "Billions of operations a second, a multiply-add being two">,
    Option<"memoryRate", "memory-gbs", "double", "/*default=*/20", "Gigabytes of weights a second that a rank reads">
  ];
}

def VerifyExchangesPass : MoE_FunctionPass<"moe-verify-exchanges"> {
  let summary = "checks that what is sent is awaited, in one order on all ranks, and left alone meanwhile";
  let description = [{
    What types cannot say of moert's exchanges. They stand in the block of a function, not in control flow: ranks do them in one order. Of each moert.begin every part
    is dispatched, received, sent back and collected once, in this order, and parts in theirs; the last one is collected before the next exchange begins. What was received is read and written
    before it is sent back, in loops too. Buffers that an exchange names are written by nothing else until its last part is collected, and sums are collected where moert.begin
    said. Takes tensors and buffers.
  }];
}

//===----------------------------------------------------------------------===//
// Reports
//===----------------------------------------------------------------------===//

def CountMultiplyAddsPass : MoE_FunctionPass<"moe-count-multiply-adds"> {
  let summary = "states the multiply-adds per token of a function's expert layers";
  let description = [{
    Puts `moe.multiply_adds_per_token` on the function and emits an analysis remark for each operation that counts. Slots
    count in full: an apply at M clusters of a token is M products, whatever the data; a layer in a loop counts once.
    Takes any of the three forms; weight expressions count as the built matrix, as the reference multiplies by it.
    Declarations are left alone.
  }];
}

//===----------------------------------------------------------------------===//
// Any form
//===----------------------------------------------------------------------===//

def SelectLayoutPass : MoE_ModulePass<"moe-select-layout"> {
  let summary = "lays weights out in memory as the target's kernels read them";
  let description = [{
    ```
    moe.param @w : !moe.weight<64x32xf32, cluster[2]> = #moe.seeded<1> encoding <int8 group 32>
      becomes
    moe.param @w : !moe.weight<64x32xf32, cluster[2]> = #moe.seeded<1> encoding <int8 group 32> layout panel16
    ```
    Takes params without a layout whose leaves are matrices of products only: of moe.apply, moe.experts and
    moe.grouped_matmul and moe.grouped_up (weights, residual factors, expand, shrink). Vectors (one row) and tables keep their order, silently.
    Declines, with a remark, where another operation reads the matrix: one that builds a weight expression, a lookup, a
    call. No value changes; runs before moe-bind-params, which gives arguments their shapes.
  }];
  let options = [
    Option<"target", "for", "::moec::LayoutTarget", "::moec::LayoutTarget::cpu", "Whose kernels read the weights",
           [{::llvm::cl::values(clEnumValN(::moec::LayoutTarget::cpu, "cpu", "panel16 for matrices"))}]>
  ];
}

def PlanResidencyPass : MoE_ModulePass<"moe-plan-residency"> {
  let summary = "decides which weights stay in memory and which are brought there when needed";
  let description = [{
    ```
    moe.param @base : !moe.weight<64x32xf32, cluster[4]> = …    -> … residency cached      bases of clusters: most of the bytes
    moe.param @a : !moe.weight<64x4xf32, expert[16]> = …        -> … residency pinned      residuals, routers, prototypes, tables
    ```
    What moves is the record of a cluster: its matrices of all roles together. So the bases of a layer are paged together, or none of
    them is: a remark says so where one is pinned already, is read by several functions, has another number of clusters, or
    is read by anything else than products whose rows a moe.group sorted. Takes public functions in scheduled form,
    in front of moe-bind-params and behind moe-select-layout, which decides how many bytes there are.

    `moe.residency` of the module says how many bytes are pinned and paged, in how many records, and the least that slots for the paged ones take:
    all clusters of one layer for each size of records, as a call of many tokens meets them all. A budget below it is refused.
  }];
  let options = [
    Option<"budget", "budget", "int64_t", "/*default=*/0", "Bytes of memory for the bases that are paged; 0: any number">
  ];
}

def InsertPrefetchPass : MoE_ModulePass<"moe-insert-prefetch"> {
  let summary = "says which bases will be read as soon as that is known, or can be guessed";
  let description = [{
    ```
    %clusters, %slot = moe.clusters_of %ids by %table           -> … moert.prefetch %clusters
                                                                    %logits = moe.apply %x, %next.router          of the next layer
                                                                    %next = moe.clusters_of …
                                                                    moert.prefetch %next ahead 1
    ```
    In a layer whose bases are paged (moe-plan-residency) a prefetch stands right behind what makes the ids of clusters. Behind it the router of
    the next layer, the public function that follows, is applied to this layer's rows: where tokens go changes little from layer to layer,
    and a base takes longer to read than a layer to compute. With `gates-ahead=N` so are those of N layers, the nearest first: where reading takes longer than
    one layer computes, a guess that is less sure comes in time. Their params are bound to this layer too, as `next.router`, `next2.router` and the like, so that layers of one
    shape still run one function. No result changes. The last layer guesses nothing; neither does one whose successor's router reads anything
    but rows of tokens and params: a remark says so.
  }];
  let options = [
    Option<"gatesAhead", "gates-ahead", "unsigned", "/*default=*/1",
           "Of how many layers behind it a layer applies the routers and prefetches what they choose; 0: of none">
  ];
  let dependentDialects = ["::moec::moe::MoEDialect", "::moec::moert::MoERTDialect"];
}

def BindParamsPass : Pass<"moe-bind-params", "::mlir::ModuleOp"> {
  let summary = "weights and tables become arguments that layers bind; layers of one shape share a function";
  let description = [{
    ```
    func.func @layer0(%x: tensor<?x64xf32>) { %w = moe.leaf @layer0.gate : !moe.weight<64x32xf32, cluster[4]> ... }
      becomes
    func.func @block0(%x: tensor<?x64xf32>, %gate: tensor<4x64x32xf32> {moec.binding = "gate", moec.part = "codes"},
                      %slots: tensor<4xi32> {moec.binding = "gate", moec.part = "slots", moec.below = 4}) {
      %w = moe.wrap %gate slots(%slots : tensor<4xi32>) : tensor<4x64x32xf32> to !moe.weight<64x32xf32, cluster[4]> ... }
    moe.layer @layer0 runs @block0 {gate = @layer0.gate}
    ```
    So which experts form a cluster, and what their weights are, is data: compiled code depends on shapes and encodings
    only. Takes public functions with a body; what they call is expected to be inlined. Matrices of clusters lie in a pool
    behind a table of places. Functions that then differ in nothing but their names become one.

    The pool of a weight that is `residency cached` (moe-plan-residency) has as many places as memory is given: its first extent is not
    known, and its arguments have `moec.paged`.
  }];
  let dependentDialects = ["::moec::moe::MoEDialect"];
}

#endif // MOEC_PASSES_PASSES_TD
