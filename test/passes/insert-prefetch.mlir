// Prefetches of a layer's own clusters as soon as their ids exist, and of what the next layer's router chooses for its rows.
// RUN: moe-opt %S/Inputs/two_layers.mlir --moe-optimize --moe-plan-residency --moe-insert-prefetch -o %t --remarks-filter=.* 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: FileCheck %s --input-file=%t
// RUN: moe-opt %S/Inputs/two_layers.mlir --moe-optimize --moe-plan-residency --moe-insert-prefetch=gates-ahead=0 | FileCheck %s --check-prefix=OWN
// RUN: sed '/param private @layer1.router/,$!d; s/layer1/layer2/g' %S/Inputs/two_layers.mlir > %t.third
// RUN: cat %S/Inputs/two_layers.mlir %t.third | moe-opt --moe-optimize --moe-plan-residency --moe-insert-prefetch=gates-ahead=2 | FileCheck %s --check-prefix=TWO
// RUN: moe-opt %S/Inputs/two_layers.mlir --moe-optimize --moe-insert-prefetch | FileCheck %s --check-prefix=RESIDENT
// RUN: moe-opt %s --split-input-file --moe-plan-residency --moe-insert-prefetch -o %t.declined --remarks-filter=.* 2>&1 | FileCheck %s --check-prefix=WHY
// RUN: FileCheck %s --input-file=%t.declined --check-prefix=DECLINED

// REMARK: @layer0 prefetches what the router of @layer1 chooses for its rows
// REMARK: @layer1 prefetches nothing ahead: no layer follows

// CHECK-LABEL: func.func @layer0
// CHECK-SAME: %[[X:[^:]*]]: tensor<?x32xf32>
// CHECK: %[[C:.*]], %{{.*}} = moe.clusters_of
// CHECK-NEXT: %[[IDS:.*]] = moe.id_cast %[[C]] : tensor<?x2x!moe.id<cluster[4]>> to tensor<?x2xi32>
// CHECK-NEXT: moert.prefetch %[[IDS]] : tensor<?x2xi32>
// CHECK: moe.leaf @layer1.router {moec.bound_as = "next.router"}
// CHECK: %[[L:.*]] = moe.grouped_matmul ins(%[[X]] :
// CHECK: %[[NEXT:.*]], %{{.*}} = moe.route %[[L]]
// CHECK: %[[T:.*]] = moe.leaf @layer1.cluster {moec.bound_as = "next.cluster"}
// CHECK: %[[D:.*]], %{{.*}} = moe.clusters_of %[[NEXT]] by %[[T]]
// CHECK-NEXT: %[[MET:.*]] = moe.id_cast %[[D]]
// CHECK-NEXT: moert.prefetch %[[MET]] ahead 1 : tensor<?x2xi32>
// CHECK-NOT: moe.leaf @layer1
// CHECK-LABEL: func.func @layer1
// CHECK: moert.prefetch %{{.*}} : tensor<?x2xi32>
// CHECK-NOT: moert.prefetch

// OWN-COUNT-2: moert.prefetch {{.*}} : tensor<?x2xi32>
// OWN-NOT: moert.prefetch
// OWN-NOT: moec.bound_as
// RESIDENT-NOT: moert.prefetch

// Two layers ahead, the nearest first; the last but one has only one behind it.
// TWO-LABEL: func.func @layer0
// TWO: moert.prefetch %{{.*}} : tensor<?x2xi32>
// TWO: moe.leaf @layer1.router {moec.bound_as = "next.router"}
// TWO: moert.prefetch %{{.*}} ahead 1 : tensor<?x2xi32>
// TWO: moe.leaf @layer2.router {moec.bound_as = "next2.router"}
// TWO: moe.leaf @layer2.cluster {moec.bound_as = "next2.cluster"}
// TWO: moert.prefetch %{{.*}} ahead 2 : tensor<?x2xi32>
// TWO-LABEL: func.func @layer1
// TWO: moe.leaf @layer2.router {moec.bound_as = "next.router"}
// TWO: moert.prefetch %{{.*}} ahead 1 : tensor<?x2xi32>
// TWO-NOT: ahead 2
// TWO-LABEL: func.func @layer2
// TWO-NOT: ahead

