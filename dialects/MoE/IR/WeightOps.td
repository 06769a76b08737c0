// Stored tensors and weight expressions.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_DIALECTS_MOE_IR_WEIGHTOPS_TD
#define MOEC_DIALECTS_MOE_IR_WEIGHTOPS_TD

include "mlir/IR/SymbolInterfaces.td"
include "dialects/MoE/IR/MoEOpBase.td"

//===----------------------------------------------------------------------===//
// Stored tensors
//===----------------------------------------------------------------------===//

def MoE_ParamOp : MoE_Op<"param", [Symbol, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "declares a stored weight or table: source, encoding, layout, residency";
  let description = [{
    The source is inline values, `#moe.external`, `#moe.seeded`, or a recipe (`#moe.mean`, `#moe.permuted`, `#moe.svd`,
    `#moe.basis_mix`, `#moe.mix_factor`) that names other params. A param has no code and no memory of its own: `moe.leaf` is its value, the weight provider its bytes.
    Constraints P1–P6. `rounded by` names second moments of the inputs, by which codes are chosen (docs/precision.md).

    ```mlir
    moe.param @table : !moe.table<expert[4] -> cluster[2]> = dense<[0, 1, 0, 1]> : tensor<4xi32>
    moe.param @gate : !moe.weight<64x32xf32, expert[4]> = #moe.external<"model"::"layers.0.gate"> residency cold
    moe.param private @base : !moe.weight<64x32xf32, cluster[2]> = #moe.mean<@gate by @table> encoding <int4 group 32> layout panel16
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, OptionalAttr<StrAttr>:$sym_visibility, TypeAttr:$type,
                       AnyAttr:$source, OptionalAttr<MoE_EncodingAttr>:$encoding,
                       OptionalAttr<FlatSymbolRefAttr>:$rounded_by, OptionalAttr<MoE_Layout>:$layout,
                       OptionalAttr<MoE_Residency>:$residency);
  let assemblyFormat = [{
    custom<VisibleName>($sym_visibility, $sym_name) `:` $type `=` $source (`encoding` $encoding^)? (`rounded` `by` $rounded_by^)?
    (`layout` $layout^)? (`residency` $residency^)? attr-dict
  }];
  let hasVerifier = 1;
}

def MoE_LeafOp : MoE_Op<"leaf", [Pure, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "value of a param";
  let description = [{
    Constraint L1.

    ```mlir
    moe.param @w : !moe.weight<4x4xf32, expert[2]> = #moe.seeded<1>
    func.func @value() -> !moe.weight<4x4xf32, expert[2]> {
      %w = moe.leaf @w : !moe.weight<4x4xf32, expert[2]>
      return %w : !moe.weight<4x4xf32, expert[2]>
    }
    ```
  }];
  let arguments = (ins FlatSymbolRefAttr:$param);
  let results = (outs MoE_WeightOrTable:$result);
  let assemblyFormat = "$param attr-dict `:` type($result)";
}

def MoE_WrapOp : MoE_Op<"wrap", [Pure, MoE_Segments<[0]>]> {
  let summary = "views tensors or buffers as a weight or a table";
  let description = [{
    For weights that arrive as arguments. Without an encoding the tensor has shape [entries,] IN, OUT, or [entries] of
    i32 for a table. With one it has the codes as docs/archive.md stores them in row_major: floats of that type, or i8
    codes of shape [entries,] IN, OUT for int8 and f8e4m3, or i8 of shape [entries,] bytes for int4 and mxfp4; scales and
    zero points have one number for each group (i8 powers of two for mxfp4).

    With `layout panel16` the columns lie in panels of 16, P = ⌈OUT/16⌉ of them, the last one filled up: codes have shape
    [entries,] P, IN, 16, and [entries,] P, ⌈IN/2⌉, 16 of i8 for int4 and mxfp4, where a byte holds two rows of one
    column, the even row in the low nibble; scales and zero points of groups along input have [entries,] P, IN/group, 16,
    others are as in row_major.

    With `slots` the tensors are a pool: entry i of the weight lies in place slots[i] of it, and is zero where slots[i]
    is outside the pool. All operands are tensors, or all are buffers, which nobody writes to while the weight is used.
    Constraint L2.

    ```mlir
    func.func @view(%t: tensor<2x64x32xf32>) -> !moe.weight<64x32xf32, expert[2]> {
      %w = moe.wrap %t : tensor<2x64x32xf32> to !moe.weight<64x32xf32, expert[2]>
      return %w : !moe.weight<64x32xf32, expert[2]>
    }
    func.func @pool(%codes: tensor<3x1024xi8>, %scales: tensor<3x2x32xf16>, %slots: tensor<4xi32>) -> !moe.weight<64x32xf32, cluster[4]> {
      %w = moe.wrap %codes scales(%scales : tensor<3x2x32xf16>) slots(%slots : tensor<4xi32>) encoding <int4 group 32 scale f16>
        : tensor<3x1024xi8> to !moe.weight<64x32xf32, cluster[4]>
      return %w : !moe.weight<64x32xf32, cluster[4]>
    }
    func.func @panels(%codes: memref<2x32x16xi8>, %scales: memref<2x2x16xf32>) -> !moe.weight<64x32xf32> {
      %w = moe.wrap %codes scales(%scales : memref<2x2x16xf32>) encoding <int4 group 32> layout panel16
        : memref<2x32x16xi8> to !moe.weight<64x32xf32>
      return %w : !moe.weight<64x32xf32>
    }
    ```
  }];
  let arguments = (ins MoE_Array:$tensor, Optional<MoE_Array>:$scales, Optional<MoE_Array>:$zero_points,
                       Optional<MoE_Array>:$slots, OptionalAttr<MoE_EncodingAttr>:$encoding,
                       OptionalAttr<MoE_Layout>:$layout);
  let results = (outs MoE_WeightOrTable:$result);
  let assemblyFormat = [{
    $tensor (`scales` `(` $scales^ `:` type($scales) `)`)? (`zero_points` `(` $zero_points^ `:` type($zero_points) `)`)?
    (`slots` `(` $slots^ `:` type($slots) `)`)? (`encoding` $encoding^)? (`layout` $layout^)? attr-dict
    `:` type($tensor) `to` type($result)
  }];
  let builders = [OpBuilder<(ins "::mlir::Type":$result, "::mlir::Value":$tensor)>];
  let hasVerifier = 1;
  let extraClassDeclaration = [{
    /// The tensors that store a weight: codes, scales, zero points; a null type for a part there is not.
    struct Parts {
      ::mlir::RankedTensorType codes, scales, zeroPoints;
    };
    /// `entries` is how many matrices the tensors have, if the weight is indexed; the layout is one that isKnown.
    static Parts getParts(WeightType weight, EncodingAttr encoding, Layout layout, int64_t entries);
    /// Whether tensors can have that layout: row_major or panel16.
    static bool isKnown(Layout layout) { return layout == Layout::row_major || layout == Layout::panel16; }
    /// The layout, row_major if none is said.
    Layout getLayoutOrDefault() { return getLayout().value_or(Layout::row_major); }
  }];
}

def MoE_LayerOp : MoE_Op<"layer", [Symbol, DeclareOpInterfaceMethods<SymbolUserOpInterface>]> {
  let summary = "a layer of the model: a function, and the params it is run with";
  let description = [{
    Layers of one shape run one function. Its arguments with `moec.binding` name what a layer brings: a table, or a part
    of a weight (`moec.part`: codes, scales, zero_points, slots). Constraint B1.

    ```mlir
    moe.param @layer0.scale : !moe.weight<4x4xf32> = #moe.seeded<1>
    moe.param @layer1.scale : !moe.weight<4x4xf32> = #moe.seeded<2>
    func.func @block(%x: tensor<?x4xf32>, %w: tensor<4x4xf32> {moec.binding = "scale", moec.part = "codes"}) -> tensor<?x4xf32> {
      %scale = moe.wrap %w : tensor<4x4xf32> to !moe.weight<4x4xf32>
      %y = moe.apply %x, %scale : tensor<?x4xf32>, !moe.weight<4x4xf32> -> tensor<?x4xf32>
      return %y : tensor<?x4xf32>
    }
    moe.layer @layer0 runs @block {scale = @layer0.scale}
    moe.layer @layer1 runs @block {scale = @layer1.scale}
    ```
  }];
  let arguments = (ins SymbolNameAttr:$sym_name, FlatSymbolRefAttr:$function, DictionaryAttr:$binding);
  let assemblyFormat = "$sym_name `runs` $function $binding attr-dict";
}

//===----------------------------------------------------------------------===//
// Weight expressions
//===----------------------------------------------------------------------===//

class MoE_WeightOp<string mnemonic, list<Trait> traits = []> : MoE_Op<"weight." # mnemonic, [Pure] # traits> {
  let results = (outs MoE_WeightType:$result);
}

/// A weight op whose type follows from its operands.
class MoE_InferredWeightOp<string mnemonic>
    : MoE_WeightOp<mnemonic, [InferTypeOpAdaptor]>;

def MoE_WeightSelectOp : MoE_InferredWeightOp<"select"> {
  let summary = "re-indexes a weight: result[i] = weight[table[i]]";
  let description = [{
    How experts share: the base of a cluster seen from its experts, a merge alias, a prune map. Constraint W1.

    ```mlir
    func.func @mine(%base: !moe.weight<64x32xf32, cluster[2]>, %t: !moe.table<expert[8] -> cluster[2]>) -> !moe.weight<64x32xf32, expert[8]> {
      %w = moe.weight.select %base by %t : !moe.weight<64x32xf32, cluster[2]>, !moe.table<expert[8] -> cluster[2]>
      return %w : !moe.weight<64x32xf32, expert[8]>
    }
    ```
  }];
  let arguments = (ins MoE_WeightType:$weight, MoE_TableType:$table);
  let assemblyFormat = [{
    $weight `by` $table attr-dict `:` qualified(type($weight)) `,` qualified(type($table))
  }];
}

def MoE_WeightMulOp : MoE_InferredWeightOp<"mul"> {
  let summary = "matrix product, entry by entry";
  let description = [{
    Constraints W2, W4. Canonicalisation pulls selects by the same table outward, so that the product is made once per
    cluster.

    ```mlir
    func.func @low_rank(%a: !moe.weight<64x4xf32, expert[8]>, %b: !moe.weight<4x32xf32, expert[8]>) -> !moe.weight<64x32xf32, expert[8]> {
      %w = moe.weight.mul %a, %b : !moe.weight<64x4xf32, expert[8]>, !moe.weight<4x32xf32, expert[8]>
      return %w : !moe.weight<64x32xf32, expert[8]>
    }
    ```
  }];
  let arguments = (ins MoE_WeightType:$lhs, MoE_WeightType:$rhs);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` qualified(type($lhs)) `,` qualified(type($rhs))";
  let hasCanonicalizer = 1;
}

def MoE_WeightAddOp : MoE_InferredWeightOp<"add"> {
  let summary = "matrix sum, entry by entry";
  let description = [{
    Constraints W3, W4. Canonicalisation pulls selects outward as for `moe.weight.mul`.

    ```mlir
    func.func @sum(%base: !moe.weight<64x32xf32>, %own: !moe.weight<64x32xf32, expert[8]>) -> !moe.weight<64x32xf32, expert[8]> {
      %w = moe.weight.add %base, %own : !moe.weight<64x32xf32>, !moe.weight<64x32xf32, expert[8]>
      return %w : !moe.weight<64x32xf32, expert[8]>
    }
    ```
  }];
  let arguments = (ins MoE_WeightType:$lhs, MoE_WeightType:$rhs);
  let assemblyFormat = "$lhs `,` $rhs attr-dict `:` qualified(type($lhs)) `,` qualified(type($rhs))";
  let hasCanonicalizer = 1;
}

def MoE_WeightMixOp : MoE_InferredWeightOp<"mix"> {
  let summary = "phi of a linear combination of basis matrices";
  let description = [{
    result[i] = phi(sum over m of alpha[i][0, m] * basis[m]), phi element-wise (MoBE, arXiv:2508.05257). With phi other
    than identity the product with a row does not distribute: the matrix must be built. Constraint W5.

    ```mlir
    func.func @mobe(%basis: !moe.weight<64x32xf32, basis[3]>, %alpha: !moe.weight<1x3xf32, expert[8]>) -> !moe.weight<64x32xf32, expert[8]> {
      %w = moe.weight.mix phi silu %basis, %alpha : !moe.weight<64x32xf32, basis[3]>, !moe.weight<1x3xf32, expert[8]>
      return %w : !moe.weight<64x32xf32, expert[8]>
    }
    ```
  }];
  let arguments = (ins MoE_WeightType:$basis, MoE_WeightType:$alpha,
                       DefaultValuedAttr<MoE_Phi, "::moec::moe::Phi::identity">:$phi);
  let assemblyFormat = [{
    (`phi` $phi^)? $basis `,` $alpha attr-dict `:` qualified(type($basis)) `,` qualified(type($alpha))
  }];
}

def MoE_WeightScaleOp : MoE_InferredWeightOp<"scale"> {
  let summary = "diagonal factor on the input or output side";
  let description = [{
    diag(d)·w (`input`) or w·diag(d) (`output`); d is 1 x IN or 1 x OUT. Constraints W4, W6.

    ```mlir
    func.func @scaled(%w: !moe.weight<64x32xf32>, %d: !moe.weight<1x32xf32, expert[8]>) -> !moe.weight<64x32xf32, expert[8]> {
      %r = moe.weight.scale output %w, %d : !moe.weight<64x32xf32>, !moe.weight<1x32xf32, expert[8]>
      return %r : !moe.weight<64x32xf32, expert[8]>
    }
    ```
  }];
  let arguments = (ins MoE_Side:$side, MoE_WeightType:$weight, MoE_WeightType:$diagonal);
  let assemblyFormat = [{
    $side $weight `,` $diagonal attr-dict `:` qualified(type($weight)) `,` qualified(type($diagonal))
  }];
}

def MoE_WeightRaggedOp : MoE_InferredWeightOp<"ragged"> {
  let summary = "zero beyond each entry's own size";
  let description = [{
    Rows (`input`) or columns (`output`) from sizes[i] on are zero: experts of different width or rank, whose types keep
    the maximum (CAMERA). Constraint W7.

    ```mlir
    func.func @widths(%w: !moe.weight<64x32xf32, expert[2]>, %sizes: tensor<2xi32>) -> !moe.weight<64x32xf32, expert[2]> {
      %r = moe.weight.ragged output %w to %sizes : !moe.weight<64x32xf32, expert[2]>, tensor<2xi32>
      return %r : !moe.weight<64x32xf32, expert[2]>
    }
    ```
  }];
  let arguments = (ins MoE_Side:$side, MoE_WeightType:$weight, MoE_Integers:$sizes);
  let assemblyFormat = "$side $weight `to` $sizes attr-dict `:` qualified(type($weight)) `,` type($sizes)";
}

def MoE_WeightSparseOp : MoE_WeightOp<"sparse"> {
  let summary = "a sparse matrix for each entry, from values and positions";
  let description = [{
    values[i][0, j] stands at (row, column) = positions[i, j]; equal positions add, positions outside the matrix are
    skipped, so -1 pads (ResMoE's sparse residual). Constraint W8.

    ```mlir
    func.func @delta(%v: !moe.weight<1x16xf32, expert[8]>, %at: tensor<8x16x2xi32>) -> !moe.weight<64x32xf32, expert[8]> {
      %w = moe.weight.sparse %v at %at : !moe.weight<1x16xf32, expert[8]>, tensor<8x16x2xi32> -> !moe.weight<64x32xf32, expert[8]>
      return %w : !moe.weight<64x32xf32, expert[8]>
    }
    ```
  }];
  let arguments = (ins MoE_WeightType:$values, MoE_Integers:$positions);
  let assemblyFormat = [{
    $values `at` $positions attr-dict `:` qualified(type($values)) `,` type($positions) `->` qualified(type($result))
  }];
  let hasVerifier = 1;
}

def MoE_WeightSliceOp : MoE_WeightOp<"slice"> {
  let summary = "some rows or columns of every entry";
  let description = [{
    Made by tiling. Columns (`output`) or rows (`input`) from an offset; beyond the matrix reads zero. Constraint W9.

    ```mlir
    func.func @tile(%w: !moe.weight<64x32xf32, expert[8]>, %o: index) -> !moe.weight<64x16xf32, expert[8]> {
      %r = moe.weight.slice output %w[%o] : !moe.weight<64x32xf32, expert[8]> -> !moe.weight<64x16xf32, expert[8]>
      return %r : !moe.weight<64x16xf32, expert[8]>
    }
    ```
  }];
  let arguments = (ins MoE_Side:$side, MoE_WeightType:$weight, Index:$offset);
  let assemblyFormat = [{
    $side $weight `[` $offset `]` attr-dict `:` qualified(type($weight)) `->` qualified(type($result))
  }];
  let hasVerifier = 1;
  let hasFolder = 1;
}

#endif // MOEC_DIALECTS_MOE_IR_WEIGHTOPS_TD
