// Weight expressions become dense tensors [entries,] IN, OUT; a weight without axis has no entries.
// RUN: moe-opt %s --convert-moe-to-linalg --canonicalize --cse | FileCheck %s --implicit-check-not="moe."

!w = !moe.weight<4x6xf32, expert[8]>
!one = !moe.weight<4x6xf32>

// CHECK-DAG: #[[$ENTRY:.*]] = affine_map<(d0, d1, d2) -> (d0)>
// CHECK-DAG: #[[$WHOLE:.*]] = affine_map<(d0, d1, d2) -> (d0, d1, d2)>
// CHECK-DAG: #[[$FOR_ALL:.*]] = affine_map<(d0, d1, d2) -> (d1, d2)>
// CHECK-DAG: #[[$LHS:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d3)>
// CHECK-DAG: #[[$RHS_FOR_ALL:.*]] = affine_map<(d0, d1, d2, d3) -> (d3, d2)>
// CHECK-DAG: #[[$RHS:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d3, d2)>
// CHECK-DAG: #[[$OUT:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, d1, d2)>
// CHECK-DAG: #[[$BASIS:.*]] = affine_map<(d0, d1, d2, d3) -> (d3, d1, d2)>
// CHECK-DAG: #[[$ALPHA:.*]] = affine_map<(d0, d1, d2, d3) -> (d0, 0, d3)>
// CHECK-DAG: #[[$ALPHA_FOR_ALL:.*]] = affine_map<(d0, d1, d2) -> (0, d2)>
// CHECK-DAG: #[[$COLUMN:.*]] = affine_map<(d0, d1, d2) -> (d0, 0, d2)>
// CHECK-DAG: #[[$ROW_FOR_ALL:.*]] = affine_map<(d0, d1) -> (0, d0)>
// CHECK-DAG: #[[$FIRST:.*]] = affine_map<(d0, d1) -> (0)>

// A table entry outside is compared unsigned, read at 0, and gives zero.
// CHECK-LABEL: func.func @select
// CHECK-SAME: (%[[W:.*]]: tensor<2x4x6xf32>, %[[T:.*]]: tensor<8xi32>) -> tensor<8x4x6xf32>
// CHECK: linalg.generic {indexing_maps = [#[[$ENTRY]], #[[$WHOLE]]], {{.*}}} ins(%[[T]] : tensor<8xi32>)
// CHECK: ^bb0(%[[TO:.*]]: i32, %{{.*}}: f32):
// CHECK: %[[INSIDE:.*]] = arith.cmpi ult, %[[TO]], %c2_i32
// CHECK: %[[SAFE:.*]] = arith.select %[[INSIDE]], %[[TO]], %c0_i32
// CHECK: %[[AT:.*]] = arith.index_cast %[[SAFE]]
// CHECK: %[[X:.*]] = tensor.extract %[[W]][%[[AT]],
// CHECK: arith.select %[[INSIDE]], %[[X]], %cst
func.func @select(%w: !moe.weight<4x6xf32, cluster[2]>, %t: !moe.table<expert[8] -> cluster[2]>) -> !w {
  %0 = moe.weight.select %w by %t : !moe.weight<4x6xf32, cluster[2]>, !moe.table<expert[8] -> cluster[2]>
  return %0 : !w
}

// Products of narrow types accumulate in f32 and round once.
// CHECK-LABEL: func.func @mul
// CHECK: linalg.generic {indexing_maps = [#[[$LHS]], #[[$RHS_FOR_ALL]], #[[$OUT]]], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
// CHECK: arith.mulf {{.*}} : f32
// CHECK: arith.addf {{.*}} : f32
// CHECK: linalg.generic
// CHECK: arith.truncf {{.*}} : f32 to bf16
// CHECK: return {{.*}} : tensor<8x4x6xbf16>
func.func @mul(%a: !moe.weight<4x3xbf16, expert[8]>, %b: !moe.weight<3x6xbf16>) -> !moe.weight<4x6xbf16, expert[8]> {
  %0 = moe.weight.mul %a, %b : !moe.weight<4x3xbf16, expert[8]>, !moe.weight<3x6xbf16>
  return %0 : !moe.weight<4x6xbf16, expert[8]>
}

