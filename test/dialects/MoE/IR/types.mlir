// RUN: moe-opt %s -o %t && FileCheck %s --input-file=%t
// RUN: moe-opt %t | diff %t -
// RUN: moe-opt %s --mlir-print-op-generic | moe-opt | diff %t -
// RUN: moe-opt %s --emit-bytecode | moe-opt | diff %t -
// Types print as they are written.

// CHECK-LABEL: func.func private @weights
// CHECK-SAME: !moe.weight<2048x768xbf16, cluster[16]>, !moe.weight<64x32xf32>, !moe.weight<1x1xf64, basis[1]>
// CHECK-SAME: !moe.weight<4x4xf16, expert[8]>
func.func private @weights(!moe.weight<2048x768xbf16, cluster[16]>, !moe.weight<64x32xf32>,
                           !moe.weight<1x1xf64, basis[1]>, !moe.weight<4x4xf16, expert[8]>)

// The largest sizes are those of i32.
// CHECK-LABEL: func.func private @largest
// CHECK-SAME: !moe.weight<2147483647x2147483647xf32, expert[2147483647]>
// CHECK-SAME: !moe.table<expert[2147483647] -> cluster[2147483647]>
// CHECK-SAME: tensor<1x!moe.id<expert[2147483646+1]>>
func.func private @largest(!moe.weight<2147483647x2147483647xf32, expert[2147483647]>,
                           !moe.table<expert[2147483647] -> cluster[2147483647]>,
                           tensor<1x!moe.id<expert[2147483646+1]>>)

// CHECK-LABEL: func.func private @tables
// CHECK-SAME: !moe.table<expert[128] -> cluster[16]>, !moe.table<expert[128] -> expert[64]>
// CHECK-SAME: !moe.table<cluster[4] -> cluster[2]>, !moe.table<cluster[1] -> expert[1]>
func.func private @tables(!moe.table<expert[128] -> cluster[16]>, !moe.table<expert[128] -> expert[64]>,
                          !moe.table<cluster[4] -> cluster[2]>, !moe.table<cluster[1] -> expert[1]>)

// A count of no special experts is left out; ids are elements of tensors and of buffers.
// CHECK-LABEL: func.func private @ids
// CHECK-SAME: !moe.id<expert[8]>, tensor<?x2x!moe.id<expert[512+256]>>, memref<?x!moe.id<cluster[2]>>, !moe.id<expert[4]>
func.func private @ids(!moe.id<expert[8]>, tensor<?x2x!moe.id<expert[512+256]>>, memref<?x!moe.id<cluster[2]>>,
                       !moe.id<expert[4+0]>)
