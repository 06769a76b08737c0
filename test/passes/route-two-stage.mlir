// A flat router keeps the best clusters first; what cannot be limited is left, and says why.
// RUN: moe-opt %s --moe-cluster-experts=clusters=2 --moe-route-two-stage="clusters-per-token=1 by=top2_sum" --remarks-filter='.*' 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks
// RUN: moe-opt %s --moe-cluster-experts=clusters=2 --moe-route-two-stage=by=sum | FileCheck %s --check-prefix=SUM
// RUN: moe-opt %s --moe-cluster-experts=clusters=2 --moe-route-two-stage | FileCheck %s --check-prefix=MAX

// SUM-LABEL: func.func @layer0
// SUM: limit <keep 1 of 2 by sum>
// MAX-LABEL: func.func @layer0
// MAX: limit <keep 1 of 2 by max>

// REMARK-DAG: [Passed] route-two-stage{{.+}}tokens choose 1 of 2 clusters by top2_sum, then 2 experts; choices may change
// REMARK-DAG: [Missed] route-two-stage{{.+}}router left flat: only a top_k choice among all experts can be limited
// REMARK-DAG: [Missed] route-two-stage{{.+}}router left flat: the router has a limit of its own
// REMARK-DAG: [Missed] route-two-stage{{.+}}router left flat: the ids do not come from a moe.route
// REMARK-DAG: [Missed] route-two-stage{{.+}}router left flat: no clusters; run moe-cluster-experts first

// Prototypes need the traffic of the layer, and its input.
// RUN: not moe-opt %s --moe-cluster-experts=clusters=2 --moe-route-two-stage=by=prototypes 2>&1 | FileCheck %s --check-prefix=TRAFFIC
// TRAFFIC: error: 'moe.experts' op prototypes need a profile of this layer, found none

!up = !moe.weight<4x6xf32, expert[4]>
!down = !moe.weight<6x4xf32, expert[4]>
!ids = tensor<?x2x!moe.id<expert[4]>>
moe.param private @up : !up = #moe.seeded<1>
moe.param private @down : !down = #moe.seeded<2>
moe.param private @router : !moe.weight<4x4xf32> = #moe.seeded<3>

// CHECK-LABEL: func.func @layer0
// CHECK: %[[T:.+]] = moe.leaf @layer0.cluster
// CHECK: moe.route %{{.+}} score softmax limit <keep 1 of 2 by top2_sum> clusters %[[T]] choose <top_k 2>
func.func @layer0(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %r = moe.leaf @router : !moe.weight<4x4xf32>
  %l = moe.apply %x, %r : tensor<?x4xf32>, !moe.weight<4x4xf32> -> tensor<?x4xf32>
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores, l1> : (tensor<?x4xf32>) -> (!ids, tensor<?x2xf32>)
  %u = moe.leaf @up : !up
  %d = moe.leaf @down : !down
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> : (tensor<?x4xf32>, !ids, tensor<?x2xf32>, !up, !down) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// CHECK-LABEL: func.func @top_p
// CHECK-NOT: limit <
func.func @top_p(%x: tensor<?x4xf32>, %l: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %ids, %p = moe.route %l score softmax choose <top_p 2 at 0.5> gates <scores, l1> : (tensor<?x4xf32>) -> (!ids, tensor<?x2xf32>)
  %u = moe.leaf @up : !up
  %d = moe.leaf @down : !down
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> : (tensor<?x4xf32>, !ids, tensor<?x2xf32>, !up, !down) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

// CHECK-LABEL: func.func @limited
// CHECK: limit <keep 1 of 2 by max>
func.func @limited(%x: tensor<?x4xf32>, %l: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %ids, %p = moe.route %l score softmax limit <keep 1 of 2 by max> choose <top_k 2> gates <scores, l1> : (tensor<?x4xf32>) -> (!ids, tensor<?x2xf32>)
  %u = moe.leaf @up : !up
  %d = moe.leaf @down : !down
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> : (tensor<?x4xf32>, !ids, tensor<?x2xf32>, !up, !down) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

func.func @elsewhere(%x: tensor<?x4xf32>, %ids: !ids, %p: tensor<?x2xf32>) -> tensor<?x4xf32> {
  %u = moe.leaf @up : !up
  %d = moe.leaf @down : !down
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> : (tensor<?x4xf32>, !ids, tensor<?x2xf32>, !up, !down) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}

func.func @arguments(%x: tensor<?x4xf32>, %ids: !ids, %p: tensor<?x2xf32>, %u: !up, %d: !down) -> tensor<?x4xf32> {
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> : (tensor<?x4xf32>, !ids, tensor<?x2xf32>, !up, !down) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
