// RUN: moe-opt %s --moe-share-base --verify-diagnostics --remarks-filter='.*' | FileCheck %s

!x = tensor<?x64xf32>
!ids = tensor<?x4x!moe.id<expert[8]>>
!p = tensor<?x4xf32>
!h = tensor<?x4x32xf32>
!y = tensor<?x4x64xf32>
!t = !moe.table<expert[8] -> cluster[2]>
!clusters = tensor<?x2x!moe.id<cluster[2]>>
!slot = tensor<?x4xi32>
!in = !moe.weight<64x32xf32, expert[8]>
!out = !moe.weight<32x64xf32, expert[8]>
!in_base = !moe.weight<64x32xf32, cluster[2]>
!out_base = !moe.weight<32x64xf32, cluster[2]>
!in_all = !moe.weight<64x32xf32>
!out_all = !moe.weight<32x64xf32>

//===----------------------------------------------------------------------===//
// Base once
//===----------------------------------------------------------------------===//

// What a cluster shares is multiplied for its clusters and copied to its choices; one clusters_of serves both products.
// CHECK-LABEL: func.func @base_once
// CHECK-SAME: %[[X:.+]]: tensor<?x64xf32>, %[[IDS:.+]]: tensor<{{.*}}>>, %[[U:.+]]: !moe.weight<64x32xf32, cluster[2]>, %[[G:.+]]: !moe.weight{{.*}}>, %[[T:.+]]: !moe.table
// CHECK: %[[C:.+]], %[[SLOT:.+]] = moe.clusters_of %[[IDS]] by %[[T]] {{.*}} -> tensor<?x2x!moe.id<cluster[2]>>
// CHECK-NOT: moe.clusters_of
// CHECK: %[[A:.+]] = moe.apply %[[X]], %[[U]] at %[[C]] {{.*}} -> tensor<?x2x32xf32>
// CHECK: moe.spread %[[A]] at %[[SLOT]] {{.*}} -> tensor<?x4x32xf32>
// CHECK: %[[B:.+]] = moe.apply %[[X]], %[[G]] at %[[C]]
// CHECK: moe.spread %[[B]] at %[[SLOT]]
func.func @base_once(%x: !x, %ids: !ids, %u: !in_base, %g: !in_base, %t: !t) -> (!h, !h) {
  %us = moe.weight.select %u by %t : !in_base, !t
  // expected-remark @below {{base once: !moe.weight<64x32xf32, cluster[2]> for 2 clusters of a token instead of 4 choices}}
  %0 = moe.apply %x, %us at %ids : !x, !in at !ids -> !h
  %gs = moe.weight.select %g by %t : !in_base, !t
  // expected-remark @below {{base once}}
  %1 = moe.apply %x, %gs at %ids : !x, !in at !ids -> !h
  return %0, %1 : !h, !h
}

// Rows that are copies of tokens are tokens.
// CHECK-LABEL: func.func @base_once_of_copies
// CHECK-SAME: %[[X:.+]]: tensor<?x64xf32>,
// CHECK: moe.apply %[[X]], {{.*}} -> tensor<?x2x32xf32>
// CHECK: moe.apply %[[X]], {{.*}} -> tensor<?x4x32xf32>
func.func @base_once_of_copies(%x: !x, %ids: !ids, %w: !in_base, %own: !in, %t: !t) -> (!h, !h) {
  %s = moe.weight.select %w by %t : !in_base, !t
  %c = moe.spread %x for %ids : !x for !ids -> !y
  // expected-remark @below {{base once}}
  %0 = moe.apply %c, %s at %ids : !y, !in at !ids -> !h
  %1 = moe.apply %c, %own at %ids : !y, !in at !ids -> !h
  return %0, %1 : !h, !h
}

// What all experts share is multiplied once for a token; the copies keep the ids' mask.
// CHECK-LABEL: func.func @base_without_axis
// CHECK-SAME: %[[X:.+]]: tensor<?x64xf32>, %[[IDS:.+]]: tensor<{{.*}}>>, %[[W:.+]]: !moe.weight
// CHECK: %[[A:.+]] = moe.apply %[[X]], %[[W]] : {{.*}} -> tensor<?x32xf32>
// CHECK: moe.spread %[[A]] for %[[IDS]]
func.func @base_without_axis(%x: !x, %ids: !ids, %w: !in_all) -> !h {
  // expected-remark @below {{base once: !moe.weight<64x32xf32> once for a token instead of for 4 choices}}
  %0 = moe.apply %x, %w at %ids : !x, !in_all at !ids -> !h
  return %0 : !h
}

