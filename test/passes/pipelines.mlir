// RUN: moe-opt %s --moe-optimize=to=graph | FileCheck %s --check-prefix=GRAPH
// RUN: moe-opt %s --moe-optimize=to=slot | FileCheck %s --check-prefix=SLOT
// RUN: moe-opt %s --moe-optimize=to=scheduled -o %t && FileCheck %s --check-prefix=SCHEDULED --input-file=%t
// The default is the last form; the same input gives the same bytes, on one thread or many; and the result is stable.
// RUN: moe-opt %s --moe-optimize | diff %t -
// RUN: moe-opt %s --moe-optimize --mlir-disable-threading | diff %t -
// RUN: moe-opt %s --moe-optimize=to=slot -o %t.slot && moe-opt %s --moe-optimize=to=slot --mlir-disable-threading | diff %t.slot -
// Input in another form is refused, not passed on.
// RUN: not moe-opt %t.slot --moe-optimize 2>&1 | FileCheck %s --check-prefix=REFUSED
// RUN: not moe-opt %s --moe-optimize=to=nowhere 2>&1 | FileCheck %s --check-prefix=OPTION
// REFUSED: 'moe.clusters_of' op is not part of graph form
// OPTION: nowhere

!x = tensor<?x64xf32>
!ids = tensor<?x4x!moe.id<expert[8]>>
!p = tensor<?x4xf32>
!t = !moe.table<expert[8] -> cluster[2]>
!in = !moe.weight<64x32xf32, expert[8]>
!out = !moe.weight<32x64xf32, expert[8]>
!in_base = !moe.weight<64x32xf32, cluster[2]>

moe.param private @t : !t = dense<[0, 0, 0, 0, 1, 1, 1, 1]> : tensor<8xi32>
moe.param private @gate : !in_base = #moe.seeded<1>
moe.param private @up : !in_base = #moe.seeded<2>
moe.param private @down : !out = #moe.seeded<3>

// Graph form is cleaned up only: selects move outward, leaves merge. Slot form shares, scheduled form groups and fuses.
// GRAPH-LABEL: func.func @layer
// GRAPH: %[[SUM:.+]] = moe.weight.add
// GRAPH: %[[GATE:.+]] = moe.weight.select %[[SUM]]
// GRAPH: moe.experts {{.*}} gate %[[GATE]]
// SLOT-LABEL: func.func @layer
// SLOT-COUNT-1: moe.clusters_of
// SLOT-NOT: moe.experts
// SLOT: moe.combine
// SCHEDULED-LABEL: func.func @layer
// SCHEDULED-COUNT-1: moe.group
// SCHEDULED-NOT: moe.combine
// SCHEDULED: moe.scatter_combine
func.func @layer(%x: !x, %l: tensor<?x8xf32>) -> !x {
  %t = moe.leaf @t : !t
  %same = moe.leaf @t : !t
  %ids, %p = moe.route %l score softmax limit <keep 1 of 2 by max> clusters %t choose <top_k 4> gates <scores> : (tensor<?x8xf32>, !t) -> (!ids, !p)
  %gw = moe.leaf @gate : !in_base
  %uw = moe.leaf @up : !in_base
  %d = moe.leaf @down : !out
  %gs = moe.weight.select %gw by %t : !in_base, !t
  %us = moe.weight.select %uw by %same : !in_base, !t
  %g = moe.weight.add %gs, %us : !in, !in
  %y = moe.experts %x to %ids weighted %p gate %g up %us down %d act <silu> : (!x, !ids, !p, !in, !in, !out) -> !x
  return %y : !x
}

// A second function, so that there is something to do at the same time; and a weight that only graph form could follow.
// SCHEDULED-LABEL: func.func @other
// SCHEDULED: moe.group
func.func @other(%x: !x, %ids: !ids, %p: !p, %u: !in, %d: !out) -> !x {
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> : (!x, !ids, !p, !in, !out) -> !x
  return %y : !x
}
