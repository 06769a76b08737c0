// Types of the moe dialect: weight, table, id.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_DIALECTS_MOE_IR_MOETYPES_TD
#define MOEC_DIALECTS_MOE_IR_MOETYPES_TD

include "mlir/IR/AttrTypeBase.td"
include "mlir/IR/BuiltinTypeInterfaces.td"
include "dialects/MoE/IR/MoEDialect.td"
include "dialects/MoE/IR/MoEEnums.td"

class MoE_Type<string name, string typeMnemonic, string typeSummary, list<Trait> traits = []>
    : TypeDef<MoE_Dialect, name, traits> {
  let mnemonic = typeMnemonic;
  let summary = typeSummary;
  let hasCustomAssemblyFormat = 1;
  let genVerifyDecl = 1;
}

def MoE_WeightType : MoE_Type<"Weight", "weight", "a matrix for each entry of an axis; symbolic, never a buffer"> {
  let description = [{
    `!moe.weight<IN x OUT x elt[, axis[n]]>`, for example `!moe.weight<2048x768xbf16, cluster[16]>`. `elt` is the type
    of computation; how the weight is stored is its param's encoding. Without an axis there is one matrix for all.
  }];
  let parameters = (ins "int64_t":$rows, "int64_t":$cols, "::mlir::Type":$elementType,
                        EnumParameter<MoE_Axis>:$axis, "int64_t":$count);
  let extraClassDeclaration = [{
    bool isIndexed() const { return getAxis() != Axis::none; }
    /// The same matrix for each entry of another axis.
    WeightType withAxis(Axis axis, int64_t count) const;
    /// The same axis with another matrix.
    WeightType withShape(int64_t rows, int64_t cols) const;
    /// Shape of the stored tensor: [entries,] IN, OUT.
    ::llvm::SmallVector<int64_t> getStoredShape() const;
  }];
}

def MoE_TableType : MoE_Type<"Table", "table", "total map from one axis to another"> {
  let description = [{`!moe.table<expert[128] -> cluster[16]>`: cluster of each expert, or a merge or prune map.}];
  let parameters = (ins EnumParameter<MoE_Axis>:$from, "int64_t":$fromCount, EnumParameter<MoE_Axis>:$to,
                        "int64_t":$toCount);
}

def MoE_IdType : MoE_Type<"Id", "id", "entry of an axis, or -1 for none; element type of id tensors",
                          [MemRefElementTypeInterface]> {
  let description = [{
    `!moe.id<expert[512+256]>`: 512 experts and 256 special ones behind them. A number outside -1 ... count-1 means none.
  }];
  let parameters = (ins EnumParameter<MoE_Axis>:$axis, "int64_t":$count, "int64_t":$specials);
  let extraClassDeclaration = [{
    /// The same axis without special experts.
    IdType withoutSpecials() const;
  }];
}

def MoE_ExchangeType : TypeDef<MoE_Dialect, "Exchange"> {
  let mnemonic = "exchange";
  let summary = "where the rows came from that a rank received";
  let description = [{From a moe.dispatch to its moe.return, and nowhere else.}];
}

#endif // MOEC_DIALECTS_MOE_IR_MOETYPES_TD
