// RUN: moe-opt %s --moe-group-tokens --cse --canonicalize --verify-diagnostics --remarks-filter='.*' | FileCheck %s

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
!bias = !moe.weight<1x32xf32, expert[8]>

moe.param private @t : !t = dense<[0, 1, 0, 1, 0, 1, 0, 1]> : tensor<8xi32>

// Experts that share nothing: each choice is a row, sorted by expert; rows and pairs are one list.
// CHECK-LABEL: func.func @no_clusters
// CHECK-SAME: %[[X:.+]]: tensor<?x64xf32>, %[[IDS:.+]]: tensor<{{.*}}>>, %[[P:.+]]: tensor<?x4xf32>, %[[U:.+]]: !moe.weight{{.*}}, %[[D:.+]]: !moe.weight{{.*}})
// CHECK: %[[G:.+]]:5 = moe.group ins(%[[IDS]], %[[IDS]], %[[P]] :
// CHECK-NOT: slots
// CHECK: %[[ROWS:.+]] = moe.gather ins(%[[X]], %[[G]]#0
// CHECK: %[[A:.+]] = moe.grouped_matmul ins(%[[ROWS]] {{.*}} weights(%[[U]] {{.*}} groups(%[[G]]#1 : tensor<9xi32>)
// CHECK: %[[B:.+]] = moe.activate <silu> %[[A]]
// CHECK: %[[C:.+]] = moe.grouped_matmul ins(%[[B]] {{.*}} weights(%[[D]] {{.*}} groups(%[[G]]#1
// CHECK: %[[Y:.+]] = moe.scatter_combine ins(%[[C]], %[[G]]#0 {{.*}} weighted(%[[G]]#4 {{.*}} -> tensor<?x64xf32>
// CHECK: return %[[Y]]
// expected-remark @below {{layer scheduled: 4 rows and 4 pairs for a token at most}}
func.func @no_clusters(%x: !x, %ids: !ids, %p: !p, %u: !in, %d: !out) -> !x {
  %0 = moe.apply %x, %u at %ids : !x, !in at !ids -> !h
  %1 = moe.activate <silu> %0 : !h
  %2 = moe.apply %1, %d at %ids : !h, !out at !ids -> !y
  %3 = moe.combine %2 weighted %p : !y weighted !p -> !x
  return %3 : !x
}

