// One lane fills a ring of stages, eight warps multiply what is full and give it back.
// RUN: moe-opt %s --convert-moe-to-cuda --canonicalize --cse | FileCheck %s

// CHECK:      gpu.func @one_{{.*}}matmul
// CHECK-SAME:   known_block_size = array<i32: 384, 1, 1>
// CHECK-SAME:   moec.tensor_maps = [{bits = 16 : i32, box = array<i64: 128, 64>, code = 2 : i32}, {bits = 16 : i32, box = array<i64: 1, 64, 64>, code = 2 : i32}]
// CHECK-DAG:  %[[X:.*]] = builtin.unrealized_conversion_cast %{{.*}} : memref<?x160xf16, {{.*}}> to !llvm.ptr {moec.tensor_map = array<i64: 128, 64>}
// CHECK-DAG:  %[[W:.*]] = builtin.unrealized_conversion_cast %{{.*}} : memref<2x160x136xf16, {{.*}}> to !llvm.ptr {moec.tensor_map = array<i64: 1, 64, 64>}
// CHECK:      nvvm.fence.mbarrier.init
// CHECK:      gpu.barrier

// Who copies: stages count from 0 with a parity as if all had been given back.
// CHECK:      nvvm.setmaxregister decrease 40
// CHECK:      nvvm.elect.sync
// CHECK:      scf.for {{.*}} iter_args(%{{.*}} = %c0_i32, %{{.*}} = %c1_i32)
// CHECK:        scf.for
// Three steps of 64, the last of them half outside of x, where zeros come.
// CHECK:          scf.for %{{.*}} = %c0 to %c3 step
// CHECK:            nvvm.mbarrier.try_wait.parity
// Two stages of 128 x 64 and 64 x 128.
// CHECK:            nvvm.mbarrier.arrive.expect_tx %[[FULL:.*]], %c32768_i32
// CHECK:            nvvm.cp.async.bulk.tensor.shared.cluster.global %{{.*}}, %[[X]], %{{.*}}, box[%{{.*}}, %{{.*}}]
// CHECK-COUNT-2:    nvvm.cp.async.bulk.tensor.shared.cluster.global %{{.*}}, %[[W]], %{{.*}}, box[%{{.*}}, %{{.*}}, %{{.*}}]

// Who multiplies: a stage goes back when the products behind it are on their way, the last when all are done.
// CHECK:      nvvm.setmaxregister increase 232
// CHECK:      scf.for {{.*}} iter_args(%{{.*}} = %c0_i32, %{{.*}} = %c0_i32)
// CHECK:        nvvm.mbarrier.try_wait.parity
// CHECK:        nvvm.wgmma.fence.aligned
// CHECK:        nvvm.wgmma.mma_async {{.*}} <m = 64, n = 128, k = 16>, D[<f32>, <zero>], A[<f16>, <one>, <row>], B[<f16>, <one>, <row>]
// CHECK-COUNT-3: nvvm.wgmma.mma_async {{.*}} D[<f32>, <one>]
// CHECK:        nvvm.wgmma.commit.group.sync.aligned
// CHECK:        scf.for %{{.*}} = %c1 to %c3 step
// CHECK:          nvvm.mbarrier.try_wait.parity
// CHECK-COUNT-4:  nvvm.wgmma.mma_async {{.*}} D[<f32>, <one>]
// CHECK:          nvvm.wgmma.commit.group.sync.aligned
// CHECK:          nvvm.wgmma.wait.group.sync.aligned 1
// CHECK:          nvvm.elect.sync
// CHECK:          nvvm.mbarrier.arrive
// CHECK:        nvvm.wgmma.wait.group.sync.aligned 0
// CHECK:        nvvm.mbarrier.arrive
// No register of the sums is read before.
// CHECK:        llvm.inline_asm has_side_effects
func.func @one(%x: memref<?x160xf16>, %w: memref<2x160x136xf16>, %off: memref<3xi32>, %out: memref<?x136xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 160>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 160, 136>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 136>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x160x136xf16> to !moe.weight<160x136xf16, cluster[2]>
  moe.grouped_matmul ins(%x : memref<?x160xf16>) weights(%0 : !moe.weight<160x136xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x136xf16>) {moe.kernel, moe.schedule = [
      {rows = 128, columns = 128, depth = 64, stages = 4, warps_down = 8, warps_across = 1, warpgroups = 2}]}
  return
}

