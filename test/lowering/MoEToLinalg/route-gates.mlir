// Gate weights and capacities in the reference lowering. Values are compared in test/e2e/test_route_values.py.
// RUN: moe-opt %s --convert-moe-to-linalg | FileCheck %s --implicit-check-not=moe.

!ids = tensor<?x2x!moe.id<expert[8]>>
!gates = tensor<?x2xf32>

// CHECK: #[[$FIRST_SLOT:.*]] = affine_map<(d0, d1, d2) -> (d0, 0)>

// Softmax over the chosen logits: slots without a column stand for -inf, and get 0 at the end.
// CHECK-LABEL: func.func @softmax(
// CHECK-SAME:    %[[LOGITS:.*]]: tensor<?x8xf32>)
// CHECK:         tensor.extract %[[LOGITS]]
// CHECK:         math.exp
// CHECK:         %[[GATES:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<?x2xf32>)
// CHECK:           arith.divf
// CHECK:         linalg.generic {{.*}} ins(%[[GATES]], %[[COLUMNS:.*]] : tensor<?x2xf32>, tensor<?x2xi32>)
// CHECK:           %[[SCALE:.*]] = arith.constant 2.500000e+00 : f32
// CHECK:           %[[SCALED:.*]] = arith.mulf %{{.*}}, %[[SCALE]] : f32
// CHECK:           arith.select %{{.*}}, %[[SCALED]], %cst{{.*}} : f32
func.func @softmax(%l: tensor<?x8xf32>) -> (!ids, !gates) {
  %ids, %p = moe.route %l score identity choose <top_k 2> gates <softmax scale 2.5> : (tensor<?x8xf32>) -> (!ids, !gates)
  return %ids, %p : !ids, !gates
}

// CHECK-LABEL: func.func @sigmoid(
// CHECK-SAME:    %[[LOGITS:.*]]: tensor<?x8xf32>)
// CHECK:         tensor.extract %[[LOGITS]]
// CHECK:         math.exp
// CHECK-NOT:     math.exp
// CHECK:         return
func.func @sigmoid(%l: tensor<?x8xf32>) -> (!ids, !gates) {
  %ids, %p = moe.route %l score identity choose <top_k 2> gates <sigmoid> : (tensor<?x8xf32>) -> (!ids, !gates)
  return %ids, %p : !ids, !gates
}

// Slot 1 also masks the column of slot 0; the threshold is twice the jitter.
// CHECK-LABEL: func.func @sparsemixer(
// CHECK-SAME:    %[[LOGITS:.*]]: tensor<?x8xf32>)
// CHECK:         linalg.generic {indexing_maps = [#{{.*}}, #{{.*}}, #[[$FIRST_SLOT]], #{{.*}}]{{.*}} ins(%[[LOGITS]],
// CHECK:           %[[JITTER:.*]] = arith.constant 2.500000e-01 : f32
// CHECK:           %[[IS_FAR:.*]] = arith.cmpf ogt, %{{.*}}, %[[JITTER]] : f32
// CHECK:           %[[IS_FIRST:.*]] = arith.andi
// CHECK:           arith.ori %[[IS_FAR]], %[[IS_FIRST]] : i1
func.func @sparsemixer(%l: tensor<?x8xf32>) -> (!ids, !gates) {
  %ids, %p = moe.route %l score identity choose <sparsemixer 2 at 0.125> gates <sparsemixer> : (tensor<?x8xf32>) -> (!ids, !gates)
  return %ids, %p : !ids, !gates
}

// A norm of 0 gives 0.
// CHECK-LABEL: func.func @l2(
// CHECK:         %[[SUMS:.*]] = linalg.generic {{.*}} outs(%{{.*}} : tensor<?xf32>)
// CHECK:           arith.mulf
// CHECK:         math.sqrt
// CHECK:         arith.addf
// CHECK:         %[[IS_ZERO:.*]] = arith.cmpf oeq
// CHECK:         %[[QUOTIENT:.*]] = arith.divf
// CHECK:         arith.select %[[IS_ZERO]], %{{.*}}, %[[QUOTIENT]] : f32
func.func @l2(%l: tensor<?x8xf32>) -> (!ids, !gates) {
  %ids, %p = moe.route %l score sigmoid choose <top_k 2> gates <scores, l2 eps 0.5> : (tensor<?x8xf32>) -> (!ids, !gates)
  return %ids, %p : !ids, !gates
}

// CHECK-LABEL: func.func @l1_floor(
// CHECK:         %[[FLOOR:.*]] = arith.constant 5.000000e-01 : f32
// CHECK:         %[[IS_BELOW:.*]] = arith.cmpf olt, %{{.*}}, %[[FLOOR]] : f32
// CHECK:         arith.select %[[IS_BELOW]], %[[FLOOR]],
func.func @l1_floor(%l: tensor<?x8xf32>) -> (!ids, !gates) {
  %ids, %p = moe.route %l score sigmoid choose <top_k 2> gates <scores, l1_floor eps 0.5> : (tensor<?x8xf32>) -> (!ids, !gates)
  return %ids, %p : !ids, !gates
}

// How many pairs come before a pair of the same expert: by slot, then token. Gates have no say.
// CHECK-LABEL: func.func @drop_last(
// CHECK:         math.ceil %{{.*}} : f64
// CHECK:         %[[ACCEPTED:.*]] = arith.fptosi %{{.*}} : f64 to i32
// CHECK:         %[[RANKS:.*]] = linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "reduction", "reduction"]
// CHECK-NOT:       arith.cmpf
// CHECK:         %[[IDS:.*]] = linalg.generic {{.*}} ins(%{{.*}}, %{{.*}}, %[[RANKS]] : {{.*}} outs(%{{.*}} : tensor<?x2xi32>)
// CHECK:           arith.cmpi ult, %{{.*}}, %[[ACCEPTED]] : i32
// CHECK:         %[[GATES:.*]] = linalg.generic {{.*}} ins(%{{.*}}, %{{.*}}, %[[RANKS]] : {{.*}} outs(%{{.*}} : tensor<?x2xf32>)
// CHECK:         return %[[IDS]], %[[GATES]] :
func.func @drop_last(%l: tensor<?x8xf32>) -> (!ids, !gates) {
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores> capacity <1.25 at_least 2 drop last>
    : (tensor<?x8xf32>) -> (!ids, !gates)
  return %ids, %p : !ids, !gates
}

// A larger gate comes first; the order of pairs decides between equal ones.
// CHECK-LABEL: func.func @drop_lowest(
// CHECK:         linalg.generic {{.*}}iterator_types = ["parallel", "parallel", "reduction", "reduction"]
// CHECK:           %[[EQUAL:.*]] = arith.cmpf oeq
// CHECK:           %[[TIE:.*]] = arith.andi %[[EQUAL]], %{{.*}} : i1
// CHECK:           arith.ori %{{.*}}, %[[TIE]] : i1
func.func @drop_lowest(%l: tensor<?x8xf32>) -> (!ids, !gates) {
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores> capacity <1.25 drop lowest>
    : (tensor<?x8xf32>) -> (!ids, !gates)
  return %ids, %p : !ids, !gates
}
