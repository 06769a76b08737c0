// RUN: moe-opt %s --inline --moe-optimize --moe-verify-scheduled-form=strict | FileCheck %s
// Whole layers from graph form to scheduled form, none of it left in slot form: the methods that make experts share.

!x = tensor<?x64xf32>
!ids = tensor<?x4x!moe.id<expert[8]>>
!p = tensor<?x4xf32>
!t = !moe.table<expert[8] -> cluster[2]>
!in = !moe.weight<64x32xf32, expert[8]>
!out = !moe.weight<32x64xf32, expert[8]>
!in_base = !moe.weight<64x32xf32, cluster[2]>
!out_base = !moe.weight<32x64xf32, cluster[2]>
!in_all = !moe.weight<64x32xf32>
!out_all = !moe.weight<32x64xf32>
!ia = !moe.weight<64x4xf32, expert[8]>
!ib = !moe.weight<4x32xf32, expert[8]>
!oa = !moe.weight<32x4xf32, expert[8]>
!ob = !moe.weight<4x64xf32, expert[8]>
!ibias = !moe.weight<1x32xf32, expert[8]>
!obias = !moe.weight<1x64xf32, expert[8]>

// Cluster 1 of 2 is empty.
moe.param private @t : !t = dense<0> : tensor<8xi32>
moe.param private @gate : !in_base = #moe.seeded<1>
moe.param private @up : !in_base = #moe.seeded<2>
moe.param private @down : !out_base = #moe.seeded<3>
moe.param private @gate_a : !ia = #moe.seeded<4>
moe.param private @gate_b : !ib = #moe.seeded<5>
moe.param private @up_a : !ia = #moe.seeded<6>
moe.param private @up_b : !ib = #moe.seeded<7>
moe.param private @down_a : !oa = #moe.seeded<8>
moe.param private @down_b : !ob = #moe.seeded<9>

// Shared basis: gate and up with their residuals, the activation and its weighted sum in one operation, down with its
// residual in another, and no product besides.
// CHECK-LABEL: func.func @shared_basis
// CHECK: %[[G:.+]]:5 = moe.group {{.*}} slots(
// CHECK: %[[ROWS:.+]] = moe.gather ins(%{{.+}}, %[[G]]#0
// CHECK: %[[H:.+]]:2 = moe.grouped_up ins(%[[ROWS]] {{.*}} groups(%[[G]]#1 {{.*}} pair_rows(%[[G]]#2 {{.*}} pair_experts(%[[G]]#3 {{.*}} residual(%{{.+}}, %{{.+}}, %{{.+}}, %{{.+}} : {{.*}} weighted(%[[G]]#4 {{.*}} act <silu> shrink(
// CHECK: %[[D:.+]] = moe.grouped_matmul ins(%[[H]]#0 {{.*}} groups(%[[G]]#1 {{.*}} segment(%[[H]]#1 {{.*}} weighted(%[[G]]#4
// CHECK: %[[Y:.+]] = moe.scatter_combine ins(%[[D]], %[[G]]#0
// CHECK: return %[[Y]]
func.func @shared_basis(%x: !x, %l: tensor<?x8xf32>) -> !x {
  %y = func.call @layer(%x, %l) : (!x, tensor<?x8xf32>) -> !x
  return %y : !x
}

// Three blocks, each norm, layer and residual: each layer has one group and its two products.
// CHECK-LABEL: func.func @three_blocks
// CHECK-COUNT-3: moe.group ins
// CHECK-NOT: moe.group ins
// CHECK: return
func.func @three_blocks(%x: !x, %router: tensor<64x8xf32>) -> !x {
  %0 = func.call @block(%x, %router) : (!x, tensor<64x8xf32>) -> !x
  %1 = func.call @block(%0, %router) : (!x, tensor<64x8xf32>) -> !x
  %2 = func.call @block(%1, %router) : (!x, tensor<64x8xf32>) -> !x
  return %2 : !x
}