// An expression opens when its select has gone: MoLAE's shared factor, then the expert's own.
// CHECK-LABEL: func.func @sum_behind_select
// CHECK-DAG: %[[P:.+]] = moe.apply {{.*}} !moe.weight<64x4xf32, cluster[2]> at {{.*}} -> tensor<?x2x4xf32>
// CHECK-DAG: %[[Q:.+]] = moe.apply %[[P]], {{.*}} -> tensor<?x2x32xf32>
// CHECK: moe.spread %[[Q]] at
func.func @sum_behind_select(%x: !x, %ids: !ids, %a: !moe.weight<64x4xf32, cluster[2]>, %b: !moe.weight<4x32xf32, cluster[2]>, %t: !t) -> !h {
  %ab = moe.weight.mul %a, %b : !moe.weight<64x4xf32, cluster[2]>, !moe.weight<4x32xf32, cluster[2]>
  %s = moe.weight.select %ab by %t : !in_base, !t
  // expected-remark @below {{base once}}
  %0 = moe.apply %x, %s at %ids : !x, !in at !ids -> !h
  return %0 : !h
}

// MoLAE: the factor that is shared sees the clusters, the expert's own its choices.
// CHECK-LABEL: func.func @molae
// CHECK: %[[A:.+]] = moe.apply {{.*}} !moe.weight<64x4xf32, cluster[2]> at {{.*}} -> tensor<?x2x4xf32>
// CHECK: %[[S:.+]] = moe.spread %[[A]] at
// CHECK: moe.apply %[[S]], {{.*}} !moe.weight<4x32xf32, expert[8]>
func.func @molae(%x: !x, %ids: !ids, %a: !moe.weight<64x4xf32, cluster[2]>, %b: !moe.weight<4x32xf32, expert[8]>, %t: !t) -> !h {
  %s = moe.weight.select %a by %t : !moe.weight<64x4xf32, cluster[2]>, !t
  %w = moe.weight.mul %s, %b : !moe.weight<64x4xf32, expert[8]>, !moe.weight<4x32xf32, expert[8]>
  // expected-remark @below {{base once: !moe.weight<64x4xf32, cluster[2]>}}
  %0 = moe.apply %x, %w at %ids : !x, !in at !ids -> !h
  return %0 : !h
}

// LatentMoE: into and out of the latent space once for a token.
// CHECK-LABEL: func.func @latent
// CHECK: %[[INTO:.+]] = moe.apply %{{.+}} : tensor<?x64xf32>, !moe.weight<64x4xf32> -> tensor<?x4xf32>
// CHECK: %[[H:.+]] = moe.apply %[[INTO]], {{.*}} !moe.weight<4x4xf32, expert[8]> at {{.*}} -> tensor<?x4x4xf32>
// CHECK: %[[SUM:.+]] = moe.combine %[[H]] weighted {{.*}} -> tensor<?x4xf32>
// CHECK: moe.apply %[[SUM]], %{{.+}} : tensor<?x4xf32>, !moe.weight<4x64xf32> -> tensor<?x64xf32>
func.func @latent(%x: !x, %ids: !ids, %p: !p, %r: !moe.weight<64x4xf32>, %e: !moe.weight<4x4xf32, expert[8]>, %l: !moe.weight<4x64xf32>) -> !x {
  %re = moe.weight.mul %r, %e : !moe.weight<64x4xf32>, !moe.weight<4x4xf32, expert[8]>
  %rel = moe.weight.mul %re, %l : !moe.weight<64x4xf32, expert[8]>, !moe.weight<4x64xf32>
  // expected-remark @below {{base once: !moe.weight<64x4xf32> once for a token}}
  %0 = moe.apply %x, %rel at %ids : !x, !moe.weight<64x64xf32, expert[8]> at !ids -> !y
  // expected-remark @below {{combine first: !moe.weight<4x64xf32> for one row instead of 4 choices}}
  %1 = moe.combine %0 weighted %p : !y weighted !p -> !x
  return %1 : !x
}