// f64 accumulates in f64.
// CHECK-LABEL: func.func @mul_f64
// CHECK: linalg.generic {indexing_maps = [#[[$LHS]], #[[$RHS]], #[[$OUT]]]
// CHECK: arith.mulf {{.*}} : f64
// CHECK-NOT: trunc
// CHECK: return {{.*}} : tensor<8x4x6xf64>
func.func @mul_f64(%a: !moe.weight<4x3xf64, expert[8]>, %b: !moe.weight<3x6xf64, expert[8]>) -> !moe.weight<4x6xf64, expert[8]> {
  %0 = moe.weight.mul %a, %b : !moe.weight<4x3xf64, expert[8]>, !moe.weight<3x6xf64, expert[8]>
  return %0 : !moe.weight<4x6xf64, expert[8]>
}

// CHECK-LABEL: func.func @add
// CHECK: linalg.generic {indexing_maps = [#[[$FOR_ALL]], #[[$WHOLE]], #[[$WHOLE]]]
// CHECK: arith.addf
func.func @add(%a: !one, %b: !w) -> !w {
  %0 = moe.weight.add %a, %b : !one, !w
  return %0 : !w
}

// CHECK-LABEL: func.func @mix
// CHECK: linalg.generic {indexing_maps = [#[[$BASIS]], #[[$ALPHA]], #[[$OUT]]], iterator_types = ["parallel", "parallel", "parallel", "reduction"]}
// CHECK: return {{.*}} : tensor<8x4x6xf32>
func.func @mix(%b: !moe.weight<4x6xf32, basis[3]>, %a: !moe.weight<1x3xf32, expert[8]>) -> !w {
  %0 = moe.weight.mix %b, %a : !moe.weight<4x6xf32, basis[3]>, !moe.weight<1x3xf32, expert[8]>
  return %0 : !w
}

// The sum is rounded before phi, phi once more.
// CHECK-LABEL: func.func @mix_phi
// CHECK: linalg.generic {{.*}}#[[$ALPHA_FOR_ALL]]
// CHECK: arith.truncf {{.*}} : f32 to f16
// CHECK: arith.extf
// CHECK: math.tanh {{.*}} : f32
// CHECK: arith.truncf {{.*}} : f32 to f16
func.func @mix_phi(%b: !moe.weight<4x6xf16, basis[3]>, %a: !moe.weight<1x3xf16>) -> !moe.weight<4x6xf16> {
  %0 = moe.weight.mix phi tanh %b, %a : !moe.weight<4x6xf16, basis[3]>, !moe.weight<1x3xf16>
  return %0 : !moe.weight<4x6xf16>
}

// CHECK-LABEL: func.func @scale_output
// CHECK: linalg.generic {indexing_maps = [#[[$FOR_ALL]], #[[$COLUMN]], #[[$WHOLE]]]
// CHECK: arith.mulf
func.func @scale_output(%w: !one, %d: !moe.weight<1x6xf32, expert[8]>) -> !w {
  %0 = moe.weight.scale output %w, %d : !one, !moe.weight<1x6xf32, expert[8]>
  return %0 : !w
}

// CHECK-LABEL: func.func @scale_input
// CHECK: linalg.generic {{.*}}#[[$ROW_FOR_ALL]]
func.func @scale_input(%w: !one, %d: !moe.weight<1x4xf32>) -> !one {
  %0 = moe.weight.scale input %w, %d : !one, !moe.weight<1x4xf32>
  return %0 : !one
}

// Compared signed: a negative size keeps nothing.
// CHECK-LABEL: func.func @ragged
// CHECK-SAME: (%[[W:.*]]: tensor<8x4x6xf32>, %[[S:.*]]: tensor<8xi32>)
// CHECK: linalg.generic {indexing_maps = [#[[$WHOLE]], #[[$ENTRY]], #[[$WHOLE]]]
// CHECK: %[[ROW:.*]] = linalg.index 1
// CHECK: %[[I:.*]] = arith.index_cast %[[ROW]]
// CHECK: %[[KEPT:.*]] = arith.cmpi slt, %[[I]],
// CHECK: arith.select %[[KEPT]], %{{.*}}, %cst
func.func @ragged(%w: !w, %s: tensor<8xi32>) -> !w {
  %0 = moe.weight.ragged input %w to %s : !w, tensor<8xi32>
  return %0 : !w
}

