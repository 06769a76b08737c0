// Which ranks have which clusters: by load, memory, and what is chosen together.
// RUN: moe-opt %S/Inputs/two_layers.mlir --moe-insert-communication -o %t.sent
// RUN: %python %S/Inputs/write_traffic.py %t.traffic

// Without a profile all clusters are alike, and the layers' clusters take turns.
// RUN: moe-opt %t.sent --moe-place-experts=ranks=2 --remarks-filter='.*' 2>%t.remarks | FileCheck %s --check-prefix=ALIKE
// RUN: FileCheck %s --check-prefix=ALIKE-REMARK < %t.remarks
// ALIKE: moe.placement = {layers = {layer0 = [array<i32: 0>, array<i32: 1>, array<i32: 0>, array<i32: 1>], layer1 = [array<i32: 0>, array<i32: 1>, array<i32: 0>, array<i32: 1>]}, ranks = 2 : i64}
// ALIKE-REMARK: @layer0: 4 clusters on 2 ranks, the hottest of which has 1.000 times the mean load, with 0 replicas
// ALIKE-REMARK: most bytes of clusters on a rank: 51456

// Cluster 0 of the first layer has 5/8 of a row for each token, the others 1/8: every rank gets a replica. In the second layer tokens choose clusters 0
// and 2, or 1 and 3.
// RUN: moe-opt %t.sent --moe-place-experts="ranks=4 replicate-above=1.2 profile=%t.traffic" --remarks-filter='.*' 2>%t.remarks | FileCheck %s --check-prefix=HOT
// RUN: FileCheck %s --check-prefix=HOT-REMARK < %t.remarks
// HOT: layer0 = [array<i32: 0, 1, 2, 3>, array<i32: 1>, array<i32: 2>, array<i32: 3>], layer1 = [array<i32: 0>, array<i32: 1>, array<i32: 2>, array<i32: 3>]
// HOT-REMARK: @layer0: 4 clusters on 4 ranks, the hottest of which has 1.125 times the mean load, with 3 replicas
// HOT-REMARK: @layer1: 4 clusters on 4 ranks, the hottest of which has 1.000 times the mean load, with 0 replicas

// What is chosen together comes to one node; without room for replicas there are none.
// RUN: moe-opt %t.sent --moe-place-experts="ranks=4 ranks-per-node=2 memory=25728 profile=%t.traffic" | FileCheck %s --check-prefix=NODES
// NODES: layer0 = [array<i32: 0>, array<i32: 2>, array<i32: 3>, array<i32: 1>], layer1 = [array<i32: 0>, array<i32: 2>, array<i32: 1>, array<i32: 3>]

// More ranks than clusters: some have none, if no cluster is hot.
// RUN: moe-opt %t.sent --moe-place-experts="ranks=8 replicate-above=8" | FileCheck %s --check-prefix=MANY
// MANY: layer0 = [array<i32: 0>, array<i32: 1>, array<i32: 2>, array<i32: 3>], layer1 = [array<i32: 4>, array<i32: 5>, array<i32: 6>, array<i32: 7>]

// RUN: not moe-opt %t.sent --moe-place-experts="ranks=2 memory=12863" 2>&1 | FileCheck %s --check-prefix=ROOM
// ROOM: error: option memory: cluster 0 takes 12864 bytes, expected a rank that has as many left of 12863
// RUN: not moe-opt %t.sent --moe-place-experts=ranks=0 2>&1 | FileCheck %s --check-prefix=RANKS
// RANKS: error: option ranks: expected a number from 1 to 65536, found 0
// RUN: not moe-opt %t.sent --moe-place-experts="ranks=4 ranks-per-node=3" 2>&1 | FileCheck %s --check-prefix=PER-NODE
// PER-NODE: error: option ranks-per-node: expected a number that divides the ranks, or 0 for one node, found 3
// RUN: not moe-opt %t.sent --moe-place-experts=memory=-1 2>&1 | FileCheck %s --check-prefix=MEMORY
// MEMORY: error: option memory: expected bytes, or 0 for any number, found -1
// RUN: not moe-opt %t.sent --moe-place-experts=replicate-above=0.5 2>&1 | FileCheck %s --check-prefix=ABOVE
// ABOVE: error: option replicate-above: expected a number from 1 on, found 0.5

// A layer whose table is an argument, one of experts that share nothing, one that sends nothing.
// RUN: moe-opt %s --moe-insert-communication --moe-place-experts=ranks=3 --remarks-filter='.*' 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=WHY < %t.remarks
// CHECK: moe.placement = {layers = {plain = [array<i32: 0, 1, 2>, array<i32: 1>, array<i32: 2>, array<i32: 0>]}, ranks = 3 : i64}
// WHY: @by_argument is not placed: its table of clusters is not known here
// WHY: @plain: 4 clusters on 3 ranks, the hottest of which has 1.000 times the mean load, with 2 replicas
!x = tensor<?x8xf32>
!ids = tensor<?x2x!moe.id<expert[4]>>
!p = tensor<?x2xf32>
!up = !moe.weight<8x4xf32, expert[4]>
!down = !moe.weight<4x8xf32, expert[4]>
moe.param private @u : !up = #moe.seeded<1>
moe.param private @d : !down = #moe.seeded<2>
func.func @by_argument(%x: !x, %ids: !ids, %p: !p, %base: !moe.weight<8x4xf32, cluster[2]>, %t: !moe.table<expert[4] -> cluster[2]>) -> !x {
  %up = moe.weight.select %base by %t : !moe.weight<8x4xf32, cluster[2]>, !moe.table<expert[4] -> cluster[2]>
  %down = moe.leaf @d : !down
  %y = moe.experts %x to %ids weighted %p up %up down %down act <silu> : (!x, !ids, !p, !up, !down) -> !x
  return %y : !x
}
func.func @plain(%x: !x, %ids: !ids, %p: !p) -> !x {
  %up = moe.leaf @u : !up
  %down = moe.leaf @d : !down
  %y = moe.experts %x to %ids weighted %p up %up down %down act <silu> : (!x, !ids, !p, !up, !down) -> !x
  return %y : !x
}
func.func @shared(%x: !x, %ids: tensor<?x1x!moe.id<expert[1]>>, %p: tensor<?x1xf32>, %u: !moe.weight<8x4xf32, expert[1]>, %d: !moe.weight<4x8xf32, expert[1]>) -> !x {
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (!x, tensor<?x1x!moe.id<expert[1]>>, tensor<?x1xf32>, !moe.weight<8x4xf32, expert[1]>, !moe.weight<4x8xf32, expert[1]>) -> !x
  return %y : !x
}