// Two tables, one after the other: merged experts that share a base.
// CHECK-LABEL: func.func @two_selects
// CHECK: %[[M:.+]], %[[AT:.+]] = moe.clusters_of {{.*}} -> tensor<?x4x!moe.id<expert[4]>>
// CHECK: %[[C:.+]], %[[SLOT:.+]] = moe.clusters_of %[[M]] by {{.*}} -> tensor<?x2x!moe.id<cluster[2]>>
// CHECK: %[[A:.+]] = moe.apply {{.*}} at %[[C]]
// CHECK: %[[S:.+]] = moe.spread %[[A]] at %[[SLOT]] {{.*}} -> tensor<?x4x32xf32>
// CHECK: moe.spread %[[S]] at %[[AT]]
func.func @two_selects(%x: !x, %ids: !ids, %w: !in_base, %merge: !moe.table<expert[8] -> expert[4]>, %t: !moe.table<expert[4] -> cluster[2]>) -> !h {
  %0 = moe.weight.select %w by %t : !in_base, !moe.table<expert[4] -> cluster[2]>
  %1 = moe.weight.select %0 by %merge : !moe.weight<64x32xf32, expert[4]>, !moe.table<expert[8] -> expert[4]>
  // expected-remark @below {{base once: !moe.weight<64x32xf32, expert[4]>}}
  // expected-remark @below {{base once: !moe.weight<64x32xf32, cluster[2]>}}
  %2 = moe.apply %x, %1 at %ids : !x, !in at !ids -> !h
  return %2 : !h
}

// Cluster rows already there, with more slots than needed: they are used as they are.
// CHECK-LABEL: func.func @rows_of_clusters
// CHECK: %[[C:.+]], %[[SLOT:.+]] = moe.clusters_of {{.*}} -> tensor<?x2x!moe.id<cluster[2]>>
// CHECK-NOT: moe.clusters_of
// CHECK: %[[A:.+]] = moe.apply %{{.+}} at %[[C]] {{.*}} -> tensor<?x2x32xf32>
// CHECK: %[[B:.+]] = moe.apply %[[A]], %{{.+}} at %[[C]] {{.*}} -> tensor<?x2x64xf32>
// CHECK: moe.spread %[[B]] at %[[SLOT]]
// CHECK: moe.apply %[[A]], %{{.+}} : tensor<?x2x32xf32>, !moe.weight<32x64xf32> -> tensor<?x2x64xf32>
func.func @rows_of_clusters(%x: !x, %l: tensor<?x8xf32>, %u: !in_base, %d: !out_base, %v: !out_all, %t: !t) -> (!y, !y) {
  %ids, %p = moe.route %l score softmax limit <keep 1 of 2 by max> clusters %t choose <top_k 4> gates <scores> : (tensor<?x8xf32>, !t) -> (!ids, !p)
  %c, %slot = moe.clusters_of %ids by %t : !ids, !t -> !clusters, !slot
  %a = moe.apply %x, %u at %c : !x, !in_base at !clusters -> tensor<?x2x32xf32>
  %h = moe.spread %a at %slot : tensor<?x2x32xf32> at !slot -> !h
  %s = moe.weight.select %d by %t : !out_base, !t
  // expected-remark @below {{base once: !moe.weight<32x64xf32, cluster[2]> for 2 clusters}}
  %0 = moe.apply %h, %s at %ids : !h, !out at !ids -> !y
  %1 = moe.apply %h, %v at %ids : !h, !out_all at !ids -> !y
  return %0, %1 : !y, !y
}

//===----------------------------------------------------------------------===//
// How many clusters a token can have
//===----------------------------------------------------------------------===//

// The router keeps one cluster of the same table, also seen through a mask.
// CHECK-LABEL: func.func @limited
// CHECK: moe.clusters_of {{.*}} -> tensor<?x1x!moe.id<cluster[2]>>
// CHECK: moe.apply {{.*}} -> tensor<?x1x32xf32>
func.func @limited(%x: !x, %l: tensor<?x9xf32>, %w: !in_base, %t: !t) -> !h {
  %free, %q = moe.route %l score softmax limit <keep 1 of 2 by max> clusters %t choose <top_k 4> gates <scores> specials <zero 1>
    : (tensor<?x9xf32>, !t) -> (tensor<?x4x!moe.id<expert[8+1]>>, !p)
  %ids, %p = moe.real_experts %free, %q : tensor<?x4x!moe.id<expert[8+1]>>, !p -> !ids
  %s = moe.weight.select %w by %t : !in_base, !t
  // expected-remark @below {{for 1 clusters of a token instead of 4 choices}}
  %0 = moe.apply %x, %s at %ids : !x, !in at !ids -> !h
  return %0 : !h
}

// Masked with zero, an expert outside the kept clusters can still be chosen.
// CHECK-LABEL: func.func @masked_zero
// CHECK: moe.clusters_of {{.*}} -> tensor<?x2x!moe.id<cluster[2]>>
func.func @masked_zero(%x: !x, %l: tensor<?x8xf32>, %w: !in_base, %t: !t) -> !h {
  %ids, %p = moe.route %l score softmax limit <keep 1 of 2 by max masked zero> clusters %t choose <top_k 4> gates <scores> : (tensor<?x8xf32>, !t) -> (!ids, !p)
  %s = moe.weight.select %w by %t : !in_base, !t
  // expected-remark @below {{for 2 clusters}}
  %0 = moe.apply %x, %s at %ids : !x, !in at !ids -> !h
  return %0 : !h
}

