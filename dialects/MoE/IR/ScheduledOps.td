// Scheduled form: rows sorted by cluster, destination style, on tensors or buffers.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_DIALECTS_MOE_IR_SCHEDULEDOPS_TD
#define MOEC_DIALECTS_MOE_IR_SCHEDULEDOPS_TD

include "mlir/Interfaces/DestinationStyleOpInterface.td"
include "dialects/MoE/IR/MoEOpBase.td"

/// A destination-style op: on tensors it returns what it wrote, on buffers it writes in place. The result overwrites the
/// destination, unless `accumulate` adds to it.
class MoE_ScheduledOp<string mnemonic, list<Trait> traits = []>
    : MoE_Op<mnemonic, [DestinationStyleOpInterface, DeclareOpInterfaceMethods<MemoryEffectsOpInterface>,
                        DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>] # traits> {
  let hasVerifier = 1;
}

def MoE_GroupOp : MoE_ScheduledOp<"group"> {
  let summary = "sorts (token, cluster) rows by cluster and lists their experts";
  let description = [{
    Rows by cluster: row_token [T·M] (-1 past the end), row_offsets [G+1]. Pairs by row, then by slot: pair_row,
    pair_expert, pair_weight [T·k] (-1, -1, 0 past the end). Sizes are bounds known from T, offsets say how much is
    used: nothing waits for the host. Without `slots` choice j of a token belongs to its j-th row: rows of experts that
    share nothing.

    Rows of one cluster come in an order that the operands alone decide. The reference lowering has them by token; a
    target may put rows with the same experts beside each other. What is added up row by row is rounded accordingly,
    and nothing else depends on it. Constraint G7.

    ```mlir
    func.func @sort(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xf32>, %slot: tensor<8x2xi32>,
        %a: tensor<8xi32>, %b: tensor<3xi32>, %d: tensor<16xi32>, %e: tensor<16x!moe.id<expert[4]>>, %f: tensor<16xf32>) -> tensor<8xi32> {
      %row_token, %row_offsets, %pair_row, %pair_expert, %pair_weight = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xf32>)
        slots(%slot : tensor<8x2xi32>) outs(%a, %b, %d, %e, %f : tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>)
        -> tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>
      return %row_token : tensor<8xi32>
    }
    ```
  }];
  let arguments = (ins MoE_Array:$clusters, MoE_Array:$ids, MoE_Array:$weights, Optional<MoE_Array>:$slots,
                       MoE_Array:$rowToken, MoE_Array:$rowOffsets, MoE_Array:$pairRow, MoE_Array:$pairExpert,
                       MoE_Array:$pairWeight);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    `ins` `(` $clusters `,` $ids `,` $weights `:` type($clusters) `,` type($ids) `,` type($weights) `)`
    (`slots` `(` $slots^ `:` type($slots) `)`)?
    `outs` `(` $rowToken `,` $rowOffsets `,` $pairRow `,` $pairExpert `,` $pairWeight `:` type($rowToken) `,`
    type($rowOffsets) `,` type($pairRow) `,` type($pairExpert) `,` type($pairWeight) `)`
    attr-dict (`->` type($results)^)?
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable();
  }];
}

