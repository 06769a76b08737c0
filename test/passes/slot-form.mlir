// RUN: moe-opt %s --moe-share-base | FileCheck %s
// What passes know about slot tensors: which rows are zero for id -1, and where clusters of ids are worked out.

!x = tensor<?x8xf32>
!ids = tensor<?x2x!moe.id<expert[4]>>
!p = tensor<?x2xf32>
!y = tensor<?x2x8xf32>
!e = !moe.weight<8x8xf32, expert[4]>
!w = !moe.weight<8x8xf32>
!b = !moe.weight<1x8xf32, expert[4]>
!t = !moe.table<expert[4] -> cluster[2]>

// Rows that vanish with their id need no mask: products, biases, diagonals and activations of such rows, copies for the
// ids, and rows scaled by weights that vanish.
// CHECK-LABEL: func.func @vanishing
// CHECK-COUNT-6: moe.apply %{{.+}}, %[[W:arg[0-9]+]] : tensor<?x2x8xf32>, !moe.weight<8x8xf32> -> tensor<?x2x8xf32>
// CHECK-NOT: !moe.weight<8x8xf32> at
// CHECK: return
func.func @vanishing(%x: !x, %l: tensor<?x4xf32>, %rows: !y, %e: !e, %b: !b, %w: !w) -> (!y, !y, !y, !y, !y, !y) {
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores> : (tensor<?x4xf32>) -> (!ids, !p)
  %0 = moe.apply %x, %e at %ids : !x, !e at !ids -> !y
  %1 = moe.lookup %b at %ids : !b, !ids -> !y
  %2 = arith.addf %0, %1 : !y
  %3 = arith.mulf %rows, %1 : !y
  %4 = moe.activate <gelu clamp 2.0 offset 1.0> %rows gated by %2 : !y
  %5 = moe.scale_rows %rows by %p : !y, !p -> !y
  %6 = arith.mulf %1, %rows : !y
  %r0 = moe.apply %2, %w at %ids : !y, !w at !ids -> !y
  %r1 = moe.apply %3, %w at %ids : !y, !w at !ids -> !y
  %r2 = moe.apply %4, %w at %ids : !y, !w at !ids -> !y
  %r3 = moe.apply %5, %w at %ids : !y, !w at !ids -> !y
  %r4 = moe.apply %6, %w at %ids : !y, !w at !ids -> !y
  %r5 = moe.apply %r0, %w at %ids : !y, !w at !ids -> !y
  return %r5, %r1, %r2, %r3, %r4, %r5 : !y, !y, !y, !y, !y, !y
}

// Rows that do not: from outside, through the ungated side of an activation, for other ids, scaled by weights from elsewhere.
// CHECK-LABEL: func.func @not_vanishing
// CHECK-COUNT-5: moe.apply %{{.+}}, %{{.+}} at %{{.+}}, !moe.weight<8x8xf32> at
// CHECK-NOT: moe.apply
// CHECK: return
func.func @not_vanishing(%ids: !ids, %jds: !ids, %p: !p, %rows: !y, %b: !b, %w: !w) -> (!y, !y, !y, !y, !y) {
  %0 = moe.lookup %b at %ids : !b, !ids -> !y
  %1 = moe.activate <silu> %0 gated by %rows : !y
  %2 = moe.lookup %b at %jds : !b, !ids -> !y
  %3 = moe.scale_rows %rows by %p : !y, !p -> !y
  %4 = arith.addf %0, %rows : !y
  %r0 = moe.apply %rows, %w at %ids : !y, !w at !ids -> !y
  %r1 = moe.apply %1, %w at %ids : !y, !w at !ids -> !y
  %r2 = moe.apply %2, %w at %ids : !y, !w at !ids -> !y
  %r3 = moe.apply %3, %w at %ids : !y, !w at !ids -> !y
  %r4 = moe.apply %4, %w at %ids : !y, !w at !ids -> !y
  return %r0, %r1, %r2, %r3, %r4 : !y, !y, !y, !y, !y
}

// Clusters are worked out as soon as ids and table are there, once for a block, before the first product that needs them.
// CHECK-LABEL: func.func @place
// CHECK: %[[IDS:.+]], %{{.+}} = moe.route
// CHECK-NEXT: %[[T:.+]] = moe.wrap
// CHECK-NEXT: %[[C:.+]], %[[SLOT:.+]] = moe.clusters_of %[[IDS]] by %[[T]]
// CHECK: scf.for
// CHECK-NEXT: moe.clusters_of %[[IDS]] by %[[T]]
// CHECK-NOT: moe.clusters_of
// CHECK: moe.spread %{{.+}} at %[[SLOT]]
func.func @place(%x: !x, %l: tensor<?x4xf32>, %table: tensor<4xi32>, %w: !moe.weight<8x8xf32, cluster[2]>, %n: index) -> (!y, !y) {
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores> : (tensor<?x4xf32>) -> (!ids, !p)
  %t = moe.wrap %table : tensor<4xi32> to !t
  %s = moe.weight.select %w by %t : !moe.weight<8x8xf32, cluster[2]>, !t
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %z = moe.spread %x for %ids : !x for !ids -> !y
  %0 = scf.for %i = %c0 to %n step %c1 iter_args(%h = %z) -> !y {
    %1 = moe.apply %x, %s at %ids : !x, !e at !ids -> !y
    %2 = moe.apply %1, %s at %ids : !y, !e at !ids -> !y
    scf.yield %2 : !y
  }
  %3 = moe.apply %x, %s at %ids : !x, !e at !ids -> !y
  return %0, %3 : !y, !y
}
