// Routers in the reference lowering: scores, bias, limits. Values are compared in test/e2e/test_route_values.py.
// RUN: moe-opt %s --convert-moe-to-linalg | FileCheck %s --implicit-check-not=moe.

!ids = tensor<?x2x!moe.id<expert[8]>>
!gates = tensor<?x2xf32>

// Softmax over the columns; ids become i32, and no loop has to remember what was taken.
// CHECK-LABEL: func.func @softmax(
// CHECK-SAME:    %[[LOGITS:.*]]: tensor<?x8xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
// CHECK:         %[[POWERS:.*]] = linalg.generic {{.*}} ins(%[[LOGITS]], %{{.*}} : tensor<?x8xf32>, tensor<?xf32>)
// CHECK:           math.exp
// CHECK:         %[[SCORES:.*]] = linalg.generic {{.*}} ins(%[[POWERS]], %{{.*}} : tensor<?x8xf32>, tensor<?xf32>)
// CHECK:           arith.divf
// CHECK:         %[[KEYS:.*]] = linalg.generic {{.*}} ins(%[[SCORES]] :
// CHECK:         %[[COLUMNS:.*]]:2 = scf.for {{.*}} -> (tensor<?x2xi32>, tensor<?x2xf32>) {
// CHECK:           tensor.extract %[[KEYS]]
// CHECK:         %[[GATES:.*]] = linalg.generic {{.*}} ins(%[[COLUMNS]]#0 : {{.*}} outs(%{{.*}} : tensor<?x2xf32>)
// CHECK:           tensor.extract %[[SCORES]]
// CHECK:         return %[[COLUMNS]]#0, %{{.*}} : tensor<?x2xi32>, tensor<?x2xf32>
func.func @softmax(%l: tensor<?x8xf32>) -> (!ids, !gates) {
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores> : (tensor<?x8xf32>) -> (!ids, !gates)
  return %ids, %p : !ids, !gates
}

// The bias steers the choice only: gates read the scores without it.
// CHECK-LABEL: func.func @bias(
// CHECK-SAME:    %[[LOGITS:.*]]: tensor<?x8xf32>, %[[BIAS:.*]]: tensor<8xf32>)
// CHECK:         %[[SCORES:.*]] = linalg.generic {{.*}} ins(%[[LOGITS]] :
// CHECK:           math.exp
// CHECK:         linalg.generic {{.*}} ins(%[[SCORES]], %[[BIAS]] :
// CHECK:           arith.addf
// CHECK:         tensor.extract %[[SCORES]]
func.func @bias(%l: tensor<?x8xf32>, %b: tensor<8xf32>) -> (!ids, !gates) {
  %ids, %p = moe.route %l score sigmoid bias %b choose <top_k 2> gates <scores, l1>
    : (tensor<?x8xf32>, tensor<8xf32>) -> (!ids, !gates)
  return %ids, %p : !ids, !gates
}

// log1p would be lowered to log(1 + y), which is 0 for small y.
// CHECK-LABEL: func.func @sqrt_softplus(
// CHECK-NOT:     math.log1p
// CHECK:         math.absf
// CHECK:         math.exp
// CHECK:         math.log
// CHECK-NOT:     math.log1p
// CHECK:         math.sqrt
func.func @sqrt_softplus(%l: tensor<?x8xf32>) -> (!ids, !gates) {
  %ids, %p = moe.route %l score sqrt_softplus choose <top_k 2> gates <scores> : (tensor<?x8xf32>) -> (!ids, !gates)
  return %ids, %p : !ids, !gates
}

// Everything is computed in f32; only the gate weights are rounded, at the end.
// CHECK-LABEL: func.func @bf16(
// CHECK-SAME:    -> (tensor<?x2xi32>, tensor<?x2xbf16>)
// CHECK:         arith.extf %{{.*}} : bf16 to f32
// CHECK-NOT:     bf16
// CHECK:         %[[ROUNDED:.*]] = tensor.empty(%{{.*}}) : tensor<?x2xbf16>
// CHECK:         linalg.generic {{.*}} outs(%[[ROUNDED]] : tensor<?x2xbf16>)
// CHECK:           arith.truncf %{{.*}} : f32 to bf16
func.func @bf16(%l: tensor<?x8xbf16>) -> (!ids, tensor<?x2xbf16>) {
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores, l1> : (tensor<?x8xbf16>) -> (!ids, tensor<?x2xbf16>)
  return %ids, %p : !ids, tensor<?x2xbf16>
}

// f64 stays f64.
// CHECK-LABEL: func.func @f64(
// CHECK-NOT:     f32
// CHECK:         return
func.func @f64(%l: tensor<?x8xf64>) -> (!ids, tensor<?x2xf64>) {
  %ids, %p = moe.route %l score sigmoid choose <top_k 2> gates <scores> : (tensor<?x8xf64>) -> (!ids, tensor<?x2xf64>)
  return %ids, %p : !ids, tensor<?x2xf64>
}

