// RUN: moe-opt %s --moe-distribute-weights --split-input-file --verify-diagnostics --remarks-filter='.*' | FileCheck %s
// RUN: moe-opt %s --moe-distribute-weights=always --split-input-file | FileCheck %s --check-prefix=ALWAYS

!x = tensor<?x64xf32>
!ids = tensor<?x4x!moe.id<expert[8]>>
!h = tensor<?x4x32xf32>
!full = !moe.weight<64x32xf32, expert[8]>
!one = !moe.weight<64x32xf32>
!a = !moe.weight<64x4xf32, expert[8]>
!b = !moe.weight<4x32xf32, expert[8]>
!t = !moe.table<expert[8] -> cluster[2]>

// A base and a low-rank residual: the sum first, then the product.
// CHECK-LABEL: func.func @base_and_residual
// CHECK-SAME: %[[X:.+]]: tensor<?x64xf32>, %[[IDS:.+]]: tensor<{{.*}}>>, %[[W:.+]]: !moe.weight<64x32xf32>, %[[A:.+]]: {{.*}}, %[[B:.+]]: {{.*}})
func.func @base_and_residual(%x: !x, %ids: !ids, %w: !one, %a: !a, %b: !b) -> !h {
  // CHECK-DAG: %[[BASE:.+]] = moe.apply %[[X]], %[[W]] at %[[IDS]]
  // CHECK-DAG: %[[LOW:.+]] = moe.apply %[[X]], %[[A]] at %[[IDS]] {{.*}} -> tensor<?x4x4xf32>
  // CHECK-DAG: %[[OWN:.+]] = moe.apply %[[LOW]], %[[B]] at %[[IDS]] {{.*}} -> tensor<?x4x32xf32>
  // CHECK: arith.addf %[[BASE]], %[[OWN]]
  %ab = moe.weight.mul %a, %b : !a, !b
  %e = moe.weight.add %w, %ab : !one, !full
  %y = moe.apply %x, %e at %ids : !x, !full at !ids -> !h
  return %y : !h
}

// Three factors (Tucker) in the order of the row; without ids where there are none.
// CHECK-LABEL: func.func @tucker
// CHECK: %[[L:.+]] = moe.apply %{{.+}}, %{{.+}} at %{{.+}} : tensor<?x64xf32>, !moe.weight<64x4xf32> at
// CHECK: %[[C:.+]] = moe.apply %[[L]], %{{.+}} at %{{.+}} !moe.weight<4x4xf32, expert[8]>
// CHECK: moe.apply %[[C]], %{{.+}} at %{{.+}} !moe.weight<4x32xf32> at
// CHECK: %[[M:.+]] = moe.apply %{{.+}} : tensor<?x64xf32>, !moe.weight<64x4xf32> -> tensor<?x4xf32>
// CHECK: moe.apply %[[M]], %{{.+}} : tensor<?x4xf32>, !moe.weight<4x32xf32> -> tensor<?x32xf32>
func.func @tucker(%x: !x, %ids: !ids, %l: !moe.weight<64x4xf32>, %c: !moe.weight<4x4xf32, expert[8]>, %r: !moe.weight<4x32xf32>) -> (!h, tensor<?x32xf32>) {
  %lc = moe.weight.mul %l, %c : !moe.weight<64x4xf32>, !moe.weight<4x4xf32, expert[8]>
  %lcr = moe.weight.mul %lc, %r : !a, !moe.weight<4x32xf32>
  %y = moe.apply %x, %lcr at %ids : !x, !full at !ids -> !h
  %lr = moe.weight.mul %l, %r : !moe.weight<64x4xf32>, !moe.weight<4x32xf32>
  %z = moe.apply %x, %lr : !x, !one -> tensor<?x32xf32>
  return %y, %z : !h, tensor<?x32xf32>
}

