// RUN: moe-opt %s --cse --canonicalize --loop-invariant-code-motion --mem2reg --sccp | FileCheck %s
// Nothing erases, merges or moves what it must not; equal hints in a row become one.

// Unused results and equal operands are no reason to erase or merge.
// CHECK-LABEL: func.func @tensors
// CHECK-COUNT-2: moert.acquire
// CHECK: moert.release
// CHECK: return
func.func @tensors(%c: tensor<?xi32>, %t: tensor<4xi32>) {
  %lease, %slots = moert.acquire ins(%c, %t : tensor<?xi32>, tensor<4xi32>) outs(%t : tensor<4xi32>) -> tensor<4xi32>
  %again, %others = moert.acquire ins(%c, %t : tensor<?xi32>, tensor<4xi32>) outs(%t : tensor<4xi32>) -> tensor<4xi32>
  moert.release %lease slots(%slots : tensor<4xi32>)
  return
}

// All operands are the same in each turn, and yet nothing leaves the loop.
// CHECK-LABEL: func.func @loop
// CHECK: scf.for
// CHECK-NEXT: moert.prefetch
// CHECK-NEXT: %[[LEASE:.*]], %[[SLOTS:.*]] = moert.acquire
// CHECK-NEXT: moert.release %[[LEASE]] slots(%[[SLOTS]]
// CHECK-NEXT: }
func.func @loop(%n: index, %c: tensor<?xi32>, %t: tensor<4xi32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.for %i = %c0 to %n step %c1 {
    moert.prefetch %c : tensor<?xi32>
    %lease, %slots = moert.acquire ins(%c, %t : tensor<?xi32>, tensor<4xi32>) outs(%t : tensor<4xi32>) -> tensor<4xi32>
    moert.release %lease slots(%slots : tensor<4xi32>)
  }
  return
}

// Loads of a pool before, under and behind a lease are three.
// CHECK-LABEL: func.func @pools
// CHECK-SAME: %[[POOL:[^:]*]]: memref<?x8xf32>
// CHECK: %[[BEFORE:.*]] = memref.load %[[POOL]]
// CHECK: moert.acquire
// CHECK: %[[UNDER:.*]] = memref.load %[[POOL]]
// CHECK-NOT: memref.load
// CHECK: moert.release
// CHECK: %[[BEHIND:.*]] = memref.load %[[POOL]]
// CHECK: return %[[BEFORE]], %[[UNDER]], %[[UNDER]], %[[BEHIND]]
func.func @pools(%pool: memref<?x8xf32>, %c: memref<?xi32>, %t: memref<4xi32>, %o: memref<4xi32>) -> (f32, f32, f32, f32) {
  %c0 = arith.constant 0 : index
  %before = memref.load %pool[%c0, %c0] : memref<?x8xf32>
  %lease = moert.acquire ins(%c, %t : memref<?xi32>, memref<4xi32>) pools(%pool : memref<?x8xf32>) outs(%o : memref<4xi32>)
  %under = memref.load %pool[%c0, %c0] : memref<?x8xf32>
  %same = memref.load %pool[%c0, %c0] : memref<?x8xf32>
  moert.release %lease slots(%o : memref<4xi32>) pools(%pool : memref<?x8xf32>)
  %behind = memref.load %pool[%c0, %c0] : memref<?x8xf32>
  return %before, %under, %same, %behind : f32, f32, f32, f32
}

// What a hint reads stays in memory, and so does what acquire writes.
// CHECK-LABEL: func.func @stack
// CHECK: %[[C:.*]] = memref.alloca
// CHECK: memref.store %{{.*}}, %[[C]]
// CHECK: moert.prefetch
// CHECK: memref.store %{{.*}}, %[[C]]
// CHECK: moert.acquire
// CHECK: memref.load
func.func @stack(%a: i32, %b: i32, %t: memref<1xi32>) -> i32 {
  %c0 = arith.constant 0 : index
  %c = memref.alloca() : memref<1xi32>
  %o = memref.alloca() : memref<1xi32>
  memref.store %a, %c[%c0] : memref<1xi32>
  memref.store %a, %o[%c0] : memref<1xi32>
  moert.prefetch %c : memref<1xi32>
  memref.store %b, %c[%c0] : memref<1xi32>
  %lease = moert.acquire ins(%c, %t : memref<1xi32>, memref<1xi32>) outs(%o : memref<1xi32>)
  %place = memref.load %o[%c0] : memref<1xi32>
  moert.release %lease slots(%o : memref<1xi32>)
  return %place : i32
}

// Two equal hints in a row become one, also with something between them that has no effect.
// CHECK-LABEL: func.func @merged
// CHECK-SAME: %[[C:[^:]*]]: tensor<?xi32>, %[[D:[^:]*]]: tensor<?xi32>
// CHECK-NEXT: moert.prefetch %[[C]] : tensor<?xi32>
// CHECK-NEXT: %[[SUM:.*]] = arith.addi
// CHECK-NEXT: moert.prefetch %[[D]] : tensor<?xi32>
// CHECK-NEXT: moert.prefetch %[[D]] ahead 1 : tensor<?xi32>
// CHECK-NEXT: return %[[SUM]]
func.func @merged(%c: tensor<?xi32>, %d: tensor<?xi32>, %n: index) -> index {
  moert.prefetch %c : tensor<?xi32>
  moert.prefetch %c : tensor<?xi32>
  %sum = arith.addi %n, %n : index
  moert.prefetch %c : tensor<?xi32>
  moert.prefetch %d : tensor<?xi32>
  moert.prefetch %d ahead 1 : tensor<?xi32>
  return %sum : index
}

// Behind a release the same hint says something new; so it does once its clusters were written.
// CHECK-LABEL: func.func @not_merged
// CHECK: moert.prefetch
// CHECK: moert.release
// CHECK: moert.prefetch
// CHECK: memref.store
// CHECK: moert.prefetch
func.func @not_merged(%c: memref<?xi32>, %lease: !moert.lease, %o: memref<4xi32>, %id: i32, %at: index) {
  moert.prefetch %c : memref<?xi32>
  moert.release %lease slots(%o : memref<4xi32>)
  moert.prefetch %c : memref<?xi32>
  memref.store %id, %c[%at] : memref<?xi32>
  moert.prefetch %c : memref<?xi32>
  return
}
