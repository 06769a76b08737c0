// How the codes of each encoding become 16 floats. Values are compared in test/e2e/test_cpu_values.py.
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-export-entries,moe-select-cpu-kernels,convert-moe-to-linalg,canonicalize,one-shot-bufferize,canonicalize,cse,convert-moe-to-cpu{isa=x86-64-v3},canonicalize,cse)' | FileCheck %s

// Two rows in a byte; a scale for each group, multiplied once behind its rows.
// CHECK-LABEL: func.func private @matmul_int4_g32_f16(
// CHECK:         vector.load {{.*}} vector<16xi8>
// CHECK-NEXT:    arith.extsi {{.*}} : vector<16xi8> to vector<16xi32>
// CHECK-DAG:     arith.shli {{.*}} : vector<16xi32>
// CHECK-DAG:     arith.shrsi {{.*}} : vector<16xi32>
// CHECK:         arith.sitofp {{.*}} : vector<16xi32> to vector<16xf32>
// CHECK:         vector.load {{.*}} vector<16xf16>
// CHECK-NEXT:    arith.extf {{.*}} : vector<16xf16> to vector<16xf32>
func.func @int4(%x: tensor<?x64xf32>, %codes: tensor<1x32x16xi8>, %scales: tensor<1x2x16xf16>, %e: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %w = moe.wrap %codes scales(%scales : tensor<1x2x16xf16>) encoding <int4 group 32 scale f16> layout panel16 : tensor<1x32x16xi8> to !moe.weight<64x16xf32>
  %y = moe.grouped_matmul ins(%x : tensor<?x64xf32>) weights(%w : !moe.weight<64x16xf32>) outs(%e : tensor<?x16xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// A zero point is taken off each code.
// CHECK-LABEL: func.func private @matmul_int8_g32_zp_f32(
// CHECK:         arith.extui {{.*}} : vector<16xi8> to vector<16xi32>
// CHECK:         arith.subf {{.*}} : vector<16xf32>
func.func @int8(%x: tensor<?x64xf32>, %codes: tensor<1x64x16xi8>, %scales: tensor<1x2x16xf32>, %zeros: tensor<1x2x16xi8>, %e: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %w = moe.wrap %codes scales(%scales : tensor<1x2x16xf32>) zero_points(%zeros : tensor<1x2x16xi8>) encoding <int8 group 32 zero_point> layout panel16 : tensor<1x64x16xi8> to !moe.weight<64x16xf32>
  %y = moe.grouped_matmul ins(%x : tensor<?x64xf32>) weights(%w : !moe.weight<64x16xf32>) outs(%e : tensor<?x16xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// As f16 of another bias; the one NaN has bits of its own.
// CHECK-LABEL: func.func private @matmul_f8e4m3(
// CHECK:         arith.cmpi eq, {{.*}} : vector<16xi16>
// CHECK:         arith.bitcast {{.*}} : vector<16xi16> to vector<16xf16>
// CHECK-NEXT:    arith.extf
func.func @f8(%x: tensor<?x64xf32>, %codes: tensor<1x64x16xi8>, %e: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %w = moe.wrap %codes encoding <f8e4m3> layout panel16 : tensor<1x64x16xi8> to !moe.weight<64x16xf32>
  %y = moe.grouped_matmul ins(%x : tensor<?x64xf32>) weights(%w : !moe.weight<64x16xf32>) outs(%e : tensor<?x16xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// bf16 is widened behind its load.
// CHECK-LABEL: func.func private @matmul_bf16(
// CHECK:         %[[CODES:.*]] = vector.load {{.*}} : memref<?xbf16>, vector<16xbf16>
// CHECK-NEXT:    arith.extf %[[CODES]] : vector<16xbf16> to vector<16xf32>
func.func @bf16(%x: tensor<?x64xf32>, %codes: tensor<1x64x16xbf16>, %e: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %w = moe.wrap %codes encoding <bf16> layout panel16 : tensor<1x64x16xbf16> to !moe.weight<64x16xf32>
  %y = moe.grouped_matmul ins(%x : tensor<?x64xf32>) weights(%w : !moe.weight<64x16xf32>) outs(%e : tensor<?x16xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// E2M1 by shifts, its scale a power of two by its bits.
// CHECK-LABEL: func.func private @matmul_mxfp4_g32(
// CHECK:         arith.bitcast {{.*}} : vector<16xi16> to vector<16xf16>
// CHECK:         arith.bitcast {{.*}} : vector<16xi32> to vector<16xf32>
func.func @mxfp4(%x: tensor<?x64xf32>, %codes: tensor<1x32x16xi8>, %scales: tensor<1x2x16xi8>, %e: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %w = moe.wrap %codes scales(%scales : tensor<1x2x16xi8>) encoding <mxfp4 group 32> layout panel16 : tensor<1x32x16xi8> to !moe.weight<64x16xf32>
  %y = moe.grouped_matmul ins(%x : tensor<?x64xf32>) weights(%w : !moe.weight<64x16xf32>) outs(%e : tensor<?x16xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}
