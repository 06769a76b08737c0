// Blocks that stay: no more than a GPU holds, each takes every so many runs of tiles. Of rows that were
// rounded, sums pass through shared memory.
// RUN: moe-opt %s --split-input-file --convert-moe-to-cuda --canonicalize --cse | FileCheck %s

// Runs of 16 tiles of rows are neighbours. Three tiles of columns, two of them in the first run.
// CHECK-LABEL: func.func @one
// CHECK:      %[[BANDS:.*]] = arith.divui %{{.*}}, %c16 : index
// CHECK:      %[[RUNS:.*]] = arith.muli %[[BANDS]], %c32 : index
// CHECK:      %[[BLOCKS:.*]] = arith.minui %[[RUNS]], %c7 : index
// CHECK:      gpu.launch_func @moec_kernels::@[[KERNEL:one_matmul.*]] blocks in (%[[BLOCKS]], %c1, %c1)
// CHECK:      gpu.func @[[KERNEL]]
// CHECK:        gpu.grid_dim x
// A tile of rows that there is not has no tiles of columns; a matrix that there is not lies outside of its pool.
// CHECK:        arith.cmpi sge
// CHECK:        arith.select %{{.*}}, %{{.*}}, %c-1_i32 : i32
// Of 128 rows sums of 64 columns, and 8 that nobody uses.
// CHECK:        memref.view %{{.*}}[%c98304][] : memref<?xi8, #gpu.address_space<workgroup>> to memref<9216xf32, #gpu.address_space<workgroup>>
// CHECK-COUNT-32: memref.store %{{.*}} : memref<9216xf32, #gpu.address_space<workgroup>>
// CHECK:        nvvm.bar.warp.sync
// CHECK:        memref.load %{{.*}} : memref<9216xf32, #gpu.address_space<workgroup>>
// CHECK:        memref.store %{{.*}} : memref<?xf32, strided<[1], offset: ?>>
// CHECK:        nvvm.bar.warp.sync
// 4 stages of 24 KB, sums of 36 KB, 8 barriers.
// CHECK:      func.func private @moec.launch.one_matmul{{.*}} attributes {{.*}}moec.block = 384 : i64, {{.*}}moec.shared_bytes = 135232 : i64
func.func @one(%x: memref<?x160xf32>, %w: memref<2x160x136xbf16>, %off: memref<3xi32>, %out: memref<?x136xf32>) attributes {moec.arguments = [
    {dtype = "float32", name = "x", role = "input", shape = array<i64: -2, 160>},
    {dtype = "bfloat16", name = "w", role = "input", shape = array<i64: 2, 160, 136>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float32", name = "out", role = "output", shape = array<i64: -2, 136>}]} {
  %0 = moe.wrap %w encoding <bf16> {moe.kernel} : memref<2x160x136xbf16> to !moe.weight<160x136xf32, cluster[2]>
  moe.grouped_matmul ins(%x : memref<?x160xf32>) rounded <bf16> weights(%0 : !moe.weight<160x136xf32, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x136xf32>) {moe.kernel, moe.schedule = [
      {rows = 128, columns = 64, depth = 64, stages = 4, warps_down = 8, warps_across = 1, warpgroups = 2, runs = 2, blocks = 7}]}
  return
}

// -----

// Of blocks that share weights a band is 8 pairs of tiles, and there are as many clusters as half the blocks; the second's rows come
// 128 behind the first's.
// CHECK-LABEL: func.func @pairs
// CHECK:      %[[BANDS:.*]] = arith.divui %{{.*}}, %c8 : index
// CHECK:      %[[RUNS:.*]] = arith.muli %[[BANDS]], %c16 : index
// CHECK:      %[[CLUSTERS:.*]] = arith.minui %[[RUNS]], %c4 : index
// CHECK:      %[[BLOCKS:.*]] = arith.muli %[[CLUSTERS]], %c2 : index
// CHECK:      gpu.launch_func @moec_kernels::@[[KERNEL:pairs_matmul_pair.*]] blocks in (%[[BLOCKS]], %c1, %c1)
// CHECK:      gpu.func @[[KERNEL]]
// CHECK:        %[[BLOCK:.*]] = gpu.block_id x
// CHECK:        arith.divui %[[BLOCK]], %c2 : index
// CHECK:        %[[RANK:.*]] = nvvm.read.ptx.sreg.cluster.ctarank
// CHECK:        %[[AS_INDEX:.*]] = arith.index_cast %[[RANK]] : i32 to index
// CHECK:        arith.muli %[[AS_INDEX]], %c128 : index
func.func @pairs(%x: memref<?x160xf16>, %w: memref<2x160x136xf16>, %off: memref<3xi32>, %out: memref<?x136xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 160>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 160, 136>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 136>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x160x136xf16> to !moe.weight<160x136xf16, cluster[2]>
  moe.grouped_matmul ins(%x : memref<?x160xf16>) weights(%0 : !moe.weight<160x136xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x136xf16>) {moe.kernel, moe.schedule = [
      {rows = 128, columns = 64, depth = 64, stages = 4, warps_down = 8, warps_across = 1, warpgroups = 2, runs = 2, blocks = 8, cluster = 2}]}
  return
}