// A limit by another table, or by contiguous groups, says nothing about this one.
// CHECK-LABEL: func.func @other_limits
// CHECK: moe.clusters_of {{.*}} -> tensor<?x2x!moe.id<cluster[2]>>
// CHECK: moe.clusters_of {{.*}} -> tensor<?x2x!moe.id<cluster[2]>>
func.func @other_limits(%x: !x, %l: tensor<?x8xf32>, %w: !in_base, %t: !t, %other: !t) -> (!h, !h) {
  %s = moe.weight.select %w by %t : !in_base, !t
  %ids, %p = moe.route %l score softmax limit <keep 1 of 2 by max> clusters %other choose <top_k 4> gates <scores> : (tensor<?x8xf32>, !t) -> (!ids, !p)
  // expected-remark @below {{for 2 clusters}}
  %0 = moe.apply %x, %s at %ids : !x, !in at !ids -> !h
  %jds, %q = moe.route %l score softmax limit <keep 1 of 2 by max> choose <top_k 4> gates <scores> : (tensor<?x8xf32>) -> (!ids, !p)
  // expected-remark @below {{for 2 clusters}}
  %1 = moe.apply %x, %s at %jds : !x, !in at !ids -> !h
  return %0, %1 : !h, !h
}

// Never more clusters than choices or than there are; all experts chosen; one cluster, one expert.
// CHECK-LABEL: func.func @bounds
// CHECK-DAG: tensor<?x8x!moe.id<expert[8]>>, !moe.table<expert[8] -> cluster[2]> -> tensor<?x2x!moe.id<cluster[2]>>
// CHECK-DAG: tensor<?x1x!moe.id<expert[8]>>, !moe.table<expert[8] -> cluster[2]> -> tensor<?x1x!moe.id<cluster[2]>>
// CHECK-DAG: tensor<?x4x!moe.id<expert[8]>>, !moe.table<expert[8] -> cluster[1]> -> tensor<?x1x!moe.id<cluster[1]>>
// CHECK-DAG: tensor<?x1x!moe.id<expert[1]>>, !moe.table<expert[1] -> cluster[1]> -> tensor<?x1x!moe.id<cluster[1]>>
func.func @bounds(%x: !x, %all: tensor<?x8x!moe.id<expert[8]>>, %first: tensor<?x1x!moe.id<expert[8]>>, %ids: !ids, %only: tensor<?x1x!moe.id<expert[1]>>,
    %w: !in_base, %t: !t, %v: !moe.weight<64x32xf32, cluster[1]>, %u: !moe.table<expert[8] -> cluster[1]>, %o: !moe.table<expert[1] -> cluster[1]>)
    -> (tensor<?x8x32xf32>, tensor<?x1x32xf32>, !h, tensor<?x1x32xf32>) {
  %s = moe.weight.select %w by %t : !in_base, !t
  // expected-remark @below {{for 2 clusters of a token instead of 8}}
  %0 = moe.apply %x, %s at %all : !x, !in at tensor<?x8x!moe.id<expert[8]>> -> tensor<?x8x32xf32>
  // expected-remark @below {{for 1 clusters of a token instead of 1}}
  %1 = moe.apply %x, %s at %first : !x, !in at tensor<?x1x!moe.id<expert[8]>> -> tensor<?x1x32xf32>
  %r = moe.weight.select %v by %u : !moe.weight<64x32xf32, cluster[1]>, !moe.table<expert[8] -> cluster[1]>
  // expected-remark @below {{for 1 clusters of a token instead of 4}}
  %2 = moe.apply %x, %r at %ids : !x, !in at !ids -> !h
  %q = moe.weight.select %v by %o : !moe.weight<64x32xf32, cluster[1]>, !moe.table<expert[1] -> cluster[1]>
  // expected-remark @below {{for 1 clusters of a token instead of 1}}
  %3 = moe.apply %x, %q at %only : !x, !moe.weight<64x32xf32, expert[1]> at tensor<?x1x!moe.id<expert[1]>> -> tensor<?x1x32xf32>
  return %0, %1, %2, %3 : tensor<?x8x32xf32>, tensor<?x1x32xf32>, !h, tensor<?x1x32xf32>
}

//===----------------------------------------------------------------------===//
// Combine first, scale after, spread last
//===----------------------------------------------------------------------===//

