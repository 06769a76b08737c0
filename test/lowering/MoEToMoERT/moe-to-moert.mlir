// Products that read paged bases stand between an acquire and its release; what needs none of them moves in front.
// RUN: moe-opt %S/../../passes/Inputs/two_layers.mlir --moe-optimize --moe-select-layout --moe-plan-residency --moe-insert-prefetch --moe-bind-params --convert-moe-to-moert --moe-verify-leases \
// RUN:   -o %t --remarks-filter=.* 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: FileCheck %s --check-prefix=LAYERS --input-file=%t
// RUN: moe-opt %S/../../passes/Inputs/two_layers.mlir --moe-optimize --moe-bind-params --convert-moe-to-moert | FileCheck %s --check-prefix=RESIDENT
// RUN: moe-opt %s --convert-moe-to-moert --moe-verify-leases | FileCheck %s

// REMARK: @block0 reads bases under 1 lease
// LAYERS: func.func @block0
// LAYERS-SAME: %{{[^:]*}}: tensor<?x3x32x16xi8> {moec.binding = "gate.base", moec.name = "gate.base", moec.paged, moec.part = "codes"}
// LAYERS-SAME: %{{[^:]*}}: tensor<?x3x2x16xf16> {moec.binding = "gate.base", moec.name = "gate.base.scales", moec.paged, moec.part = "scales"}
// LAYERS-SAME: %{{[^:]*}}: tensor<4xi32> {moec.below = 4 : i64, moec.binding = "gate.base", moec.name = "gate.base.slots", moec.part = "slots"}
// LAYERS-SAME: %[[TABLE:[^:]*]]: tensor<4xi32> {moec.below = 4 : i64, moec.binding = "down.base", moec.name = "down.base.slots", moec.part = "slots"}
// LAYERS: %[[C:.*]], %{{.*}} = moe.clusters_of
// LAYERS: %[[IDS:.*]] = moe.id_cast %[[C]]
// LAYERS: moert.prefetch %[[IDS]] : tensor<?x2xi32>
// LAYERS: moert.prefetch %{{.*}} ahead 1
// LAYERS: moe.gather
// LAYERS: %[[INIT:.*]] = tensor.empty() : tensor<4xi32>
// LAYERS-NEXT: %[[LEASE:.*]], %[[SLOTS:.*]] = moert.acquire ins(%{{.*}}, %[[TABLE]] : tensor<?x2xi32>, tensor<4xi32>) pools(%{{.*}} : {{.*}}) outs(%[[INIT]] : tensor<4xi32>) -> tensor<4xi32>
// LAYERS-NEXT: moe.wrap %{{.*}} slots(%[[SLOTS]] : tensor<4xi32>)
// LAYERS-NEXT: moe.wrap %{{.*}} slots(%[[SLOTS]] : tensor<4xi32>)
// LAYERS-NEXT: moe.wrap %{{.*}} slots(%[[SLOTS]] : tensor<4xi32>)
// LAYERS-NEXT: moe.grouped_up
// LAYERS: moe.grouped_matmul
// LAYERS-NEXT: moert.release %[[LEASE]] slots(%[[SLOTS]] : tensor<4xi32>) pools(
// LAYERS-NEXT: moe.scatter_combine
// LAYERS: moe.layer @layer0 runs @block0 {{.*}}next.cluster = @layer1.cluster, next.router = @layer1.router
// LAYERS: moe.layer @layer1 runs @block1
// RESIDENT-NOT: moert.

!x = tensor<8x16xf32>
!pool = tensor<?x16x16xf32>
!c = tensor<8x1x!moe.id<cluster[4]>>
!l = tensor<8x!moe.id<cluster[4]>>
!w = !moe.weight<16x16xf32, cluster[4]>

