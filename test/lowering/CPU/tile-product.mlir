// Many rows of bf16 in tile registers: weights as pairs in scratch, sums in tiles over a block of the reduction.
// RUN: moe-opt %s --split-input-file --pass-pipeline='builtin.module(moe-export-entries,moe-select-cpu-kernels,convert-moe-to-linalg,canonicalize,one-shot-bufferize,canonicalize,cse,convert-moe-to-cpu{isa=sapphirerapids})' | FileCheck %s
// Other instruction sets have no tiles.
// RUN: moe-opt %s --split-input-file --pass-pipeline='builtin.module(moe-export-entries,moe-select-cpu-kernels,convert-moe-to-linalg,canonicalize,one-shot-bufferize,canonicalize,cse,convert-moe-to-cpu{isa=x86-64-v4})' | FileCheck %s --check-prefix=OTHER
// OTHER-NOT: @tiles_

// Rows are codes; blocks of fewer rows than the schedule's amx_rows are packed as floats, and go to the other kernel.
// CHECK-LABEL: func.func private @rounded_code
// CHECK:         arith.truncf {{.*}} : vector<16xf32> to vector<16xbf16>
// CHECK-LABEL: func.func private @rounded_pack
// CHECK:         %[[FEW:.*]] = arith.constant 4 : index
// CHECK:         %[[MANY:.*]] = arith.cmpi sge, %{{.*}}, %[[FEW]] : index
// CHECK:         scf.if %[[MANY]] {
// CHECK-NEXT:    } else {
// CHECK:           func.call @pack_rows12_bf16(
// CHECK-LABEL: func.func private @rounded_matmul
// CHECK:         scf.if %{{.*}} {
// CHECK:           func.call @tiles_bf16(
// CHECK:         } else {
// CHECK:           func.call @matmul_bf16(
// CHECK-LABEL: func.func private @tiles_bf16(
// CHECK-SAME:    "noinline"
// Tiles are configured once and released at the end.
// CHECK:         llvm.call_intrinsic "llvm.x86.ldtilecfg"
// Two rows of weights are a line of pairs.
// CHECK:         %[[PAIR:.*]] = vector.load {{.*}} vector<32xbf16>
// CHECK:         vector.shuffle {{.*}} [0, 16, 1, 17, 2, 18
// The sums of a first block begin with zeros, those of later ones are loaded.
// CHECK-COUNT-4: llvm.call_intrinsic "llvm.x86.tilezero"
// CHECK-COUNT-4: llvm.call_intrinsic "llvm.x86.tileloadd64"
// A step: two tiles of weights, two of rows, four of products.
// CHECK-COUNT-3: llvm.call_intrinsic "llvm.x86.tileloadd64"
// CHECK-COUNT-2: llvm.call_intrinsic "llvm.x86.tdpbf16ps"
// CHECK-NEXT:    {{arith|memref}}
// CHECK:         llvm.call_intrinsic "llvm.x86.tileloadd64"
// CHECK-COUNT-2: llvm.call_intrinsic "llvm.x86.tdpbf16ps"
// CHECK:         memref.prefetch
// CHECK-COUNT-4: llvm.call_intrinsic "llvm.x86.tilestored64"
// CHECK:         llvm.call_intrinsic "llvm.x86.tilerelease"
func.func @rounded(%x: tensor<?x64xf32>, %codes: tensor<1x64x16xbf16>, %e: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %w = moe.wrap %codes encoding <bf16> layout panel16 : tensor<1x64x16xbf16> to !moe.weight<64x16xf32>
  %y = moe.grouped_matmul ins(%x : tensor<?x64xf32>) rounded <bf16> weights(%w : !moe.weight<64x16xf32>) outs(%e : tensor<?x16xf32>) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}

// -----

// Rows that are bf16 already lose nothing.
// CHECK-LABEL: func.func private @narrow_matmul
// CHECK:         func.call @tiles_bf16(
func.func @narrow(%x: tensor<?x64xbf16>, %codes: tensor<1x64x16xbf16>, %e: tensor<?x16xbf16>) -> tensor<?x16xbf16> {
  %w = moe.wrap %codes layout panel16 : tensor<1x64x16xbf16> to !moe.weight<64x16xbf16>
  %y = moe.grouped_matmul ins(%x : tensor<?x64xbf16>) weights(%w : !moe.weight<64x16xbf16>) outs(%e : tensor<?x16xbf16>) -> tensor<?x16xbf16>
  return %y : tensor<?x16xbf16>
}

