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

// What is sent is not written over until its sums are there; what comes back is where it was said at the beginning, also where others could use that
// buffer in between.
// CHECK-LABEL: func.func @exchange
// CHECK-SAME: %[[X:[^:]*]]: memref<8x16xf32>, %[[IDS:[^:]*]]: memref<8x2xi32>, %[[P:[^:]*]]: memref<8x2xf32>
// CHECK: %[[E:.*]] = moert.begin ins(%[[X]], %[[IDS]], %[[P]] : {{.*}}) outs(%[[SUMS:[^ ]*]] : memref<8x16xf32>) parts 1
// CHECK: %[[COUNT:.*]], %[[R:.*]] = moert.receive %[[E]] part 0
// CHECK: moert.read %[[R]][%{{.*}}] outs(%[[ROWS:.*]], %{{.*}}, %{{.*}} : memref<4x16xf32>, memref<4x2xi32>, memref<4x2xf32>)
// CHECK: moert.write %[[R]][%{{.*}}] ins(%[[ROWS]] : memref<4x16xf32>)
// CHECK: linalg.exp ins(%[[X]] : {{.*}}) outs(%[[OTHER:[^ ]*]] :
// CHECK-NOT: memref.copy
// CHECK: moert.collect %[[E]] part 0 ins(%[[X]], %[[IDS]], %[[P]] : {{.*}}) outs(%[[SUMS]] : memref<8x16xf32>)
// CHECK-NOT: memref.copy
// CHECK: linalg.add ins(%[[SUMS]], %[[OTHER]] :
func.func @exchange(%x: tensor<8x16xf32>, %ids: tensor<8x2xi32>, %p: tensor<8x2xf32>, %n: index) -> tensor<8x16xf32> {
  %o = tensor.empty() : tensor<8x16xf32>
  %r = tensor.empty() : tensor<4x16xf32>
  %i = tensor.empty() : tensor<4x2xi32>
  %q = tensor.empty() : tensor<4x2xf32>
  %e, %sums = moert.begin ins(%x, %ids, %p : tensor<8x16xf32>, tensor<8x2xi32>, tensor<8x2xf32>) outs(%o : tensor<8x16xf32>) parts 1 -> tensor<8x16xf32>
  moert.dispatch %e part 0
  %count, %received = moert.receive %e part 0
  %read:3 = moert.read %received[%n] outs(%r, %i, %q : tensor<4x16xf32>, tensor<4x2xi32>, tensor<4x2xf32>) -> tensor<4x16xf32>, tensor<4x2xi32>, tensor<4x2xf32>
  moert.write %received[%n] ins(%read#0 : tensor<4x16xf32>)
  moert.send_back %received
  %other = linalg.exp ins(%x : tensor<8x16xf32>) outs(%o : tensor<8x16xf32>) -> tensor<8x16xf32>
  %y = moert.collect %e part 0 ins(%x, %ids, %p : tensor<8x16xf32>, tensor<8x2xi32>, tensor<8x2xf32>) outs(%sums : tensor<8x16xf32>) -> tensor<8x16xf32>
  %z = linalg.add ins(%y, %other : tensor<8x16xf32>, tensor<8x16xf32>) outs(%o : tensor<8x16xf32>) -> tensor<8x16xf32>
  return %z : tensor<8x16xf32>
}