// A layer in a branch in a loop.
// CHECK-LABEL: func.func @control_flow
// CHECK: scf.for
// CHECK: scf.if
// CHECK: moe.group
// CHECK: act <silu>
// CHECK: else
func.func @control_flow(%x: !x, %l: tensor<?x8xf32>, %c: i1, %n: index) -> !x {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = scf.for %i = %c0 to %n step %c1 iter_args(%h = %x) -> !x {
    %0 = scf.if %c -> !x {
      %1 = func.call @layer(%h, %l) : (!x, tensor<?x8xf32>) -> !x
      scf.yield %1 : !x
    } else {
      scf.yield %h : !x
    }
    scf.yield %0 : !x
  }
  return %y : !x
}

// The gate weight on the input, biases per expert (gpt-oss, Llama-4): the bases are shared all the same.
// CHECK-LABEL: func.func @gated_input_with_biases
// CHECK-SAME: %[[X:.+]]: tensor<?x64xf32>,
// CHECK: %[[G:.+]]:5 = moe.group {{.*}} slots(
// CHECK: moe.gather ins(%[[X]], %[[G]]#0
// CHECK: moe.grouped_matmul {{.*}} -> tensor<?x32xf32>
// CHECK: moe.scale_rows {{.*}} by %[[G]]#4
// CHECK: moe.lookup {{.*}} at %[[G]]#3
// CHECK: moe.grouped_matmul {{.*}} groups(%[[G]]#1 {{.*}} -> tensor<?x64xf32>
func.func @gated_input_with_biases(%x: !x, %ids: !ids, %p: !p, %ub: !ibias, %db: !obias) -> !x {
  %t = moe.leaf @t : !t
  %uw = moe.leaf @up : !in_base
  %dw = moe.leaf @down : !out_base
  %u = moe.weight.select %uw by %t : !in_base, !t
  %d = moe.weight.select %dw by %t : !out_base, !t
  %y = moe.experts %x to %ids weighted %p gated on_input up %u down %d up_bias %ub down_bias %db act <silu> : (!x, !ids, !p, !in, !out, !ibias, !obias) -> !x
  return %y : !x
}

// Experts of their own with biases: product, bias and activation are one operation; special experts are added.
// CHECK-LABEL: func.func @own_experts
// CHECK: moe.grouped_matmul {{.*}} weights(%{{.+}}, %{{.+}} : {{.*}} bias(%{{.+}}, %{{.+}} : {{.*}} act <sigmoid_alpha alpha 1.702 clamp 7.0 offset 1.0>
// CHECK: moe.grouped_matmul {{.*}} bias(
// CHECK: moe.special_experts
func.func @own_experts(%x: !x, %l: tensor<?x9xf32>, %g: !in, %u: !in, %d: !out, %gb: !ibias, %ub: !ibias, %db: !obias) -> !x {
  %ids, %p = moe.route %l score softmax choose <top_k 4> gates <scores> specials <identity 1> : (tensor<?x9xf32>) -> (tensor<?x4x!moe.id<expert[8+1]>>, !p)
  %y = moe.experts %x to %ids weighted %p gate %g up %u down %d gate_bias %gb up_bias %ub down_bias %db act <sigmoid_alpha alpha 1.702 clamp 7.0 offset 1.0> specials <identity 1>
    : (!x, tensor<?x4x!moe.id<expert[8+1]>>, !p, !in, !in, !out, !ibias, !ibias, !obias) -> !x
  return %y : !x
}

