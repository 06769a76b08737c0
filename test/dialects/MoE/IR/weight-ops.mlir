// RUN: moe-opt %s -o %t && FileCheck %s --input-file=%t
// RUN: moe-opt %t | diff %t -
// RUN: moe-opt %s --mlir-print-op-generic | moe-opt | diff %t -
// RUN: moe-opt %s --emit-bytecode | moe-opt | diff %t -
// Stored tensors and weight expressions.

// Every source. A public param says nothing of its visibility.
// CHECK: moe.param @table : !moe.table<expert[4] -> cluster[2]> = dense<[0, 1, 0, 1]> : tensor<4xi32>
moe.param @table : !moe.table<expert[4] -> cluster[2]> = dense<[0, 1, 0, 1]> : tensor<4xi32>
// CHECK: moe.param @one_cluster : !moe.table<expert[4] -> cluster[2]> = dense<1> : tensor<4xi32> residency pinned
moe.param @one_cluster : !moe.table<expert[4] -> cluster[2]> = dense<1> : tensor<4xi32> residency pinned
// CHECK: moe.param @table_file : !moe.table<expert[4] -> cluster[2]> = #moe.external<"model"::"clusters"> layout row_major
moe.param @table_file : !moe.table<expert[4] -> cluster[2]> = #moe.external<"model"::"clusters"> layout row_major
// CHECK: moe.param @gate : !moe.weight<64x32xf32, expert[4]> = #moe.external<"model"::"layers.0.gate"> residency cold
moe.param @gate : !moe.weight<64x32xf32, expert[4]> = #moe.external<"model"::"layers.0.gate"> residency cold
// CHECK: moe.param @seeded : !moe.weight<64x32xbf16> = #moe.seeded<7 scale 0.02> encoding <f8e4m3>
moe.param @seeded : !moe.weight<64x32xbf16> = #moe.seeded<7 scale 0.02> encoding <f8e4m3>
// CHECK: moe.param @inline : !moe.weight<1x2xf32> = dense<{{\[\[}}1.000000e+00, 2.000000e+00]]> : tensor<1x2xf32>
moe.param @inline : !moe.weight<1x2xf32> = dense<[[1.0, 2.0]]> : tensor<1x2xf32>
// Inline values may be of another float type than the computation.
// CHECK: moe.param @inline_f16 : !moe.weight<1x2xf32, expert[2]> = dense<0.000000e+00> : tensor<2x1x2xf16>
moe.param @inline_f16 : !moe.weight<1x2xf32, expert[2]> = dense<0.0> : tensor<2x1x2xf16>
// CHECK: moe.param private @base : !moe.weight<64x32xf32, cluster[2]> = #moe.mean<@gate by @table> encoding <int4 group 32> layout panel16 residency cached
moe.param private @base : !moe.weight<64x32xf32, cluster[2]> = #moe.mean<@gate by @table> encoding <int4 group 32> layout panel16 residency cached
// CHECK: moe.param nested @a : !moe.weight<64x4xf32, expert[4]> = #moe.svd<input rank 4 of @gate minus @base by @table>
moe.param nested @a : !moe.weight<64x4xf32, expert[4]> = #moe.svd<input rank 4 of @gate minus @base by @table>
// A product alone has no base.
// CHECK: moe.param @alone : !moe.weight<64x4xf32, expert[4]> = #moe.svd<input rank 4 of @gate>
moe.param @alone : !moe.weight<64x4xf32, expert[4]> = #moe.svd<input rank 4 of @gate>
// Groups along the output divide the columns; the largest rank is the smaller side.
// CHECK: moe.param @b : !moe.weight<32x32xf32, expert[4]> = #moe.svd<output rank 32 of @gate minus @base by @table> encoding <int8 group 8 along output>
moe.param @b : !moe.weight<32x32xf32, expert[4]> = #moe.svd<output rank 32 of @gate minus @base by @table> encoding <int8 group 8 along output>
// Codes chosen by second moments of the inputs, of all entries or of each; their diagonal will do.
// CHECK: moe.param @moments : !moe.weight<64x64xf32> = #moe.external<"profile"::"layers.0.input_moments_full">
moe.param @moments : !moe.weight<64x64xf32> = #moe.external<"profile"::"layers.0.input_moments_full">
// CHECK: moe.param @diagonals : !moe.weight<1x64xf32, expert[4]> = #moe.seeded<1>
moe.param @diagonals : !moe.weight<1x64xf32, expert[4]> = #moe.seeded<1>
// CHECK: moe.param @calibrated : !moe.weight<64x32xf32, cluster[2]> = #moe.mean<@gate by @table> encoding <int4 group 32> rounded by @moments layout panel16
moe.param @calibrated : !moe.weight<64x32xf32, cluster[2]> = #moe.mean<@gate by @table> encoding <int4 group 32> rounded by @moments layout panel16
// CHECK: moe.param @calibrated_each : !moe.weight<64x32xf32, expert[4]> = #moe.seeded<1> encoding <int8> rounded by @diagonals
moe.param @calibrated_each : !moe.weight<64x32xf32, expert[4]> = #moe.seeded<1> encoding <int8> rounded by @diagonals
// A table with one entry for each source of the mean; discardable attributes survive.
// CHECK: moe.param @annotated : !moe.weight<1x1xf32> = #moe.seeded<0> {note = "kept"}
moe.param @annotated : !moe.weight<1x1xf32> = #moe.seeded<0> {note = "kept"}