// Down: choices of a cluster are summed before its base; the expert's own residual and the bias are not.
// CHECK-LABEL: func.func @combine_first
// CHECK-SAME: %[[H:.+]]: tensor<?x4x32xf32>, %[[IDS:.+]]: tensor<{{.*}}>>, %[[P:.+]]: tensor<?x4xf32>,
// CHECK: %[[C:.+]], %[[SLOT:.+]] = moe.clusters_of %[[IDS]]
// CHECK-DAG: %[[SUM:.+]] = moe.combine %[[H]] weighted %[[P]] into %[[SLOT]] {{.*}} -> tensor<?x2x32xf32>
// CHECK-DAG: %[[BASE:.+]] = moe.apply %[[SUM]], %{{.+}} at %[[C]] {{.*}} -> tensor<?x2x64xf32>
// CHECK-DAG: moe.combine %[[BASE]] : tensor<?x2x64xf32> -> tensor<?x64xf32>
// CHECK-DAG: %[[LOW:.+]] = moe.apply %[[H]], {{.*}} -> tensor<?x4x4xf32>
// CHECK-DAG: %[[OWN:.+]] = moe.apply %[[LOW]], {{.*}} -> tensor<?x4x64xf32>
// CHECK-DAG: moe.combine %[[OWN]] weighted %[[P]]
// CHECK-DAG: %[[B:.+]] = moe.lookup
// CHECK-DAG: moe.combine %[[B]] weighted %[[P]]
func.func @combine_first(%h: !h, %ids: !ids, %p: !p, %w: !out_base, %a: !moe.weight<32x4xf32, expert[8]>, %b: !moe.weight<4x64xf32, expert[8]>,
    %bias: !moe.weight<1x64xf32, expert[8]>, %t: !t) -> !x {
  %s = moe.weight.select %w by %t : !out_base, !t
  %ab = moe.weight.mul %a, %b : !moe.weight<32x4xf32, expert[8]>, !moe.weight<4x64xf32, expert[8]>
  %e = moe.weight.add %s, %ab : !out, !out
  %0 = moe.apply %h, %e at %ids : !h, !out at !ids -> !y
  %1 = moe.lookup %bias at %ids : !moe.weight<1x64xf32, expert[8]>, !ids -> !y
  %2 = arith.addf %0, %1 : !y
  // expected-remark @below {{combine first: !moe.weight<32x64xf32, cluster[2]> for 2 clusters of a token instead of 4 choices}}
  %3 = moe.combine %2 weighted %p : !y weighted !p -> !x
  return %3 : !x
}

// D2-MoE: base and the second factor are shared by all, so both follow the sum over the choices.
// CHECK-LABEL: func.func @d2_down
// CHECK-DAG: %[[SUM:.+]] = moe.combine {{.*}} -> tensor<?x32xf32>
// CHECK-DAG: moe.apply %[[SUM]], %{{.+}} : tensor<?x32xf32>, !moe.weight<32x64xf32> -> tensor<?x64xf32>
// CHECK-DAG: %[[LOW:.+]] = moe.combine {{.*}} -> tensor<?x4xf32>
// CHECK-DAG: moe.apply %[[LOW]], %{{.+}} : tensor<?x4xf32>, !moe.weight<4x64xf32> -> tensor<?x64xf32>
func.func @d2_down(%x: !x, %ids: !ids, %p: !p, %in: !in, %w: !out_all, %u: !moe.weight<32x4xf32, expert[8]>, %v: !moe.weight<4x64xf32>) -> !x {
  %h = moe.apply %x, %in at %ids : !x, !in at !ids -> !h
  %uv = moe.weight.mul %u, %v : !moe.weight<32x4xf32, expert[8]>, !moe.weight<4x64xf32>
  %e = moe.weight.add %w, %uv : !out_all, !out
  %0 = moe.apply %h, %e at %ids : !h, !out at !ids -> !y
  // expected-remark @below {{combine first: !moe.weight<32x64xf32> for one row instead of 4 choices}}
  // expected-remark @below {{combine first: !moe.weight<4x64xf32> for one row instead of 4 choices}}
  %1 = moe.combine %0 weighted %p : !y weighted !p -> !x
  return %1 : !x
}