// -----

// Codes of int8 by unsigned codes: two tiles of rows, two of weights, four products for 64 rows of a group, whose sums are scaled behind it.
// CHECK-LABEL: func.func private @codes_matmul
// CHECK:         scf.if %{{.*}} {
// CHECK:           func.call @tiles_int8_g128_f32_k128(
// CHECK:         } else {
// CHECK:           func.call @dot_int8_g128_f32_k128(
// CHECK-LABEL: func.func private @tiles_int8_g128_f32_k128(
// CHECK:         llvm.call_intrinsic "llvm.x86.ldtilecfg"
// CHECK:         vector.shuffle {{.*}} [0, 16, 32, 48, 1, 17, 33, 49
// CHECK:         llvm.store volatile
// CHECK-COUNT-4: llvm.call_intrinsic "llvm.x86.tilezero"
// CHECK-COUNT-8: llvm.call_intrinsic "llvm.x86.tdpbsud"
// CHECK-COUNT-4: llvm.call_intrinsic "llvm.x86.tilestored64"
// CHECK:         arith.subi {{.*}} : vector<16xi32>
// CHECK:         arith.sitofp {{.*}} : vector<16xi32> to vector<16xf32>
// CHECK:         llvm.intr.fma
// CHECK:         llvm.call_intrinsic "llvm.x86.tilerelease"
func.func @codes(%x: tensor<?x128xf32>, %codes: tensor<2x128x16xi8>, %scales: tensor<2x1x16xf32>, %e: tensor<?x32xf32>) -> tensor<?x32xf32> {
  %w = moe.wrap %codes scales(%scales : tensor<2x1x16xf32>) encoding <int8 group 128> layout panel16 : tensor<2x128x16xi8> to !moe.weight<128x32xf32>
  %y = moe.grouped_matmul ins(%x : tensor<?x128xf32>) rounded <int8 group 128> weights(%w : !moe.weight<128x32xf32>) outs(%e : tensor<?x32xf32>) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// -----

// Not in tiles: rows as they are in f32, weights of other types, a reduction that is not of whole tiles, and what a schedule says.
// CHECK-LABEL: func.func @others
// CHECK-NOT:     @tiles_
func.func @others(%x: tensor<?x64xf32>, %odd: tensor<?x48xf32>, %codes: tensor<1x64x16xbf16>, %half: tensor<1x64x16xf16>, %few: tensor<1x48x16xbf16>,
    %e: tensor<?x16xf32>) -> (tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>) {
  %w = moe.wrap %codes encoding <bf16> layout panel16 : tensor<1x64x16xbf16> to !moe.weight<64x16xf32>
  %h = moe.wrap %half encoding <f16> layout panel16 : tensor<1x64x16xf16> to !moe.weight<64x16xf32>
  %f = moe.wrap %few encoding <bf16> layout panel16 : tensor<1x48x16xbf16> to !moe.weight<48x16xf32>
  %0 = moe.grouped_matmul ins(%x : tensor<?x64xf32>) weights(%w : !moe.weight<64x16xf32>) outs(%e : tensor<?x16xf32>) -> tensor<?x16xf32>
  %1 = moe.grouped_matmul ins(%x : tensor<?x64xf32>) rounded <bf16> weights(%h : !moe.weight<64x16xf32>) outs(%e : tensor<?x16xf32>) -> tensor<?x16xf32>
  %2 = moe.grouped_matmul ins(%odd : tensor<?x48xf32>) rounded <bf16> weights(%f : !moe.weight<48x16xf32>) outs(%e : tensor<?x16xf32>) -> tensor<?x16xf32>
  %3 = moe.grouped_matmul ins(%x : tensor<?x64xf32>) rounded <bf16> weights(%w : !moe.weight<64x16xf32>) outs(%e : tensor<?x16xf32>) {moe.schedule = {amx_rows = 0}} -> tensor<?x16xf32>
  return %0, %1, %2, %3 : tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>, tensor<?x16xf32>
}
