// Enumerations of the moe dialect.
// Part of moec, under the Apache License v2.0 with LLVM Exceptions.
#ifndef MOEC_DIALECTS_MOE_IR_MOEENUMS_TD
#define MOEC_DIALECTS_MOE_IR_MOEENUMS_TD

include "mlir/IR/EnumAttr.td"

class MoE_Enum<string name, string summary, list<string> cases>
    : I32EnumAttr<name, summary, !foreach(i, !range(!size(cases)), I32EnumAttrCase<cases[i], i>)> {
  let cppNamespace = "::moec::moe";
}

def MoE_Axis : MoE_Enum<"Axis", "what a weight is indexed by", ["none", "cluster", "expert", "basis"]>;
def MoE_Side : MoE_Enum<"Side", "side of a matrix: rows are inputs, columns outputs", ["input", "output"]>;
def MoE_Phi : MoE_Enum<"Phi", "element-wise map in weight space", ["identity", "silu", "tanh"]>;
def MoE_MixPart : MoE_Enum<"MixPart", "what a fit of mixed bases gives", ["bases", "coefficients"]>;
def MoE_Format : MoE_Enum<"Format", "representation of stored numbers",
                          ["f32", "bf16", "f16", "f8e4m3", "int8", "int4", "mxfp4"]>;
def MoE_ScaleType : MoE_Enum<"ScaleType", "type of a group's scale", ["f32", "f16", "bf16"]>;
def MoE_Layout : MoE_Enum<"Layout", "order of codes in memory", ["row_major", "panel16", "vnni2", "wgmma_a_frag"]>;
def MoE_Residency : MoE_Enum<"Residency", "where a stored weight lives", ["pinned", "cached", "cold"]>;

def MoE_Score : MoE_Enum<"Score", "score of a logit", ["softmax", "sigmoid", "sqrt_softplus", "identity"]>;
def MoE_GroupBy : MoE_Enum<"GroupBy", "score of a group of experts", ["max", "top2_sum", "sum", "logits"]>;
def MoE_Masked : MoE_Enum<"Masked", "key of an expert outside the kept groups", ["neg_inf", "zero"]>;
def MoE_ChoiceKind : MoE_Enum<"ChoiceKind", "how experts are chosen",
                              ["top_k", "top_p", "threshold", "hash", "expert_choice", "sparsemixer"]>;
def MoE_GateSource : MoE_Enum<"GateSource", "where gate weights come from",
                              ["scores", "softmax", "sigmoid", "sparsemixer"]>;
def MoE_Norm : MoE_Enum<"Norm", "normalisation of gate weights", ["keep", "l1", "l2", "l1_floor"]>;
def MoE_Drop : MoE_Enum<"Drop", "which pair an expert at capacity drops", ["last", "lowest"]>;
def MoE_GateSide : MoE_Enum<"GateSide", "where the gate weight multiplies", ["on_output", "on_input"]>;
def MoE_ActivationKind : MoE_Enum<"ActivationKind", "function of an activation",
    ["identity", "silu", "gelu", "gelu_tanh", "relu", "relu2", "sigmoid_alpha", "tanh"]>;

#endif // MOEC_DIALECTS_MOE_IR_MOEENUMS_TD