// CHECK-LABEL: func.func @ragged_for_all
// CHECK: linalg.generic {{.*}}#[[$FIRST]]
// CHECK: linalg.index 1
func.func @ragged_for_all(%w: !one, %s: tensor<1xi32>) -> !one {
  %0 = moe.weight.ragged output %w to %s : !one, tensor<1xi32>
  return %0 : !one
}

// Row and column must both be inside; the sum stays as it is otherwise.
// CHECK-LABEL: func.func @sparse
// CHECK-SAME: (%[[V:.*]]: tensor<8x1x5xf32>, %[[P:.*]]: tensor<8x5x2xi32>)
// CHECK: linalg.fill
// CHECK: scf.for %[[I:.*]] = %c0 to %c8
// CHECK: scf.for %[[J:.*]] = %c0 to %c5 {{.*}} iter_args(%[[SUM:.*]] =
// CHECK: tensor.extract %[[P]][%[[I]], %[[J]], %c0]
// CHECK: tensor.extract %[[P]][%[[I]], %[[J]], %c1]
// CHECK-DAG: %[[ROW:.*]] = arith.cmpi ult, %{{.*}}, %c4_i32
// CHECK-DAG: %[[COLUMN:.*]] = arith.cmpi ult, %{{.*}}, %c6_i32
// CHECK: %[[INSIDE:.*]] = arith.andi %[[ROW]], %[[COLUMN]]
// CHECK: %[[AFTER:.*]] = arith.addf
// CHECK: %[[NEXT:.*]] = arith.select %[[INSIDE]], %[[AFTER]], %
// CHECK: tensor.insert %[[NEXT]] into %[[SUM]]
func.func @sparse(%v: !moe.weight<1x5xf32, expert[8]>, %p: tensor<8x5x2xi32>) -> !w {
  %0 = moe.weight.sparse %v at %p : !moe.weight<1x5xf32, expert[8]>, tensor<8x5x2xi32> -> !w
  return %0 : !w
}

// CHECK-LABEL: func.func @sparse_for_all
// CHECK-SAME: (%[[V:.*]]: tensor<1x5xf32>, %[[P:.*]]: tensor<5x2xi32>)
// CHECK: tensor.extract %[[P]][%{{.*}}, %c0] : tensor<5x2xi32>
// CHECK: return {{.*}} : tensor<4x6xf32>
func.func @sparse_for_all(%v: !moe.weight<1x5xf32>, %p: tensor<5x2xi32>) -> !one {
  %0 = moe.weight.sparse %v at %p : !moe.weight<1x5xf32>, tensor<5x2xi32> -> !one
  return %0 : !one
}

// Any offset is safe: a place outside, negative ones too, reads zero.
// CHECK-LABEL: func.func @slice_output
// CHECK-SAME: (%[[W:.*]]: tensor<8x4x6xf32>, %[[O:.*]]: index) -> tensor<8x4x2xf32>
// CHECK: %[[ROW:.*]] = linalg.index 1
// CHECK: %[[J:.*]] = linalg.index 2
// CHECK: %[[AT:.*]] = arith.addi %[[J]], %[[O]]
// CHECK: %[[INSIDE:.*]] = arith.cmpi ult, %[[AT]], %c6
// CHECK: %[[SAFE:.*]] = arith.select %[[INSIDE]], %[[AT]], %c0
// CHECK: %[[X:.*]] = tensor.extract %[[W]][%{{.*}}, %[[ROW]], %[[SAFE]]]
// CHECK: arith.select %[[INSIDE]], %[[X]], %cst
func.func @slice_output(%w: !w, %o: index) -> !moe.weight<4x2xf32, expert[8]> {
  %0 = moe.weight.slice output %w[%o] : !w -> !moe.weight<4x2xf32, expert[8]>
  return %0 : !moe.weight<4x2xf32, expert[8]>
}

// CHECK-LABEL: func.func @slice_input
// CHECK: arith.cmpi ult, %{{.*}}, %c4
func.func @slice_input(%w: !one, %o: index) -> !moe.weight<2x6xf32> {
  %0 = moe.weight.slice input %w[%o] : !one -> !moe.weight<2x6xf32>
  return %0 : !moe.weight<2x6xf32>
}