// Bases by cluster, the expert's own by pair; a sum over pairs goes to its row before it goes to its token.
// CHECK-LABEL: func.func @clusters
// CHECK: %[[C:.+]], %[[SLOT:.+]] = moe.clusters_of
// CHECK: %[[G:.+]]:5 = moe.group ins(%[[C]], {{.*}} slots(%[[SLOT]]
// CHECK: %[[ROWS:.+]] = moe.gather ins(%{{.+}}, %[[G]]#0
// CHECK: %[[BASE:.+]] = moe.grouped_matmul ins(%[[ROWS]] {{.*}} groups(%[[G]]#1 : tensor<3xi32>)
// CHECK: %[[COPIES:.+]] = moe.gather ins(%[[BASE]], %[[G]]#2
// CHECK: %[[PAIRS:.+]] = moe.gather ins(%[[ROWS]], %[[G]]#2
// CHECK: %[[OWN:.+]] = moe.grouped_matmul ins(%[[PAIRS]] {{.*}} entries(%[[G]]#3
// CHECK: %[[BIAS:.+]] = moe.lookup %{{.+}} at %[[G]]#3
// CHECK: %[[S:.+]] = arith.addf %[[COPIES]], %[[OWN]]
// CHECK: %[[U:.+]] = arith.addf %[[S]], %[[BIAS]]
// CHECK: %[[INTO:.+]] = moe.scatter_combine ins(%[[U]], %[[G]]#2 {{.*}} weighted(%[[G]]#4
// CHECK: %[[DOWN:.+]] = moe.grouped_matmul ins(%[[INTO]] {{.*}} groups(%[[G]]#1
// CHECK: %[[Y:.+]] = moe.scatter_combine ins(%[[DOWN]], %[[G]]#0
// CHECK-NOT: weighted
// CHECK: %[[ODOWN:.+]] = moe.grouped_matmul ins(%[[U]] {{.*}} entries(%[[G]]#3
// CHECK: %[[OROWS:.+]] = moe.scatter_combine ins(%[[ODOWN]], %[[G]]#2 {{.*}} weighted(%[[G]]#4
// CHECK: %[[Z:.+]] = moe.scatter_combine ins(%[[OROWS]], %[[G]]#0
// CHECK: return %[[Y]], %[[Z]]
// expected-remark @below {{layer scheduled: 2 rows and 4 pairs for a token at most}}
func.func @clusters(%x: !x, %ids: !ids, %p: !p, %base: !in_base, %own: !in, %bias: !bias, %down: !out_base, %odown: !out) -> (!x, !x) {
  %t = moe.leaf @t : !t
  %c, %slot = moe.clusters_of %ids by %t : !ids, !t -> !clusters, !slot
  %0 = moe.apply %x, %base at %c : !x, !in_base at !clusters -> tensor<?x2x32xf32>
  %1 = moe.spread %0 at %slot : tensor<?x2x32xf32> at !slot -> !h
  %2 = moe.apply %x, %own at %ids : !x, !in at !ids -> !h
  %3 = moe.lookup %bias at %ids : !bias, !ids -> !h
  %4 = arith.addf %1, %2 : !h
  %5 = arith.addf %4, %3 : !h
  %6 = moe.combine %5 weighted %p into %slot : !h weighted !p into !slot -> tensor<?x2x32xf32>
  %7 = moe.apply %6, %down at %c : tensor<?x2x32xf32>, !out_base at !clusters -> tensor<?x2x64xf32>
  %8 = moe.combine %7 : tensor<?x2x64xf32> -> !x
  %9 = moe.apply %5, %odown at %ids : !h, !out at !ids -> !y
  %10 = moe.combine %9 weighted %p : !y weighted !p -> !x
  return %8, %10 : !x, !x
}

// Work on cluster rows and weights without axis; copies of tokens; the gate weight on the input.
// CHECK-LABEL: func.func @rest_of_slot_form
// CHECK: %[[IDS:.+]], %[[P:.+]] = moe.route
// CHECK: %[[G:.+]]:5 = moe.group
// CHECK: %[[A:.+]] = moe.grouped_matmul {{.*}} groups(%[[G]]#1
// CHECK: %[[B:.+]] = moe.grouped_matmul ins(%[[A]] : tensor<?x32xf32>) weights(%{{.+}} : !moe.weight<32x32xf32>) outs
// CHECK: moe.activate <tanh> %[[B]] : tensor<?x32xf32>
// CHECK: moe.scale_rows %{{.+}} by %[[G]]#4 : tensor<?x64xf32>, tensor<?xf32>
// CHECK: arith.mulf %{{.+}}, %{{.+}} : tensor<?x64xf32>
// CHECK: moe.scatter_combine ins(%{{.+}}, %[[G]]#2
// CHECK-NOT: -> tensor<?x4x
// CHECK: return
func.func @rest_of_slot_form(%x: !x, %l: tensor<?x8xf32>, %base: !in_base, %w: !moe.weight<32x32xf32>) -> (tensor<?x32xf32>, !x) {
  %t = moe.leaf @t : !t
  // expected-remark @below {{layer scheduled}}
  %ids, %p = moe.route %l score softmax choose <top_k 4> gates <scores> : (tensor<?x8xf32>) -> (!ids, !p)
  %c, %slot = moe.clusters_of %ids by %t : !ids, !t -> !clusters, !slot
  %0 = moe.apply %x, %base at %c : !x, !in_base at !clusters -> tensor<?x2x32xf32>
  %1 = moe.apply %0, %w : tensor<?x2x32xf32>, !moe.weight<32x32xf32> -> tensor<?x2x32xf32>
  %2 = moe.activate <tanh> %1 : tensor<?x2x32xf32>
  %3 = moe.combine %2 : tensor<?x2x32xf32> -> tensor<?x32xf32>
  %4 = moe.scale_rows %x by %p : !x, !p -> !y
  %5 = moe.spread %x for %ids : !x for !ids -> !y
  %6 = arith.mulf %4, %5 : !y
  %7 = moe.combine %6 : !y -> !x
  return %3, %7 : tensor<?x32xf32>, !x
}

