// RUN: moe-opt %s -o %t && FileCheck %s --input-file=%t
// RUN: moe-opt %t | diff %t -
// RUN: moe-opt %s --mlir-print-op-generic | moe-opt | diff %t -
// RUN: moe-opt %s --emit-bytecode | moe-opt | diff %t -
// Graph form: every router family as one op, and expert layers.

!e8 = tensor<?x8x!moe.id<expert[256]>>
!w8 = tensor<?x8xf32>
!t = !moe.table<expert[256] -> cluster[16]>

// Mixtral, Qwen3: softmax over all, top-k, normalised.
// CHECK-LABEL: func.func @mixtral
// CHECK: moe.route %{{.*}} score softmax choose <top_k 2> gates <scores, l1> : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
func.func @mixtral(%l: tensor<?x8xf32>) {
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores, l1>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// DeepSeek-V2: the best groups by their largest score; scores outside count as 0.
// CHECK-LABEL: func.func @deepseek_v2
// CHECK: score softmax limit <keep 3 of 8 by max masked zero> choose <top_k 6> gates <scores scale 16.0>
func.func @deepseek_v2(%l: tensor<?x256xf32>) {
  %ids, %p = moe.route %l score softmax limit <keep 3 of 8 by max masked zero> choose <top_k 6> gates <scores scale 16.0>
    : (tensor<?x256xf32>) -> (tensor<?x6x!moe.id<expert[256]>>, tensor<?x6xf32>)
  return
}

// DeepSeek-V3, Kimi, GLM: sigmoid, a bias that steers the choice only, groups by the sum of their two best.
// CHECK-LABEL: func.func @deepseek_v3
// CHECK: score sigmoid bias %{{.*}} limit <keep 4 of 8 by top2_sum masked zero> choose <top_k 8> gates <scores, l1 eps 1.0e-20 scale 2.5>
func.func @deepseek_v3(%l: tensor<?x256xf32>, %b: tensor<256xf32>) {
  %ids, %p = moe.route %l score sigmoid bias %b limit <keep 4 of 8 by top2_sum masked zero> choose <top_k 8>
    gates <scores, l1 eps 1.0e-20 scale 2.5> : (tensor<?x256xf32>, tensor<256xf32>) -> (!e8, !w8)
  return
}

// DeepSeek-V4, first layers: token ids name their experts.
// CHECK-LABEL: func.func @deepseek_v4_hash
// CHECK: score sqrt_softplus choose <hash 6> from %{{.*}} at %{{.*}} gates <scores, l1 scale 1.5>
func.func @deepseek_v4_hash(%l: tensor<?x256xf32>, %table: tensor<129280x6x!moe.id<expert[256]>>, %tokens: tensor<?xi32>) {
  %ids, %p = moe.route %l score sqrt_softplus choose <hash 6> from %table at %tokens gates <scores, l1 scale 1.5>
    : (tensor<?x256xf32>, tensor<129280x6x!moe.id<expert[256]>>, tensor<?xi32>) -> (tensor<?x6x!moe.id<expert[256]>>, tensor<?x6xf32>)
  return
}

// gpt-oss: softmax over the chosen (the bias of the linear layer is in the logits).
// CHECK-LABEL: func.func @gpt_oss
// CHECK: score identity choose <top_k 4> gates <softmax>
func.func @gpt_oss(%l: tensor<?x256xbf16>) {
  %ids, %p = moe.route %l score identity choose <top_k 4> gates <softmax>
    : (tensor<?x256xbf16>) -> (tensor<?x4x!moe.id<expert[256]>>, tensor<?x4xbf16>)
  return
}

// Llama-4: sigmoid of the chosen; the layer below gates its input.
// CHECK-LABEL: func.func @llama4
// CHECK: score identity choose <top_k 1> gates <sigmoid>
func.func @llama4(%l: tensor<?x16xf32>) {
  %ids, %p = moe.route %l score identity choose <top_k 1> gates <sigmoid>
    : (tensor<?x16xf32>) -> (tensor<?x1x!moe.id<expert[16]>>, tensor<?x1xf32>)
  return
}

// Phi-3.5: sparsemixer.
// CHECK-LABEL: func.func @phi
// CHECK: score identity choose <sparsemixer 2 at 0.01> gates <sparsemixer>
func.func @phi(%l: tensor<?x16xf32>) {
  %ids, %p = moe.route %l score identity choose <sparsemixer 2 at 0.01> gates <sparsemixer>
    : (tensor<?x16xf32>) -> (tensor<?x2x!moe.id<expert[16]>>, tensor<?x2xf32>)
  return
}

// ERNIE 4.5: a bias, and a floor below the norm.
// CHECK-LABEL: func.func @ernie
// CHECK: score softmax bias %{{.*}} choose <top_k 6> gates <scores, l1_floor eps 1.0e-12>
func.func @ernie(%l: tensor<?x64xf32>, %b: tensor<64xf32>) {
  %ids, %p = moe.route %l score softmax bias %b choose <top_k 6> gates <scores, l1_floor eps 1.0e-12>
    : (tensor<?x64xf32>, tensor<64xf32>) -> (tensor<?x6x!moe.id<expert[64]>>, tensor<?x6xf32>)
  return
}

// LongCat: 256 identity experts behind the 512.
// CHECK-LABEL: func.func @longcat
// CHECK: choose <top_k 12> gates <scores scale 6.0> specials <identity 256>
func.func @longcat(%l: tensor<?x768xf32>, %b: tensor<768xf32>) {
  %ids, %p = moe.route %l score softmax bias %b choose <top_k 12> gates <scores scale 6.0> specials <identity 256>
    : (tensor<?x768xf32>, tensor<768xf32>) -> (tensor<?x12x!moe.id<expert[512+256]>>, tensor<?x12xf32>)
  return
}

// Switch: one expert, capacity, the last to come are dropped. GShard: two, the lowest are.
// CHECK-LABEL: func.func @switch_gshard
// CHECK: choose <top_k 1> gates <scores> capacity <1.25 at_least 4 drop last>
// CHECK: choose <top_k 2> gates <scores, l1> capacity <2.0 drop lowest>
func.func @switch_gshard(%l: tensor<?x64xf32>) {
  %ids, %p = moe.route %l score softmax choose <top_k 1> gates <scores> capacity <1.25 at_least 4 drop last>
    : (tensor<?x64xf32>) -> (tensor<?x1x!moe.id<expert[64]>>, tensor<?x1xf32>)
  %jds, %q = moe.route %l score softmax choose <top_k 2> gates <scores, l1> capacity <2.0 drop lowest>
    : (tensor<?x64xf32>) -> (tensor<?x2x!moe.id<expert[64]>>, tensor<?x2xf32>)
  return
}

// Groups of one column: a sum has as many terms as there are members.
// CHECK-LABEL: func.func @sum_of_one
// CHECK: limit <keep 2 of 8 by sum>
func.func @sum_of_one(%l: tensor<?x8xf32>) {
  %ids, %p = moe.route %l score softmax limit <keep 2 of 8 by sum> choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// Nemotron-H: sigmoid scores in one group, norm over the chosen.
// CHECK-LABEL: func.func @nemotron
// CHECK: limit <keep 1 of 1 by top2_sum>
func.func @nemotron(%l: tensor<?x128xf32>, %b: tensor<128xf32>) {
  %ids, %p = moe.route %l score sigmoid bias %b limit <keep 1 of 1 by top2_sum> choose <top_k 6> gates <scores, l1 scale 2.5>
    : (tensor<?x128xf32>, tensor<128xf32>) -> (tensor<?x6x!moe.id<expert[128]>>, tensor<?x6xf32>)
  return
}

// As many experts as a token needs: by their sum, by a threshold, by what the experts take.
// CHECK-LABEL: func.func @by_score
// CHECK: choose <top_p 8 at 0.9>
// CHECK: choose <threshold 4 at 0.5> gates <scores, l2>
// CHECK: choose <expert_choice 8 at 2.0>
func.func @by_score(%l: tensor<?x256xf32>) {
  %0:2 = moe.route %l score softmax choose <top_p 8 at 0.9> gates <scores, l1> : (tensor<?x256xf32>) -> (!e8, !w8)
  %1:2 = moe.route %l score sigmoid choose <threshold 4 at 0.5> gates <scores, l2>
    : (tensor<?x256xf32>) -> (tensor<?x4x!moe.id<expert[256]>>, tensor<?x4xf32>)
  %2:2 = moe.route %l score softmax choose <expert_choice 8 at 2.0> gates <scores> : (tensor<?x256xf32>) -> (!e8, !w8)
  return
}

// Two stages, exact form: all logits, groups of any members, scored by prototypes.
// CHECK-LABEL: func.func @two_stage_exact
// CHECK: limit <keep 2 of 16 by logits> clusters %{{.*}} scored by %{{.*}} choose <top_k 8>
func.func @two_stage_exact(%l: tensor<?x256xf32>, %t: !t, %c: tensor<?x16xf32>) {
  %ids, %p = moe.route %l score softmax limit <keep 2 of 16 by logits> clusters %t scored by %c choose <top_k 8>
    gates <scores, l1> : (tensor<?x256xf32>, !t, tensor<?x16xf32>) -> (!e8, !w8)
  return
}

// Two stages, cheap form: a router over clusters, then one over the members of the chosen cluster.
// CHECK-LABEL: func.func @two_stage_cheap
// CHECK: moe.route {{.*}} -> (tensor<?x1x!moe.id<cluster[16]>>, tensor<?x1xf32>)
// CHECK: score softmax candidates %{{.*}} choose <top_k 8> gates <scores, l1>
func.func @two_stage_cheap(%c: tensor<?x16xf32>, %l: tensor<?x24xf32>, %members: tensor<?x24x!moe.id<expert[256]>>) {
  %0:2 = moe.route %c score softmax choose <top_k 1> gates <scores> : (tensor<?x16xf32>) -> (tensor<?x1x!moe.id<cluster[16]>>, tensor<?x1xf32>)
  %1:2 = moe.route %l score softmax candidates %members choose <top_k 8> gates <scores, l1>
    : (tensor<?x24xf32>, tensor<?x24x!moe.id<expert[256]>>) -> (!e8, !w8)
  return
}

// A known number of tokens, also none; one expert; all experts; what is known may be forgotten.
// CHECK-LABEL: func.func @extremes
// CHECK-COUNT-4: moe.route
func.func @extremes(%none: tensor<0x4xf32>, %one: tensor<3x1xf64>, %some: tensor<3x4xf16>) {
  %0:2 = moe.route %none score softmax choose <top_k 4> gates <scores> : (tensor<0x4xf32>) -> (tensor<0x4x!moe.id<expert[4]>>, tensor<0x4xf32>)
  %1:2 = moe.route %one score identity choose <top_k 1> gates <scores> : (tensor<3x1xf64>) -> (tensor<3x1x!moe.id<expert[1]>>, tensor<3x1xf64>)
  %2:2 = moe.route %some score softmax choose <top_k 4> gates <scores> : (tensor<3x4xf16>) -> (tensor<?x4x!moe.id<expert[4]>>, tensor<3x4xf16>)
  // MoE++: every kind of special expert, limited within a table of real ones.
  %3:2 = moe.route %some score softmax choose <top_k 1> gates <scores> specials <zero 1 identity 1 constant 1>
    : (tensor<3x4xf16>) -> (tensor<3x1x!moe.id<expert[1+3]>>, tensor<3x1xf16>)
  return
}

!g = !moe.weight<64x32xf32, expert[8]>
!d = !moe.weight<32x64xf32, expert[8]>
!ids = tensor<?x2x!moe.id<expert[8]>>

// CHECK-LABEL: func.func @experts
func.func @experts(%x: tensor<?x64xf32>, %ids: !ids, %p: tensor<?x2xf32>, %g: !g, %u: !g, %d: !d,
                   %bg: !moe.weight<1x32xf32, expert[8]>, %bu: !moe.weight<1x32xf32>, %bd: !moe.weight<1x64xf32, expert[8]>) {
  // SwiGLU.
  // CHECK: moe.experts %{{.*}} to %{{.*}} weighted %{{.*}} gate %{{.*}} up %{{.*}} down %{{.*}} act <silu> : (
  %0 = moe.experts %x to %ids weighted %p gate %g up %u down %d act <silu>
    : (tensor<?x64xf32>, !ids, tensor<?x2xf32>, !g, !g, !d) -> tensor<?x64xf32>
  // Llama-4 gates the input.
  // CHECK: weighted %{{.*}} gated on_input gate %{{.*}} up
  %1 = moe.experts %x to %ids weighted %p gated on_input gate %g up %u down %d act <silu>
    : (tensor<?x64xf32>, !ids, tensor<?x2xf32>, !g, !g, !d) -> tensor<?x64xf32>
  // Nemotron-H has no gate; on_output is not printed.
  // CHECK: weighted %{{[a-z0-9]+}} up %{{.*}} down %{{.*}} act <relu2>
  %2 = moe.experts %x to %ids weighted %p gated on_output up %u down %d act <relu2>
    : (tensor<?x64xf32>, !ids, tensor<?x2xf32>, !g, !d) -> tensor<?x64xf32>
  // gpt-oss: biases, each indexed or not, and a clamped activation.
  // CHECK: gate_bias %{{.*}} up_bias %{{.*}} down_bias %{{.*}} act <sigmoid_alpha alpha 1.702 clamp 7.0 offset 1.0>
  %3 = moe.experts %x to %ids weighted %p gate %g up %u down %d gate_bias %bg up_bias %bu down_bias %bd
    act <sigmoid_alpha alpha 1.702 clamp 7.0 offset 1.0>
    : (tensor<?x64xf32>, !ids, tensor<?x2xf32>, !g, !g, !d, !moe.weight<1x32xf32, expert[8]>, !moe.weight<1x32xf32>,
       !moe.weight<1x64xf32, expert[8]>) -> tensor<?x64xf32>
  // CHECK: up_bias %{{.*}} act <gelu>
  %4 = moe.experts %x to %ids weighted %p up %u down %d up_bias %bu act <gelu>
    : (tensor<?x64xf32>, !ids, tensor<?x2xf32>, !g, !d, !moe.weight<1x32xf32>) -> tensor<?x64xf32>
  return
}

// Weights without axis are shared by all ids; a shared expert has one id.
// CHECK-LABEL: func.func @shared
// CHECK-COUNT-2: moe.experts
func.func @shared(%x: tensor<4x64xf32>, %ids: tensor<4x1x!moe.id<expert[1]>>, %p: tensor<4x1xf32>, %u: !moe.weight<64x32xf32>,
                  %u1: !moe.weight<64x32xf32, expert[1]>, %d: !moe.weight<32x64xf32>) {
  %0 = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<4x64xf32>, tensor<4x1x!moe.id<expert[1]>>, tensor<4x1xf32>, !moe.weight<64x32xf32>, !moe.weight<32x64xf32>) -> tensor<4x64xf32>
  %1 = moe.experts %x to %ids weighted %p up %u1 down %d act <silu>
    : (tensor<4x64xf32>, tensor<4x1x!moe.id<expert[1]>>, tensor<4x1xf32>, !moe.weight<64x32xf32, expert[1]>, !moe.weight<32x64xf32>) -> tensor<4x64xf32>
  return
}

// MoE++: zero, identity and constant experts, the latter mixed.
// CHECK-LABEL: func.func @specials
// CHECK: act <silu> specials <zero 1 identity 1> :
// CHECK: act <silu> specials <constant 2> constants %{{.*}} :
// CHECK: act <silu> specials <constant 2> constants %{{.*}} mixed by %{{.*}} :
func.func @specials(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8+2]>>, %p: tensor<?x2xf32>, %u: !g, %d: !d,
                    %c: tensor<2x64xf32>, %m: tensor<2x64x2xf32>) {
  %0 = moe.experts %x to %ids weighted %p up %u down %d act <silu> specials <zero 1 identity 1>
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8+2]>>, tensor<?x2xf32>, !g, !d) -> tensor<?x64xf32>
  %1 = moe.experts %x to %ids weighted %p up %u down %d act <silu> specials <constant 2> constants %c
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8+2]>>, tensor<?x2xf32>, !g, !d, tensor<2x64xf32>) -> tensor<?x64xf32>
  %2 = moe.experts %x to %ids weighted %p up %u down %d act <silu> specials <constant 2> constants %c mixed by %m
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8+2]>>, tensor<?x2xf32>, !g, !d, tensor<2x64xf32>, tensor<2x64x2xf32>) -> tensor<?x64xf32>
  return
}
