// x·A: a block for each pair where clusters have few rows; else tiles of 32 pairs of one expert.
// RUN: sed -f %S/Inputs/rank16.sed %S/Inputs/layer.mlir | moe-compile - --optimize --separate-weights --target=cuda --isas=sm_80 --emit=loops -o %t.mlir
// RUN: FileCheck %s < %t.mlir
// RUN: moe-compile %S/Inputs/layer.mlir --optimize --separate-weights --target=cuda --isas=sm_80 --emit=loops -o %t4.mlir
// RUN: FileCheck %s --check-prefix=PAIRS < %t4.mlir

// Of ranks that are no multiples of eight each pair has its block, however many there are.
// PAIRS:     gpu.func @block0_shrink_{{[0-9]+}}(
// PAIRS-NOT: pairs_by_expert
// PAIRS-NOT: gpu.func @block0_shrink

// CHECK:      scf.if %{{.*}} {
// CHECK-NEXT:   func.call @moec.launch.block0_shrink_{{[0-9]+}}(
// CHECK:      } else {
// CHECK:      call @moec.launch.block0_pairs_by_expert_
// CHECK:      call @moec.launch.block0_tiles_
// CHECK:      call @moec.launch.block0_shrink_32_

// Four stages of 2·(32·72 + 2·64·24) bytes: four warps share the 64 terms of a stage.
// CHECK:      gpu.func @block0_shrink_32_{{[0-9]+}}(
// CHECK-SAME:   workgroup(%[[BYTES:.*]] : memref<43008xi8, #gpu.address_space<workgroup>>
// CHECK-SAME:   known_block_size = array<i32: 128, 1, 1>
// Each thread copies of two rows of x, which it looks up once.
// CHECK-COUNT-2: memref.load %{{.*}} : memref<?xi32, strided<[1], offset: ?>>
// CHECK-COUNT-3: nvvm.cp.async.commit.group
// CHECK:        nvvm.cp.async.wait.group 2
// 32 pairs by 16 columns of up and of gate.
// CHECK-COUNT-8: nvvm.mma.sync
// CHECK-NOT:    nvvm.mma.sync
// CHECK:        nvvm.cp.async.wait.group 0
// One warp after the other adds its sums to those in shared memory.
// CHECK:        memref.view %[[BYTES]]{{.*}} to memref<512xf32, #gpu.address_space<workgroup>>
// CHECK:        memref.view %[[BYTES]]{{.*}} to memref<512xf32, #gpu.address_space<workgroup>>
// CHECK-COUNT-4: gpu.barrier
// CHECK-NOT:    gpu.barrier
// CHECK:      gpu.func @block0_up