// D2-MoE: a base for all and a second factor for all. Up: once a token, with the residual by pair. Down: behind the sum.
// CHECK-LABEL: func.func @d2
// CHECK-SAME: %[[X:.+]]: tensor<?x64xf32>,
// CHECK: %[[G:.+]]:5 = moe.group
// CHECK: %[[H:.+]]:2 = moe.grouped_up ins(%[[X]] {{.*}} pair_rows(%[[G]]#0 {{.*}} residual({{.*}} act <silu> shrink(
// CHECK: moe.grouped_matmul ins(%[[H]]#0 : tensor<?x32xf32>) weights(%{{.+}} : !moe.weight<32x64xf32>)
func.func @d2(%x: !x, %ids: !ids, %p: !p, %u: !in_all, %d: !out_all, %ua: !ia, %ub: !moe.weight<4x32xf32>, %da: !oa, %db: !moe.weight<4x64xf32>) -> !x {
  %um = moe.weight.mul %ua, %ub : !ia, !moe.weight<4x32xf32>
  %dm = moe.weight.mul %da, %db : !oa, !moe.weight<4x64xf32>
  %us = moe.weight.add %u, %um : !in_all, !in
  %ds = moe.weight.add %d, %dm : !out_all, !out
  %y = moe.experts %x to %ids weighted %p up %us down %ds act <silu> : (!x, !ids, !p, !in, !out) -> !x
  return %y : !x
}

// MoLAE and MoE-SVD: the cluster's factor by rows, the expert's by pairs; down the other way round.
// CHECK-LABEL: func.func @molae
// CHECK: %[[G:.+]]:5 = moe.group
// CHECK: moe.grouped_matmul {{.*}} weights(%{{.+}} : !moe.weight<64x4xf32, cluster[2]>) groups(%[[G]]#1
// CHECK: moe.grouped_matmul {{.*}} weights(%{{.+}} : !moe.weight<4x32xf32, expert[8]>) entries(%[[G]]#3
// CHECK: moe.grouped_matmul {{.*}} weights(%{{.+}} : !moe.weight<32x4xf32, expert[8]>) entries(%[[G]]#3
// CHECK: moe.grouped_matmul {{.*}} weights(%{{.+}} : !moe.weight<4x64xf32, cluster[2]>) groups(%[[G]]#1
func.func @molae(%x: !x, %ids: !ids, %p: !p, %ua: !moe.weight<64x4xf32, cluster[2]>, %ub: !ib, %da: !oa, %db: !moe.weight<4x64xf32, cluster[2]>) -> !x {
  %t = moe.leaf @t : !t
  %us = moe.weight.select %ua by %t : !moe.weight<64x4xf32, cluster[2]>, !t
  %ds = moe.weight.select %db by %t : !moe.weight<4x64xf32, cluster[2]>, !t
  %u = moe.weight.mul %us, %ub : !ia, !ib
  %d = moe.weight.mul %da, %ds : !oa, !ob
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> : (!x, !ids, !p, !in, !out) -> !x
  return %y : !x
}

// MoBE: the mix under its map is built, its factor is not.
// CHECK-LABEL: func.func @mobe
// CHECK: %[[MIX:.+]] = moe.weight.mix phi tanh
// CHECK: moe.grouped_matmul {{.*}} !moe.weight<64x4xf32, expert[8]>
// CHECK: moe.grouped_matmul {{.*}} weights(%[[MIX]] {{.*}} act <silu>
func.func @mobe(%x: !x, %ids: !ids, %p: !p, %a: !ia, %basis: !moe.weight<4x32xf32, basis[2]>, %alpha: !moe.weight<1x2xf32, expert[8]>, %d: !out) -> !x {
  %m = moe.weight.mix phi tanh %basis, %alpha : !moe.weight<4x32xf32, basis[2]>, !moe.weight<1x2xf32, expert[8]>
  %u = moe.weight.mul %a, %m : !ia, !ib
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> : (!x, !ids, !p, !in, !out) -> !x
  return %y : !x
}

// HC-SMoE: merged experts are computed once a cluster; choices only weight what they have in common.
// CHECK-LABEL: func.func @alias
// CHECK: moe.grouped_matmul {{.*}} weights(%{{.+}}, %{{.+}} : {{.*}} groups({{.*}} act <silu>
// CHECK: %[[Z:.+]] = moe.scatter_combine {{.*}} weighted(
// CHECK: moe.grouped_matmul ins(%[[Z]] {{.*}} groups(
// CHECK-NOT: moe.grouped_matmul
// CHECK: return
func.func @alias(%x: !x, %ids: !ids, %p: !p) -> !x {
  %t = moe.leaf @t : !t
  %gw = moe.leaf @gate : !in_base
  %uw = moe.leaf @up : !in_base
  %dw = moe.leaf @down : !out_base
  %g = moe.weight.select %gw by %t : !in_base, !t
  %u = moe.weight.select %uw by %t : !in_base, !t
  %d = moe.weight.select %dw by %t : !out_base, !t
  %y = moe.experts %x to %ids weighted %p gate %g up %u down %d act <silu> : (!x, !ids, !p, !in, !in, !out) -> !x
  return %y : !x
}

