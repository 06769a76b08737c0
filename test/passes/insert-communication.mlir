// Expert layers compute the rows that their rank receives; what follows happens to these.
// RUN: moe-opt %S/Inputs/two_layers.mlir --moe-insert-communication -o %t.graph --remarks-filter=.* 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: FileCheck %s --input-file=%t.graph --check-prefix=GRAPH
// RUN: moe-opt %t.graph --moe-insert-communication | FileCheck %s --check-prefix=GRAPH
// RUN: moe-opt %t.graph --moe-optimize | FileCheck %s --check-prefix=SCHEDULED
// RUN: moe-opt %s --moe-insert-communication -o %t --remarks-filter=.* 2>&1 | FileCheck %s --check-prefix=WHY
// RUN: FileCheck %s --input-file=%t

// REMARK-COUNT-2: a token goes once to each rank that has one of its 4 clusters

// GRAPH-LABEL: func.func @layer0
// GRAPH-SAME: %[[X:[^:]*]]: tensor<?x32xf32>
// GRAPH: %[[IDS:.*]], %[[P:.*]] = moe.route
// GRAPH: %[[TABLE:.*]] = moe.leaf @layer0.cluster
// GRAPH: %[[ROWS:.*]], %[[ROW_IDS:.*]], %[[ROW_P:.*]], %[[EXCHANGE:.*]] = moe.dispatch %[[X]], %[[IDS]], %[[P]] by %[[TABLE]]
// GRAPH-NEXT: %[[OUT:.*]] = moe.experts %[[ROWS]] to %[[ROW_IDS]] weighted %[[ROW_P]]
// GRAPH-NEXT: %[[Y:.*]] = moe.return %[[OUT]], %[[EXCHANGE]] : tensor<?x32xf32> -> tensor<?x32xf32>
// GRAPH-NEXT: return %[[Y]]
// GRAPH-LABEL: func.func @layer1
// GRAPH: moe.dispatch
// GRAPH-NOT: moe.dispatch

// No mask and no second sorting: received choices are a router's. One row for each (token, cluster) on both ends.
// SCHEDULED-LABEL: func.func @layer0
// SCHEDULED: %[[ROWS:.*]], %[[IDS:.*]], %[[P:.*]], %[[EXCHANGE:.*]] = moe.dispatch
// SCHEDULED-NOT: moe.real_experts
// SCHEDULED: %[[C:.*]], %[[SLOT:.*]] = moe.clusters_of %[[IDS]]
// SCHEDULED: moe.group ins(%[[C]], %[[IDS]], %[[P]]
// SCHEDULED: moe.gather ins(%[[ROWS]]
// SCHEDULED: moe.grouped_up
// SCHEDULED: %[[OUT:.*]] = moe.scatter_combine
// SCHEDULED: moe.return %[[OUT]], %[[EXCHANGE]]

!x = tensor<?x8xf32>
!ids = tensor<?x2x!moe.id<expert[4]>>
!p = tensor<?x2xf32>
!up = !moe.weight<8x4xf32, expert[4]>
!down = !moe.weight<4x8xf32, expert[4]>
!up_base = !moe.weight<8x4xf32, cluster[2]>
!down_base = !moe.weight<4x8xf32, cluster[2]>
!t = !moe.table<expert[4] -> cluster[2]>

// Experts that share nothing are clusters of their own. However many tokens there are, any number of rows comes.
// WHY: a token goes once to each rank that has one of its 4 experts
// CHECK-LABEL: func.func @plain
// CHECK: moe.dispatch %{{[^ ]*}}, %{{[^ ]*}}, %{{[^ ]*}} : tensor<6x8xf32>
// CHECK-NEXT: %[[OUT:.*]] = moe.experts {{.*}} -> tensor<?x8xf32>
// CHECK-NEXT: moe.return %[[OUT]], %{{.*}} : tensor<?x8xf32> -> tensor<6x8xf32>
func.func @plain(%x: tensor<6x8xf32>, %ids: tensor<6x2x!moe.id<expert[4]>>, %p: tensor<6x2xf32>, %u: !up, %d: !down) -> tensor<6x8xf32> {
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> : (tensor<6x8xf32>, tensor<6x2x!moe.id<expert[4]>>, tensor<6x2xf32>, !up, !down) -> tensor<6x8xf32>
  return %y : tensor<6x8xf32>
}

