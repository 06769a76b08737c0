// RUN: moe-opt %s --inline --moe-count-multiply-adds | FileCheck %s --check-prefixes=BEFORE,SAME
// RUN: moe-opt %s --inline --moe-decompose-experts --moe-count-multiply-adds | FileCheck %s --check-prefixes=BEFORE,SAME
// RUN: moe-opt %s --inline --moe-optimize=to=slot --moe-count-multiply-adds | FileCheck %s --check-prefixes=AFTER,SAME
// RUN: moe-opt %s --inline --moe-optimize --moe-count-multiply-adds | FileCheck %s --check-prefixes=AFTER,SAME
// Sharing a base turns k·3·D·F multiply-adds into M·3·D·F + k·3·r·(D + F), in slot form and in scheduled form. D = 64, F = 32.

!x = tensor<?x64xf32>
!t = !moe.table<expert[8] -> cluster[2]>
!in = !moe.weight<64x32xf32, expert[8]>
!out = !moe.weight<32x64xf32, expert[8]>
!in_base = !moe.weight<64x32xf32, cluster[2]>
!out_base = !moe.weight<32x64xf32, cluster[2]>
!a4 = !moe.weight<64x4xf32, expert[8]>
!b4 = !moe.weight<4x32xf32, expert[8]>
!c4 = !moe.weight<32x4xf32, expert[8]>
!d4 = !moe.weight<4x64xf32, expert[8]>
!a2 = !moe.weight<64x2xf32, expert[8]>
!b2 = !moe.weight<2x32xf32, expert[8]>
!c2 = !moe.weight<32x2xf32, expert[8]>
!d2 = !moe.weight<2x64xf32, expert[8]>

moe.param private @t : !t = dense<[0, 0, 0, 0, 1, 1, 1, 1]> : tensor<8xi32>
moe.param private @gate : !in_base = #moe.seeded<1>
moe.param private @up : !in_base = #moe.seeded<2>
moe.param private @down : !out_base = #moe.seeded<3>

// k = 4, M = 1 by the router's limit, r = 4.
// BEFORE: @one_cluster{{.*}}moe.multiply_adds_per_token = 24576 :
// AFTER: @one_cluster{{.*}}moe.multiply_adds_per_token = 10752 :
func.func @one_cluster(%x: !x, %l: tensor<?x8xf32>, %ga: !a4, %gb: !b4, %ua: !a4, %ub: !b4, %da: !c4, %db: !d4) -> !x {
  %t = moe.leaf @t : !t
  %ids, %p = moe.route %l score softmax limit <keep 1 of 2 by max> clusters %t choose <top_k 4> gates <scores>
    : (tensor<?x8xf32>, !t) -> (tensor<?x4x!moe.id<expert[8]>>, tensor<?x4xf32>)
  %g, %u, %d = func.call @rank4(%t, %ga, %gb, %ua, %ub, %da, %db) : (!t, !a4, !b4, !a4, !b4, !c4, !d4) -> (!in, !in, !out)
  %y = moe.experts %x to %ids weighted %p gate %g up %u down %d act <silu> : (!x, tensor<?x4x!moe.id<expert[8]>>, tensor<?x4xf32>, !in, !in, !out) -> !x
  return %y : !x
}

// k = 8 = n, M = 2 because there are no more, r = 2.
// BEFORE: @all_experts{{.*}}moe.multiply_adds_per_token = 49152 :
// AFTER: @all_experts{{.*}}moe.multiply_adds_per_token = 16896 :
func.func @all_experts(%x: !x, %ids: tensor<?x8x!moe.id<expert[8]>>, %p: tensor<?x8xf32>, %ga: !a2, %gb: !b2, %ua: !a2, %ub: !b2, %da: !c2, %db: !d2) -> !x {
  %t = moe.leaf @t : !t
  %g, %u, %d = func.call @rank2(%t, %ga, %gb, %ua, %ub, %da, %db) : (!t, !a2, !b2, !a2, !b2, !c2, !d2) -> (!in, !in, !out)
  %y = moe.experts %x to %ids weighted %p gate %g up %u down %d act <silu> : (!x, tensor<?x8x!moe.id<expert[8]>>, tensor<?x8xf32>, !in, !in, !out) -> !x
  return %y : !x
}

