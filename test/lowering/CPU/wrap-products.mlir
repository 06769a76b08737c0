// Products of matrices of known extents become products of stored weights; anything else stays.
// RUN: moe-opt %s --moe-wrap-products | FileCheck %s
// RUN: moe-opt %s --moe-wrap-products --convert-moe-to-cpu=isa=x86-64-v4 | FileCheck %s --check-prefix=KERNELS

#x = affine_map<(m, n, k) -> (m, k)>
#w = affine_map<(m, n, k) -> (k, n)>
#t = affine_map<(m, n, k) -> (n, k)>
#y = affine_map<(m, n, k) -> (m, n)>
#arguments = [{dtype = "float32", name = "x", role = "input", shape = array<i64: -2, 64>}, {dtype = "float32", name = "w", role = "input", shape = array<i64: 64, 32>}, {dtype = "float32", name = "y", role = "output", shape = array<i64: -2, 32>}]

// CHECK-LABEL: func.func @plain(
// CHECK-SAME:    %[[X:.*]]: memref<?x64xf32>, %[[W:.*]]: memref<64x32xf32>, %[[Y:.*]]: memref<?x32xf32>)
// CHECK-NEXT:    %[[WEIGHT:.*]] = moe.wrap %[[W]] : memref<64x32xf32> to !moe.weight<64x32xf32>
// CHECK-NEXT:    moe.grouped_matmul accumulate ins(%[[X]] : memref<?x64xf32>) weights(%[[WEIGHT]] : !moe.weight<64x32xf32>) outs(%[[Y]] : memref<?x32xf32>)
// CHECK-NEXT:    return
// Rows of whole panels are read where they are, from row to row by a stride; others are brought into panels.
// KERNELS-NOT:   @plain_panels
// KERNELS:       func.func private @matmul_f32_rows({{.*}}, %[[STRIDE:arg14]]: index)
// KERNELS:         arith.muli %{{.*}}, %[[STRIDE]]
// KERNELS:       func.func private @ragged_panels
// KERNELS:         vector.store {{.*}} vector<16xf32>
// KERNELS:       func.func private @matmul_f32(
func.func @plain(%x: memref<?x64xf32>, %w: memref<64x32xf32>, %y: memref<?x32xf32>) attributes {moec.arguments = #arguments} {
  linalg.matmul ins(%x, %w : memref<?x64xf32>, memref<64x32xf32>) outs(%y : memref<?x32xf32>)
  return
}

// CHECK-LABEL: func.func @ragged(
// CHECK:         moe.grouped_matmul accumulate
func.func @ragged(%x: memref<?x64xf32>, %w: memref<64x20xf32>, %y: memref<?x20xf32>) attributes {moec.arguments = #arguments} {
  linalg.matmul ins(%x, %w : memref<?x64xf32>, memref<64x20xf32>) outs(%y : memref<?x20xf32>)
  return
}

// CHECK-LABEL: func.func @transposed_and_narrow(
// CHECK:         %[[T:.*]] = memref.transpose %{{.*}} (d0, d1) -> (d1, d0) : memref<32x64xbf16> to memref<64x32xbf16, strided<[1, 64]>>
// CHECK:         moe.wrap %[[T]] encoding <bf16> : memref<64x32xbf16, strided<[1, 64]>> to !moe.weight<64x32xf32>
// CHECK:         moe.grouped_matmul accumulate
func.func @transposed_and_narrow(%x: memref<?x64xf32>, %w: memref<32x64xbf16>, %y: memref<?x32xf32>) {
  linalg.generic {indexing_maps = [#x, #t, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : memref<?x64xf32>, memref<32x64xbf16>) outs(%y : memref<?x32xf32>) {
  ^bb0(%a: f32, %b: bf16, %sum: f32):
    %wide = arith.extf %b : bf16 to f32
    %product = arith.mulf %wide, %a : f32
    %next = arith.addf %product, %sum : f32
    linalg.yield %next : f32
  }
  return
}

// CHECK-LABEL: func.func @others(
// CHECK-NOT:     moe.
// CHECK-COUNT-5: linalg.
// CHECK-NOT:     moe.
// CHECK:         return
func.func @others(%x: memref<8x64xf32>, %w: memref<64x32xf32>, %any: memref<64x?xf32>, %z: memref<8x?xf32>, %y: memref<8x32xf32>,
                  %h: memref<8x64xbf16>, %u: memref<64x32xbf16>, %x64: memref<8x64xf64>, %w64: memref<64x32xf64>, %y64: memref<8x32xf64>) {
  // Columns are not known; results are wider than rows; f64.
  linalg.matmul ins(%x, %any : memref<8x64xf32>, memref<64x?xf32>) outs(%z : memref<8x?xf32>)
  linalg.matmul ins(%h, %u : memref<8x64xbf16>, memref<64x32xbf16>) outs(%y : memref<8x32xf32>)
  linalg.matmul ins(%x64, %w64 : memref<8x64xf64>, memref<64x32xf64>) outs(%y64 : memref<8x32xf64>)
  // The largest product, and a square: no sum of products of both.
  linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : memref<8x64xf32>, memref<64x32xf32>) outs(%y : memref<8x32xf32>) {
  ^bb0(%a: f32, %b: f32, %most: f32):
    %product = arith.mulf %a, %b : f32
    %next = arith.maximumf %most, %product : f32
    linalg.yield %next : f32
  }
  linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : memref<8x64xf32>, memref<64x32xf32>) outs(%y : memref<8x32xf32>) {
  ^bb0(%a: f32, %b: f32, %sum: f32):
    %product = arith.mulf %a, %a : f32
    %next = arith.addf %sum, %product : f32
    linalg.yield %next : f32
  }
  return
}
