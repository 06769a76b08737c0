// Products of rounded rows: codes of rows, four or two rows of weights in an instruction, offsets taken off by the sums of codes.
// RUN: moe-opt %s --split-input-file --pass-pipeline='builtin.module(moe-export-entries,moe-select-cpu-kernels,convert-moe-to-linalg,canonicalize,one-shot-bufferize,canonicalize,cse,convert-moe-to-cpu{isa=sapphirerapids})' | FileCheck %s
// Other instruction sets multiply what the codes decode to.
// RUN: moe-opt %s --split-input-file --pass-pipeline='builtin.module(moe-export-entries,moe-select-cpu-kernels,convert-moe-to-linalg,canonicalize,one-shot-bufferize,canonicalize,cse,convert-moe-to-cpu{isa=x86-64-v4})' | FileCheck %s --check-prefix=OTHER
// OTHER-NOT: @dot_
// OTHER: _round
// OTHER-NOT: @dot_
!x = tensor<?x64xf32>
!y = tensor<?x16xf32>
!w = !moe.weight<64x16xf32>

// CHECK-LABEL: func.func private @int4_code
// CHECK:         vector.reduction <maximumf>
// CHECK:         vector.store {{.*}} : memref<?xi8, {{.*}}>, vector<16xi8>
// CHECK-NOT:     _pack
// CHECK-LABEL: func.func private @dot_int4_g32_f32_k64(
// CHECK-SAME:    "noinline"
// Signed nibbles become unsigned: 8 is added, and 8 times the sum of codes taken off.
// CHECK:         arith.constant dense<8> : vector<16xi32>
// CHECK:         %[[OFF:.*]] = arith.muli {{.*}} : vector<16xi32>
// CHECK:         arith.subi {{.*}}, %[[OFF]] : vector<16xi32>
// CHECK:         %[[BYTES:.*]] = vector.load {{.*}} vector<32xi8>
// CHECK:         %[[UNSIGNED:.*]] = arith.xori %[[BYTES]], {{.*}} : vector<32xi8>
// CHECK:         vector.shuffle %[[UNSIGNED]], %[[UNSIGNED]] [0, 0, 16, 16, 1, 1, 17, 17
// CHECK:         llvm.call_intrinsic "llvm.x86.avx512.vpdpbusd.512"
// CHECK:         arith.sitofp {{.*}} : vector<16xi32> to vector<16xf32>
func.func @int4(%x: !x, %codes: tensor<1x32x16xi8>, %scales: tensor<1x2x16xf32>, %e: !y) -> !y {
  %w = moe.wrap %codes scales(%scales : tensor<1x2x16xf32>) encoding <int4 group 32> layout panel16 : tensor<1x32x16xi8> to !w
  %y = moe.grouped_matmul ins(%x : !x) rounded <int8 group 32> weights(%w : !w) outs(%e : !y) -> !y
  return %y : !y
}

// -----

// Codes with a zero point are unsigned as they are.
// CHECK-LABEL: func.func private @dot_int8_zp_f32_k64(
// CHECK:         arith.extui {{.*}} : vector<16xi8> to vector<16xi32>
// CHECK-NOT:     arith.xori
// CHECK:         %[[BYTES:.*]] = vector.load {{.*}} vector<64xi8>
// CHECK-NEXT:    vector.shuffle %[[BYTES]], %[[BYTES]] [0, 16, 32, 48, 1, 17, 33, 49
func.func @int8(%x: tensor<?x64xf32>, %codes: tensor<1x64x16xi8>, %scales: tensor<1x1xf32>, %zeros: tensor<1x1xi8>, %e: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %w = moe.wrap %codes scales(%scales : tensor<1x1xf32>) zero_points(%zeros : tensor<1x1xi8>) encoding <int8 zero_point> layout panel16 : tensor<1x64x16xi8> to !moe.weight<64x16xf32>
  %y = moe.grouped_matmul ins(%x : tensor<?x64xf32>) rounded <int8> weights(%w : !moe.weight<64x16xf32>) outs(%e : tensor<?x16xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// CHECK-LABEL: func.func private @dot_bf16_k64_bf16_dot1(
// CHECK:         %[[PAIR:.*]] = vector.load {{.*}} vector<32xbf16>
// CHECK:         vector.shuffle {{.*}} [0, 16, 1, 17, 2, 18
// CHECK:         llvm.call_intrinsic "llvm.x86.avx512bf16.dpbf16ps.512"
func.func @bf16(%x: tensor<?x64xf32>, %codes: tensor<1x64x16xbf16>, %e: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %w = moe.wrap %codes encoding <bf16> layout panel16 : tensor<1x64x16xbf16> to !moe.weight<64x16xf32>
  %y = moe.grouped_matmul ins(%x : tensor<?x64xf32>) rounded <bf16> weights(%w : !moe.weight<64x16xf32>) outs(%e : tensor<?x16xf32>) {moe.schedule = {bf16_dot = 1}} -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// Weights of other types, and other groups than the rows', are floats to the kernels.
// CHECK-LABEL: func.func @others
// CHECK-NOT:     @dot_
// CHECK-DAG:     func.func private @matmul_f16(
// CHECK-DAG:     func.func private @matmul_int8_g16_f32(
// CHECK-NOT:     @dot_
func.func @others(%x: tensor<?x64xf32>, %half: tensor<1x64x16xf16>, %codes: tensor<1x64x16xi8>, %scales: tensor<1x4x16xf32>, %e: tensor<?x16xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>) {
  %h = moe.wrap %half encoding <f16> layout panel16 : tensor<1x64x16xf16> to !moe.weight<64x16xf32>
  %w = moe.wrap %codes scales(%scales : tensor<1x4x16xf32>) encoding <int8 group 16> layout panel16 : tensor<1x64x16xi8> to !moe.weight<64x16xf32>
  %y = moe.grouped_matmul ins(%x : tensor<?x64xf32>) rounded <int8> weights(%h : !moe.weight<64x16xf32>) outs(%e : tensor<?x16xf32>) -> tensor<?x16xf32>
  %z = moe.grouped_matmul ins(%x : tensor<?x64xf32>) rounded <int8 group 32> weights(%w : !moe.weight<64x16xf32>) outs(%e : tensor<?x16xf32>) -> tensor<?x16xf32>
  return %y, %z : tensor<?x16xf32>, tensor<?x16xf32>
}
