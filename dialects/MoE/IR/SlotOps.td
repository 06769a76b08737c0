// Slot form: dense [token, slot, feature] tensors, where the algebra happens. Every op is pure and total.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_DIALECTS_MOE_IR_SLOTOPS_TD
#define MOEC_DIALECTS_MOE_IR_SLOTOPS_TD

include "mlir/Interfaces/ViewLikeInterface.td"
include "dialects/MoE/IR/MoEOpBase.td"

def MoE_IdCastOp : MoE_Op<"id_cast", [Pure, DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>,
                                     DeclareOpInterfaceMethods<ViewLikeOpInterface>]> {
  let summary = "reads ids as integers, or integers as ids";
  let description = [{
    On buffers the result is a view of the same memory. Constraint S10.

    ```mlir
    func.func @numbers(%ids: tensor<?x2x!moe.id<expert[8]>>) -> tensor<?x2xi32> {
      %n = moe.id_cast %ids : tensor<?x2x!moe.id<expert[8]>> to tensor<?x2xi32>
      return %n : tensor<?x2xi32>
    }
    ```
  }];
  let arguments = (ins MoE_Array:$input);
  let results = (outs MoE_Array:$result);
  let assemblyFormat = "$input attr-dict `:` type($input) `to` type($result)";
  let hasFolder = 1;
  let hasVerifier = 1;
}

def MoE_ApplyOp : MoE_TokenOp<"apply"> {
  let summary = "multiplies rows by the matrix of their slot";
  let description = [{
    y[t, s] = x[t(, s)]·w[ids[t, s]]; a row of id -1 is zero, also when the weight has no axis and the ids only say which
    rows there are. Without ids the weight has no axis and y has the rows of x. Constraints S1–S3.

    ```mlir
    func.func @up(%x: tensor<?x64xf32>, %w: !moe.weight<64x32xf32, cluster[2]>, %c: tensor<?x1x!moe.id<cluster[2]>>) -> tensor<?x1x32xf32> {
      %y = moe.apply %x, %w at %c : tensor<?x64xf32>, !moe.weight<64x32xf32, cluster[2]> at tensor<?x1x!moe.id<cluster[2]>> -> tensor<?x1x32xf32>
      return %y : tensor<?x1x32xf32>
    }
    ```
  }];
  let arguments = (ins MoE_Floats:$input, MoE_WeightType:$weight, Optional<MoE_Ids>:$ids);
  let results = (outs MoE_Floats:$result);
  let assemblyFormat = [{
    $input `,` $weight (`at` $ids^)? attr-dict
    `:` type($input) `,` qualified(type($weight)) (`at` type($ids)^)? `->` type($result)
  }];
}

def MoE_LookupOp : MoE_TokenOp<"lookup"> {
  let summary = "the one-row weight (a bias) of each slot";
  let description = [{
    y[t, s] = w[ids[t, s]][0, :], zero for id -1. A weight without axis gives its one row to every slot but those of
    id -1. Ids may also be a plain list (scheduled form): y[p] = w[ids[p]][0, :]. Constraints S2, S3, S8.

    ```mlir
    func.func @bias(%b: !moe.weight<1x32xf32, expert[8]>, %ids: tensor<?x2x!moe.id<expert[8]>>) -> tensor<?x2x32xf32> {
      %y = moe.lookup %b at %ids : !moe.weight<1x32xf32, expert[8]>, tensor<?x2x!moe.id<expert[8]>> -> tensor<?x2x32xf32>
      return %y : tensor<?x2x32xf32>
    }
    ```
  }];
  let arguments = (ins MoE_WeightType:$weight, MoE_Ids:$ids);
  let results = (outs MoE_Floats:$result);
  let assemblyFormat = [{
    $weight `at` $ids attr-dict `:` qualified(type($weight)) `,` type($ids) `->` type($result)
  }];
}