// Gating on the input does not stop sharing: the factor moves behind the products.
// CHECK-LABEL: func.func @scale_after
// CHECK-SAME: %[[X:.+]]: tensor<?x64xf32>, %{{.+}}: {{.*}}, %[[P:.+]]: tensor<?x4xf32>
// CHECK: %[[A:.+]] = moe.apply %[[X]], {{.*}} -> tensor<?x2x32xf32>
// CHECK: %[[S:.+]] = moe.spread %[[A]]
// CHECK: moe.scale_rows %[[S]] by %[[P]]
// CHECK: %[[B:.+]] = moe.apply %[[X]], %{{.+}} : tensor<?x64xf32>, !moe.weight<64x32xf32> -> tensor<?x32xf32>
// CHECK: moe.scale_rows %[[B]] by %[[P]] {{.*}} -> tensor<?x4x32xf32>
func.func @scale_after(%x: !x, %ids: !ids, %p: !p, %w: !in_base, %v: !in_all, %t: !t) -> (!h, !h) {
  %r = moe.scale_rows %x by %p : !x, !p -> !y
  %s = moe.weight.select %w by %t : !in_base, !t
  // expected-remark @below {{base once}}
  %0 = moe.apply %r, %s at %ids : !y, !in at !ids -> !h
  %1 = moe.apply %r, %v : !y, !in_all -> !h
  return %0, %1 : !h, !h
}

// Merged experts (HC-SMoE) share everything: the whole expert once for each, only its result is copied.
// CHECK-LABEL: func.func @alias
// CHECK: %[[C:.+]], %[[SLOT:.+]] = moe.clusters_of
// CHECK-NOT: moe.clusters_of
// CHECK: %[[H:.+]] = moe.activate <silu> %{{.+}} gated by %{{.+}} : tensor<?x2x32xf32>
// CHECK: %[[D:.+]] = moe.apply %[[H]], %{{.+}} at %[[C]] {{.*}} -> tensor<?x2x64xf32>
// CHECK: %[[Y:.+]] = moe.spread %[[D]] at %[[SLOT]]
// CHECK: return %[[Y]]
func.func @alias(%x: !x, %ids: !ids, %g: !in_base, %u: !in_base, %d: !out_base, %t: !t) -> !y {
  %gs = moe.weight.select %g by %t : !in_base, !t
  %us = moe.weight.select %u by %t : !in_base, !t
  %ds = moe.weight.select %d by %t : !out_base, !t
  // expected-remark @below {{base once}}
  %0 = moe.apply %x, %us at %ids : !x, !in at !ids -> !h
  // expected-remark @below {{base once}}
  %1 = moe.apply %x, %gs at %ids : !x, !in at !ids -> !h
  %2 = moe.activate <silu> %0 gated by %1 : !h
  // expected-remark @below {{base once}}
  %3 = moe.apply %2, %ds at %ids : !h, !out at !ids -> !y
  return %3 : !y
}

// Element-wise work on copies, by slots and by ids; not on copies of different rows, or by other slots.
// CHECK-LABEL: func.func @spread_last
// CHECK: %[[A:.+]] = arith.addf %{{.+}}, %{{.+}} : tensor<?x2x32xf32>
// CHECK: moe.spread %[[A]] at
// CHECK: %[[B:.+]] = arith.mulf %{{.+}}, %{{.+}} : tensor<?x32xf32>
// CHECK: moe.spread %[[B]] for
// CHECK: arith.mulf %{{.+}}, %{{.+}} : tensor<?x4x32xf32>
// CHECK: arith.addf %{{.+}}, %{{.+}} : tensor<?x4x32xf32>
func.func @spread_last(%x: tensor<?x32xf32>, %rows: tensor<?x2x32xf32>, %slot: !slot, %other: !slot, %ids: !ids) -> (!h, !h, !h, !h) {
  %0 = moe.spread %rows at %slot : tensor<?x2x32xf32> at !slot -> !h
  %1 = arith.addf %0, %0 : !h
  %2 = moe.spread %x for %ids : tensor<?x32xf32> for !ids -> !h
  %3 = arith.mulf %2, %2 : !h
  %4 = arith.mulf %0, %2 : !h
  %5 = moe.spread %rows at %other : tensor<?x2x32xf32> at !slot -> !h
  %6 = arith.addf %0, %5 : !h
  return %1, %3, %4, %6 : !h, !h, !h, !h
}

//===----------------------------------------------------------------------===//
// Declined
//===----------------------------------------------------------------------===//