// k = M = 2, r = 4: nothing to share at worst, so the residual comes on top.
// BEFORE: @nothing_saved{{.*}}moe.multiply_adds_per_token = 12288 :
// AFTER: @nothing_saved{{.*}}moe.multiply_adds_per_token = 14592 :
func.func @nothing_saved(%x: tensor<3x64xf32>, %ids: tensor<3x2x!moe.id<expert[8]>>, %p: tensor<3x2xf32>, %ga: !a4, %gb: !b4, %ua: !a4, %ub: !b4, %da: !c4, %db: !d4) -> tensor<3x64xf32> {
  %t = moe.leaf @t : !t
  %g, %u, %d = func.call @rank4(%t, %ga, %gb, %ua, %ub, %da, %db) : (!t, !a4, !b4, !a4, !b4, !c4, !d4) -> (!in, !in, !out)
  %y = moe.experts %x to %ids weighted %p gate %g up %u down %d act <silu> : (tensor<3x64xf32>, tensor<3x2x!moe.id<expert[8]>>, tensor<3x2xf32>, !in, !in, !out) -> tensor<3x64xf32>
  return %y : tensor<3x64xf32>
}

// A layer in a loop counts once; what has no layer counts nothing; what has no body is not counted.
// SAME: @loop{{.*}}moe.multiply_adds_per_token = 12288 :
func.func @loop(%x: !x, %ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?x2xf32>, %g: !in, %u: !in, %d: !out, %n: index) -> !x {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = scf.for %i = %c0 to %n step %c1 iter_args(%h = %x) -> !x {
    %0 = moe.experts %h to %ids weighted %p gate %g up %u down %d act <silu> : (!x, tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>, !in, !in, !out) -> !x
    scf.yield %0 : !x
  }
  return %y : !x
}
// SAME: @other{{.*}}moe.multiply_adds_per_token = 0 :
func.func @other(%x: !x) -> !x {
  return %x : !x
}
// SAME: func.func private @elsewhere
// SAME-NOT: multiply_adds
func.func private @elsewhere(!x) -> !x

// Base plus residual of each matrix; inlined, and gone, before anything is counted.
func.func private @rank4(%t: !t, %ga: !a4, %gb: !b4, %ua: !a4, %ub: !b4, %da: !c4, %db: !d4) -> (!in, !in, !out) {
  %gw = moe.leaf @gate : !in_base
  %uw = moe.leaf @up : !in_base
  %dw = moe.leaf @down : !out_base
  %gs = moe.weight.select %gw by %t : !in_base, !t
  %us = moe.weight.select %uw by %t : !in_base, !t
  %ds = moe.weight.select %dw by %t : !out_base, !t
  %gm = moe.weight.mul %ga, %gb : !a4, !b4
  %um = moe.weight.mul %ua, %ub : !a4, !b4
  %dm = moe.weight.mul %da, %db : !c4, !d4
  %g = moe.weight.add %gs, %gm : !in, !in
  %u = moe.weight.add %us, %um : !in, !in
  %d = moe.weight.add %ds, %dm : !out, !out
  return %g, %u, %d : !in, !in, !out
}
func.func private @rank2(%t: !t, %ga: !a2, %gb: !b2, %ua: !a2, %ub: !b2, %da: !c2, %db: !d2) -> (!in, !in, !out) {
  %gw = moe.leaf @gate : !in_base
  %uw = moe.leaf @up : !in_base
  %dw = moe.leaf @down : !out_base
  %gs = moe.weight.select %gw by %t : !in_base, !t
  %us = moe.weight.select %uw by %t : !in_base, !t
  %ds = moe.weight.select %dw by %t : !out_base, !t
  %gm = moe.weight.mul %ga, %gb : !a2, !b2
  %um = moe.weight.mul %ua, %ub : !a2, !b2
  %dm = moe.weight.mul %da, %db : !c2, !d2
  %g = moe.weight.add %gs, %gm : !in, !in
  %u = moe.weight.add %us, %um : !in, !in
  %d = moe.weight.add %ds, %dm : !out, !out
  return %g, %u, %d : !in, !in, !out
}
