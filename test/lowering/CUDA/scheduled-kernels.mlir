// Buffers with any strides are copied together, once where it matters; those of the entry's own are not. Slots say where a
// cluster's matrix is, and numbers outside the pool are no matrix.
// RUN: moe-opt %s --convert-moe-to-cuda | FileCheck %s

// CHECK-LABEL: func.func @strided(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: memref<?x32xbf16, strided<[?, ?], offset: ?>>
// CHECK:         %[[COPY:.*]] = memref.alloc(%{{.*}}) {alignment = 64 : i64} : memref<?x32xbf16>
// CHECK:         memref.copy %[[X]], %[[COPY]]
// CHECK:         gpu.launch_func
func.func @strided(%x: memref<?x32xbf16, strided<[?, ?], offset: ?>>, %w: memref<2x32x16xbf16, strided<[?, ?, ?], offset: ?>>,
                   %slots: memref<4xi32, strided<[?], offset: ?>>, %off: memref<5xi32>, %out: memref<?x16xbf16>) attributes {moec.arguments = [
    {dtype = "bfloat16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "bfloat16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "slots", role = "input", shape = array<i64: 4>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 5>},
    {dtype = "bfloat16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w slots(%slots : memref<4xi32, strided<[?], offset: ?>>) {moe.kernel}
    : memref<2x32x16xbf16, strided<[?, ?, ?], offset: ?>> to !moe.weight<32x16xbf16, cluster[4]>
  moe.grouped_matmul ins(%x : memref<?x32xbf16, strided<[?, ?], offset: ?>>) weights(%0 : !moe.weight<32x16xbf16, cluster[4]>) groups(%off : memref<5xi32>)
    outs(%out : memref<?x16xbf16>) {moe.kernel}
  return
}

// CHECK:      gpu.func @strided_matmul
// CHECK:        %[[GROUP:.*]] = arith.select %{{.*}}, %{{.*}}, %{{.*}} : i32
// CHECK:        %[[PLACE:.*]] = memref.load %{{.*}} : memref<?xi32, strided<[1], offset: ?>>
// CHECK:        arith.cmpi ult
// CHECK:        nvvm.cp.async
