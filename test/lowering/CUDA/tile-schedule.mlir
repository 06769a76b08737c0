// Sizes from IR: the host takes one of two kernels by rows, and plans tiles of as many.
// RUN: moe-opt %s --convert-moe-to-cuda --canonicalize --cse | FileCheck %s

// Two groups, at most 8 rows each: 16 rows.
// CHECK-LABEL: func.func @two
// CHECK:      %[[ROWS:.*]] = memref.dim %{{.*}}, %{{.*}} : memref<?x32xf16>
// CHECK:      %[[FEW:.*]] = arith.cmpi sle, %[[ROWS]], %c16 : index
// CHECK:      arith.select %[[FEW]], %c16, %c64 : index
// CHECK:      scf.if %[[FEW]] {
// CHECK:        gpu.launch_func @moec_kernels::@[[SMALL:.*]] blocks
// CHECK:      } else {
// CHECK:        gpu.launch_func @moec_kernels::@[[LARGE:.*]] blocks
// CHECK:      }

// Stages of 2·(16·40 + 32·40) bytes, two of them; sums of 16 x 32.
// CHECK:      gpu.func @[[SMALL]]
// CHECK-SAME:   workgroup(%{{.*}} : memref<7680xi8, #gpu.address_space<workgroup>>
// CHECK-SAME:   known_block_size = array<i32: 32, 1, 1>
// CHECK-COUNT-8: nvvm.mma.sync
// CHECK-NOT:  nvvm.mma.sync
// CHECK:      gpu.func @[[LARGE]]
// CHECK-SAME:   workgroup(%{{.*}} : memref<29184xi8, #gpu.address_space<workgroup>>
// CHECK-SAME:   known_block_size = array<i32: 128, 1, 1>
// CHECK-COUNT-16: nvvm.mma.sync
// CHECK-NOT:  nvvm.mma.sync
func.func @two(%x: memref<?x32xf16>, %w: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = [
      {most_rows = 8, rows = 16, columns = 32, stages = 2, warps_down = 1, warps_across = 1}, {rows = 64}]}
  return
}