// A factor that is shared behind one that is not: rows differ, so k products remain.
// CHECK-LABEL: func.func @behind_own_factor
// CHECK: %[[LOW:.+]] = moe.apply {{.*}} -> tensor<?x4x4xf32>
// CHECK: moe.apply %[[LOW]], %{{.+}} : tensor<?x4x4xf32>, !moe.weight<4x32xf32> -> tensor<?x4x32xf32>
// CHECK: moe.apply %{{.+}}, %{{.+}} at %{{.+}} : tensor<?x4x4xf32>, !moe.weight<4x32xf32, expert[8]>
func.func @behind_own_factor(%x: !x, %ids: !ids, %u: !moe.weight<64x4xf32, expert[8]>, %v: !moe.weight<4x32xf32>, %w: !moe.weight<4x32xf32, cluster[2]>, %t: !t) -> (!h, !h) {
  %uv = moe.weight.mul %u, %v : !moe.weight<64x4xf32, expert[8]>, !moe.weight<4x32xf32>
  // expected-remark @below {{base not shared: rows differ from expert to expert and do not meet a combine; !moe.weight<4x32xf32> is multiplied for each of 4 choices}}
  %0 = moe.apply %x, %uv at %ids : !x, !in at !ids -> !h
  %s = moe.weight.select %w by %t : !moe.weight<4x32xf32, cluster[2]>, !t
  %us = moe.weight.mul %u, %s : !moe.weight<64x4xf32, expert[8]>, !moe.weight<4x32xf32, expert[8]>
  // expected-remark @below {{base not shared: rows differ from expert to expert and do not meet a combine; !moe.weight<4x32xf32, expert[8]> is multiplied for each of 4 choices}}
  %1 = moe.apply %x, %us at %ids : !x, !in at !ids -> !h
  return %0, %1 : !h, !h
}

// Rows of one table's clusters before the matrix of another's.
// CHECK-LABEL: func.func @other_table
// CHECK: %[[H:.+]] = moe.spread
// CHECK: moe.apply %[[H]], %{{.+}} at %{{.+}} : tensor<?x4x32xf32>, !moe.weight<32x64xf32, expert[8]>
func.func @other_table(%x: !x, %ids: !ids, %u: !in_base, %d: !out_base, %t: !t, %other: !t) -> !y {
  %us = moe.weight.select %u by %t : !in_base, !t
  %ds = moe.weight.select %d by %other : !out_base, !t
  // expected-remark @below {{base once}}
  %0 = moe.apply %x, %us at %ids : !x, !in at !ids -> !h
  // expected-remark @below {{base not shared: rows follow another table}}
  %1 = moe.apply %0, %ds at %ids : !h, !out at !ids -> !y
  return %1 : !y
}

// A product that something else uses is made anyway.
// CHECK-LABEL: func.func @used_elsewhere
// CHECK: %[[Y:.+]] = moe.apply {{.*}} -> tensor<?x4x64xf32>
// CHECK: %[[Z:.+]] = moe.combine %[[Y]] weighted
// CHECK: return %[[Y]], %[[Z]]
func.func @used_elsewhere(%h: !h, %ids: !ids, %p: !p, %d: !out_base, %t: !t) -> (!y, !x) {
  %ds = moe.weight.select %d by %t : !out_base, !t
  // expected-remark @below {{base not shared: rows differ}}
  %0 = moe.apply %h, %ds at %ids : !h, !out at !ids -> !y
  %1 = moe.combine %0 weighted %p : !y weighted !p -> !x
  return %0, %1 : !y, !x
}

// So is a sum.
// CHECK-LABEL: func.func @sum_used_elsewhere
// CHECK: %[[S:.+]] = arith.addf
// CHECK: %[[Z:.+]] = moe.combine %[[S]] weighted
// CHECK: return %[[S]], %[[Z]]
func.func @sum_used_elsewhere(%h: !h, %ids: !ids, %p: !p, %d: !out_base, %b: !moe.weight<1x64xf32, expert[8]>, %t: !t) -> (!y, !x) {
  %ds = moe.weight.select %d by %t : !out_base, !t
  // expected-remark @below {{base not shared: rows differ}}
  %0 = moe.apply %h, %ds at %ids : !h, !out at !ids -> !y
  %1 = moe.lookup %b at %ids : !moe.weight<1x64xf32, expert[8]>, !ids -> !y
  %2 = arith.addf %0, %1 : !y
  %3 = moe.combine %2 weighted %p : !y weighted !p -> !x
  return %2, %3 : !y, !x
}

// Rows from outside need the mask of the ids: a gate weight of 0 would not do for a row that is no number.
// CHECK-LABEL: func.func @mask_needed
// CHECK: %[[Y:.+]] = moe.apply %{{.+}}, %{{.+}} at
// CHECK: moe.combine %[[Y]] weighted
func.func @mask_needed(%h: !h, %ids: !ids, %p: !p, %d: !out_all) -> !x {
  // expected-remark @below {{base not shared: rows differ}}
  %0 = moe.apply %h, %d at %ids : !h, !out_all at !ids -> !y
  %1 = moe.combine %0 weighted %p : !y weighted !p -> !x
  return %1 : !x
}

