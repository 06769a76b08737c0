// Expert layers in the reference lowering. Values are compared in test/e2e/test_experts_values.py.
// RUN: moe-opt %s --convert-moe-to-linalg | FileCheck %s --implicit-check-not=moe.

!x = tensor<?x6xf32>
!ids = tensor<?x2x!moe.id<expert[4]>>
!p = tensor<?x2xf32>
!in = !moe.weight<6x3xf32, expert[4]>
!out = !moe.weight<3x6xf32, expert[4]>

// One contraction for each matrix, on rows of token and slot; the sum leaves out slots whose id is none.
// CHECK-LABEL: func.func @swiglu(
// CHECK-SAME:    %[[X:.*]]: tensor<?x6xf32>, %[[IDS:.*]]: tensor<?x2xi32>, %[[P:.*]]: tensor<?x2xf32>,
// CHECK-SAME:    %[[GATE:.*]]: tensor<4x6x3xf32>, %[[UP:.*]]: tensor<4x6x3xf32>, %[[DOWN:.*]]: tensor<4x3x6xf32>)
// CHECK:         %[[U:.*]] = linalg.generic {{.*}} ins(%[[X]], %[[IDS]] : {{.*}} outs(%{{.*}} : tensor<?x2x3xf32>)
// CHECK:           tensor.extract %[[UP]]
// CHECK:         %[[G:.*]] = linalg.generic {{.*}} ins(%[[X]], %[[IDS]] : {{.*}} outs(%{{.*}} : tensor<?x2x3xf32>)
// CHECK:           tensor.extract %[[GATE]]
// CHECK:         %[[H:.*]] = linalg.generic {{.*}} ins(%[[U]], %[[G]] :
// CHECK:           math.exp
// CHECK:         %[[Y:.*]] = linalg.generic {{.*}} ins(%[[H]], %[[IDS]] : {{.*}} outs(%{{.*}} : tensor<?x2x6xf32>)
// CHECK:           tensor.extract %[[DOWN]]
// CHECK:         %[[SUM:.*]] = linalg.generic {{.*}} ins(%[[Y]], %[[IDS]], %[[P]] : {{.*}} outs(%{{.*}} : tensor<?x6xf32>)
// CHECK-NEXT:    ^bb0(%[[VALUE:.*]]: f32, %[[ID:.*]]: i32, %[[WEIGHT:.*]]: f32, %[[BEFORE:.*]]: f32):
// CHECK:           arith.mulf %[[WEIGHT]], %[[VALUE]]
// CHECK-DAG:       %[[IS_EXPERT:.*]] = arith.cmpi ult, %[[ID]], %c4_i32{{.*}} : i32
// CHECK-DAG:       %[[AFTER:.*]] = arith.addf
// CHECK:           arith.select %[[IS_EXPERT]], %[[AFTER]], %[[BEFORE]] : f32
// CHECK:         return %[[SUM]]
func.func @swiglu(%x: !x, %ids: !ids, %p: !p, %g: !in, %u: !in, %d: !out) -> !x {
  %y = moe.experts %x to %ids weighted %p gate %g up %u down %d act <silu> : (!x, !ids, !p, !in, !in, !out) -> !x
  return %y : !x
}

// The gate weight multiplies the input, a row for each slot, and is not used again.
// CHECK-LABEL: func.func @gated_on_input(
// CHECK-SAME:    %[[X:.*]]: tensor<?x6xf32>, %[[IDS:.*]]: tensor<?x2xi32>, %[[P:.*]]: tensor<?x2xf32>,
// CHECK:         %[[ROWS:.*]] = linalg.generic {{.*}} ins(%[[X]], %[[P]] : {{.*}} outs(%{{.*}} : tensor<?x2x6xf32>)
// CHECK:           arith.mulf
// CHECK:         linalg.generic {{.*}} ins(%[[ROWS]], %[[IDS]] :
// CHECK:         linalg.generic {{.*}} ins(%{{.*}}, %[[IDS]], %[[P]] : {{.*}} outs(%{{.*}} : tensor<?x6xf32>)
// CHECK-NOT:       arith.mulf
// CHECK:         return
func.func @gated_on_input(%x: !x, %ids: !ids, %p: !p, %u: !in, %d: !out) -> !x {
  %y = moe.experts %x to %ids weighted %p gated on_input up %u down %d act <relu> : (!x, !ids, !p, !in, !out) -> !x
  return %y : !x
}