// A leaf may stand before its param, and inside another symbol table uses that one's params.
// CHECK-LABEL: func.func @leaves
// CHECK-NEXT: moe.leaf @gate : !moe.weight<64x32xf32, expert[4]>
// CHECK-NEXT: moe.leaf @table : !moe.table<expert[4] -> cluster[2]>
// CHECK-NEXT: moe.leaf @late : !moe.weight<2x2xf32>
func.func @leaves() {
  %0 = moe.leaf @gate : !moe.weight<64x32xf32, expert[4]>
  %1 = moe.leaf @table : !moe.table<expert[4] -> cluster[2]>
  %2 = moe.leaf @late : !moe.weight<2x2xf32>
  return
}
moe.param @late : !moe.weight<2x2xf32> = #moe.seeded<0>

// Panels of 16 columns, of which the last may be filled up; a byte of int4 holds two rows.
// CHECK-LABEL: func.func @panels
// CHECK: moe.wrap %{{.*}} layout panel16 : tensor<2x3x64x16xf32> to !moe.weight<64x40xf32, expert[2]>
// CHECK: moe.wrap %{{.*}} scales(%{{.*}} : memref<2x3x16xf32>) encoding <int4 group 3> layout panel16 : memref<2x5x16xi8> to !moe.weight<9x20xf32>
// CHECK: moe.wrap %{{.*}} scales(%{{.*}} : tensor<9x4xf16>) encoding <int8 group 5 scale f16 along output> layout panel16 : tensor<2x9x16xi8> to !moe.weight<9x20xf32>
// CHECK: moe.wrap %{{.*}} layout row_major : tensor<9x20xf32> to !moe.weight<9x20xf32>
func.func @panels(%a: tensor<2x3x64x16xf32>, %b: memref<2x5x16xi8>, %bs: memref<2x3x16xf32>, %c: tensor<2x9x16xi8>, %cs: tensor<9x4xf16>, %d: tensor<9x20xf32>) {
  %0 = moe.wrap %a layout panel16 : tensor<2x3x64x16xf32> to !moe.weight<64x40xf32, expert[2]>
  %1 = moe.wrap %b scales(%bs : memref<2x3x16xf32>) encoding <int4 group 3> layout panel16 : memref<2x5x16xi8> to !moe.weight<9x20xf32>
  %2 = moe.wrap %c scales(%cs : tensor<9x4xf16>) encoding <int8 group 5 scale f16 along output> layout panel16 : tensor<2x9x16xi8> to !moe.weight<9x20xf32>
  %3 = moe.wrap %d layout row_major : tensor<9x20xf32> to !moe.weight<9x20xf32>
  return
}