// What all experts share is one product for the tokens, in a layer or not.
// CHECK-LABEL: func.func @tokens
// CHECK: %[[A:.+]] = moe.grouped_matmul ins(%{{.+}} : tensor<5x64xf32>) weights(%{{.+}} : !moe.weight<64x32xf32>) outs({{.*}} tensor<5x32xf32>)
// CHECK: moe.gather ins(%[[A]],
// CHECK-NOT: moe.apply
// CHECK: return
// expected-remark @below {{layer scheduled: 4 rows and 4 pairs}}
func.func @tokens(%x: tensor<5x64xf32>, %ids: !ids, %p: !p, %w: !moe.weight<64x32xf32>) -> tensor<?x32xf32> {
  %0 = moe.apply %x, %w : tensor<5x64xf32>, !moe.weight<64x32xf32> -> tensor<?x32xf32>
  %1 = moe.spread %0 for %ids : tensor<?x32xf32> for !ids -> !h
  %2 = moe.combine %1 weighted %p : !h weighted !p -> tensor<?x32xf32>
  return %2 : tensor<?x32xf32>
}

// Known and unknown numbers of tokens in one layer, and none at all.
// CHECK-LABEL: func.func @mixed_extents
// CHECK-DAG: moe.group {{.*}} -> tensor<20xi32>, tensor<9xi32>, tensor<20xi32>
// CHECK-DAG: moe.group {{.*}} -> tensor<10xi32>, tensor<3xi32>, tensor<?xi32>
// CHECK-DAG: moe.group {{.*}} -> tensor<0xi32>, tensor<9xi32>, tensor<0xi32>
// CHECK-DAG: %[[FIRST:.+]] = moe.scatter_combine {{.*}} -> tensor<5x64xf32>
// CHECK-DAG: tensor.cast %[[FIRST]] : tensor<5x64xf32> to tensor<?x64xf32>
// CHECK-DAG: moe.scatter_combine {{.*}} -> tensor<0x64xf32>
// expected-remark @below {{layer scheduled: 4 rows and 4 pairs}}
func.func @mixed_extents(%ids: tensor<5x4x!moe.id<expert[8]>>,
    // expected-remark @below {{layer scheduled: 2 rows and 4 pairs}}
    %jds: !ids, %x: !x, %p: !p, %w: !moe.weight<64x64xf32, expert[8]>, %base: !moe.weight<64x64xf32, cluster[2]>,
    // expected-remark @below {{layer scheduled: 4 rows and 4 pairs}}
    %nids: tensor<0x4x!moe.id<expert[8]>>, %none: tensor<0x64xf32>, %np: tensor<0x4xf32>) -> (!x, tensor<5x64xf32>, tensor<0x64xf32>) {
  %0 = moe.apply %x, %w at %ids : !x, !moe.weight<64x64xf32, expert[8]> at tensor<5x4x!moe.id<expert[8]>> -> !y
  %1 = moe.combine %0 weighted %p : !y weighted !p -> !x
  %t = moe.leaf @t : !t
  %c, %slot = moe.clusters_of %jds by %t : !ids, !t -> tensor<5x2x!moe.id<cluster[2]>>, tensor<5x4xi32>
  %2 = moe.apply %x, %base at %c : !x, !moe.weight<64x64xf32, cluster[2]> at tensor<5x2x!moe.id<cluster[2]>> -> tensor<5x2x64xf32>
  %3 = moe.spread %2 at %slot : tensor<5x2x64xf32> at tensor<5x4xi32> -> tensor<5x4x64xf32>
  %4 = moe.combine %3 weighted %p : tensor<5x4x64xf32> weighted !p -> tensor<5x64xf32>
  %5 = moe.apply %none, %w at %nids : tensor<0x64xf32>, !moe.weight<64x64xf32, expert[8]> at tensor<0x4x!moe.id<expert[8]>> -> tensor<0x4x64xf32>
  %6 = moe.combine %5 weighted %np : tensor<0x4x64xf32> weighted tensor<0x4xf32> -> tensor<0x64xf32>
  return %1, %4, %6 : !x, tensor<5x64xf32>, tensor<0x64xf32>
}