// Biases are looked up by id; one without an axis holds for all experts.
// CHECK-LABEL: func.func @biases(
// CHECK-SAME:    %[[UP_BIAS:[^ ]*]]: tensor<4x1x3xf32>, %[[DOWN_BIAS:[^ ]*]]: tensor<1x6xf32>)
// CHECK:         tensor.extract %[[UP_BIAS]][
// CHECK:         arith.addf
// CHECK:         tensor.extract %[[DOWN_BIAS]][
// CHECK:         arith.addf
func.func @biases(%x: !x, %ids: !ids, %p: !p, %u: !in, %d: !out, %bu: !moe.weight<1x3xf32, expert[4]>,
                  %bd: !moe.weight<1x6xf32>) -> !x {
  %y = moe.experts %x to %ids weighted %p up %u down %d up_bias %bu down_bias %bd act <relu>
    : (!x, !ids, !p, !in, !out, !moe.weight<1x3xf32, expert[4]>, !moe.weight<1x6xf32>) -> !x
  return %y : !x
}

// Contractions accumulate in f32 and round once.
// CHECK-LABEL: func.func @bf16(
// CHECK:         linalg.generic {{.*}} outs(%{{.*}} : tensor<?x2x3xf32>)
// CHECK:           arith.extf
// CHECK:         arith.truncf %{{.*}} : f32 to bf16
func.func @bf16(%x: tensor<?x6xbf16>, %ids: !ids, %p: tensor<?x2xbf16>, %u: !moe.weight<6x3xbf16>,
                %d: !moe.weight<3x6xbf16>) -> tensor<?x6xbf16> {
  %y = moe.experts %x to %ids weighted %p up %u down %d act <relu>
    : (tensor<?x6xbf16>, !ids, tensor<?x2xbf16>, !moe.weight<6x3xbf16>, !moe.weight<3x6xbf16>) -> tensor<?x6xbf16>
  return %y : tensor<?x6xbf16>
}

// Special experts take the input as it is, gated on output, and are added to the sum of the real ones.
// CHECK-LABEL: func.func @specials(
// CHECK-SAME:    %[[X:[^ ]*]]: tensor<?x6xf32>, %[[IDS:[^ ]*]]: tensor<?x2xi32>, %[[P:[^ ]*]]: tensor<?x2xf32>,
// CHECK-SAME:    %[[CONSTANTS:[^ ]*]]: tensor<1x6xf32>, %[[MIXING:[^ ]*]]: tensor<1x6x2xf32>)
// CHECK:         %[[REAL:.*]] = linalg.generic {{.*}} ins(%{{.*}}, %[[IDS]], %[[P]] :
// CHECK:         linalg.generic {{.*}} ins(%[[X]], %[[MIXING]] :
// CHECK:         %[[SPECIAL:.*]] = linalg.generic {{.*}} ins(%[[X]], %[[IDS]], %[[P]] :
// CHECK:           tensor.extract %[[CONSTANTS]]
// CHECK:         %[[SUM:.*]] = linalg.generic {{.*}} ins(%[[REAL]], %[[SPECIAL]] :
// CHECK:           arith.addf
// CHECK:         return %[[SUM]]
func.func @specials(%x: !x, %ids: tensor<?x2x!moe.id<expert[4+3]>>, %p: !p, %u: !in, %d: !out, %c: tensor<1x6xf32>,
                    %m: tensor<1x6x2xf32>) -> !x {
  %y = moe.experts %x to %ids weighted %p gated on_input up %u down %d act <relu>
    specials <zero 1 identity 1 constant 1> constants %c mixed by %m
    : (!x, tensor<?x2x!moe.id<expert[4+3]>>, !p, !in, !out, tensor<1x6xf32>, tensor<1x6x2xf32>) -> !x
  return %y : !x
}