// Up and down are of other clusters.
// WHY: a token goes once to each rank that has one of its 4 experts: 2 tables say which clusters they are in, so each is by itself
// CHECK-LABEL: func.func @two_tables
// CHECK: moe.dispatch %{{[^ ]*}}, %{{[^ ]*}}, %{{[^ ]*}} : tensor<?x8xf32>
func.func @two_tables(%x: !x, %ids: !ids, %p: !p, %u: !up_base, %d: !down_base, %t: !t, %s: !t) -> !x {
  %up = moe.weight.select %u by %t : !up_base, !t
  %down = moe.weight.select %d by %s : !down_base, !t
  %y = moe.experts %x to %ids weighted %p up %up down %down act <silu> : (!x, !ids, !p, !up, !down) -> !x
  return %y : !x
}

// What a table merges is no cluster: experts that are another expert's alias.
// WHY: one of its 4 experts
// CHECK-LABEL: func.func @aliases
// CHECK: moe.dispatch %{{[^ ]*}}, %{{[^ ]*}}, %{{[^ ]*}} : tensor<?x8xf32>
func.func @aliases(%x: !x, %ids: !ids, %p: !p, %u: !moe.weight<8x4xf32, expert[2]>, %d: !down, %t: !moe.table<expert[4] -> expert[2]>) -> !x {
  %up = moe.weight.select %u by %t : !moe.weight<8x4xf32, expert[2]>, !moe.table<expert[4] -> expert[2]>
  %y = moe.experts %x to %ids weighted %p up %up down %d act <silu> : (!x, !ids, !p, !up, !down) -> !x
  return %y : !x
}

// WHY: the layer's rows stay here: it has one expert, which every rank has
// CHECK-LABEL: func.func @shared
// CHECK-NOT: moe.dispatch
// CHECK: return
func.func @shared(%x: !x, %ids: tensor<?x1x!moe.id<expert[1]>>, %p: tensor<?x1xf32>, %u: !moe.weight<8x4xf32, expert[1]>, %d: !moe.weight<4x8xf32, expert[1]>) -> !x {
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (!x, tensor<?x1x!moe.id<expert[1]>>, tensor<?x1xf32>, !moe.weight<8x4xf32, expert[1]>, !moe.weight<4x8xf32, expert[1]>) -> !x
  return %y : !x
}

// WHY: the layer's rows stay here: it has special experts, which no rank has
// CHECK-LABEL: func.func @specials
// CHECK-NOT: moe.dispatch
// CHECK: return
func.func @specials(%x: !x, %ids: tensor<?x2x!moe.id<expert[4+1]>>, %p: !p, %u: !up, %d: !down) -> !x {
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> specials <zero 1> : (!x, tensor<?x2x!moe.id<expert[4+1]>>, !p, !up, !down) -> !x
  return %y : !x
}

// WHY: the layer's rows stay here: its rows are f64
// CHECK-LABEL: func.func @wide
// CHECK-NOT: moe.dispatch
// CHECK: return
func.func @wide(%x: tensor<?x8xf64>, %ids: !ids, %p: tensor<?x2xf64>, %u: !moe.weight<8x4xf64, expert[4]>, %d: !moe.weight<4x8xf64, expert[4]>) -> tensor<?x8xf64> {
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x8xf64>, !ids, tensor<?x2xf64>, !moe.weight<8x4xf64, expert[4]>, !moe.weight<4x8xf64, expert[4]>) -> tensor<?x8xf64>
  return %y : tensor<?x8xf64>
}

// WHY: the layer's rows stay here: it stands in control flow, where ranks could go different ways
// CHECK-LABEL: func.func @branch
// CHECK-NOT: moe.dispatch
// CHECK: return
func.func @branch(%if: i1, %x: !x, %ids: !ids, %p: !p, %u: !up, %d: !down) -> !x {
  %y = scf.if %if -> !x {
    %z = moe.experts %x to %ids weighted %p up %u down %d act <silu> : (!x, !ids, !p, !up, !down) -> !x
    scf.yield %z : !x
  } else {
    scf.yield %x : !x
  }
  return %y : !x
}

// Without tokens ranks take part all the same.
// CHECK-LABEL: func.func @no_tokens
// CHECK: moe.dispatch
// CHECK: moe.return %{{.*}} : tensor<?x8xf32> -> tensor<0x8xf32>
func.func @no_tokens(%x: tensor<0x8xf32>, %ids: tensor<0x2x!moe.id<expert[4]>>, %p: tensor<0x2xf32>, %u: !up, %d: !down) -> tensor<0x8xf32> {
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> : (tensor<0x8xf32>, tensor<0x2x!moe.id<expert[4]>>, tensor<0x2xf32>, !up, !down) -> tensor<0x8xf32>
  return %y : tensor<0x8xf32>
}