// In a loop, with ids from outside.
// CHECK-LABEL: func.func @loop
// CHECK: scf.for
// CHECK: moe.group
// CHECK: moe.scatter_combine
// CHECK: scf.yield
// expected-remark @below {{layer scheduled}}
func.func @loop(%x: !x, %ids: !ids, %p: !p, %u: !moe.weight<64x64xf32, expert[8]>, %n: index) -> !x {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %y = scf.for %i = %c0 to %n step %c1 iter_args(%h = %x) -> !x {
    %0 = moe.apply %h, %u at %ids : !x, !moe.weight<64x64xf32, expert[8]> at !ids -> !y
    %1 = moe.combine %0 weighted %p : !y weighted !p -> !x
    scf.yield %1 : !x
  }
  return %y : !x
}

//===----------------------------------------------------------------------===//
// Declined: the layer stays as it is
//===----------------------------------------------------------------------===//

// Two tables for the same ids.
// CHECK-LABEL: func.func @two_tables
// CHECK-NOT: moe.group
// CHECK: return
func.func @two_tables(%x: !x, %ids: !ids, %p: !p, %u: !in_base, %d: !out_base, %t: !t, %s: !t) -> (!h, tensor<?x2x64xf32>) {
  // expected-remark @below {{layer not scheduled: the layer groups its experts by two tables}}
  %c, %slot = moe.clusters_of %ids by %t : !ids, !t -> !clusters, !slot
  %0 = moe.apply %x, %u at %c : !x, !in_base at !clusters -> tensor<?x2x32xf32>
  %1 = moe.spread %0 at %slot : tensor<?x2x32xf32> at !slot -> !h
  %e, %at = moe.clusters_of %ids by %s : !ids, !t -> !clusters, !slot
  %2 = moe.combine %1 weighted %p into %at : !h weighted !p into !slot -> tensor<?x2x32xf32>
  %3 = moe.apply %2, %d at %e : tensor<?x2x32xf32>, !out_base at !clusters -> tensor<?x2x64xf32>
  return %1, %3 : !h, tensor<?x2x64xf32>
}

// Two numbers of clusters for the same ids and table.
// CHECK-LABEL: func.func @two_counts
// CHECK-NOT: moe.group
// CHECK: return
func.func @two_counts(%x: !x, %ids: !ids, %u: !in_base, %t: !t) -> (tensor<?x2x32xf32>, tensor<?x1x32xf32>) {
  // expected-remark @below {{layer not scheduled: the layer counts a token's clusters in two ways}}
  %c, %slot = moe.clusters_of %ids by %t : !ids, !t -> !clusters, !slot
  %0 = moe.apply %x, %u at %c : !x, !in_base at !clusters -> tensor<?x2x32xf32>
  %e, %at = moe.clusters_of %ids by %t : !ids, !t -> tensor<?x1x!moe.id<cluster[2]>>, !slot
  %1 = moe.apply %x, %u at %e : !x, !in_base at tensor<?x1x!moe.id<cluster[2]>> -> tensor<?x1x32xf32>
  return %0, %1 : tensor<?x2x32xf32>, tensor<?x1x32xf32>
}

// Fewer slots than a token may have clusters: slot form drops choices that scheduled form would not.
// CHECK-LABEL: func.func @too_few_slots
// CHECK-NOT: moe.group
// CHECK: return
func.func @too_few_slots(%x: !x, %ids: !ids, %u: !in_base, %t: !t) -> tensor<?x32xf32> {
  // expected-remark @below {{layer not scheduled: a token may have more clusters than slots}}
  %c, %slot = moe.clusters_of %ids by %t : !ids, !t -> tensor<?x1x!moe.id<cluster[2]>>, !slot
  %0 = moe.apply %x, %u at %c : !x, !in_base at tensor<?x1x!moe.id<cluster[2]>> -> tensor<?x1x32xf32>
  %1 = moe.combine %0 : tensor<?x1x32xf32> -> tensor<?x32xf32>
  return %1 : tensor<?x32xf32>
}

