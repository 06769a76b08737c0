// Rows of f32 that are rounded to be multiplied: by who writes them, where nobody else reads them.
// RUN: moe-opt %s --convert-moe-to-cuda | FileCheck %s

// What is only read to be rounded is written so: no pass over memory rounds it, but for rows that come from outside.
// CHECK-LABEL: func.func @chain
// CHECK:       linalg.generic
// CHECK:       gpu.launch_func @moec_kernels::@chain_{{.*}}matmul
// CHECK-NOT:   linalg.generic
// CHECK:       gpu.launch_func @moec_kernels::@chain_{{.*}}matmul
// CHECK:       return
func.func @chain(%x: memref<?x32xf32>, %u: memref<2x32x16xbf16>, %d: memref<2x16x32xbf16>, %off: memref<3xi32>, %out: memref<?x32xf32>) attributes {moec.arguments = [
    {dtype = "float32", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "bfloat16", name = "u", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "bfloat16", name = "d", role = "input", shape = array<i64: 2, 16, 32>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float32", name = "out", role = "output", shape = array<i64: -2, 32>}]} {
  %c0 = arith.constant 0 : index
  %rows = memref.dim %x, %c0 : memref<?x32xf32>
  %0 = moe.wrap %u encoding <bf16> {moe.kernel} : memref<2x32x16xbf16> to !moe.weight<32x16xf32, cluster[2]>
  %1 = moe.wrap %d encoding <bf16> {moe.kernel} : memref<2x16x32xbf16> to !moe.weight<16x32xf32, cluster[2]>
  %h = memref.alloc(%rows) : memref<?x16xf32>
  moe.grouped_matmul ins(%x : memref<?x32xf32>) rounded <bf16> weights(%0 : !moe.weight<32x16xf32, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%h : memref<?x16xf32>) {moe.kernel, moe.schedule = [{}]}
  moe.grouped_matmul ins(%h : memref<?x16xf32>) rounded <bf16> weights(%1 : !moe.weight<16x32xf32, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x32xf32>) {moe.kernel, moe.schedule = [{}]}
  return
}

// What somebody reads as it is stays as it is, and is rounded for who rounds it.
// CHECK-LABEL: func.func @kept
// CHECK-COUNT-2: linalg.generic
func.func @kept(%x: memref<?x32xf32>, %u: memref<2x32x16xbf16>, %d: memref<2x16x32xbf16>, %off: memref<3xi32>, %out: memref<?x32xf32>, %first: memref<f32>) attributes {moec.arguments = [
    {dtype = "float32", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "bfloat16", name = "u", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "bfloat16", name = "d", role = "input", shape = array<i64: 2, 16, 32>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float32", name = "out", role = "output", shape = array<i64: -2, 32>},
    {dtype = "float32", name = "first", role = "output", shape = array<i64>}]} {
  %c0 = arith.constant 0 : index
  %rows = memref.dim %x, %c0 : memref<?x32xf32>
  %0 = moe.wrap %u encoding <bf16> {moe.kernel} : memref<2x32x16xbf16> to !moe.weight<32x16xf32, cluster[2]>
  %1 = moe.wrap %d encoding <bf16> {moe.kernel} : memref<2x16x32xbf16> to !moe.weight<16x32xf32, cluster[2]>
  %h = memref.alloc(%rows) : memref<?x16xf32>
  moe.grouped_matmul ins(%x : memref<?x32xf32>) rounded <bf16> weights(%0 : !moe.weight<32x16xf32, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%h : memref<?x16xf32>) {moe.kernel, moe.schedule = [{}]}
  moe.grouped_matmul ins(%h : memref<?x16xf32>) rounded <bf16> weights(%1 : !moe.weight<16x32xf32, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x32xf32>) {moe.kernel, moe.schedule = [{}]}
  %number = memref.load %h[%c0, %c0] : memref<?x16xf32>
  memref.store %number, %first[] : memref<f32>
  return
}

// The first product of the chain.
// CHECK:       gpu.func @chain_{{.*}}matmul
// CHECK:         arith.truncf
// CHECK:         memref.store %{{.*}} : memref<?xbf16, strided<[1], offset: ?>>