// A scale per expert on a shared matrix: looked up by the ids, in front or behind.
// CHECK-LABEL: func.func @scales
// CHECK-SAME: %[[X:.+]]: tensor<?x64xf32>, %[[IDS:.+]]: tensor<?x4x{{.*}}>>, %[[W:.+]]: !moe.weight<64x32xf32>, %[[I:.+]]: {{.*}}, %[[O:.+]]: {{.*}})
// CHECK-DAG: %[[S:.+]] = moe.spread %[[X]] for %[[IDS]]
// CHECK-DAG: %[[DI:.+]] = moe.lookup %[[I]] at %[[IDS]] {{.*}} -> tensor<?x4x64xf32>
// CHECK-DAG: %[[XI:.+]] = arith.mulf %[[S]], %[[DI]]
// CHECK-DAG: %[[Y:.+]] = moe.apply %[[XI]], %[[W]] at %[[IDS]]
// CHECK-DAG: %[[DO:.+]] = moe.lookup %[[O]] at %[[IDS]] {{.*}} -> tensor<?x4x32xf32>
// CHECK: arith.mulf %[[Y]], %[[DO]]
func.func @scales(%x: !x, %ids: !ids, %w: !one, %i: !moe.weight<1x64xf32, expert[8]>, %o: !moe.weight<1x32xf32, expert[8]>) -> !h {
  %0 = moe.weight.scale input %w, %i : !one, !moe.weight<1x64xf32, expert[8]>
  %1 = moe.weight.scale output %0, %o : !full, !moe.weight<1x32xf32, expert[8]>
  %y = moe.apply %x, %1 at %ids : !x, !full at !ids -> !h
  return %y : !h
}

// A sparse residual is one of the parts (ResMoE).
// CHECK-LABEL: func.func @sparse
// CHECK: %[[DELTA:.+]] = moe.weight.sparse
// CHECK-DAG: moe.apply {{.*}}!moe.weight<64x32xf32> at
// CHECK-DAG: moe.apply %{{.+}}, %[[DELTA]] at
// CHECK: arith.addf
func.func @sparse(%x: !x, %ids: !ids, %w: !one, %v: !moe.weight<1x16xf32, expert[8]>, %at: tensor<8x16x2xi32>) -> !h {
  %s = moe.weight.sparse %v at %at : !moe.weight<1x16xf32, expert[8]>, tensor<8x16x2xi32> -> !full
  %e = moe.weight.add %w, %s : !one, !full
  %y = moe.apply %x, %e at %ids : !x, !full at !ids -> !h
  return %y : !h
}

// Factors of different rank under one maximum: the product is opened, its ragged factors are built.
// CHECK-LABEL: func.func @ragged_rank
// CHECK: %[[AR:.+]] = moe.weight.ragged output
// CHECK: %[[BR:.+]] = moe.weight.ragged input
// CHECK: %[[LOW:.+]] = moe.apply %{{.+}}, %[[AR]] at
// CHECK: moe.apply %[[LOW]], %[[BR]] at
func.func @ragged_rank(%x: !x, %ids: !ids, %a: !a, %b: !b, %n: tensor<8xi32>) -> !h {
  %ar = moe.weight.ragged output %a to %n : !a, tensor<8xi32>
  %br = moe.weight.ragged input %b to %n : !b, tensor<8xi32>
  %e = moe.weight.mul %ar, %br : !a, !b
  // expected-remark @below {{not distributed: a ragged or sliced weight is built}}
  %y = moe.apply %x, %e at %ids : !x, !full at !ids -> !h
  return %y : !h
}

// Under the non-linear map of MoBE no part can be multiplied alone; its outer factor can.
// CHECK-LABEL: func.func @mobe
// CHECK: %[[MIX:.+]] = moe.weight.mix phi silu
// CHECK: %[[LOW:.+]] = moe.apply %{{.+}} : tensor<?x64xf32>, !moe.weight<64x4xf32, expert[8]>
// CHECK: moe.apply %[[LOW]], %[[MIX]] at
func.func @mobe(%x: !x, %ids: !ids, %a: !a, %basis: !moe.weight<4x32xf32, basis[3]>, %alpha: !moe.weight<1x3xf32, expert[8]>) -> !h {
  %m = moe.weight.mix phi silu %basis, %alpha : !moe.weight<4x32xf32, basis[3]>, !moe.weight<1x3xf32, expert[8]>
  %e = moe.weight.mul %a, %m : !a, !b
  // expected-remark @below {{not distributed: weight is a mix under a non-linear map, it must be built}}
  %y = moe.apply %x, %e at %ids : !x, !full at !ids -> !h
  return %y : !h
}

