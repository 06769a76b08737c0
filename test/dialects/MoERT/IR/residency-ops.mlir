// RUN: moe-opt %s -o %t && FileCheck %s --input-file=%t
// RUN: moe-opt %t | diff %t -
// RUN: moe-opt %s --mlir-print-op-generic | moe-opt | diff %t -
// RUN: moe-opt %s --emit-bytecode | moe-opt | diff %t -
// Prefetch, acquire and release, on tensors and on buffers.

// CHECK-LABEL: func.func @tensors
// CHECK-NEXT: moert.prefetch %{{.*}} : tensor<?x2xi32>
// CHECK-NEXT: moert.prefetch %{{.*}} ahead 1 : tensor<8xi32>
// CHECK-NEXT: %[[LEASE:.*]], %[[SLOTS:.*]] = moert.acquire ins(%{{.*}}, %{{.*}} : tensor<?x2xi32>, tensor<4xi32>) pools(%{{.*}}, %{{.*}} : tensor<?x64x32xf32>, tensor<?x2xf16>) outs(%{{.*}} : tensor<4xi32>) -> tensor<4xi32>
// CHECK-NEXT: moert.release %[[LEASE]] slots(%[[SLOTS]] : tensor<4xi32>) pools(%{{.*}}, %{{.*}} : tensor<?x64x32xf32>, tensor<?x2xf16>) {note = "kept"}
func.func @tensors(%c: tensor<?x2xi32>, %list: tensor<8xi32>, %t: tensor<4xi32>, %p: tensor<?x64x32xf32>, %q: tensor<?x2xf16>, %o: tensor<4xi32>) {
  moert.prefetch %c ahead 0 : tensor<?x2xi32>
  moert.prefetch %list ahead 1 : tensor<8xi32>
  %lease, %slots = moert.acquire ins(%c, %t : tensor<?x2xi32>, tensor<4xi32>) pools(%p, %q : tensor<?x64x32xf32>, tensor<?x2xf16>)
    outs(%o : tensor<4xi32>) -> tensor<4xi32>
  moert.release %lease slots(%slots : tensor<4xi32>) pools(%p, %q : tensor<?x64x32xf32>, tensor<?x2xf16>) {note = "kept"}
  return
}

// CHECK-LABEL: func.func @buffers
// CHECK: moert.prefetch %{{.*}} : memref<?x2xi32, strided<[?, ?], offset: ?>>
// CHECK: %[[LEASE:.*]] = moert.acquire ins(%{{.*}}, %{{.*}} : memref<?x2xi32, strided<[?, ?], offset: ?>>, memref<4xi32>) outs(%[[O:.*]] : memref<4xi32>)
// CHECK: moert.release %[[LEASE]] slots(%[[O]] : memref<4xi32>)
func.func @buffers(%c: memref<?x2xi32, strided<[?, ?], offset: ?>>, %t: memref<4xi32>, %o: memref<4xi32>) {
  moert.prefetch %c : memref<?x2xi32, strided<[?, ?], offset: ?>>
  %lease = moert.acquire ins(%c, %t : memref<?x2xi32, strided<[?, ?], offset: ?>>, memref<4xi32>) outs(%o : memref<4xi32>)
  moert.release %lease slots(%o : memref<4xi32>)
  return
}

// CHECK-LABEL: func.func @lease(%{{.*}}: !moert.lease)
func.func @lease(%lease: !moert.lease) {
  return
}