// Two layers beside each other, their products in turn, and a product of one matrix: the shared one is done first, then what reads the first
// layer's bases, then what reads the second's. Hints that come late in the text come early.
// CHECK-LABEL: func.func @beside
// CHECK-SAME: %[[X:[^:]*]]: tensor<8x16xf32>, %[[C:[^:]*]]: tensor<8x1x!moe.id<cluster[4]>>, %[[D:[^:]*]]: tensor<8x1x!moe.id<cluster[4]>>
// CHECK: %[[FIRST:.*]]:5 = moe.group ins(%[[C]]
// CHECK: %[[SECOND:.*]]:5 = moe.group ins(%[[D]]
// CHECK: %[[SHARED:.*]] = moe.grouped_matmul ins(%[[X]] : tensor<8x16xf32>) weights(%{{.*}} : !moe.weight<16x16xf32>)
// CHECK-NEXT: moert.prefetch
// CHECK: moert.acquire
// CHECK: %[[A:.*]] = moe.grouped_matmul ins(%[[X]] : {{.*}}groups(%[[FIRST]]#1
// CHECK-NEXT: %[[A2:.*]] = moe.grouped_matmul ins(%[[A]] : {{.*}}groups(%[[FIRST]]#1
// CHECK-NEXT: moert.release
// CHECK: moert.acquire
// CHECK: %[[B:.*]] = moe.grouped_matmul ins(%[[X]] : {{.*}}groups(%[[SECOND]]#1
// CHECK-NEXT: %[[B1:.*]] = arith.addf %[[B]], %[[B]]
// CHECK-NEXT: %[[B2:.*]] = moe.grouped_matmul ins(%[[B1]] : {{.*}}groups(%[[SECOND]]#1
// CHECK-NEXT: moert.release
// CHECK: return %[[A2]], %[[B2]], %[[SHARED]]
func.func @beside(%x: !x, %c: !c, %d: !c, %p: tensor<8x1xf32>, %rows: tensor<8xi32>, %off: tensor<5xi32>, %e: !l, %q: tensor<8xf32>,
                  %pool: !pool, %table: tensor<4xi32>, %one: tensor<16x16xf32>) -> (!x, !x, !x) {
  %w = moe.wrap %pool slots(%table : tensor<4xi32>) : !pool to !w
  %s = moe.wrap %one : tensor<16x16xf32> to !moe.weight<16x16xf32>
  %o = tensor.empty() : !x
  %g:5 = moe.group ins(%c, %c, %p : !c, !c, tensor<8x1xf32>) outs(%rows, %off, %rows, %e, %q : tensor<8xi32>, tensor<5xi32>, tensor<8xi32>, !l, tensor<8xf32>)
    -> tensor<8xi32>, tensor<5xi32>, tensor<8xi32>, !l, tensor<8xf32>
  %h:5 = moe.group ins(%d, %d, %p : !c, !c, tensor<8x1xf32>) outs(%rows, %off, %rows, %e, %q : tensor<8xi32>, tensor<5xi32>, tensor<8xi32>, !l, tensor<8xf32>)
    -> tensor<8xi32>, tensor<5xi32>, tensor<8xi32>, !l, tensor<8xf32>
  %a = moe.grouped_matmul ins(%x : !x) weights(%w : !w) groups(%g#1 : tensor<5xi32>) outs(%o : !x) -> !x
  %b = moe.grouped_matmul ins(%x : !x) weights(%w : !w) groups(%h#1 : tensor<5xi32>) outs(%o : !x) -> !x
  %b1 = arith.addf %b, %b : !x
  %a2 = moe.grouped_matmul ins(%a : !x) weights(%w : !w) groups(%g#1 : tensor<5xi32>) outs(%o : !x) -> !x
  %b2 = moe.grouped_matmul ins(%b1 : !x) weights(%w : !w) groups(%h#1 : tensor<5xi32>) outs(%o : !x) -> !x
  %o2 = tensor.empty() : !x
  %y = moe.grouped_matmul ins(%x : !x) weights(%s : !moe.weight<16x16xf32>) outs(%o2 : !x) -> !x
  moert.prefetch %rows ahead 1 : tensor<8xi32>
  return %a2, %b2, %y : !x, !x, !x
}

// A pool of known extent holds all clusters: nothing to wait for.
// CHECK-LABEL: func.func @resident
// CHECK-NOT: moert
// CHECK: return
func.func @resident(%x: !x, %off: tensor<5xi32>, %pool: tensor<4x16x16xf32>, %table: tensor<4xi32>, %o: !x) -> !x {
  %w = moe.wrap %pool slots(%table : tensor<4xi32>) : tensor<4x16x16xf32> to !w
  %y = moe.grouped_matmul ins(%x : !x) weights(%w : !w) groups(%off : tensor<5xi32>) outs(%o : !x) -> !x
  return %y : !x
}
