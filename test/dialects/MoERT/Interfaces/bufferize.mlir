// RUN: moe-opt %s --one-shot-bufferize="bufferize-function-boundaries function-boundary-type-conversion=identity-layout-map" --canonicalize | FileCheck %s
// On buffers the places are written where the destination is; what is read is not copied.

// CHECK-LABEL: func.func @layer
// CHECK-SAME: %[[C:[^:]*]]: memref<?x2xi32>, %[[T:[^:]*]]: memref<4xi32>, %[[POOL:[^:]*]]: memref<?x8xf32>
// CHECK-NOT: memref.copy
// CHECK: %[[O:.*]] = memref.alloc() {{.*}}: memref<4xi32>
// CHECK: moert.prefetch %[[C]] ahead 1 : memref<?x2xi32>
// CHECK: %[[LEASE:.*]] = moert.acquire ins(%[[C]], %[[T]] : memref<?x2xi32>, memref<4xi32>) pools(%[[POOL]] : memref<?x8xf32>) outs(%[[O]] : memref<4xi32>)
// CHECK-NOT: memref.copy
// CHECK: memref.load %[[O]]
// CHECK: moert.release %[[LEASE]] slots(%[[O]] : memref<4xi32>) pools(%[[POOL]] : memref<?x8xf32>)
func.func @layer(%c: tensor<?x2xi32>, %t: tensor<4xi32>, %pool: tensor<?x8xf32>) -> i32 {
  %c0 = arith.constant 0 : index
  %o = tensor.empty() : tensor<4xi32>
  moert.prefetch %c ahead 1 : tensor<?x2xi32>
  %lease, %slots = moert.acquire ins(%c, %t : tensor<?x2xi32>, tensor<4xi32>) pools(%pool : tensor<?x8xf32>) outs(%o : tensor<4xi32>) -> tensor<4xi32>
  %place = tensor.extract %slots[%c0] : tensor<4xi32>
  moert.release %lease slots(%slots : tensor<4xi32>) pools(%pool : tensor<?x8xf32>)
  return %place : i32
}

// The table is needed later: acquire does not write over it.
// CHECK-LABEL: func.func @table_kept
// CHECK-SAME: %[[C:[^:]*]]: memref<?xi32>, %[[T:[^:]*]]: memref<4xi32>
// CHECK: %[[COPY:.*]] = memref.alloc
// CHECK: moert.acquire ins(%[[C]], %[[T]] : {{.*}}) outs(%[[COPY]] : memref<4xi32>)
// CHECK: memref.load %[[T]]
func.func @table_kept(%c: tensor<?xi32>, %t: tensor<4xi32>) -> i32 {
  %c0 = arith.constant 0 : index
  %lease, %slots = moert.acquire ins(%c, %t : tensor<?xi32>, tensor<4xi32>) outs(%t : tensor<4xi32>) -> tensor<4xi32>
  moert.release %lease slots(%slots : tensor<4xi32>)
  %kept = tensor.extract %t[%c0] : tensor<4xi32>
  return %kept : i32
}