def MoE_ClustersOfOp : MoE_TokenOp<"clusters_of"> {
  let summary = "distinct clusters of each token, and the place of each choice among them";
  let description = [{
    clusters [T, M]: in order of first use, padded with -1. slot [T, k]: index into it, -1 for id -1 and for a cluster
    beyond the M-th; a token with more than M clusters is its producer's error. Constraints S4, S5.

    ```mlir
    func.func @clusters(%ids: tensor<?x4x!moe.id<expert[8]>>, %t: !moe.table<expert[8] -> cluster[2]>) -> tensor<?x4xi32> {
      %c, %slot = moe.clusters_of %ids by %t : tensor<?x4x!moe.id<expert[8]>>, !moe.table<expert[8] -> cluster[2]> -> tensor<?x2x!moe.id<cluster[2]>>, tensor<?x4xi32>
      return %slot : tensor<?x4xi32>
    }
    ```
  }];
  let arguments = (ins MoE_Ids:$ids, MoE_TableType:$table);
  let results = (outs MoE_Ids:$clusters, MoE_Integers:$slot);
  let assemblyFormat = [{
    $ids `by` $table attr-dict `:` type($ids) `,` qualified(type($table)) `->` type($clusters) `,` type($slot)
  }];
}

def MoE_SpreadOp : MoE_TokenOp<"spread", [MoE_Segments<[0]>]> {
  let summary = "copies token or cluster rows to the slots that use them";
  let description = [{
    `at`: y[t, j] = x[t, slot[t, j]], zero for slot -1. `for`: y[t, j] = x[t], zero where ids[t, j] is -1. Neither:
    y[t, j] = x[t]. Constraint S7.

    ```mlir
    func.func @copy(%x: tensor<?x1x32xf32>, %slot: tensor<?x2xi32>) -> tensor<?x2x32xf32> {
      %y = moe.spread %x at %slot : tensor<?x1x32xf32> at tensor<?x2xi32> -> tensor<?x2x32xf32>
      return %y : tensor<?x2x32xf32>
    }
    ```
  }];
  let arguments = (ins MoE_Floats:$input, Optional<MoE_Integers>:$slot, Optional<MoE_Ids>:$ids);
  let results = (outs MoE_Floats:$result);
  let assemblyFormat = [{
    $input (`at` $slot^)? (`for` $ids^)? attr-dict
    `:` type($input) (`at` type($slot)^)? (`for` type($ids)^)? `->` type($result)
  }];
}

def MoE_ScaleRowsOp : MoE_TokenOp<"scale_rows"> {
  let summary = "multiplies each row by a number";
  let description = [{
    y[t, j] = p[t, j]·x[t, j], or p[t, j]·x[t] when x has no slots; also on plain rows, y[i] = p[i]·x[i]. Constraint S7.

    ```mlir
    func.func @gate(%x: tensor<?x64xf32>, %p: tensor<?x2xf32>) -> tensor<?x2x64xf32> {
      %y = moe.scale_rows %x by %p : tensor<?x64xf32>, tensor<?x2xf32> -> tensor<?x2x64xf32>
      return %y : tensor<?x2x64xf32>
    }
    ```
  }];
  let arguments = (ins MoE_Floats:$input, MoE_Floats:$weights);
  let results = (outs MoE_Floats:$result);
  let assemblyFormat = "$input `by` $weights attr-dict `:` type($input) `,` type($weights) `->` type($result)";
}

def MoE_CombineOp : MoE_TokenOp<"combine", [MoE_Segments<[0]>]> {
  let summary = "sums the slots of each token, or of each (token, cluster)";
  let description = [{
    y[t] = sum over j of p[t, j]·x[t, j]; with `into`, y[t, m] sums over the j with slot[t, j] = m. Without `weighted`
    p is 1. Linear in x. Constraints S6, S7.

    ```mlir
    func.func @sum(%x: tensor<?x2x32xf32>, %p: tensor<?x2xf32>, %slot: tensor<?x2xi32>) -> tensor<?x1x32xf32> {
      %y = moe.combine %x weighted %p into %slot : tensor<?x2x32xf32> weighted tensor<?x2xf32> into tensor<?x2xi32> -> tensor<?x1x32xf32>
      return %y : tensor<?x1x32xf32>
    }
    ```
  }];
  let arguments = (ins MoE_Floats:$input, Optional<MoE_Floats>:$weights, Optional<MoE_Integers>:$slot);
  let results = (outs MoE_Floats:$result);
  let assemblyFormat = [{
    $input (`weighted` $weights^)? (`into` $slot^)? attr-dict
    `:` type($input) (`weighted` type($weights)^)? (`into` type($slot)^)? `->` type($result)
  }];
}