// One matrix for all: each of its products once a token.
// CHECK-LABEL: func.func @one_expert_for_all
// CHECK-SAME: %[[X:.+]]: tensor<?x64xf32>,
// CHECK: %[[H:.+]] = moe.grouped_matmul ins(%[[X]] {{.*}} act <silu>
// CHECK: moe.gather ins(%[[H]],
// CHECK: %[[Z:.+]] = moe.scatter_combine {{.*}} weighted({{.*}} -> tensor<?x32xf32>
// CHECK: moe.grouped_matmul ins(%[[Z]]
func.func @one_expert_for_all(%x: !x, %ids: !ids, %p: !p, %u: !in_all, %d: !out_all) -> !x {
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> : (!x, !ids, !p, !in_all, !out_all) -> !x
  return %y : !x
}

// A diagonal of the expert's own on the shared base, and a sparse residual (ResMoE).
// CHECK-LABEL: func.func @scale_and_sparse
// CHECK: %[[S:.+]] = moe.weight.sparse
// CHECK: %[[G:.+]]:5 = moe.group
// CHECK: moe.grouped_matmul {{.*}} groups(%[[G]]#1
// CHECK: moe.lookup
// CHECK: arith.mulf
// CHECK: moe.grouped_matmul {{.*}} groups(%[[G]]#1 {{.*}} expand(%[[S]]
func.func @scale_and_sparse(%x: !x, %ids: !ids, %p: !p, %o: !ibias, %v: !moe.weight<1x16xf32, expert[8]>, %at: tensor<8x16x2xi32>) -> !x {
  %t = moe.leaf @t : !t
  %uw = moe.leaf @up : !in_base
  %dw = moe.leaf @down : !out_base
  %us = moe.weight.select %uw by %t : !in_base, !t
  %u = moe.weight.scale output %us, %o : !in, !ibias
  %ds = moe.weight.select %dw by %t : !out_base, !t
  %s = moe.weight.sparse %v at %at : !moe.weight<1x16xf32, expert[8]>, tensor<8x16x2xi32> -> !out
  %d = moe.weight.add %ds, %s : !out, !out
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> : (!x, !ids, !p, !in, !out) -> !x
  return %y : !x
}

// No tokens; tokens in part known.
// CHECK-LABEL: func.func @extents
// CHECK-DAG: moe.scatter_combine {{.*}} -> tensor<0x64xf32>
// CHECK-DAG: tensor.cast %{{.+}} : tensor<?x64xf32> to tensor<4x64xf32>
func.func @extents(%none: tensor<0x64xf32>, %nids: tensor<0x4x!moe.id<expert[8]>>, %np: tensor<0x4xf32>, %x: tensor<4x64xf32>, %ids: !ids, %p: !p, %u: !in, %d: !out)
    -> (tensor<0x64xf32>, tensor<4x64xf32>) {
  %0 = moe.experts %none to %nids weighted %np up %u down %d act <silu> : (tensor<0x64xf32>, tensor<0x4x!moe.id<expert[8]>>, tensor<0x4xf32>, !in, !out) -> tensor<0x64xf32>
  %1 = moe.experts %x to %ids weighted %p up %u down %d act <silu> : (tensor<4x64xf32>, !ids, !p, !in, !out) -> tensor<4x64xf32>
  return %0, %1 : tensor<0x64xf32>, tensor<4x64xf32>
}

