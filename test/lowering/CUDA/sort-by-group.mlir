// Pairs sorted by their experts, which many blocks do at once: a block for each 256 of them.
// RUN: sed -f %S/Inputs/rank16.sed %S/Inputs/layer.mlir | moe-compile - --optimize --separate-weights --target=cuda --isas=sm_80 --emit=loops -o %t.mlir
// RUN: FileCheck %s < %t.mlir

// CHECK:      gpu.func @block0_pairs_by_expert_{{[0-9]+}}(
// The next place of each of 16 experts, what each of eight warps has of them, shares of a sum, and counts.
// CHECK-SAME:   workgroup(%[[NEXT:.*]] : memref<16xi32, #gpu.address_space<workgroup>> {llvm.align = 16 : i64}, %[[WARPS:.*]] : memref<128xi32, #gpu.address_space<workgroup>> {llvm.align = 16 : i64}, %{{.*}} : memref<8xi32, #gpu.address_space<workgroup>> {llvm.align = 16 : i64}, %[[COUNTS:.*]] : memref<16xi32, #gpu.address_space<workgroup>> {llvm.align = 16 : i64})
// CHECK-SAME:   known_block_size = array<i32: 256, 1, 1>
// All pairs are counted, and those in front of the block's own.
// CHECK:        memref.atomic_rmw addi %{{.*}}, %[[COUNTS]]
// CHECK:        memref.atomic_rmw addi %{{.*}}, %[[NEXT]]
// CHECK:        gpu.barrier
// Lanes of one expert: the first of them counts for its warp, and each knows how many are in front of it.
// CHECK:        %[[SAME:.*]] = nvvm.match.sync any
// CHECK:        memref.store %{{.*}}, %[[WARPS]]
// CHECK:        gpu.barrier
// Warps in their order, behind what comes before the block.
// CHECK:        memref.load %[[NEXT]]
// CHECK:        gpu.barrier
// CHECK:        memref.load %[[WARPS]]
