// An operation becomes a few kernels and their launches; whose weights kernels read must lie as their records do.
// RUN: moe-opt %s --convert-moe-to-cuda --canonicalize --cse | FileCheck %s --implicit-check-not=moe.wrap --implicit-check-not=moe.grouped_matmul

// CHECK:      module attributes {gpu.container_module}
// CHECK-LABEL: func.func @one(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: memref<?x32xbf16>,
// CHECK-SAME:    {contiguous, dtype = "bfloat16", name = "w"
// CHECK:         %[[ROWS:[a-z0-9]+]] = memref.dim %[[X]]
// CHECK:         gpu.launch_func @moec_kernels::@one_zero_unused_0 blocks in (%[[ROWS]], %{{.*}}, %{{.*}}) threads in (
// CHECK:         gpu.launch_func @moec_kernels::@one_tiles_1 blocks in (%c1
// A block for each tile and each run of columns.
// CHECK:         gpu.launch_func @moec_kernels::@one_matmul_64_2 blocks in
// CHECK-NEXT:    return
func.func @one(%x: memref<?x32xbf16>, %w: memref<2x32x16xbf16>, %off: memref<3xi32>, %out: memref<?x16xbf16>) attributes {moec.arguments = [
    {dtype = "bfloat16", name = "x", role = "input", shape = array<i64: -2, 32>},
    {dtype = "bfloat16", name = "w", role = "input", shape = array<i64: 2, 32, 16>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "bfloat16", name = "out", role = "output", shape = array<i64: -2, 16>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x32x16xbf16> to !moe.weight<32x16xbf16, cluster[2]>
  moe.grouped_matmul ins(%x : memref<?x32xbf16>) weights(%0 : !moe.weight<32x16xbf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x16xbf16>) {moe.kernel, moe.schedule = [{}]}
  return
}

// A function that is no entry stays as it is.
// CHECK-LABEL: func.func private @other(
// CHECK:         moe.gather
func.func private @other(%x: memref<?x16xf32>, %i: memref<?xi32>, %y: memref<?x16xf32>) {
  moe.gather ins(%x, %i : memref<?x16xf32>, memref<?xi32>) outs(%y : memref<?x16xf32>)
  return
}
