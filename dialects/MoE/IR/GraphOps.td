// Graph form: routers and expert layers as a model states them.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_DIALECTS_MOE_IR_GRAPHOPS_TD
#define MOEC_DIALECTS_MOE_IR_GRAPHOPS_TD

include "dialects/MoE/IR/MoEOpBase.td"

def MoE_RouteOp : MoE_TokenOp<"route", [MoE_Segments<[0]>]> {
  let summary = "chooses experts and gate weights for each token";
  let description = [{
    Logits are T x N, N = experts + special experts. Stages, in order: `score`, `bias` (steers the choice only),
    `limit` to groups (contiguous, or of `clusters`), `choose`, `gates`, `capacity`. Ties go to the lowest index; a
    slot without expert has id -1 and weight 0; a token for which nothing is chosen has only zeros, never NaN. Exact
    meaning: docs/spec.md §4.1, constraints R1–R22.

    ```mlir
    // DeepSeek-V3: sigmoid, correction bias, 4 of 8 groups by the sum of their two best, normalised, scaled.
    func.func @deepseek_v3(%l: tensor<?x256xf32>, %b: tensor<256xf32>) -> (tensor<?x8x!moe.id<expert[256]>>, tensor<?x8xf32>) {
      %ids, %p = moe.route %l score sigmoid bias %b limit <keep 4 of 8 by top2_sum masked zero> choose <top_k 8>
        gates <scores, l1 eps 1.0e-20 scale 2.5> : (tensor<?x256xf32>, tensor<256xf32>) -> (tensor<?x8x!moe.id<expert[256]>>, tensor<?x8xf32>)
      return %ids, %p : tensor<?x8x!moe.id<expert[256]>>, tensor<?x8xf32>
    }
    ```
  }];
  let arguments = (ins MoE_Floats:$logits, Optional<MoE_Floats>:$bias, Optional<MoE_TableType>:$clusters,
                       Optional<MoE_Floats>:$groupLogits, Optional<MoE_Ids>:$candidates, Optional<MoE_Ids>:$hashTable,
                       Optional<MoE_Integers>:$tokenIds, MoE_Score:$score, OptionalAttr<MoE_LimitAttr>:$limit,
                       MoE_ChoiceAttr:$choice, MoE_GatesAttr:$gates, OptionalAttr<MoE_CapacityAttr>:$capacity,
                       OptionalAttr<MoE_SpecialsAttr>:$specials);
  let results = (outs MoE_Ids:$ids, MoE_Floats:$weights);
  let assemblyFormat = [{
    $logits `score` $score (`bias` $bias^)? (`limit` $limit^)? (`clusters` $clusters^)?
    (`scored` `by` $groupLogits^)? (`candidates` $candidates^)? `choose` $choice (`from` $hashTable^)?
    (`at` $tokenIds^)? `gates` $gates (`capacity` $capacity^)? (`specials` $specials^)? attr-dict
    `:` functional-type(operands, results)
  }];
}

def MoE_ExpertsOp : MoE_TokenOp<"experts", [MoE_Segments<[0, 1, 2, 4, 5]>]> {
  let summary = "gate-weighted sum of the chosen experts of each token";
  let description = [{
    y[t] = sum over slots of p * (act(x·up + b, x·gate + b)·down + b); with `gated on_input` the gate weight multiplies
    the expert's input instead (Llama-4). Weights are expressions; one op per layer, never unrolled. Slots of id -1
    contribute nothing. Exact meaning: docs/spec.md §4.2, constraints E1–E7.

    ```mlir
    !e = !moe.weight<64x32xf32, expert[8]>
    !d = !moe.weight<32x64xf32, expert[8]>
    func.func @swiglu(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?x2xf32>, %g: !e, %u: !e, %d: !d) -> tensor<?x64xf32> {
      %y = moe.experts %x to %ids weighted %p gate %g up %u down %d act <silu>
        : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>, !e, !e, !d) -> tensor<?x64xf32>
      return %y : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins MoE_Floats:$input, MoE_Ids:$ids, MoE_Floats:$weights,
                       DefaultValuedAttr<MoE_GateSide, "::moec::moe::GateSide::on_output">:$gated,
                       Optional<MoE_WeightType>:$gate, MoE_WeightType:$up, MoE_WeightType:$down,
                       Optional<MoE_WeightType>:$gateBias, Optional<MoE_WeightType>:$upBias,
                       Optional<MoE_WeightType>:$downBias, MoE_ActivationAttr:$act,
                       OptionalAttr<MoE_SpecialsAttr>:$specials, Optional<MoE_Floats>:$constants,
                       Optional<MoE_Floats>:$mixing);
  let results = (outs MoE_Floats:$result);
  let assemblyFormat = [{
    $input `to` $ids `weighted` $weights (`gated` $gated^)? (`gate` $gate^)? `up` $up `down` $down
    (`gate_bias` $gateBias^)? (`up_bias` $upBias^)? (`down_bias` $downBias^)? `act` $act
    (`specials` $specials^)? (`constants` $constants^)? (`mixed` `by` $mixing^)? attr-dict
    `:` functional-type(operands, results)
  }];
}

#endif // MOEC_DIALECTS_MOE_IR_GRAPHOPS_TD