// Functions that the others call.
func.func private @block(%x: !x, %router: tensor<64x8xf32>) -> !x {
  %h = func.call @norm(%x) : (!x) -> !x
  %zero = arith.constant 0.0 : f32
  %c0 = arith.constant 0 : index
  %tokens = tensor.dim %x, %c0 : !x
  %empty = tensor.empty(%tokens) : tensor<?x8xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<?x8xf32>) -> tensor<?x8xf32>
  %l = linalg.matmul ins(%h, %router : !x, tensor<64x8xf32>) outs(%init : tensor<?x8xf32>) -> tensor<?x8xf32>
  %m = func.call @layer(%h, %l) : (!x, tensor<?x8xf32>) -> !x
  %y = arith.addf %x, %m : !x
  return %y : !x
}

func.func private @norm(%x: !x) -> !x {
  %zero = arith.constant 0.0 : f32
  %count = arith.constant 64.0 : f32
  %eps = arith.constant 1.0e-6 : f32
  %c0 = arith.constant 0 : index
  %tokens = tensor.dim %x, %c0 : !x
  %empty = tensor.empty(%tokens) : tensor<?xf32>
  %init = linalg.fill ins(%zero : f32) outs(%empty : tensor<?xf32>) -> tensor<?xf32>
  %sums = linalg.generic {indexing_maps = [affine_map<(t, f) -> (t, f)>, affine_map<(t, f) -> (t)>], iterator_types = ["parallel", "reduction"]}
      ins(%x : !x) outs(%init : tensor<?xf32>) {
  ^bb0(%v: f32, %sum: f32):
    %square = arith.mulf %v, %v : f32
    %next = arith.addf %sum, %square : f32
    linalg.yield %next : f32
  } -> tensor<?xf32>
  %out = tensor.empty(%tokens) : !x
  %y = linalg.generic {indexing_maps = [affine_map<(t, f) -> (t, f)>, affine_map<(t, f) -> (t)>, affine_map<(t, f) -> (t, f)>], iterator_types = ["parallel", "parallel"]}
      ins(%x, %sums : !x, tensor<?xf32>) outs(%out : !x) {
  ^bb0(%v: f32, %sum: f32, %o: f32):
    %mean = arith.divf %sum, %count : f32
    %shifted = arith.addf %mean, %eps : f32
    %factor = math.rsqrt %shifted : f32
    %scaled = arith.mulf %v, %factor : f32
    linalg.yield %scaled : f32
  } -> !x
  return %y : !x
}

func.func private @layer(%x: !x, %l: tensor<?x8xf32>) -> !x {
  %t = moe.leaf @t : !t
  %ids, %p = moe.route %l score softmax limit <keep 1 of 2 by max> clusters %t choose <top_k 4> gates <scores, l1> : (tensor<?x8xf32>, !t) -> (!ids, !p)
  %gw = moe.leaf @gate : !in_base
  %uw = moe.leaf @up : !in_base
  %dw = moe.leaf @down : !out_base
  %ga = moe.leaf @gate_a : !ia
  %gb = moe.leaf @gate_b : !ib
  %ua = moe.leaf @up_a : !ia
  %ub = moe.leaf @up_b : !ib
  %da = moe.leaf @down_a : !oa
  %db = moe.leaf @down_b : !ob
  %gs = moe.weight.select %gw by %t : !in_base, !t
  %us = moe.weight.select %uw by %t : !in_base, !t
  %ds = moe.weight.select %dw by %t : !out_base, !t
  %gm = moe.weight.mul %ga, %gb : !ia, !ib
  %um = moe.weight.mul %ua, %ub : !ia, !ib
  %dm = moe.weight.mul %da, %db : !oa, !ob
  %g = moe.weight.add %gs, %gm : !in, !in
  %u = moe.weight.add %us, %um : !in, !in
  %d = moe.weight.add %ds, %dm : !out, !out
  %y = moe.experts %x to %ids weighted %p gate %g up %u down %d act <silu> : (!x, !ids, !p, !in, !in, !out) -> !x
  return %y : !x
}
