// moe.wrap: without encoding and slots nothing is computed; codes, scales, zero points and slots are decoded place by place.
// RUN: moe-opt %s --convert-moe-to-linalg --split-input-file | FileCheck %s

// CHECK-LABEL: func.func @plain
// CHECK-SAME: (%[[W:.+]]: tensor<2x3x4xf32>)
// CHECK-NEXT: return %[[W]]
func.func @plain(%t: tensor<2x3x4xf32>) -> !moe.weight<3x4xf32, expert[2]> {
  %w = moe.wrap %t : tensor<2x3x4xf32> to !moe.weight<3x4xf32, expert[2]>
  return %w : !moe.weight<3x4xf32, expert[2]>
}

// -----

// A slot outside the pool is a matrix of zeros, and nothing outside is read.
// CHECK-LABEL: func.func @pool
// CHECK-SAME: (%[[W:.+]]: tensor<2x3x4xbf16>, %[[S:.+]]: tensor<5xi32>)
// CHECK: linalg.generic {{.+}} ins(%[[S]] : tensor<5xi32>) outs(%{{.+}} : tensor<5x3x4xf32>)
// CHECK: ^bb0(%[[SLOT:.+]]: i32, %{{.+}}: f32):
// CHECK: %[[THERE:.+]] = arith.cmpi ult, %[[SLOT]], %{{.+}} : i32
// CHECK: %[[SAFE:.+]] = arith.select %[[THERE]], %[[SLOT]], %{{.+}} : i32
// CHECK: %[[PLACE:.+]] = arith.index_cast %[[SAFE]]
// CHECK: %[[CODE:.+]] = tensor.extract %[[W]][%[[PLACE]],
// CHECK: %[[VALUE:.+]] = arith.extf %[[CODE]] : bf16 to f32
// CHECK: arith.select %[[THERE]], %[[VALUE]], %{{.+}} : f32
func.func @pool(%t: tensor<2x3x4xbf16>, %s: tensor<5xi32>) -> !moe.weight<3x4xf32, cluster[5]> {
  %w = moe.wrap %t slots(%s : tensor<5xi32>) encoding <bf16> : tensor<2x3x4xbf16> to !moe.weight<3x4xf32, cluster[5]>
  return %w : !moe.weight<3x4xf32, cluster[5]>
}

// -----

// A paged pool has as many places as memory was given.
// CHECK-LABEL: func.func @paged
// CHECK-SAME: (%[[W:.+]]: tensor<?x3x4xf32>, %[[S:.+]]: tensor<5xi32>)
// CHECK: %[[PLACES:.+]] = tensor.dim %[[W]], %{{.+}}
// CHECK: ^bb0(%[[SLOT:.+]]: i32, %{{.+}}: f32):
// CHECK: %[[AT:.+]] = arith.index_cast %[[SLOT]]
// CHECK: %[[THERE:.+]] = arith.cmpi ult, %[[AT]], %[[PLACES]] : index
// CHECK: tensor.extract %[[W]]
// CHECK: arith.select %[[THERE]],
func.func @paged(%t: tensor<?x3x4xf32>, %s: tensor<5xi32>) -> !moe.weight<3x4xf32, cluster[5]> {
  %w = moe.wrap %t slots(%s : tensor<5xi32>) : tensor<?x3x4xf32> to !moe.weight<3x4xf32, cluster[5]>
  return %w : !moe.weight<3x4xf32, cluster[5]>
}

// -----

// int4: two codes in a byte, the low one first; value = scale · (code − zero point).
// CHECK-LABEL: func.func @int4
// CHECK: arith.divui
// CHECK: tensor.extract %{{.+}} : tensor<6xi8>
// CHECK: arith.extui
// CHECK: arith.remui
// CHECK: arith.shrui
// CHECK: arith.andi
// CHECK: %[[ZERO:.+]] = arith.extui %{{.+}} : i8 to i32
// CHECK: arith.subi %{{.+}}, %[[ZERO]]
// CHECK: arith.sitofp
// CHECK: arith.mulf
func.func @int4(%c: tensor<6xi8>, %s: tensor<1x4xf32>, %z: tensor<1x4xi8>) -> !moe.weight<3x4xf32> {
  %w = moe.wrap %c scales(%s : tensor<1x4xf32>) zero_points(%z : tensor<1x4xi8>) encoding <int4 group 3 zero_point> : tensor<6xi8> to !moe.weight<3x4xf32>
  return %w : !moe.weight<3x4xf32>
}

// -----

// panel16: column c lies in panel c / 16 at place c % 16, also without an encoding.
// CHECK-LABEL: func.func @panels
// CHECK: linalg.generic {{.+}} outs(%{{.+}} : tensor<3x20xf32>)
// CHECK-DAG: %[[ROW:.+]] = linalg.index 0
// CHECK-DAG: %[[COL:.+]] = linalg.index 1
// CHECK-DAG: %[[PANEL:.+]] = arith.divui %[[COL]], %{{.+}}
// CHECK-DAG: %[[AT:.+]] = arith.remui %[[COL]], %{{.+}}
// CHECK: tensor.extract %{{.+}}[%[[PANEL]], %[[ROW]], %[[AT]]] : tensor<2x3x16xf32>
func.func @panels(%c: tensor<2x3x16xf32>) -> !moe.weight<3x20xf32> {
  %w = moe.wrap %c layout panel16 : tensor<2x3x16xf32> to !moe.weight<3x20xf32>
  return %w : !moe.weight<3x20xf32>
}