// Contiguous groups of two, scored by the sum of their two best, which one pass finds.
// CHECK-LABEL: func.func @limit(
// CHECK:         %[[GROUP_OF:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<8xi32>)
// CHECK:           %[[SIZE:.*]] = arith.constant 2 : i32
// CHECK:           arith.divsi %{{.*}}, %[[SIZE]]
// CHECK:         %[[MEMBERS:.*]] = linalg.generic {{.*}} ins(%[[GROUP_OF]] :
// CHECK:         %[[BEST:.*]]:2 = scf.for {{.*}} -> (tensor<?x4xf32>, tensor<?x4xf32>) {
// CHECK:           tensor.extract %[[GROUP_OF]]
// CHECK:           arith.cmpf ogt
// CHECK:           arith.cmpf ogt
// CHECK:         linalg.generic {{.*}} ins(%[[BEST]]#0, %[[BEST]]#1, %[[MEMBERS]] :
// CHECK:           arith.addf
// CHECK:         %[[RANKS:.*]] = linalg.generic {{.*}} ins(%[[G:.*]], %[[G]] : {{.*}} outs(%{{.*}} : tensor<?x4xi32>)
// CHECK:         linalg.generic {{.*}} ins(%{{.*}}, %[[GROUP_OF]] : {{.*}} outs(%{{.*}} : tensor<?x8xf32>)
// CHECK:           tensor.extract %[[RANKS]]
// CHECK:           %[[MASKED:.*]] = arith.constant 0xFF800000 : f32
// CHECK:           arith.select %{{.*}}, %{{.*}}, %[[MASKED]] : f32
func.func @limit(%l: tensor<?x8xf32>) -> (!ids, !gates) {
  %ids, %p = moe.route %l score sigmoid limit <keep 2 of 4 by top2_sum> choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>) -> (!ids, !gates)
  return %ids, %p : !ids, !gates
}

// The best member needs no ranks within groups.
// CHECK-LABEL: func.func @limit_by_max(
// CHECK:         %[[GROUP_OF:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<8xi32>)
// CHECK-NOT:     tensor<?x8xi32>
// CHECK:         scf.for
// CHECK:           tensor.extract %[[GROUP_OF]]
// CHECK:           arith.cmpf ogt
// CHECK:           tensor.insert %{{.*}} : tensor<?x4xf32>
func.func @limit_by_max(%l: tensor<?x8xf32>) -> (!ids, !gates) {
  %ids, %p = moe.route %l score sigmoid limit <keep 2 of 4 by max> choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>) -> (!ids, !gates)
  return %ids, %p : !ids, !gates
}

// The sum over all members needs no ranks within groups.
// CHECK-LABEL: func.func @limit_by_sum(
// CHECK:         %[[KEYS:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<?x8xf32>)
// CHECK:         %[[GROUP_OF:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<8xi32>)
// CHECK-NOT:     tensor<?x8xi32>
// CHECK:         linalg.generic {{.*}} ins(%{{.*}}, %[[GROUP_OF]] : {{.*}} outs(%{{.*}} : tensor<?x4xf32>)
// CHECK:           arith.cmpi eq
// CHECK-NEXT:      arith.addf
// CHECK-NEXT:      arith.select
func.func @limit_by_sum(%l: tensor<?x8xf32>) -> (!ids, !gates) {
  %ids, %p = moe.route %l score softmax limit <keep 2 of 4 by sum> choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>) -> (!ids, !gates)
  return %ids, %p : !ids, !gates
}

// Groups of a table, scored by the model: no ranks within groups. Special experts, from column 8 on, are never masked.
// CHECK-LABEL: func.func @limit_of_clusters(
// CHECK-SAME:    %[[LOGITS:.*]]: tensor<?x10xf32>, %[[TABLE:.*]]: tensor<8xi32>, %[[SCORES:.*]]: tensor<?x3xf32>)
// CHECK:         tensor.extract %[[TABLE]]
// CHECK:         %[[GROUPS:.*]] = linalg.generic {{.*}} ins(%[[SCORES]] :
// CHECK:         %[[RANKS:.*]] = linalg.generic {{.*}} ins(%[[GROUPS]], %[[GROUPS]] :
// CHECK:         tensor.extract %[[RANKS]]
// CHECK:         %[[ZERO:.*]] = arith.constant 0.000000e+00 : f32
// CHECK:         %[[REAL:.*]] = arith.constant 8 : i32
// CHECK:         %[[IS_SPECIAL:.*]] = arith.cmpi sge, %{{.*}}, %[[REAL]] : i32
// CHECK:         arith.select %{{.*}}, %{{.*}}, %[[ZERO]] : f32
// CHECK:         arith.select %[[IS_SPECIAL]],
func.func @limit_of_clusters(%l: tensor<?x10xf32>, %t: !moe.table<expert[8] -> cluster[3]>, %g: tensor<?x3xf32>)
    -> (tensor<?x2x!moe.id<expert[8+2]>>, !gates) {
  %ids, %p = moe.route %l score softmax limit <keep 1 of 3 by logits masked zero> clusters %t scored by %g
    choose <top_k 2> gates <scores> specials <zero 2>
    : (tensor<?x10xf32>, !moe.table<expert[8] -> cluster[3]>, tensor<?x3xf32>) -> (tensor<?x2x!moe.id<expert[8+2]>>, !gates)
  return %ids, %p : tensor<?x2x!moe.id<expert[8+2]>>, !gates
}

// No tokens, and extents known in one place only.
// CHECK-LABEL: func.func @extents(
// CHECK:         tensor.cast %{{.*}} : tensor<?x2xi32> to tensor<4x2xi32>
// CHECK:         return %{{.*}} : tensor<0x2xf32>, tensor<4x2xi32>
func.func @extents(%l: tensor<0x8xf32>, %m: tensor<?x8xf32>) -> (tensor<0x2xf32>, tensor<4x2x!moe.id<expert[8]>>) {
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores>
    : (tensor<0x8xf32>) -> (tensor<0x2x!moe.id<expert[8]>>, tensor<0x2xf32>)
  %ids4, %p4 = moe.route %m score softmax choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>) -> (tensor<4x2x!moe.id<expert[8]>>, !gates)
  return %p, %ids4 : tensor<0x2xf32>, tensor<4x2x!moe.id<expert[8]>>
}
