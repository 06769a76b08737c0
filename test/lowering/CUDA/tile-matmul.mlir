// One matrix instead of two: half of the products, and 29,184 bytes. f16 is multiplied as f16.
// RUN: moe-opt %s --convert-moe-to-cuda | FileCheck %s

// CHECK:      gpu.func @one_{{.*}}matmul
// CHECK-SAME:   workgroup(%[[BYTES:.*]] : memref<29184xi8, #gpu.address_space<workgroup>> {llvm.align = 16 : i64})
// CHECK-SAME:   known_block_size = array<i32: 128, 1, 1>
// Two stages are on their way before the first is used.
// CHECK-COUNT-2: nvvm.cp.async.commit.group
// CHECK:      scf.for
// CHECK:        nvvm.cp.async.wait.group 1
// CHECK:        gpu.barrier
// CHECK:        nvvm.cp.async.commit.group
// Rows of x as they lie, columns of the weight turned round.
// CHECK:        nvvm.ldmatrix %{{.*}} {{.*}}layout = #nvvm.mma_layout<row>
// CHECK:        nvvm.ldmatrix %{{.*}} {{.*}}layout = #nvvm.mma_layout<col>
// CHECK-COUNT-16: nvvm.mma.sync {{.*}}vector<2xf16>
// CHECK-NOT:    nvvm.mma.sync
// CHECK:      nvvm.cp.async.wait.group 0
// Sums are rounded where they are, and stored two columns at once.
// CHECK-NOT:  memref.view
// CHECK:      cvt.rn.f16x2.f32
// CHECK:      llvm.store %{{.*}} : i32, !llvm.ptr<1>

// Rows of f32 that are rounded to be multiplied are not: their sums come to lie in shared memory, as f32, where stages were.
// CHECK:      gpu.func @rounded_{{.*}}matmul
// CHECK-SAME:   workgroup(%[[BYTES:.*]] : memref<29184xi8, #gpu.address_space<workgroup>> {llvm.align = 16 : i64})
// CHECK:      nvvm.cp.async.wait.group 0
// CHECK:      gpu.barrier
// CHECK:      memref.view %[[BYTES]]{{.*}} to memref<4096xf32, #gpu.address_space<workgroup>>
func.func @one(%x: memref<?x32xf16>, %w: memref<2x32x16xf16>, %off: memref<3xi32>, %out: memref<?x16xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xf16> to !moe.weight<32x16xf16, cluster[2]>
  moe.grouped_matmul ins(%x : memref<?x32xf16>) weights(%0 : !moe.weight<32x16xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf16>) {moe.kernel, moe.schedule = [{}]}
  return
}

func.func @rounded(%x: memref<?x32xf32>, %w: memref<2x32x16xbf16>, %off: memref<3xi32>, %out: memref<?x16xf32>) attributes {moec.arguments = [
    {dtype = "float32", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "bfloat16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float32", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w encoding <bf16> {moe.kernel} : memref<2x32x16xbf16> to !moe.weight<32x16xf32, cluster[2]>
  moe.grouped_matmul ins(%x : memref<?x32xf32>) rounded <bf16> weights(%0 : !moe.weight<32x16xf32, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xf32>) {moe.kernel, moe.schedule = [{}]}
  return
}