// A plain mix is built too: m products cost more than one. So it is behind a select.
// CHECK-LABEL: func.func @mix
// CHECK: %[[MIX:.+]] = moe.weight.mix
// CHECK: moe.apply %{{.+}}, %[[MIX]] at
// ALWAYS-LABEL: func.func @mix
// ALWAYS: %[[MIX:.+]] = moe.weight.mix
// ALWAYS: moe.apply %{{.+}}, %[[MIX]] at
func.func @mix(%x: !x, %ids: !ids, %basis: !moe.weight<64x32xf32, basis[3]>, %alpha: !moe.weight<1x3xf32, expert[8]>,
    %beta: !moe.weight<1x3xf32, cluster[2]>, %t: !t) -> (!h, !h) {
  %m = moe.weight.mix %basis, %alpha : !moe.weight<64x32xf32, basis[3]>, !moe.weight<1x3xf32, expert[8]>
  // expected-remark @below {{not distributed: a mix is built, which costs less than a product with each basis matrix}}
  %y = moe.apply %x, %m at %ids : !x, !full at !ids -> !h
  %c = moe.weight.mix phi tanh %basis, %beta : !moe.weight<64x32xf32, basis[3]>, !moe.weight<1x3xf32, cluster[2]>
  %s = moe.weight.select %c by %t : !moe.weight<64x32xf32, cluster[2]>, !t
  // expected-remark @below {{not distributed: weight is a mix under a non-linear map, it must be built}}
  %z = moe.apply %x, %s at %ids : !x, !full at !ids -> !h
  return %y, %z : !h, !h
}

// Parts that store and cost as much as what they make: only `always` opens them.
// CHECK-LABEL: func.func @two_full_matrices
// CHECK: %[[SUM:.+]] = moe.weight.add
// CHECK: moe.apply %{{.+}}, %[[SUM]] at
// ALWAYS-LABEL: func.func @two_full_matrices
// ALWAYS-COUNT-2: moe.apply
// ALWAYS: arith.addf
func.func @two_full_matrices(%x: !x, %ids: !ids, %v: !full, %w: !full) -> !h {
  %e = moe.weight.add %v, %w : !full, !full
  // expected-remark @below {{not distributed: the parts store 32768 numbers and cost 4096 multiply-adds a row, the built matrix 16384 and 2048}}
  %y = moe.apply %x, %e at %ids : !x, !full at !ids -> !h
  return %y : !h
}

// Much dearer than the built matrix, although it stores less: a shared part that is used over and over.
// CHECK-LABEL: func.func @dear
// CHECK: %[[E:.+]] = moe.weight.add %{{.+}}, %{{.+}} : !moe.weight<64x32xf32>, !moe.weight<64x32xf32, expert[8]>
// CHECK: moe.apply %{{.+}}, %[[E]] at
// ALWAYS-LABEL: func.func @dear
// ALWAYS-COUNT-5: moe.apply
func.func @dear(%x: !x, %ids: !ids, %w: !one, %v: !moe.weight<1x16xf32, expert[8]>, %at: tensor<8x16x2xi32>) -> !h {
  %s = moe.weight.sparse %v at %at : !moe.weight<1x16xf32, expert[8]>, tensor<8x16x2xi32> -> !full
  %two = moe.weight.add %w, %w : !one, !one
  %four = moe.weight.add %two, %two : !one, !one
  %e = moe.weight.add %four, %s : !one, !full
  // expected-remark @below {{the parts store 2176 numbers and cost 8208 multiply-adds a row, the built matrix 16384 and 2048}}
  %y = moe.apply %x, %e at %ids : !x, !full at !ids -> !h
  return %y : !h
}

