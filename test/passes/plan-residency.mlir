// Bases of clusters are paged, everything else that layers read stays; bytes, and the budgets that they need.
// RUN: moe-opt %S/Inputs/two_layers.mlir --moe-optimize --moe-select-layout --moe-plan-residency | FileCheck %s
// RUN: moe-opt %S/Inputs/two_layers.mlir --moe-optimize --moe-select-layout --moe-plan-residency --remarks-filter=.* -o /dev/null 2>&1 | FileCheck %s --check-prefix=FIGURES
// RUN: moe-opt %S/Inputs/two_layers.mlir --moe-optimize --moe-select-layout --moe-plan-residency=budget=32768 --remarks-filter=.* -o /dev/null 2>&1 | FileCheck %s --check-prefix=FIGURES
// RUN: not moe-opt %S/Inputs/two_layers.mlir --moe-optimize --moe-select-layout --moe-plan-residency=budget=32767 2>&1 | FileCheck %s --check-prefix=SMALLER
// RUN: not moe-opt %S/Inputs/two_layers.mlir --moe-plan-residency=budget=-1 2>&1 | FileCheck %s --check-prefix=NEGATIVE
// RUN: moe-opt %s --split-input-file --moe-plan-residency | FileCheck %s --check-prefix=DECLINED
// RUN: moe-opt %s --split-input-file --moe-plan-residency --remarks-filter=.* -o /dev/null 2>&1 | FileCheck %s --check-prefix=WHY

// CHECK: module attributes {moe.residency = {least = 32768 : i64, paged = 65536 : i64, pinned = 151616 : i64, records = 8 : i64}}
// CHECK: @layer0.router {{.*}} residency pinned
// CHECK: @layer0.cluster {{.*}} residency pinned
// CHECK: @layer0.gate.base {{.*}} encoding <int8 group 16 scale f16> layout panel16 residency cached
// CHECK: @layer0.gate.a {{.*}} residency pinned
// CHECK: @layer0.up.base {{.*}} residency cached
// CHECK: @layer0.down.base {{.*}} residency cached
// CHECK: @layer0.down.b {{.*}} residency pinned
// CHECK: @layer1.down.base {{.*}} residency cached

// A record is 3 · (1536 bytes of codes + 192 of scales), and takes two pages; a call may meet all four of a layer.
// FIGURES: 151616 bytes pinned, 65536 bytes paged in 8 records of 2 layers; smallest budget for them 32768 bytes
// SMALLER: error: option budget: expected at least 32768 bytes, which all bases of one layer take, found 32767
// NEGATIVE: error: option budget: expected bytes, or 0 for any number, found -1

