// What is between a moe.dispatch and its moe.return becomes a loop over received rows.
// RUN: moe-opt %S/../../passes/Inputs/two_layers.mlir --moe-insert-communication --moe-optimize --moe-select-layout --moe-bind-params --convert-moe-to-moert \
// RUN:   -o %t --remarks-filter=.* 2>&1 | FileCheck %s --check-prefix=REMARK
// RUN: FileCheck %s --check-prefix=LAYER --input-file=%t
// RUN: moe-opt %s --convert-moe-to-moert | FileCheck %s
// RUN: moe-opt %s --convert-moe-to-moert=rows-at-a-time=256 | FileCheck %s --check-prefix=MORE

// REMARK: @block0 sends rows in 1 exchange

// Clusters of choices are looked up, none where there is no expert. The whole layer is in the loop, its router in front.
// LAYER-LABEL: func.func @block0
// LAYER-SAME: %[[X:[^:]*]]: tensor<?x32xf32>
// LAYER-SAME: %[[TABLE:[^:]*]]: tensor<8xi32>
// LAYER: %[[CHOSEN:.*]], %[[P:.*]] = moe.route
// LAYER: %[[IDS:.*]] = moe.id_cast %[[CHOSEN]] : tensor<?x2x!moe.id<expert[8]>> to tensor<?x2xi32>
// LAYER: %[[C:.*]] = linalg.generic {{.*}} ins(%[[IDS]] : tensor<?x2xi32>)
// LAYER: tensor.extract %[[TABLE]]
// LAYER: %[[E:.*]], %[[SUMS:.*]] = moert.begin ins(%[[X]], %[[IDS]], %[[P]] : {{.*}}) by(%[[C]] : tensor<?x2xi32>) outs(%{{.*}} : tensor<?x32xf32>) parts 1
// LAYER: %[[ROWS:.*]] = arith.maxui %{{.*}}, %c64
// LAYER-NEXT: moert.dispatch %[[E]] part 0
// LAYER: %[[COUNT:.*]], %[[R:.*]] = moert.receive %[[E]] part 0
// LAYER: scf.for %[[FIRST:.*]] = %{{.*}} to %[[COUNT]] step %[[ROWS]] {
// LAYER: tensor.empty(%[[ROWS]]) : tensor<?x32xf32>
// LAYER: %[[READ:.*]]:3 = moert.read %[[R]][%[[FIRST]]]
// LAYER: moe.id_cast %[[READ]]#1 : tensor<?x2xi32> to tensor<?x2x!moe.id<expert[8]>>
// LAYER: moe.group
// LAYER: moe.grouped_up
// LAYER: %[[OUT:.*]] = moe.scatter_combine
// LAYER: moert.write %[[R]][%[[FIRST]]] ins(%[[OUT]] : tensor<?x32xf32>)
// LAYER: moert.send_back %[[R]]
// LAYER-NEXT: %[[Y:.*]] = moert.collect %[[E]] part 0 ins(%[[X]], %[[IDS]], %[[P]] : {{.*}}) by(%[[C]] : tensor<?x2xi32>) outs(%[[SUMS]] : tensor<?x32xf32>)
// LAYER-NEXT: return %[[Y]]

!x = tensor<?x16xf32>
!ids = tensor<?x2x!moe.id<expert[4]>>
!p = tensor<?x2xf32>

// Without a table ids are clusters. Between, what needs no received rows is done while these come.
// CHECK-LABEL: func.func @beside
// CHECK: moert.begin ins(%{{.*}}) outs(
// CHECK: moert.dispatch
// CHECK: %[[OTHER:.*]] = moe.apply
// CHECK: moert.receive
// CHECK: scf.for
// CHECK-NEXT: %{{.*}} = tensor.empty
// CHECK: moert.read
// CHECK: %[[SUM:.*]] = arith.addf
// CHECK-NEXT: moert.write %{{.*}} ins(%[[SUM]]
// CHECK: moert.collect
// CHECK: arith.addf %{{.*}}, %[[OTHER]]
// MORE: arith.maxui %{{.*}}, %c256
func.func @beside(%x: !x, %ids: !ids, %p: !p, %w: !moe.weight<16x16xf32>) -> !x {
  %rows, %row_ids, %row_p, %exchange = moe.dispatch %x, %ids, %p : !x, !ids, !p
  %twice = arith.addf %rows, %rows : !x
  %other = moe.apply %x, %w : !x, !moe.weight<16x16xf32> -> !x
  %back = moe.return %twice, %exchange : !x -> !x
  %y = arith.addf %back, %other : !x
  return %y : !x
}

// Gate weights travel as f32. In parts one is on its way while another is computed; each is of half of the tokens.
// CHECK-LABEL: func.func @parts
// CHECK-SAME: %[[X:[^:]*]]: tensor<?x16xbf16>, %{{[^:]*}}: tensor<?x2x!moe.id<expert[4]>>, %[[P:[^:]*]]: tensor<?x2xbf16>
// CHECK: %[[WIDE:.*]] = arith.extf %[[P]] : tensor<?x2xbf16> to tensor<?x2xf32>
// CHECK: %[[E:.*]], %[[SUMS:.*]] = moert.begin ins(%[[X]], %{{.*}}, %[[WIDE]] : {{.*}} parts 2
// CHECK: %[[HALF:.*]] = arith.ceildivui %{{.*}}, %c2
// CHECK: arith.maxui %[[HALF]]
// CHECK: moert.dispatch %[[E]] part 0
// CHECK: moert.dispatch %[[E]] part 1
// CHECK: moert.receive %[[E]] part 0
// CHECK: arith.truncf %{{.*}} : tensor<?x2xf32> to tensor<?x2xbf16>
// CHECK: moert.send_back
// CHECK: moert.receive %[[E]] part 1
// CHECK: moert.send_back
// CHECK-NEXT: %[[FIRST:.*]] = moert.collect %[[E]] part 0 {{.*}}outs(%[[SUMS]] :
// CHECK-NEXT: %[[Y:.*]] = moert.collect %[[E]] part 1 {{.*}}outs(%[[FIRST]] :
// CHECK-NEXT: return %[[Y]]
func.func @parts(%x: tensor<?x16xbf16>, %ids: !ids, %p: tensor<?x2xbf16>) -> tensor<?x16xbf16> {
  %rows, %row_ids, %row_p, %exchange = moe.dispatch %x, %ids, %p {moe.parts = 2 : i64} : tensor<?x16xbf16>, !ids, tensor<?x2xbf16>
  %c = moe.spread %rows : tensor<?x16xbf16> -> tensor<?x2x16xbf16>
  %s = moe.combine %c weighted %row_p : tensor<?x2x16xbf16> weighted tensor<?x2xbf16> -> tensor<?x16xbf16>
  %y = moe.return %s, %exchange : tensor<?x16xbf16> -> tensor<?x16xbf16>
  return %y : tensor<?x16xbf16>
}
