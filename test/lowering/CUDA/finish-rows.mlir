// What becomes of a tile's sums in shared memory, here of rows that are rounded to be multiplied: each warp takes rows, each lane columns of them.
// RUN: moe-opt %s --convert-moe-to-cuda | FileCheck %s

// CHECK:      gpu.func @act_{{.*}}matmul
// CHECK:      nvvm.cp.async.wait.group 0
// Rows of the next group are not touched, nor columns that there are not.
// CHECK:      scf.for
// CHECK:        scf.if
// Up and gate of two columns, and their activation.
// CHECK-COUNT-4: memref.load %{{.*}} : memref<4096xf32, #gpu.address_space<workgroup>>
// CHECK:          arith.divf
// CHECK:          scf.if
// CHECK:            memref.store %{{.*}} : memref<?xf32, strided<[1], offset: ?>>
func.func @act(%x: memref<?x32xf32>, %u: memref<2x32x16xbf16>, %g: memref<2x32x16xbf16>, %off: memref<3xi32>, %out: memref<?x16xf32>) attributes {moec.arguments = [
    {dtype = "float32", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "bfloat16", name = "u", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "bfloat16", name = "g", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float32", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %u encoding <bf16> {moe.kernel} : memref<2x32x16xbf16> to !moe.weight<32x16xf32, cluster[2]>
  %1 = moe.wrap %g encoding <bf16> {moe.kernel} : memref<2x32x16xbf16> to !moe.weight<32x16xf32, cluster[2]>
  moe.grouped_matmul ins(%x : memref<?x32xf32>) rounded <bf16> weights(%0, %1 : !moe.weight<32x16xf32, cluster[2]>, !moe.weight<32x16xf32, cluster[2]>)
    groups(%off : memref<3xi32>) act <silu> outs(%out : memref<?x16xf32>) {moe.kernel}
  return
}

// Activations of the instruction for tanh: x/2 + x/2·tanh(x/2).
// CHECK:      gpu.func @fast_{{.*}}matmul
// CHECK:          %[[HALF:.*]] = arith.mulf %{{.*}}, %cst{{.*}} : f32
// CHECK:          %[[TANH:.*]] = llvm.inline_asm asm_dialect = att "tanh.approx.f32 $0, $1;", "=f,f" %[[HALF]] : (f32) -> f32
// CHECK:          %[[SILU:.*]] = math.fma %[[HALF]], %[[TANH]], %[[HALF]] : f32
// CHECK:          arith.mulf %[[SILU]], %{{.*}} : f32
// CHECK-NOT:      arith.divf
func.func @fast(%x: memref<?x32xf16>, %u: memref<2x32x16xf16>, %g: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "u", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "float16", name = "g", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %u {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  %1 = moe.wrap %g {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0, %1 : !moe.weight<32x16xf16, cluster[2]>, !moe.weight<32x16xf16, cluster[2]>)
    groups(%off : memref<3xi32>) act <silu> outs(%out : memref<?x16xf16>) {moe.kernel, moe.fast_activations}
  return
}