// Experts that share nothing.
// CHECK-LABEL: func.func @nothing_shared
// CHECK-NEXT: %[[H:.+]] = moe.apply
// CHECK-NEXT: %[[Y:.+]] = moe.combine %[[H]]
// CHECK-NEXT: return %[[Y]]
func.func @nothing_shared(%x: !x, %ids: !ids, %p: !p, %w: !moe.weight<64x64xf32, expert[8]>) -> !x {
  %0 = moe.apply %x, %w at %ids : !x, !moe.weight<64x64xf32, expert[8]> at !ids -> !y
  %1 = moe.combine %0 weighted %p : !y weighted !p -> !x
  return %1 : !x
}

//===----------------------------------------------------------------------===//
// Extents and places
//===----------------------------------------------------------------------===//

// What is known of the number of tokens may differ from value to value; there may be none.
// CHECK-LABEL: func.func @mixed_extents
// CHECK: moe.spread {{.*}} -> tensor<4x4x32xf32>
// CHECK: moe.combine {{.*}} -> tensor<4x2x32xf32>
// CHECK: moe.apply {{.*}} -> tensor<4x2x64xf32>
// CHECK: moe.combine {{.*}} -> tensor<?x64xf32>
// CHECK: moe.apply {{.*}} -> tensor<0x2x32xf32>
func.func @mixed_extents(%x: tensor<4x64xf32>, %ids: !ids, %p: !p, %none: tensor<0x64xf32>, %u: !in_base, %d: !out_base, %t: !t) -> (!x, tensor<0x4x32xf32>) {
  %us = moe.weight.select %u by %t : !in_base, !t
  %ds = moe.weight.select %d by %t : !out_base, !t
  // expected-remark @below {{base once}}
  %0 = moe.apply %x, %us at %ids : tensor<4x64xf32>, !in at !ids -> tensor<4x4x32xf32>
  %1 = moe.scale_rows %0 by %p : tensor<4x4x32xf32>, !p -> tensor<4x4x32xf32>
  %2 = moe.apply %1, %ds at %ids : tensor<4x4x32xf32>, !out at !ids -> !y
  // expected-remark @below {{combine first}}
  %3 = moe.combine %2 : !y -> !x
  // expected-remark @below {{base once}}
  %4 = moe.apply %none, %us at %ids : tensor<0x64xf32>, !in at !ids -> tensor<0x4x32xf32>
  return %3, %4 : !x, tensor<0x4x32xf32>
}

// Two branches with the ids of the function around them: each has its own clusters.
// CHECK-LABEL: func.func @branches
// CHECK: scf.if
// CHECK: moe.clusters_of
// CHECK: else
// CHECK: moe.clusters_of
func.func @branches(%c: i1, %x: !x, %ids: !ids, %u: !in_base, %v: !in_base, %t: !t) -> !h {
  %y = scf.if %c -> !h {
    %s = moe.weight.select %u by %t : !in_base, !t
    // expected-remark @below {{base once}}
    %0 = moe.apply %x, %s at %ids : !x, !in at !ids -> !h
    scf.yield %0 : !h
  } else {
    %s = moe.weight.select %v by %t : !in_base, !t
    // expected-remark @below {{base once}}
    %0 = moe.apply %x, %s at %ids : !x, !in at !ids -> !h
    scf.yield %0 : !h
  }
  return %y : !h
}

// A sum of the same rows, over and over: 2^20 combines if every path were split.
// CHECK-LABEL: func.func @doubled
// CHECK-COUNT-1: moe.apply
// CHECK-NOT: moe.apply
func.func @doubled(%h: !h, %ids: !ids, %p: !p, %d: !out_base, %t: !t) -> !x {
  %ds = moe.weight.select %d by %t : !out_base, !t
  // expected-remark @below {{base not shared}}
  %0 = moe.apply %h, %ds at %ids : !h, !out at !ids -> !y
  %1 = arith.addf %0, %0 : !y
  %2 = arith.addf %1, %1 : !y
  %3 = arith.addf %2, %2 : !y
  %4 = arith.addf %3, %3 : !y
  %5 = arith.addf %4, %4 : !y
  %6 = arith.addf %5, %5 : !y
  %7 = arith.addf %6, %6 : !y
  %8 = arith.addf %7, %7 : !y
  %9 = arith.addf %8, %8 : !y
  %10 = arith.addf %9, %9 : !y
  %11 = arith.addf %10, %10 : !y
  %12 = arith.addf %11, %11 : !y
  %13 = arith.addf %12, %12 : !y
  %14 = arith.addf %13, %13 : !y
  %15 = arith.addf %14, %14 : !y
  %16 = arith.addf %15, %15 : !y
  %17 = arith.addf %16, %16 : !y
  %18 = arith.addf %17, %17 : !y
  %19 = arith.addf %18, %18 : !y
  %20 = arith.addf %19, %19 : !y
  %y = moe.combine %20 weighted %p : !y weighted !p -> !x
  return %y : !x
}
