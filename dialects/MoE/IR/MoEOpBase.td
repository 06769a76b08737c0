// Base classes and operand constraints that the op families share.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_DIALECTS_MOE_IR_MOEOPBASE_TD
#define MOEC_DIALECTS_MOE_IR_MOEOPBASE_TD

include "mlir/Interfaces/InferTypeOpInterface.td"
include "mlir/Interfaces/SideEffectInterfaces.td"
include "dialects/MoE/IR/MoEAttrs.td"
include "dialects/MoE/IR/MoETypes.td"

class MoE_Op<string mnemonic, list<Trait> traits = []> : Op<MoE_Dialect, mnemonic, traits>;

/// For ops whose operands come in segments: upstream checks only how many operands there are together, so generic form
/// could leave one out by doubling another. `groups` numbers the arguments that are neither optional nor variadic.
class MoE_Segments<list<int> groups> : TraitList<[
    AttrSizedOperandSegments,
    PredOpTrait<"operands that are not optional must be there",
                And<!foreach(group, groups, CPred<"getODSOperands(" # group # ").size() == 1">)>>]>;

/// A pure op on tensors whose first extent is the number of tokens T, the only one that may be dynamic. Its results'
/// first extent is that of the first tensor operand.
class MoE_TokenOp<string mnemonic, list<Trait> traits = []>
    : MoE_Op<mnemonic, [Pure, DeclareOpInterfaceMethods<ReifyRankedShapedTypeOpInterface, ["reifyResultShapes"]>] # traits> {
  let hasVerifier = 1;
}

/// A tensor, or after bufferisation a buffer.
def MoE_Array : AnyTypeOf<[AnyRankedTensor, AnyStridedMemRef]>;
def MoE_Ids : RankedTensorOf<[MoE_IdType]>;
def MoE_Floats : RankedTensorOf<[F64, F32, F16, BF16]>;
def MoE_Integers : RankedTensorOf<[I32]>;
def MoE_WeightOrTable : AnyTypeOf<[MoE_WeightType, MoE_TableType]>;

#endif // MOEC_DIALECTS_MOE_IR_MOEOPBASE_TD