// Two blocks with rows below each other: each copies 32 rows of each box of weights for both, and gives stages back to both.
// CHECK:      gpu.func @pair_{{.*}}matmul_pair_128
// CHECK-SAME:   moec.tensor_maps = [{bits = 16 : i32, box = array<i64: 128, 64>, code = 2 : i32}, {bits = 16 : i32, box = array<i64: 1, 32, 64>, code = 2 : i32}]
// CHECK-DAG:  %[[X:.*]] = builtin.unrealized_conversion_cast %{{.*}} : memref<?x160xf16, {{.*}}> to !llvm.ptr {moec.tensor_map = array<i64: 128, 64>}
// CHECK-DAG:  %[[W:.*]] = builtin.unrealized_conversion_cast %{{.*}} : memref<2x160x136xf16, {{.*}}> to !llvm.ptr {moec.tensor_map = array<i64: 1, 32, 64>}
// One copies, eight warps of each block wait for it.
// CHECK:      nvvm.mbarrier.init %{{.*}}, %c1_i32
// CHECK:      nvvm.mbarrier.init %{{.*}}, %c16_i32
// CHECK:      nvvm.fence.mbarrier.init
// CHECK:      nvvm.cluster.arrive
// CHECK-NEXT: nvvm.cluster.wait
// CHECK:      nvvm.setmaxregister decrease 40
// Whole stages arrive.
// CHECK:        nvvm.mbarrier.arrive.expect_tx %{{.*}}, %c32768_i32
// CHECK:        nvvm.cp.async.bulk.tensor.shared.cluster.global %{{.*}}, %[[X]], %{{.*}}, box[%{{.*}}, %{{.*}}] : !llvm.ptr<7>
// CHECK-COUNT-2: nvvm.cp.async.bulk.tensor.shared.cluster.global %{{.*}}, %[[W]], %{{.*}} multicast_mask = %c3_i16
// CHECK:      nvvm.setmaxregister increase 232
// CHECK:        nvvm.wgmma.wait.group.sync.aligned 1
// CHECK:        nvvm.elect.sync
// CHECK:          %[[FIRST:.*]] = nvvm.mapa %[[EMPTY:.*]], %c0_i32 : !llvm.ptr<3> -> !llvm.ptr<7>
// CHECK:          nvvm.mbarrier.arrive %[[FIRST]] {scope = #nvvm.mem_scope<cluster>}
// CHECK:          %[[SECOND:.*]] = nvvm.mapa %{{.*}}, %c1_i32
// CHECK:          nvvm.mbarrier.arrive %[[SECOND]] {scope = #nvvm.mem_scope<cluster>}
// No block leaves while the other may arrive at its barriers.
// CHECK:      nvvm.cluster.arrive
// CHECK-NEXT: nvvm.cluster.wait
// CHECK-NEXT: gpu.return
// CHECK:      func.func private @moec.launch.pair{{.*}} attributes {moec.block = 384 : i64, moec.cluster = 2 : i64
func.func @pair(%x: memref<?x160xf16>, %w: memref<2x160x136xf16>, %off: memref<3xi32>, %out: memref<?x136xf16>) attributes {moec.arguments = [
    {dtype = "float16", name = "x", role = "input", shape = array<i64: -2, 160>},
    {dtype = "float16", name = "w", role = "input", shape = array<i64: 2, 160, 136>},
    {dtype = "int32", name = "off", role = "input", shape = array<i64: 3>},
    {dtype = "float16", name = "out", role = "output", shape = array<i64: -2, 136>}]} {
  %0 = moe.wrap %w {moe.kernel} : memref<2x160x136xf16> to !moe.weight<160x136xf16, cluster[2]>
  moe.grouped_matmul ins(%x : memref<?x160xf16>) weights(%0 : !moe.weight<160x136xf16, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%out : memref<?x136xf16>) {moe.kernel, moe.schedule = [
      {rows = 128, columns = 128, depth = 64, stages = 4, warps_down = 8, warps_across = 1, warpgroups = 2, cluster = 2}]}
  return
}