// A table from outside may map an expert outside: the choice has no row, but its own residual counts.
// CHECK-LABEL: func.func @free_table
// CHECK-NOT: moe.group
// CHECK: return
func.func @free_table(%x: !x, %ids: !ids, %p: !p, %base: !in_base, %own: !in, %t: !t) -> tensor<?x32xf32> {
  %c, %slot = moe.clusters_of %ids by %t : !ids, !t -> !clusters, !slot
  %0 = moe.apply %x, %base at %c : !x, !in_base at !clusters -> tensor<?x2x32xf32>
  %1 = moe.spread %0 at %slot : tensor<?x2x32xf32> at !slot -> !h
  // expected-remark @below {{layer not scheduled: the table is no param, so a choice may have no cluster}}
  %2 = moe.apply %x, %own at %ids : !x, !in at !ids -> !h
  %3 = arith.addf %1, %2 : !h
  %4 = moe.combine %3 weighted %p : !h weighted !p -> tensor<?x32xf32>
  return %4 : tensor<?x32xf32>
}

// With nothing of the expert's own, such a table does no harm.
// CHECK-LABEL: func.func @free_table_of_bases
// CHECK: moe.group
// expected-remark @below {{layer scheduled}}
func.func @free_table_of_bases(%x: !x, %ids: !ids, %p: !p, %base: !in_base, %t: !t) -> tensor<?x32xf32> {
  %c, %slot = moe.clusters_of %ids by %t : !ids, !t -> !clusters, !slot
  %0 = moe.apply %x, %base at %c : !x, !in_base at !clusters -> tensor<?x2x32xf32>
  %1 = moe.spread %0 at %slot : tensor<?x2x32xf32> at !slot -> !h
  %2 = moe.combine %1 weighted %p : !h weighted !p -> tensor<?x32xf32>
  return %2 : tensor<?x32xf32>
}

// Gate weights of two kinds, of none, and such that are only known behind the layer's first operation.
// CHECK-LABEL: func.func @gate_weights
// CHECK-NOT: moe.group
// CHECK: return
func.func @gate_weights(%x: !x, %ids: !ids, %jds: !ids, %kds: !ids, %p: !p, %q: !p, %u: !in) -> (tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>) {
  %0 = moe.apply %x, %u at %ids : !x, !in at !ids -> !h
  %1 = moe.combine %0 weighted %p : !h weighted !p -> tensor<?x32xf32>
  // expected-remark @below {{layer not scheduled: the layer uses two kinds of gate weights}}
  %2 = moe.combine %0 weighted %q : !h weighted !p -> tensor<?x32xf32>
  // expected-remark @below {{layer not scheduled: the layer has no gate weights}}
  %3 = moe.apply %x, %u at %jds : !x, !in at !ids -> !h
  %4 = moe.combine %3 : !h -> tensor<?x32xf32>
  // expected-remark @below {{layer not scheduled: it comes before the gate weights}}
  %5 = moe.apply %x, %u at %kds : !x, !in at !ids -> !h
  %r = arith.mulf %p, %q : !p
  %6 = moe.combine %5 weighted %r : !h weighted !p -> tensor<?x32xf32>
  return %1, %2, %4, %6 : tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>
}