// CHECK-LABEL: func.func @wrapped
// CHECK: moe.wrap %{{.*}} : tensor<2x64x32xf32> to !moe.weight<64x32xf32, expert[2]>
// CHECK: moe.wrap %{{.*}} : tensor<64x32xf16> to !moe.weight<64x32xf16>
// CHECK: moe.wrap %{{.*}} : tensor<8xi32> to !moe.table<expert[8] -> cluster[2]>
func.func @wrapped(%w: tensor<2x64x32xf32>, %one: tensor<64x32xf16>, %t: tensor<8xi32>) {
  %0 = moe.wrap %w : tensor<2x64x32xf32> to !moe.weight<64x32xf32, expert[2]>
  %1 = moe.wrap %one : tensor<64x32xf16> to !moe.weight<64x32xf16>
  %2 = moe.wrap %t : tensor<8xi32> to !moe.table<expert[8] -> cluster[2]>
  return
}

// The result type of an expression follows from its operands (seen in what returns it).
// CHECK-LABEL: func.func @select
// CHECK: moe.weight.select %{{.*}} by %{{.*}} : !moe.weight<64x32xf32, cluster[2]>, !moe.table<expert[8] -> cluster[2]>
func.func @select(%w: !moe.weight<64x32xf32, cluster[2]>, %t: !moe.table<expert[8] -> cluster[2]>) -> !moe.weight<64x32xf32, expert[8]> {
  %0 = moe.weight.select %w by %t : !moe.weight<64x32xf32, cluster[2]>, !moe.table<expert[8] -> cluster[2]>
  return %0 : !moe.weight<64x32xf32, expert[8]>
}

// W4: both indexed, either one, or neither.
// CHECK-LABEL: func.func @mul
// CHECK-COUNT-4: moe.weight.mul
func.func @mul(%a: !moe.weight<64x4xf32, expert[8]>, %b: !moe.weight<4x32xf32, expert[8]>, %a1: !moe.weight<64x4xf32>,
               %b1: !moe.weight<4x32xf32>) -> (!moe.weight<64x32xf32, expert[8]>, !moe.weight<64x32xf32>) {
  %0 = moe.weight.mul %a, %b : !moe.weight<64x4xf32, expert[8]>, !moe.weight<4x32xf32, expert[8]>
  %1 = moe.weight.mul %a, %b1 : !moe.weight<64x4xf32, expert[8]>, !moe.weight<4x32xf32>
  %2 = moe.weight.mul %a1, %b : !moe.weight<64x4xf32>, !moe.weight<4x32xf32, expert[8]>
  %3 = moe.weight.mul %a1, %b1 : !moe.weight<64x4xf32>, !moe.weight<4x32xf32>
  %4 = moe.weight.add %0, %1 : !moe.weight<64x32xf32, expert[8]>, !moe.weight<64x32xf32, expert[8]>
  return %4, %3 : !moe.weight<64x32xf32, expert[8]>, !moe.weight<64x32xf32>
}

// CHECK-LABEL: func.func @add
// CHECK-COUNT-3: moe.weight.add
func.func @add(%w: !moe.weight<64x32xf32, basis[3]>, %one: !moe.weight<64x32xf32>) -> !moe.weight<64x32xf32, basis[3]> {
  %0 = moe.weight.add %w, %one : !moe.weight<64x32xf32, basis[3]>, !moe.weight<64x32xf32>
  %1 = moe.weight.add %one, %w : !moe.weight<64x32xf32>, !moe.weight<64x32xf32, basis[3]>
  %2 = moe.weight.add %0, %1 : !moe.weight<64x32xf32, basis[3]>, !moe.weight<64x32xf32, basis[3]>
  return %2 : !moe.weight<64x32xf32, basis[3]>
}

// phi is left out when it is identity; coefficients may be the same for all.
// CHECK-LABEL: func.func @mix
// CHECK: moe.weight.mix %{{.*}}, %{{.*}} : !moe.weight<64x32xf32, basis[3]>, !moe.weight<1x3xf32, expert[8]>
// CHECK: moe.weight.mix phi silu %{{.*}}, %{{.*}}
// CHECK: moe.weight.mix phi tanh %{{.*}}, %{{.*}} : !moe.weight<64x32xf32, basis[3]>, !moe.weight<1x3xf32>
func.func @mix(%m: !moe.weight<64x32xf32, basis[3]>, %alpha: !moe.weight<1x3xf32, expert[8]>, %one: !moe.weight<1x3xf32>)
    -> (!moe.weight<64x32xf32, expert[8]>, !moe.weight<64x32xf32>) {
  %0 = moe.weight.mix phi identity %m, %alpha : !moe.weight<64x32xf32, basis[3]>, !moe.weight<1x3xf32, expert[8]>
  %1 = moe.weight.mix phi silu %m, %alpha : !moe.weight<64x32xf32, basis[3]>, !moe.weight<1x3xf32, expert[8]>
  %2 = moe.weight.mix phi tanh %m, %one : !moe.weight<64x32xf32, basis[3]>, !moe.weight<1x3xf32>
  return %1, %2 : !moe.weight<64x32xf32, expert[8]>, !moe.weight<64x32xf32>
}