// The layer is in graph form: nothing says which bases a product reads.
!base = !moe.weight<4x4xf32, cluster[2]>
!w = !moe.weight<4x4xf32, expert[4]>
!t = !moe.table<expert[4] -> cluster[2]>
!ids = tensor<?x1x!moe.id<expert[4]>>
// WHY: @graph stays in memory: @graph.base is read by moe.weight.select, not by the groups of a moe.group
// WHY: 80 bytes pinned, 0 bytes paged in 0 records of 0 layers; smallest budget for them 0 bytes
// DECLINED: @graph.base {{.*}} residency pinned
moe.param private @graph.base : !base = #moe.seeded<1> encoding <bf16>
moe.param private @graph.table : !t = dense<0> : tensor<4xi32>
// An original that only a recipe reads is none of its business.
// DECLINED: @original : {{.*}} = #moe.seeded<2> residency cold
moe.param private @original : !w = #moe.seeded<2> residency cold
func.func @graph(%x: tensor<?x4xf32>, %ids: !ids) -> tensor<?x1x4xf32> {
  %b = moe.leaf @graph.base : !base
  %t = moe.leaf @graph.table : !t
  %w = moe.weight.select %b by %t : !base, !t
  %y = moe.apply %x, %w at %ids : tensor<?x4xf32>, !w at !ids -> tensor<?x1x4xf32>
  return %y : tensor<?x1x4xf32>
}
// -----
// No clusters: experts of their own.
// WHY: @experts stays in memory: it has no bases of clusters
moe.param private @own : !moe.weight<4x4xf32, expert[4]> = #moe.seeded<1>
func.func @experts(%x: tensor<?x4xf32>, %ids: tensor<?x1x!moe.id<expert[4]>>) -> tensor<?x1x4xf32> {
  %w = moe.leaf @own : !moe.weight<4x4xf32, expert[4]>
  %y = moe.apply %x, %w at %ids : tensor<?x4xf32>, !moe.weight<4x4xf32, expert[4]> at tensor<?x1x!moe.id<expert[4]>> -> tensor<?x1x4xf32>
  return %y : tensor<?x1x4xf32>
}
// -----
// Somebody wants a base to stay: then all of the layer's do, as they are in one record.
// WHY: @pinned stays in memory: @pinned.down is pinned
// DECLINED: @pinned.up {{.*}} residency pinned
moe.param private @pinned.up : !moe.weight<4x4xf32, cluster[2]> = #moe.seeded<1>
moe.param private @pinned.down : !moe.weight<4x4xf32, cluster[2]> = #moe.seeded<1> residency pinned
func.func @pinned(%x: tensor<8x4xf32>, %c: tensor<8x1x!moe.id<cluster[2]>>, %p: tensor<8x1xf32>, %rows: tensor<8xi32>, %off: tensor<3xi32>,
                  %e: tensor<8x!moe.id<cluster[2]>>, %w: tensor<8xf32>, %o: tensor<8x4xf32>) -> tensor<8x4xf32> {
  %up = moe.leaf @pinned.up : !moe.weight<4x4xf32, cluster[2]>
  %down = moe.leaf @pinned.down : !moe.weight<4x4xf32, cluster[2]>
  %g:5 = moe.group ins(%c, %c, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x1x!moe.id<cluster[2]>>, tensor<8x1xf32>)
    outs(%rows, %off, %rows, %e, %w : tensor<8xi32>, tensor<3xi32>, tensor<8xi32>, tensor<8x!moe.id<cluster[2]>>, tensor<8xf32>)
    -> tensor<8xi32>, tensor<3xi32>, tensor<8xi32>, tensor<8x!moe.id<cluster[2]>>, tensor<8xf32>
  %h = moe.grouped_matmul ins(%x : tensor<8x4xf32>) weights(%up : !moe.weight<4x4xf32, cluster[2]>) groups(%g#1 : tensor<3xi32>) outs(%o : tensor<8x4xf32>) -> tensor<8x4xf32>
  %y = moe.grouped_matmul ins(%h : tensor<8x4xf32>) weights(%down : !moe.weight<4x4xf32, cluster[2]>) groups(%g#1 : tensor<3xi32>) outs(%o : tensor<8x4xf32>) -> tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}
// -----
// Whose record would it be?
// WHY: @one stays in memory: @shared is read by several functions
// WHY: @two stays in memory: @shared is read by several functions
moe.param private @shared : !moe.weight<1x4xf32, cluster[2]> = #moe.seeded<1>
func.func @one(%c: tensor<8x!moe.id<cluster[2]>>) -> tensor<8x4xf32> {
  %b = moe.leaf @shared : !moe.weight<1x4xf32, cluster[2]>
  %y = moe.lookup %b at %c : !moe.weight<1x4xf32, cluster[2]>, tensor<8x!moe.id<cluster[2]>> -> tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}
func.func @two(%c: tensor<8x!moe.id<cluster[2]>>) -> tensor<8x4xf32> {
  %b = moe.leaf @shared : !moe.weight<1x4xf32, cluster[2]>
  %y = moe.lookup %b at %c : !moe.weight<1x4xf32, cluster[2]>, tensor<8x!moe.id<cluster[2]>> -> tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}
// -----
// WHY: @uneven stays in memory: @uneven.down has another number of clusters
moe.param private @uneven.up : !moe.weight<4x4xf32, cluster[2]> = #moe.seeded<1>
moe.param private @uneven.down : !moe.weight<4x4xf32, cluster[3]> = #moe.seeded<1>
func.func @uneven(%x: tensor<8x4xf32>, %c: tensor<8x1x!moe.id<cluster[2]>>, %p: tensor<8x1xf32>, %rows: tensor<8xi32>, %off: tensor<3xi32>,
                  %e: tensor<8x!moe.id<cluster[2]>>, %w: tensor<8xf32>, %o: tensor<8x4xf32>, %d: tensor<8x!moe.id<cluster[3]>>) -> tensor<8x4xf32> {
  %up = moe.leaf @uneven.up : !moe.weight<4x4xf32, cluster[2]>
  %down = moe.leaf @uneven.down : !moe.weight<4x4xf32, cluster[3]>
  %g:5 = moe.group ins(%c, %c, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x1x!moe.id<cluster[2]>>, tensor<8x1xf32>)
    outs(%rows, %off, %rows, %e, %w : tensor<8xi32>, tensor<3xi32>, tensor<8xi32>, tensor<8x!moe.id<cluster[2]>>, tensor<8xf32>)
    -> tensor<8xi32>, tensor<3xi32>, tensor<8xi32>, tensor<8x!moe.id<cluster[2]>>, tensor<8xf32>
  %h = moe.grouped_matmul ins(%x : tensor<8x4xf32>) weights(%up : !moe.weight<4x4xf32, cluster[2]>) groups(%g#1 : tensor<3xi32>) outs(%o : tensor<8x4xf32>) -> tensor<8x4xf32>
  %y = moe.grouped_matmul ins(%h : tensor<8x4xf32>) weights(%down : !moe.weight<4x4xf32, cluster[3]>) entries(%d : tensor<8x!moe.id<cluster[3]>>) outs(%o : tensor<8x4xf32>) -> tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}