// Slot tensors that leave the layer, that come from elsewhere, or that meet something else on the way.
// CHECK-LABEL: func.func @slot_tensors
// CHECK-NOT: moe.group
// CHECK: return
func.func @slot_tensors(%x: !x, %i0: !ids, %i1: !ids, %i2: !ids, %i3: !ids, %i4: !ids, %p: !p, %u: !in, %h: !h, %s: !slot) -> (!h, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>) {
  %0 = moe.apply %x, %u at %i0 : !x, !in at !ids -> !h
  %1 = moe.apply %x, %u at %i1 : !x, !in at !ids -> !h
  // expected-remark @below {{layer not scheduled: its rows are neither tokens nor slots of the layer}}
  %2 = arith.addf %1, %h : !h
  %3 = moe.combine %2 weighted %p : !h weighted !p -> tensor<?x32xf32>
  %4 = moe.apply %x, %u at %i2 : !x, !in at !ids -> !h
  // expected-remark @below {{layer not scheduled: it is not an operation of slot form}}
  %5 = math.exp %4 : !h
  %6 = moe.combine %5 weighted %p : !h weighted !p -> tensor<?x32xf32>
  %7 = moe.apply %x, %u at %i3 : !x, !in at !ids -> !h
  // expected-remark @below {{layer not scheduled: its rows are neither tokens nor slots of the layer}}
  %8 = moe.combine %7 weighted %p into %s : !h weighted !p into !slot -> tensor<?x2x32xf32>
  %9 = moe.combine %8 : tensor<?x2x32xf32> -> tensor<?x32xf32>
  // expected-remark @below {{layer not scheduled: its rows are neither tokens nor slots of the layer}}
  %10 = moe.scale_rows %x by %p : !x, !p -> !y
  %11 = moe.apply %10, %u at %i4 : !y, !in at !ids -> !h
  %12 = moe.combine %11 weighted %p : !h weighted !p -> tensor<?x32xf32>
  // expected-remark @below {{layer not scheduled: it is not an operation of slot form}}
  return %0, %3, %6, %9, %12 : !h, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>, tensor<?x32xf32>
}

// One ids value in two blocks, and rows of one layer in another's.
// CHECK-LABEL: func.func @entangled
// CHECK-NOT: moe.group
// CHECK: return
func.func @entangled(%c: i1, %x: !x, %ids: !ids, %i1: !ids, %i2: !ids, %p: !p, %u: !in, %v: !moe.weight<32x32xf32, expert[8]>) -> (tensor<?x32xf32>, tensor<?x32xf32>) {
  %y = scf.if %c -> tensor<?x32xf32> {
    %0 = moe.apply %x, %u at %ids : !x, !in at !ids -> !h
    %1 = moe.combine %0 weighted %p : !h weighted !p -> tensor<?x32xf32>
    scf.yield %1 : tensor<?x32xf32>
  } else {
    // expected-remark @below {{layer not scheduled: the layer spans several blocks}}
    %0 = moe.apply %x, %u at %ids : !x, !in at !ids -> !h
    %1 = moe.combine %0 weighted %p : !h weighted !p -> tensor<?x32xf32>
    scf.yield %1 : tensor<?x32xf32>
  }
  %2 = moe.apply %x, %u at %i1 : !x, !in at !ids -> !h
  // expected-remark @below {{layer not scheduled: it also uses other ids}}
  // expected-remark @below {{layer not scheduled: its rows are neither tokens nor slots of the layer}}
  %3 = moe.apply %2, %v at %i2 : !h, !moe.weight<32x32xf32, expert[8]> at !ids -> !h
  %4 = moe.combine %3 weighted %p : !h weighted !p -> tensor<?x32xf32>
  return %y, %4 : tensor<?x32xf32>, tensor<?x32xf32>
}

// Two levels of clusters.
// CHECK-LABEL: func.func @nested_clusters
// CHECK-NOT: moe.group
// CHECK: return
func.func @nested_clusters(%x: !x, %ids: !ids, %p: !p, %w: !in_base, %merge: !moe.table<expert[8] -> expert[4]>, %t: !moe.table<expert[4] -> cluster[2]>) -> tensor<?x32xf32> {
  %m, %at = moe.clusters_of %ids by %merge : !ids, !moe.table<expert[8] -> expert[4]> -> tensor<?x4x!moe.id<expert[4]>>, !slot
  %c, %slot = moe.clusters_of %m by %t : tensor<?x4x!moe.id<expert[4]>>, !moe.table<expert[4] -> cluster[2]> -> !clusters, !slot
  %0 = moe.apply %x, %w at %c : !x, !in_base at !clusters -> tensor<?x2x32xf32>
  %1 = moe.spread %0 at %slot : tensor<?x2x32xf32> at !slot -> !h
  // expected-remark @below {{layer not scheduled: its rows are neither tokens nor slots of the layer}}
  %2 = moe.spread %1 at %at : !h at !slot -> !h
  %3 = moe.combine %2 weighted %p : !h weighted !p -> tensor<?x32xf32>
  return %3 : tensor<?x32xf32>
}