!ids = tensor<?x1x!moe.id<cluster[2]>>
!base = !moe.weight<4x4xf32, cluster[2]>

// Clusters are an argument: asked for at once. The layer behind computes its own from rows it has, of a type that this one has not.
// WHY: @first prefetches nothing of @second: its router reads argument 0, which this layer does not have
// WHY: @second prefetches nothing of @third: its router reads argument 1, which may be another one in each layer
// WHY: @third prefetches nothing of @fourth: none of its bases is paged
// DECLINED-LABEL: func.func @first
// DECLINED-NEXT: moe.id_cast %{{.*}} : tensor<?x1x!moe.id<cluster[2]>> to tensor<?x1xi32>
// DECLINED-NEXT: moert.prefetch
// DECLINED-NOT: moert.prefetch
// DECLINED-LABEL: func.func @second
moe.param private @first.base : !base = #moe.seeded<1>
moe.param private @second.base : !base = #moe.seeded<1>
moe.param private @second.table : !moe.table<expert[4] -> cluster[2]> = dense<0> : tensor<4xi32>
moe.param private @third.base : !base = #moe.seeded<1>
moe.param private @fourth.w : !moe.weight<4x4xf32> = #moe.seeded<1>
func.func @first(%c: !ids, %p: tensor<?x1xf32>, %x: tensor<?x4xf32>, %rows: tensor<?xi32>, %off: tensor<3xi32>, %e: tensor<?x!moe.id<cluster[2]>>, %w: tensor<?xf32>, %o: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %g:5 = moe.group ins(%c, %c, %p : !ids, !ids, tensor<?x1xf32>) outs(%rows, %off, %rows, %e, %w : tensor<?xi32>, tensor<3xi32>, tensor<?xi32>, tensor<?x!moe.id<cluster[2]>>, tensor<?xf32>)
    -> tensor<?xi32>, tensor<3xi32>, tensor<?xi32>, tensor<?x!moe.id<cluster[2]>>, tensor<?xf32>
  %b = moe.leaf @first.base : !base
  %y = moe.grouped_matmul ins(%x : tensor<?x4xf32>) weights(%b : !base) groups(%g#1 : tensor<3xi32>) outs(%o : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
func.func @second(%experts: tensor<?x1x!moe.id<expert[4]>>, %which: tensor<4xi32>, %p: tensor<?x1xf32>, %x: tensor<?x4xf32>, %rows: tensor<?xi32>, %off: tensor<3xi32>, %e: tensor<?x!moe.id<cluster[2]>>, %w: tensor<?xf32>, %o: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %t = moe.leaf @second.table : !moe.table<expert[4] -> cluster[2]>
  %c, %slot = moe.clusters_of %experts by %t : tensor<?x1x!moe.id<expert[4]>>, !moe.table<expert[4] -> cluster[2]> -> !ids, tensor<?x1xi32>
  %g:5 = moe.group ins(%c, %c, %p : !ids, !ids, tensor<?x1xf32>) outs(%rows, %off, %rows, %e, %w : tensor<?xi32>, tensor<3xi32>, tensor<?xi32>, tensor<?x!moe.id<cluster[2]>>, tensor<?xf32>)
    -> tensor<?xi32>, tensor<3xi32>, tensor<?xi32>, tensor<?x!moe.id<cluster[2]>>, tensor<?xf32>
  %b = moe.leaf @second.base : !base
  %y = moe.grouped_matmul ins(%x : tensor<?x4xf32>) weights(%b : !base) groups(%g#1 : tensor<3xi32>) outs(%o : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
func.func @third(%experts: tensor<?x1x!moe.id<expert[4]>>, %fixed: tensor<4xi32>, %p: tensor<?x1xf32>, %x: tensor<?x4xf32>, %rows: tensor<?xi32>, %off: tensor<3xi32>, %e: tensor<?x!moe.id<cluster[2]>>, %w: tensor<?xf32>, %o: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %t = moe.wrap %fixed : tensor<4xi32> to !moe.table<expert[4] -> cluster[2]>
  %c, %slot = moe.clusters_of %experts by %t : tensor<?x1x!moe.id<expert[4]>>, !moe.table<expert[4] -> cluster[2]> -> !ids, tensor<?x1xi32>
  %g:5 = moe.group ins(%c, %c, %p : !ids, !ids, tensor<?x1xf32>) outs(%rows, %off, %rows, %e, %w : tensor<?xi32>, tensor<3xi32>, tensor<?xi32>, tensor<?x!moe.id<cluster[2]>>, tensor<?xf32>)
    -> tensor<?xi32>, tensor<3xi32>, tensor<?xi32>, tensor<?x!moe.id<cluster[2]>>, tensor<?xf32>
  %b = moe.leaf @third.base : !base
  %y = moe.grouped_matmul ins(%x : tensor<?x4xf32>) weights(%b : !base) groups(%g#1 : tensor<3xi32>) outs(%o : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
func.func @fourth(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %w = moe.leaf @fourth.w : !moe.weight<4x4xf32>
  %y = moe.apply %x, %w : tensor<?x4xf32>, !moe.weight<4x4xf32> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
// -----
// What has an effect is not done twice.
// WHY: @before prefetches nothing of @behind: its router has memref.load, which has effects
!ids = tensor<?x1x!moe.id<cluster[2]>>
!base = !moe.weight<4x4xf32, cluster[2]>
moe.param private @before.base : !base = #moe.seeded<1>
moe.param private @behind.base : !base = #moe.seeded<1>
memref.global "private" @seed : memref<1xi32> = dense<0>
func.func @before(%c: !ids, %p: tensor<?x1xf32>, %x: tensor<?x4xf32>, %rows: tensor<?xi32>, %off: tensor<3xi32>, %e: tensor<?x!moe.id<cluster[2]>>, %w: tensor<?xf32>, %o: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %g:5 = moe.group ins(%c, %c, %p : !ids, !ids, tensor<?x1xf32>) outs(%rows, %off, %rows, %e, %w : tensor<?xi32>, tensor<3xi32>, tensor<?xi32>, tensor<?x!moe.id<cluster[2]>>, tensor<?xf32>)
    -> tensor<?xi32>, tensor<3xi32>, tensor<?xi32>, tensor<?x!moe.id<cluster[2]>>, tensor<?xf32>
  %b = moe.leaf @before.base : !base
  %y = moe.grouped_matmul ins(%x : tensor<?x4xf32>) weights(%b : !base) groups(%g#1 : tensor<3xi32>) outs(%o : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
func.func @behind(%n: tensor<?x1xi32>, %p: tensor<?x1xf32>, %x: tensor<?x4xf32>, %rows: tensor<?xi32>, %off: tensor<3xi32>, %e: tensor<?x!moe.id<cluster[2]>>, %w: tensor<?xf32>, %o: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %c0 = arith.constant 0 : index
  %global = memref.get_global @seed : memref<1xi32>
  %seed = memref.load %global[%c0] : memref<1xi32>
  %tokens = tensor.dim %o, %c0 : tensor<?x4xf32>
  %numbers = tensor.splat %seed[%tokens] : tensor<?x1xi32>
  %c = moe.id_cast %numbers : tensor<?x1xi32> to !ids
  %g:5 = moe.group ins(%c, %c, %p : !ids, !ids, tensor<?x1xf32>) outs(%rows, %off, %rows, %e, %w : tensor<?xi32>, tensor<3xi32>, tensor<?xi32>, tensor<?x!moe.id<cluster[2]>>, tensor<?xf32>)
    -> tensor<?xi32>, tensor<3xi32>, tensor<?xi32>, tensor<?x!moe.id<cluster[2]>>, tensor<?xf32>
  %b = moe.leaf @behind.base : !base
  %y = moe.grouped_matmul ins(%x : tensor<?x4xf32>) weights(%b : !base) groups(%g#1 : tensor<3xi32>) outs(%o : tensor<?x4xf32>) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
// -----
// Two layers in one function: the first one's router is applied ahead, the second one's would need the first one's bases. Own clusters are
// asked for in both.
// WHY: @lead prefetches what the router of @pair chooses for its rows
// WHY: @lead prefetches nothing of @pair: its router reads bases that are paged
// DECLINED-LABEL: func.func @lead
// DECLINED-COUNT-2: moert.prefetch
// DECLINED-NOT: moert.prefetch
// DECLINED-LABEL: func.func @pair
// DECLINED-COUNT-2: moert.prefetch
!experts = tensor<8x1x!moe.id<expert[4]>>
!ids = tensor<8x1x!moe.id<cluster[2]>>
!list = tensor<8x!moe.id<cluster[2]>>
!base = !moe.weight<4x4xf32, cluster[2]>
!table = !moe.table<expert[4] -> cluster[2]>
moe.param private @lead.base : !base = #moe.seeded<1>
moe.param private @lead.table : !table = dense<0> : tensor<4xi32>
moe.param private @pair.one : !base = #moe.seeded<2>
moe.param private @pair.two : !base = #moe.seeded<3>
moe.param private @pair.table : !table = dense<0> : tensor<4xi32>
func.func @lead(%experts: !experts, %p: tensor<8x1xf32>, %x: tensor<8x4xf32>, %rows: tensor<8xi32>, %off: tensor<3xi32>, %e: !list, %w: tensor<8xf32>) -> tensor<8x4xf32> {
  %t = moe.leaf @lead.table : !table
  %c, %slot = moe.clusters_of %experts by %t : !experts, !table -> !ids, tensor<8x1xi32>
  %g:5 = moe.group ins(%c, %c, %p : !ids, !ids, tensor<8x1xf32>) outs(%rows, %off, %rows, %e, %w : tensor<8xi32>, tensor<3xi32>, tensor<8xi32>, !list, tensor<8xf32>)
    -> tensor<8xi32>, tensor<3xi32>, tensor<8xi32>, !list, tensor<8xf32>
  %b = moe.leaf @lead.base : !base
  %y = moe.grouped_matmul ins(%x : tensor<8x4xf32>) weights(%b : !base) groups(%g#1 : tensor<3xi32>) outs(%x : tensor<8x4xf32>) -> tensor<8x4xf32>
  return %y : tensor<8x4xf32>
}
func.func @pair(%experts: !experts, %p: tensor<8x1xf32>, %x: tensor<8x4xf32>, %rows: tensor<8xi32>, %off: tensor<3xi32>, %e: !list, %w: tensor<8xf32>) -> tensor<8x4xf32> {
  %t = moe.leaf @pair.table : !table
  %c, %slot = moe.clusters_of %experts by %t : !experts, !table -> !ids, tensor<8x1xi32>
  %g:5 = moe.group ins(%c, %c, %p : !ids, !ids, tensor<8x1xf32>) outs(%rows, %off, %rows, %e, %w : tensor<8xi32>, tensor<3xi32>, tensor<8xi32>, !list, tensor<8xf32>)
    -> tensor<8xi32>, tensor<3xi32>, tensor<8xi32>, !list, tensor<8xf32>
  %one = moe.leaf @pair.one : !base
  %y = moe.grouped_matmul ins(%x : tensor<8x4xf32>) weights(%one : !base) groups(%g#1 : tensor<3xi32>) outs(%x : tensor<8x4xf32>) -> tensor<8x4xf32>
  %chosen, %q = moe.route %y score softmax choose <top_k 1> gates <scores> : (tensor<8x4xf32>) -> (!experts, tensor<8x1xf32>)
  %d, %other = moe.clusters_of %chosen by %t : !experts, !table -> !ids, tensor<8x1xi32>
  %h:5 = moe.group ins(%d, %d, %q : !ids, !ids, tensor<8x1xf32>) outs(%rows, %off, %rows, %e, %w : tensor<8xi32>, tensor<3xi32>, tensor<8xi32>, !list, tensor<8xf32>)
    -> tensor<8xi32>, tensor<3xi32>, tensor<8xi32>, !list, tensor<8xf32>
  %two = moe.leaf @pair.two : !base
  %z = moe.grouped_matmul ins(%y : tensor<8x4xf32>) weights(%two : !base) groups(%h#1 : tensor<3xi32>) outs(%x : tensor<8x4xf32>) -> tensor<8x4xf32>
  return %z : tensor<8x4xf32>
}