def MoE_GatherOp : MoE_ScheduledOp<"gather"> {
  let summary = "collects rows by index";
  let description = [{
    Row i of the result is row index[i] of the input; zero (-1 for ids and integers) where the index is -1 or beyond
    the input. Constraint G8.

    ```mlir
    func.func @rows(%x: tensor<?x64xf32>, %i: tensor<?xi32>, %o: tensor<?x64xf32>) -> tensor<?x64xf32> {
      %y = moe.gather ins(%x, %i : tensor<?x64xf32>, tensor<?xi32>) outs(%o : tensor<?x64xf32>) -> tensor<?x64xf32>
      return %y : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins MoE_Array:$input, MoE_Array:$index, MoE_Array:$init);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    `ins` `(` $input `,` $index `:` type($input) `,` type($index) `)` `outs` `(` $init `:` type($init) `)`
    attr-dict (`->` type($results)^)?
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getInitMutable(); }
  }];
}

def MoE_GroupedMatmulOp : MoE_ScheduledOp<"grouped_matmul", [MoE_Segments<[0, 11]>]> {
  let summary = "rows times the matrix of their group, with the residual of their experts";
  let description = [{
    A row's matrix is that of its group (`groups`), of its entry (`entries`), or the one matrix there is.

    * With `pair_rows` and `pair_experts` the result has a row for each pair: the base product of the pair's row, plus
      `residual(a, b)`: (x·a[expert])·b[expert], plus the bias of the expert.
    * With `act` there are two weights, up then gate (or one), each with its residual and bias, and the result is
      their activation.
    * With `segment(v)` and `expand(b)` row i also receives the sum over its pairs of weight·v[p]·b[expert]: the
      residual of the down direction, a second segment of the reduction.

    * With `rounded <bf16>` or `rounded <int8 [group g]>` rows are rounded before they are multiplied by the weights, each
      row by itself: residuals, biases and the segment get them as they are.

    Overwrites the destination, or adds to it under `accumulate`. Exact meaning: docs/spec.md §6, constraints G1–G6, G10.

    ```mlir
    func.func @up(%x: tensor<8x64xf32>, %w: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %e: tensor<16x!moe.id<expert[4]>>,
        %a: !moe.weight<64x4xf32, expert[4]>, %b: !moe.weight<4x32xf32, expert[4]>, %o: tensor<16x32xf32>) -> tensor<16x32xf32> {
      %y = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>)
        pair_rows(%row : tensor<16xi32>) pair_experts(%e : tensor<16x!moe.id<expert[4]>>)
        residual(%a, %b : !moe.weight<64x4xf32, expert[4]>, !moe.weight<4x32xf32, expert[4]>) outs(%o : tensor<16x32xf32>) -> tensor<16x32xf32>
      return %y : tensor<16x32xf32>
    }
    ```
  }];
  let arguments = (ins MoE_Array:$input, Variadic<MoE_WeightType>:$weights, Variadic<MoE_WeightType>:$biases,
                       Optional<MoE_Array>:$offsets, Optional<MoE_Array>:$entries, Optional<MoE_Array>:$pairRow,
                       Optional<MoE_Array>:$pairExpert, Variadic<MoE_WeightType>:$residuals,
                       Optional<MoE_Array>:$segment, Optional<MoE_WeightType>:$expand,
                       Optional<MoE_Array>:$segmentWeights, MoE_Array:$init, OptionalAttr<MoE_ActivationAttr>:$act,
                       UnitAttr:$accumulate, OptionalAttr<MoE_EncodingAttr>:$rounding);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    (`accumulate` $accumulate^)? `ins` `(` $input `:` type($input) `)` (`rounded` $rounding^)?
    `weights` `(` $weights `:` qualified(type($weights)) `)` (`bias` `(` $biases^ `:` qualified(type($biases)) `)`)?
    (`groups` `(` $offsets^ `:` type($offsets) `)`)? (`entries` `(` $entries^ `:` type($entries) `)`)?
    (`pair_rows` `(` $pairRow^ `:` type($pairRow) `)`)? (`pair_experts` `(` $pairExpert^ `:` type($pairExpert) `)`)?
    (`residual` `(` $residuals^ `:` qualified(type($residuals)) `)`)?
    (`segment` `(` $segment^ `:` type($segment) `)`)? (`expand` `(` $expand^ `:` qualified(type($expand)) `)`)?
    (`weighted` `(` $segmentWeights^ `:` type($segmentWeights) `)`)? (`act` $act^)?
    `outs` `(` $init `:` type($init) `)` attr-dict (`->` type($results)^)?
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getInitMutable(); }
    /// True if there is one result row for each pair, not for each row.
    bool yieldsPairs() { return getPairRow() && !getSegment(); }
  }];
}

def MoE_GroupedUpOp : MoE_ScheduledOp<"grouped_up", [MoE_Segments<[0, 4, 5, 7, 9]>]> {
  let summary = "up-projection of an expert layer whose hidden activations are summed as they arise";
  let description = [{
    Means three operations, whose hidden activations h need not be in memory:

    * h = `moe.grouped_matmul` of pairs with `act`: a row for each pair;
    * hidden = `moe.scatter_combine` of h by `pair_rows`, weighted by the pairs' gate weights: as a rule a row for each
      row of the input; a pair whose row it does not have is skipped;
    * with `shrink`, v = `moe.grouped_matmul` of h by the pairs' experts: the first factor of the down residual.

    Made by moe-fuse-combine. `rounded` is that of the first. Constraints G1–G3, G5, G6, G10 as for moe.grouped_matmul, and G9.

    ```mlir
    func.func @up(%x: tensor<8x64xf32>, %w: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %e: tensor<16x!moe.id<expert[4]>>,
        %p: tensor<16xf32>, %a: !moe.weight<32x4xf32, expert[4]>, %h: tensor<8x32xf32>, %v: tensor<16x4xf32>) -> (tensor<8x32xf32>, tensor<16x4xf32>) {
      %hidden, %shrunk = moe.grouped_up ins(%x : tensor<8x64xf32>) weights(%w, %w : !moe.weight<64x32xf32, cluster[2]>, !moe.weight<64x32xf32, cluster[2]>)
        groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%e : tensor<16x!moe.id<expert[4]>>) weighted(%p : tensor<16xf32>) act <silu>
        shrink(%a : !moe.weight<32x4xf32, expert[4]>) outs(%h, %v : tensor<8x32xf32>, tensor<16x4xf32>) -> tensor<8x32xf32>, tensor<16x4xf32>
      return %hidden, %shrunk : tensor<8x32xf32>, tensor<16x4xf32>
    }
    ```
  }];
  let arguments = (ins MoE_Array:$input, Variadic<MoE_WeightType>:$weights, Variadic<MoE_WeightType>:$biases,
                       Optional<MoE_Array>:$offsets, MoE_Array:$pairRow, MoE_Array:$pairExpert,
                       Variadic<MoE_WeightType>:$residuals, MoE_Array:$pairWeights, Optional<MoE_WeightType>:$shrink,
                       MoE_Array:$hidden, Optional<MoE_Array>:$shrunk, MoE_ActivationAttr:$act,
                       OptionalAttr<MoE_EncodingAttr>:$rounding);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    `ins` `(` $input `:` type($input) `)` (`rounded` $rounding^)? `weights` `(` $weights `:` qualified(type($weights)) `)`
    (`bias` `(` $biases^ `:` qualified(type($biases)) `)`)? (`groups` `(` $offsets^ `:` type($offsets) `)`)?
    `pair_rows` `(` $pairRow `:` type($pairRow) `)` `pair_experts` `(` $pairExpert `:` type($pairExpert) `)`
    (`residual` `(` $residuals^ `:` qualified(type($residuals)) `)`)? `weighted` `(` $pairWeights `:` type($pairWeights) `)`
    `act` $act (`shrink` `(` $shrink^ `:` qualified(type($shrink)) `)`)?
    `outs` `(` $hidden (`,` $shrunk^)? `:` type($hidden) (`,` type($shrunk)^)? `)` attr-dict (`->` type($results)^)?
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable();
    /// As of moe.grouped_matmul: no entries, and one row for each pair.
    ::mlir::Value getEntries() { return {}; }
    bool yieldsPairs() { return true; }
    /// Builds the three operations that it stands for, on tensors, and returns their values for its results.
    ::llvm::SmallVector<::mlir::Value> decompose(::mlir::OpBuilder &builder);
  }];
}

def MoE_ScatterCombineOp : MoE_ScheduledOp<"scatter_combine"> {
  let summary = "sums weighted rows into the rows they came from";
  let description = [{
    init[index[i]] += p[i]·x[i] in increasing i; rows of index -1, or beyond the destination, are skipped. The
    destination is zeroed first, unless `accumulate`. Constraint G8.

    ```mlir
    func.func @back(%x: tensor<?x64xf32>, %i: tensor<?xi32>, %p: tensor<?xf32>, %o: tensor<?x64xf32>) -> tensor<?x64xf32> {
      %y = moe.scatter_combine ins(%x, %i : tensor<?x64xf32>, tensor<?xi32>) weighted(%p : tensor<?xf32>) outs(%o : tensor<?x64xf32>) -> tensor<?x64xf32>
      return %y : tensor<?x64xf32>
    }
    ```
  }];
  let arguments = (ins MoE_Array:$input, MoE_Array:$index, Optional<MoE_Array>:$weights, MoE_Array:$init,
                       UnitAttr:$accumulate);
  let results = (outs Variadic<AnyRankedTensor>:$results);
  let assemblyFormat = [{
    (`accumulate` $accumulate^)? `ins` `(` $input `,` $index `:` type($input) `,` type($index) `)`
    (`weighted` `(` $weights^ `:` type($weights) `)`)? `outs` `(` $init `:` type($init) `)`
    attr-dict (`->` type($results)^)?
  }];
  let extraClassDeclaration = [{
    ::mlir::MutableOperandRange getDpsInitsMutable() { return getInitMutable(); }
  }];
}

#endif // MOEC_DIALECTS_MOE_IR_SCHEDULEDOPS_TD