// CHECK-LABEL: func.func @scale
// CHECK: moe.weight.scale input %{{.*}}, %{{.*}} : !moe.weight<64x32xf32, expert[8]>, !moe.weight<1x64xf32>
// CHECK: moe.weight.scale output %{{.*}}, %{{.*}} : !moe.weight<64x32xf32, expert[8]>, !moe.weight<1x32xf32, expert[8]>
func.func @scale(%w: !moe.weight<64x32xf32, expert[8]>, %in: !moe.weight<1x64xf32>, %out: !moe.weight<1x32xf32, expert[8]>)
    -> !moe.weight<64x32xf32, expert[8]> {
  %0 = moe.weight.scale input %w, %in : !moe.weight<64x32xf32, expert[8]>, !moe.weight<1x64xf32>
  %1 = moe.weight.scale output %0, %out : !moe.weight<64x32xf32, expert[8]>, !moe.weight<1x32xf32, expert[8]>
  return %1 : !moe.weight<64x32xf32, expert[8]>
}

// A weight without axis has one size.
// CHECK-LABEL: func.func @ragged
// CHECK: moe.weight.ragged output %{{.*}} to %{{.*}} : !moe.weight<64x32xf32, expert[2]>, tensor<2xi32>
// CHECK: moe.weight.ragged input %{{.*}} to %{{.*}} : !moe.weight<64x32xf32>, tensor<1xi32>
func.func @ragged(%w: !moe.weight<64x32xf32, expert[2]>, %sizes: tensor<2xi32>, %one: !moe.weight<64x32xf32>, %size: tensor<1xi32>) {
  %0 = moe.weight.ragged output %w to %sizes : !moe.weight<64x32xf32, expert[2]>, tensor<2xi32>
  %1 = moe.weight.ragged input %one to %size : !moe.weight<64x32xf32>, tensor<1xi32>
  return
}

// CHECK-LABEL: func.func @sparse
// CHECK: moe.weight.sparse %{{.*}} at %{{.*}} : !moe.weight<1x16xf32, expert[8]>, tensor<8x16x2xi32> -> !moe.weight<64x32xf32, expert[8]>
// CHECK: moe.weight.sparse %{{.*}} at %{{.*}} : !moe.weight<1x16xf32>, tensor<16x2xi32> -> !moe.weight<64x32xf32>
func.func @sparse(%v: !moe.weight<1x16xf32, expert[8]>, %at: tensor<8x16x2xi32>, %one: !moe.weight<1x16xf32>, %at1: tensor<16x2xi32>) {
  %0 = moe.weight.sparse %v at %at : !moe.weight<1x16xf32, expert[8]>, tensor<8x16x2xi32> -> !moe.weight<64x32xf32, expert[8]>
  %1 = moe.weight.sparse %one at %at1 : !moe.weight<1x16xf32>, tensor<16x2xi32> -> !moe.weight<64x32xf32>
  return
}

// CHECK-LABEL: func.func @slice
// CHECK: moe.weight.slice output %{{.*}}[%{{.*}}] : !moe.weight<64x32xf32, expert[8]> -> !moe.weight<64x16xf32, expert[8]>
// CHECK: moe.weight.slice input %{{.*}}[%{{.*}}] : !moe.weight<64x32xf32, expert[8]> -> !moe.weight<1x32xf32, expert[8]>
func.func @slice(%w: !moe.weight<64x32xf32, expert[8]>, %o: index) {
  %0 = moe.weight.slice output %w[%o] : !moe.weight<64x32xf32, expert[8]> -> !moe.weight<64x16xf32, expert[8]>
  %1 = moe.weight.slice input %w[%o] : !moe.weight<64x32xf32, expert[8]> -> !moe.weight<1x32xf32, expert[8]>
  return
}
