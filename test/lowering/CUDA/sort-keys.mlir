// Runs of keys that rise and fall in turns are merged: 2, 4, … 2048 keys, by exchanges of pairs at half that distance, a quarter, … 1.
// RUN: moe-opt %s --convert-moe-to-cuda --canonicalize --cse | FileCheck %s

// CHECK:      gpu.func @group_group_order_1(
// CHECK-SAME:   workgroup(%[[KEYS:.*]] : memref<2048xi64, #gpu.address_space<workgroup>> {llvm.align = 16 : i64},
// CHECK:        gpu.barrier
// CHECK:        scf.for %[[MERGED:.*]] = %c1 to %c12 step
// CHECK:          %[[SIZE:.*]] = arith.shli %c1, %[[MERGED]] : index
// CHECK:          scf.for %{{.*}} = %c0 to %[[MERGED]] step
// CHECK:            %[[STRIDE:.*]] = arith.shli %c1, %{{.*}} : index
// Each thread takes some of the 1024 pairs: the first of a pair has the stride's bit clear, the second set.
// CHECK:            scf.for %[[PAIR:.*]] = %{{.*}} to %c1024 step %c512
// CHECK-DAG:          %[[TWICE:.*]] = arith.addi %[[PAIR]], %[[PAIR]] : index
// CHECK-DAG:          %[[LOW:.*]] = arith.andi %[[PAIR]], %{{.*}} : index
// CHECK:              %[[FIRST:.*]] = arith.subi %[[TWICE]], %[[LOW]] : index
// CHECK:              %[[SECOND:.*]] = arith.addi %[[FIRST]], %[[STRIDE]] : index
// CHECK:              %[[A:.*]] = memref.load %[[KEYS]][%[[FIRST]]]
// CHECK:              %[[B:.*]] = memref.load %[[KEYS]][%[[SECOND]]]
// CHECK:              %[[BIT:.*]] = arith.andi %[[FIRST]], %[[SIZE]] : index
// CHECK:              %[[RISES:.*]] = arith.cmpi eq, %[[BIT]], %c0 : index
// CHECK:              %[[FALLS:.*]] = arith.cmpi slt, %[[B]], %[[A]] : i64
// CHECK:              arith.cmpi eq, %[[RISES]], %[[FALLS]] : i1
// CHECK:                memref.store %[[B]], %[[KEYS]][%[[FIRST]]]
// CHECK:                memref.store %[[A]], %[[KEYS]][%[[SECOND]]]
// All keys of a step are there before the next.
// CHECK:            gpu.barrier
func.func @group(%c: memref<?x2xi32>, %e: memref<?x4xi32>, %p: memref<?x4xf32>, %slots: memref<?x4xi32>, %rows: memref<?xi32>, %off: memref<4xi32>,
                 %pair: memref<?xi32>, %expert: memref<?xi32>, %weight: memref<?xf32>) attributes {moec.arguments = []} {
  %clusters = moe.id_cast %c : memref<?x2xi32> to memref<?x2x!moe.id<cluster[3]>>
  %ids = moe.id_cast %e : memref<?x4xi32> to memref<?x4x!moe.id<expert[6]>>
  %experts = moe.id_cast %expert : memref<?xi32> to memref<?x!moe.id<expert[6]>>
  moe.group ins(%clusters, %ids, %p : memref<?x2x!moe.id<cluster[3]>>, memref<?x4x!moe.id<expert[6]>>, memref<?x4xf32>) slots(%slots : memref<?x4xi32>)
    outs(%rows, %off, %pair, %experts, %weight : memref<?xi32>, memref<4xi32>, memref<?xi32>, memref<?x!moe.id<expert[6]>>, memref<?xf32>) {moe.kernel}
  return
}