def MoE_ActivateOp : MoE_TokenOp<"activate", [
    TypesMatchWith<"result has the type of up", "up", "result", "$_self">]> {
  let summary = "element-wise activation, gated when there are two inputs";
  let description = [{
    f(min(gate, c))·(clamp(up, -c, c) + o), or f(min(up, c)). Constraints S1, A1.

    ```mlir
    func.func @silu(%u: tensor<?x2x32xf32>, %g: tensor<?x2x32xf32>) -> tensor<?x2x32xf32> {
      %h = moe.activate <silu> %u gated by %g : tensor<?x2x32xf32>
      return %h : tensor<?x2x32xf32>
    }
    ```
  }];
  let arguments = (ins MoE_ActivationAttr:$act, MoE_Floats:$up, Optional<MoE_Floats>:$gate);
  let results = (outs MoE_Floats:$result);
  let assemblyFormat = "$act $up (`gated` `by` $gate^)? attr-dict `:` custom<GatedType>(type($up), type($gate), ref($gate))";
  let hasFolder = 1;
}

def MoE_RealExpertsOp : MoE_TokenOp<"real_experts", [
    TypesMatchWith<"gate weights keep their type", "weights", "realWeights", "$_self">]> {
  let summary = "masks what is not an expert with matrices";
  let description = [{
    Special ids become -1, and weights of ids -1 and of special ids become 0. Folds away behind a `moe.route` without
    special experts. Constraints S7, S9.

    ```mlir
    func.func @real(%ids: tensor<?x2x!moe.id<expert[8+1]>>, %p: tensor<?x2xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>) {
      %i, %q = moe.real_experts %ids, %p : tensor<?x2x!moe.id<expert[8+1]>>, tensor<?x2xf32> -> tensor<?x2x!moe.id<expert[8]>>
      return %i, %q : tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>
    }
    ```
  }];
  let arguments = (ins MoE_Ids:$ids, MoE_Floats:$weights);
  let results = (outs MoE_Ids:$realIds, MoE_Floats:$realWeights);
  let assemblyFormat = "$ids `,` $weights attr-dict `:` type($ids) `,` type($weights) `->` type($realIds)";
  let hasFolder = 1;
}

def MoE_SpecialExpertsOp : MoE_TokenOp<"special_experts", [MoE_Segments<[0, 1, 2]>]> {
  let summary = "gate-weighted sum of the special experts of each token";
  let description = [{
    Zero experts give nothing, identity experts x[t], constant experts a vector, or a mix of both (MoE++,
    arXiv:2410.07348). Constraints E5, E6.

    ```mlir
    func.func @identity(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8+1]>>, %p: tensor<?x2xf32>) -> tensor<?x64xf32> {
      %y = moe.special_experts %x to %ids weighted %p specials <identity 1> : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8+1]>>, tensor<?x2xf32>) -> tensor<?x64xf32>
      return %y : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins MoE_Floats:$input, MoE_Ids:$ids, MoE_Floats:$weights, MoE_SpecialsAttr:$specials,
                       Optional<MoE_Floats>:$constants, Optional<MoE_Floats>:$mixing);
  let results = (outs MoE_Floats:$result);
  let assemblyFormat = [{
    $input `to` $ids `weighted` $weights `specials` $specials (`constants` $constants^)?
    (`mixed` `by` $mixing^)? attr-dict `:` functional-type(operands, results)
  }];
}

#endif // MOEC_DIALECTS_MOE_IR_SLOTOPS_TD
