// Attributes of the moe dialect: sources and recipes of params, stages of a router, activations.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_DIALECTS_MOE_IR_MOEATTRS_TD
#define MOEC_DIALECTS_MOE_IR_MOEATTRS_TD

include "mlir/IR/AttrTypeBase.td"
include "dialects/MoE/IR/MoEDialect.td"
include "dialects/MoE/IR/MoEEnums.td"

class MoE_Attr<string name, string attrMnemonic, string attrSummary> : AttrDef<MoE_Dialect, name> {
  let mnemonic = attrMnemonic;
  let summary = attrSummary;
}

/// An attribute with a hand-written syntax, for keywords that are left out when absent and shortest real numbers.
class MoE_StageAttr<string name, string attrMnemonic, string attrSummary> : MoE_Attr<name, attrMnemonic, attrSummary> {
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

//===----------------------------------------------------------------------===//
// How a param is stored, and where it comes from
//===----------------------------------------------------------------------===//

def MoE_EncodingAttr : MoE_StageAttr<"Encoding", "encoding", "representation of a stored weight"> {
  let description = [{
    `<format [group g] [zero_point] [scale f32|f16|bf16] [along input|output]>`, for example `<int4 group 32 zero_point
    scale f16>`. Groups lie along the reduction axis (input) unless said otherwise. Exact meaning: docs/spec.md §2.2.
  }];
  let parameters = (ins EnumParameter<MoE_Format>:$format, "int64_t":$group, "bool":$zeroPoint,
                        EnumParameter<MoE_ScaleType>:$scale, EnumParameter<MoE_Side>:$along);
  let extraClassDeclaration = [{
    /// Whether members of a group, or of a matrix, share a scale.
    bool hasScales() const;
  }];
}

def MoE_ExternalAttr : MoE_Attr<"External", "external", "values that the weight provider knows by scope and key"> {
  let parameters = (ins "::mlir::StringAttr":$scope, "::mlir::StringAttr":$key);
  let hasCustomAssemblyFormat = 1;
}

def MoE_SeededAttr : MoE_Attr<"Seeded", "seeded", "pseudo-random values, defined by docs/spec.md §2.1"> {
  let parameters = (ins "int64_t":$seed, OptionalParameter<"::mlir::FloatAttr">:$scale);
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def MoE_MeanAttr : MoE_Attr<"Mean", "mean", "recipe: mean over the members of each target of a table"> {
  let description = [{
    `<@w by @table [weighted [..]]>`: one non-negative number for each entry of `@w`, for example how often an expert is
    used, weighs the mean; a target whose members all weigh nothing has the plain mean.
  }];
  let parameters = (ins "::mlir::FlatSymbolRefAttr":$of, "::mlir::FlatSymbolRefAttr":$table,
                        OptionalParameter<"::mlir::DenseF64ArrayAttr">:$weights);
  let assemblyFormat = "`<` $of `by` $table (`weighted` $weights^)? `>`";
}

def MoE_PermutedAttr : MoE_Attr<"Permuted", "permuted", "recipe: rows or columns of each matrix in another order"> {
  let description = [{
    `<input|output of @w by dense<..> : tensor<[entries x] n x i32>>`: row (input side) or column f of entry i is row or
    column p[i, f] of `w[i]`. Each p[i] is a permutation of 0 to n - 1. moe-factorize-experts makes it to align the hidden
    neurons of a cluster's experts.
  }];
  let parameters = (ins EnumParameter<MoE_Side>:$side, "::mlir::FlatSymbolRefAttr":$of,
                        "::mlir::DenseIntElementsAttr":$permutations);
  let assemblyFormat = "`<` $side `of` $of `by` $permutations `>`";
}

def MoE_SvdAttr : MoE_Attr<"Svd", "svd", "recipe: one factor of the truncated SVD of a matrix, or of what a base does not explain"> {
  let description = [{
    `<input|output rank r of @w [minus @base by @table] [whitened by @moments]>`: the left (input side) or right factor of
    `w[i] - base[table[i]]`, or of `w[i]`, with the square root of the singular values on either side. With second moments of the
    inputs, a param of [entries,] 1 x IN (their diagonal) or [entries,] IN x IN, the error of x·W over such inputs is
    what the factors minimise (SVD-LLM, arXiv 2403.07378).
  }];
  let parameters = (ins EnumParameter<MoE_Side>:$factor, "int64_t":$rank, "::mlir::FlatSymbolRefAttr":$of,
                        OptionalParameter<"::mlir::FlatSymbolRefAttr">:$minus,
                        OptionalParameter<"::mlir::FlatSymbolRefAttr">:$table,
                        OptionalParameter<"::mlir::FlatSymbolRefAttr">:$moments);
  let assemblyFormat = [{
    `<` $factor `rank` $rank `of` $of (`minus` $minus^ `by` $table)? (`whitened` `by` $moments^)? `>`
  }];
}

def MoE_BasisMixAttr : MoE_Attr<"BasisMix", "basis_mix", "recipe: bases, or how much of each an expert has"> {
  let description = [{
    `<bases|coefficients of m on input|output rank r [phi silu|tanh] [noise e] of @w>`: with the best factors A_i beside them,
    phi(sum over m of alpha[i, m]·B_m)·A_i with bases on the input side, and A_i·phi(sum ...) with bases on the output side, come
    near `w[i]` (MoBE, arXiv 2508.05257; docs/factorization.md), also when they are rounded by `noise` of their size, 0.002 unless
    said otherwise. Bases are IN x r or r x OUT, basis[m]; coefficients 1 x m, indexed as `@w` is.
  }];
  let parameters = (ins EnumParameter<MoE_MixPart>:$part, "int64_t":$bases, EnumParameter<MoE_Side>:$side, "int64_t":$rank,
                        DefaultValuedParameter<"::moec::moe::Phi", "::moec::moe::Phi::identity">:$phi,
                        OptionalParameter<"::mlir::FloatAttr">:$noise, "::mlir::FlatSymbolRefAttr":$of);
  let assemblyFormat = "`<` $part `of` $bases `on` $side `rank` $rank (`phi` $phi^)? (`noise` $noise^)? `of` $of `>`";
}

def MoE_MixFactorAttr : MoE_Attr<"MixFactor", "mix_factor", "recipe: what matrices have of their own, beside mixed bases"> {
  let description = [{
    `<on input|output [phi silu|tanh] [noise e] @bases by @coefficients of @w>`: the A_i that bring M_i·A_i (input side, r x OUT) or A_i·M_i
    (output side, IN x r) nearest to `w[i]`, where M_i is the moe.weight.mix of the bases as they are stored: factors make up
    for some of what the others' encodings lost.
  }];
  let parameters = (ins EnumParameter<MoE_Side>:$side,
                        DefaultValuedParameter<"::moec::moe::Phi", "::moec::moe::Phi::identity">:$phi,
                        OptionalParameter<"::mlir::FloatAttr">:$noise, "::mlir::FlatSymbolRefAttr":$bases,
                        "::mlir::FlatSymbolRefAttr":$coefficients, "::mlir::FlatSymbolRefAttr":$of);
  let assemblyFormat = "`<` `on` $side (`phi` $phi^)? (`noise` $noise^)? $bases `by` $coefficients `of` $of `>`";
}

//===----------------------------------------------------------------------===//
// Stages of a router
//===----------------------------------------------------------------------===//

def MoE_LimitAttr : MoE_StageAttr<"Limit", "limit", "restricts the choice to some groups of experts"> {
  let description = [{`<keep M of G by max|top2_sum|sum|logits [masked zero]>`}];
  let parameters = (ins "int64_t":$keep, "int64_t":$groups, EnumParameter<MoE_GroupBy>:$by,
                        EnumParameter<MoE_Masked>:$masked);
}

def MoE_ChoiceAttr : MoE_StageAttr<"Choice", "choice", "choice rule, at most k experts a token"> {
  let description = [{
    `<top_k k>`, `<top_p k at p>`, `<threshold k at x>`, `<hash k>`, `<expert_choice k at factor>`,
    `<sparsemixer 2 at jitter>`
  }];
  let parameters = (ins EnumParameter<MoE_ChoiceKind>:$kind, "int64_t":$k,
                        OptionalParameter<"::mlir::FloatAttr">:$value);
}

def MoE_GatesAttr : MoE_StageAttr<"Gates", "gates", "gate weights of the chosen experts"> {
  let description = [{`<scores|softmax|sigmoid|sparsemixer[, l1|l2|l1_floor] [eps e] [scale s]>`}];
  let parameters = (ins EnumParameter<MoE_GateSource>:$source, EnumParameter<MoE_Norm>:$norm,
                        OptionalParameter<"::mlir::FloatAttr">:$eps, OptionalParameter<"::mlir::FloatAttr">:$scale);
}

def MoE_CapacityAttr : MoE_StageAttr<"Capacity", "capacity", "how many pairs an expert accepts"> {
  let description = [{`<factor [at_least n] drop last|lowest>`}];
  let parameters = (ins "::mlir::FloatAttr":$factor, "int64_t":$atLeast, EnumParameter<MoE_Drop>:$drop);
}

def MoE_SpecialsAttr : MoE_StageAttr<"Specials", "specials", "experts without matrices, numbered after the real ones"> {
  let description = [{`<[zero a] [identity b] [constant c]>`; ids E … E+a-1 are zero experts, then identity, then constant.}];
  let parameters = (ins "int64_t":$zero, "int64_t":$identity, "int64_t":$constant);
  let extraClassDeclaration = [{
    int64_t getCount() const { return getZero() + getIdentity() + getConstant(); }
  }];
}

//===----------------------------------------------------------------------===//
// Experts
//===----------------------------------------------------------------------===//

def MoE_ActivationAttr : MoE_StageAttr<"Activation", "activation", "activation between up and down"> {
  let description = [{
    `<kind [alpha a] [clamp c] [offset o]>`: f(min(gate, c)) * (clamp(up, -c, c) + o), or f(min(up, c)) without a gate.
  }];
  let parameters = (ins EnumParameter<MoE_ActivationKind>:$kind, OptionalParameter<"::mlir::FloatAttr">:$alpha,
                        OptionalParameter<"::mlir::FloatAttr">:$clamp, OptionalParameter<"::mlir::FloatAttr">:$offset);
}

#endif // MOEC_DIALECTS_MOE_IR_MOEATTRS_TD