// A select hides its sum from this pass; moe-share-base lays it open. A leaf and a select alone have no parts: no remark.
// CHECK-LABEL: func.func @behind_select
// CHECK: moe.weight.select
// CHECK: moe.apply
// CHECK-NOT: arith.addf
// CHECK: return
func.func @behind_select(%x: !x, %ids: !ids, %v: !moe.weight<64x4xf32, cluster[2]>, %w: !moe.weight<4x32xf32, cluster[2]>, %t: !t, %own: !full) -> (!h, !h) {
  %c = moe.weight.mul %v, %w : !moe.weight<64x4xf32, cluster[2]>, !moe.weight<4x32xf32, cluster[2]>
  %e = moe.weight.select %c by %t : !moe.weight<64x32xf32, cluster[2]>, !t
  %y = moe.apply %x, %e at %ids : !x, !full at !ids -> !h
  %z = moe.apply %x, %own at %ids : !x, !full at !ids -> !h
  return %y, %z : !h, !h
}

// A diagonal needs ids to be looked up by.
// CHECK-LABEL: func.func @scale_without_ids
// CHECK: %[[S:.+]] = moe.weight.scale
// CHECK: moe.apply %{{.+}}, %[[S]] :
func.func @scale_without_ids(%x: !x, %a: !moe.weight<64x2xf32>, %b: !moe.weight<2x32xf32>, %d: !moe.weight<1x32xf32>) -> tensor<?x32xf32> {
  %ab = moe.weight.mul %a, %b : !moe.weight<64x2xf32>, !moe.weight<2x32xf32>
  %s = moe.weight.scale output %ab, %d : !one, !moe.weight<1x32xf32>
  // expected-remark @below {{not distributed: a diagonal is looked up by ids, and there are none}}
  %y = moe.apply %x, %s : !x, !one -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// Rows per slot stay rows per slot, and what is known of the number of tokens may differ.
// CHECK-LABEL: func.func @mixed_extents
// CHECK: %[[LOW:.+]] = moe.apply {{.*}} -> tensor<5x4x4xf32>
// CHECK: moe.apply %[[LOW]], {{.*}} -> tensor<?x4x32xf32>
// CHECK: moe.lookup {{.*}} -> tensor<0x4x64xf32>
func.func @mixed_extents(%x: tensor<5x4x64xf32>, %ids: !ids, %a: !a, %b: !b, %none: tensor<0x64xf32>, %w: !one, %i: !moe.weight<1x64xf32, expert[8]>) -> (!h, !h) {
  %ab = moe.weight.mul %a, %b : !a, !b
  %y = moe.apply %x, %ab at %ids : tensor<5x4x64xf32>, !full at !ids -> !h
  %s = moe.weight.scale input %w, %i : !one, !moe.weight<1x64xf32, expert[8]>
  %z = moe.apply %none, %s at %ids : tensor<0x64xf32>, !full at !ids -> !h
  return %y, %z : !h, !h
}

// -----

// A part used 2^60 times: neither written out, nor walked path by path.
!a = !moe.weight<64x32xf32, expert[8]>
// CHECK-LABEL: func.func @doubled
// CHECK-COUNT-1: moe.apply
// CHECK-NOT: moe.apply
// ALWAYS-LABEL: func.func @doubled
// ALWAYS-COUNT-1: moe.apply
// ALWAYS-NOT: moe.apply
func.func @doubled(%x: tensor<?x64xf32>, %ids: tensor<?x4x!moe.id<expert[8]>>, %v: !moe.weight<1x1xf32, expert[8]>, %at: tensor<8x1x2xi32>) -> tensor<?x4x32xf32> {
  %w = moe.weight.sparse %v at %at : !moe.weight<1x1xf32, expert[8]>, tensor<8x1x2xi32> -> !a
  %w0 = moe.weight.add %w, %w : !a, !a
  %w1 = moe.weight.add %w0, %w0 : !a, !a
  %w2 = moe.weight.add %w1, %w1 : !a, !a
  %w3 = moe.weight.add %w2, %w2 : !a, !a
  %w4 = moe.weight.add %w3, %w3 : !a, !a
  %w5 = moe.weight.add %w4, %w4 : !a, !a
  %w6 = moe.weight.add %w5, %w5 : !a, !a
  %w7 = moe.weight.add %w6, %w6 : !a, !a
  %w8 = moe.weight.add %w7, %w7 : !a, !a
  %w9 = moe.weight.add %w8, %w8 : !a, !a
  %w10 = moe.weight.add %w9, %w9 : !a, !a
  %w11 = moe.weight.add %w10, %w10 : !a, !a
  %w12 = moe.weight.add %w11, %w11 : !a, !a
  %w13 = moe.weight.add %w12, %w12 : !a, !a
  %w14 = moe.weight.add %w13, %w13 : !a, !a
  %w15 = moe.weight.add %w14, %w14 : !a, !a
  %w16 = moe.weight.add %w15, %w15 : !a, !a
  %w17 = moe.weight.add %w16, %w16 : !a, !a
  %w18 = moe.weight.add %w17, %w17 : !a, !a
  %w19 = moe.weight.add %w18, %w18 : !a, !a
  %w20 = moe.weight.add %w19, %w19 : !a, !a
  %w21 = moe.weight.add %w20, %w20 : !a, !a
  %w22 = moe.weight.add %w21, %w21 : !a, !a
  %w23 = moe.weight.add %w22, %w22 : !a, !a
  %w24 = moe.weight.add %w23, %w23 : !a, !a
  %w25 = moe.weight.add %w24, %w24 : !a, !a
  %w26 = moe.weight.add %w25, %w25 : !a, !a
  %w27 = moe.weight.add %w26, %w26 : !a, !a
  %w28 = moe.weight.add %w27, %w27 : !a, !a
  %w29 = moe.weight.add %w28, %w28 : !a, !a
  %w30 = moe.weight.add %w29, %w29 : !a, !a
  %w31 = moe.weight.add %w30, %w30 : !a, !a
  %w32 = moe.weight.add %w31, %w31 : !a, !a
  %w33 = moe.weight.add %w32, %w32 : !a, !a
  %w34 = moe.weight.add %w33, %w33 : !a, !a
  %w35 = moe.weight.add %w34, %w34 : !a, !a
  %w36 = moe.weight.add %w35, %w35 : !a, !a
  %w37 = moe.weight.add %w36, %w36 : !a, !a
  %w38 = moe.weight.add %w37, %w37 : !a, !a
  %w39 = moe.weight.add %w38, %w38 : !a, !a
  %w40 = moe.weight.add %w39, %w39 : !a, !a
  %w41 = moe.weight.add %w40, %w40 : !a, !a
  %w42 = moe.weight.add %w41, %w41 : !a, !a
  %w43 = moe.weight.add %w42, %w42 : !a, !a
  %w44 = moe.weight.add %w43, %w43 : !a, !a
  %w45 = moe.weight.add %w44, %w44 : !a, !a
  %w46 = moe.weight.add %w45, %w45 : !a, !a
  %w47 = moe.weight.add %w46, %w46 : !a, !a
  %w48 = moe.weight.add %w47, %w47 : !a, !a
  %w49 = moe.weight.add %w48, %w48 : !a, !a
  %w50 = moe.weight.add %w49, %w49 : !a, !a
  %w51 = moe.weight.add %w50, %w50 : !a, !a
  %w52 = moe.weight.add %w51, %w51 : !a, !a
  %w53 = moe.weight.add %w52, %w52 : !a, !a
  %w54 = moe.weight.add %w53, %w53 : !a, !a
  %w55 = moe.weight.add %w54, %w54 : !a, !a
  %w56 = moe.weight.add %w55, %w55 : !a, !a
  %w57 = moe.weight.add %w56, %w56 : !a, !a
  %w58 = moe.weight.add %w57, %w57 : !a, !a
  %w59 = moe.weight.add %w58, %w58 : !a, !a
  // expected-remark @below {{not distributed: more than 256 products}}
  %y = moe.apply %x, %w59 at %ids : tensor<?x64xf32>, !a at tensor<?x4x!moe.id<expert[8]>> -> tensor<?x4x32xf32>
  return %y : tensor<?x4x32xf32>
}
