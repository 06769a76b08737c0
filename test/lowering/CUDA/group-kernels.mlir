// Blocks sort 256 places each: all count what there is and what comes before them; warps count their lanes of one cluster together, and
// earlier warps come first, so tokens keep their order.
// RUN: moe-opt %s --convert-moe-to-cuda | FileCheck %s

// CHECK-LABEL: func.func @group(
// CHECK:      %[[RUNS:.*]] = arith.divui %[[PLACES:.*]], %c256{{.*}} : index
// CHECK:      %[[BLOCKS:.*]] = arith.addi %[[RUNS]], %c1{{.*}} : index
// CHECK:      gpu.launch_func @moec_kernels::@group_group_rows_0 blocks in (%[[BLOCKS]], {{.*}}) threads in (%c256
// CHECK:      %[[FEW:.*]] = arith.cmpi sle, %{{.*}}, %c48{{.*}} : index
// CHECK:      %[[RUNS_OF_ROWS:.*]] = arith.divui %{{.*}}, %c2048{{.*}} : index
// CHECK:      %[[ORDERING:.*]] = arith.select %[[FEW]], %c0{{.*}}, %[[RUNS_OF_ROWS]] : index
// CHECK:      gpu.launch_func @moec_kernels::@group_group_order_1 blocks in (%[[ORDERING]], {{.*}}) threads in (%c512

// CHECK:      gpu.func @group_group_rows_0(
// CHECK-SAME:   workgroup(%[[NEXT:.*]] : memref<4xi32, #gpu.address_space<workgroup>> {llvm.align = 16 : i64}, %[[WARPS:.*]] : memref<24xi32, #gpu.address_space<workgroup>> {llvm.align = 16 : i64}, %{{.*}} : memref<8xi32, #gpu.address_space<workgroup>> {llvm.align = 16 : i64}, %[[COUNTS:.*]] : memref<4xi32, #gpu.address_space<workgroup>> {llvm.align = 16 : i64})
// CHECK:        memref.atomic_rmw addi %{{.*}}, %[[COUNTS]]
// CHECK:        memref.atomic_rmw addi %{{.*}}, %[[NEXT]]
// CHECK:        gpu.shuffle up
// CHECK:          nvvm.match.sync any
// CHECK:          math.ctpop
// CHECK:          gpu.barrier
// Rows of a group by their experts: runs of 2048, by 512 threads, in shared memory; none where groups have 16 rows each on average.
// CHECK:      gpu.func @group_group_order_1(
// CHECK-SAME:   workgroup(%[[KEYS:.*]] : memref<2048xi64, #gpu.address_space<workgroup>> {llvm.align = 16 : i64}, %[[PLACES:.*]] : memref<2048xi32, #gpu.address_space<workgroup>> {llvm.align = 16 : i64})
// Group, four experts, place in the run.
// CHECK:        scf.for %{{.*}} iter_args({{.*}}%c1023_i32{{.*}}%c1023_i32{{.*}}%c1023_i32{{.*}}%c1023_i32)
// CHECK-COUNT-4: arith.shli %{{.*}}, %c10_i64{{.*}} : i64
// CHECK:        arith.shli %{{.*}}, %c11_i64{{.*}} : i64
// CHECK:        memref.store %{{.*}}, %[[KEYS]]
// CHECK:        gpu.barrier
// CHECK:        arith.andi %{{.*}}, %c2047_i64{{.*}} : i64
// CHECK:        memref.load %[[PLACES]]
// CHECK:      gpu.func @group_group_pairs_2(
// CHECK:        gpu.shuffle up
// Rows of a token, which the group worked out, are sorted by one thread and added in their order.
// CHECK:      gpu.func @group_combine_3(
// CHECK-SAME:   workgroup(%{{.*}} : memref<4xi32, #gpu.address_space<workgroup>> {llvm.align = 16 : i64})
// CHECK:        gpu.barrier
// CHECK:        arith.mulf
// CHECK:        arith.addf
func.func @group(%c: memref<?x2xi32>, %e: memref<?x4xi32>, %p: memref<?x4xf32>, %slots: memref<?x4xi32>, %rows: memref<?xi32>, %off: memref<4xi32>,
                 %pair: memref<?xi32>, %expert: memref<?xi32>, %weight: memref<?xf32>,
                 %x: memref<?x16xf32>, %w: memref<?xf32>, %y: memref<?x16xf32>) attributes {moec.arguments = []} {
  %clusters = moe.id_cast %c : memref<?x2xi32> to memref<?x2x!moe.id<cluster[3]>>
  %ids = moe.id_cast %e : memref<?x4xi32> to memref<?x4x!moe.id<expert[6]>>
  %experts = moe.id_cast %expert : memref<?xi32> to memref<?x!moe.id<expert[6]>>
  moe.group ins(%clusters, %ids, %p : memref<?x2x!moe.id<cluster[3]>>, memref<?x4x!moe.id<expert[6]>>, memref<?x4xf32>) slots(%slots : memref<?x4xi32>)
    outs(%rows, %off, %pair, %experts, %weight : memref<?xi32>, memref<4xi32>, memref<?xi32>, memref<?x!moe.id<expert[6]>>, memref<?xf32>) {moe.kernel}
  moe.scatter_combine ins(%x, %rows : memref<?x16xf32>, memref<?xi32>) weighted(%w : memref<?xf32>) outs(%y : memref<?x16xf32>)
    {moe.kernel, moe.rows_per_token = 2 : i64}
  return
}
