// Long sums become kernels whose threads share the terms; what is short, or no sum of f32, stays.
// RUN: moe-opt %s --moe-split-sums --canonicalize --cse | FileCheck %s

#x = affine_map<(t, e, d) -> (t, d)>
#w = affine_map<(t, e, d) -> (d, e)>
#wt = affine_map<(t, e, d) -> (e, d)>
#y = affine_map<(t, e, d) -> (t, e)>
#row = affine_map<(t, d) -> (t, d)>
#token = affine_map<(t, d) -> (t)>

// Few rows: 16 lanes have columns beside each other, and what is left of 512 threads takes turns in the terms. Many rows of 16 bits
// are tiles on tensor cores (tile-sums.mlir).
// CHECK-LABEL: func.func @product(
// CHECK:         %[[FEW:.*]] = arith.cmpi sle, %{{.*}}, %c32
// CHECK:         scf.if %[[FEW]] {
// CHECK:           gpu.launch_func @moec_kernels::@product_product_4_0 blocks in (%{{.*}}, %c1, %c1) threads in (%c512, %c1, %c1)
// CHECK:         } else {
// CHECK:           gpu.launch_func @moec_kernels::@product_product_tile_32_1 blocks in (%{{.*}}, %c1, %c1) threads in (%c128, %c1, %c1)
func.func @product(%x: memref<?x64xbf16>, %w: memref<64x24xbf16>, %y: memref<?x24xf32>) attributes {moec.arguments = []} {
  linalg.matmul ins(%x, %w : memref<?x64xbf16>, memref<64x24xbf16>) outs(%y : memref<?x24xf32>)
  return
}

// Weights whose terms lie beside each other: all lanes take turns in them.
// CHECK-LABEL: func.func @transposed(
// CHECK:         gpu.launch_func @moec_kernels::@transposed_dots_4_2 {{.*}} threads in (%c256, %c1, %c1)
// CHECK:         gpu.launch_func @moec_kernels::@transposed_dots_8_3 {{.*}} threads in (%c64, %c1, %c1)
func.func @transposed(%x: memref<?x64xf32>, %w: memref<24x64xf32>, %y: memref<?x24xf32>) attributes {moec.arguments = []} {
  linalg.generic {indexing_maps = [#x, #wt, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : memref<?x64xf32>, memref<24x64xf32>) outs(%y : memref<?x24xf32>) {
  ^bb0(%a: f32, %b: f32, %sum: f32):
    %term = arith.mulf %a, %b : f32
    %next = arith.addf %term, %sum : f32
    linalg.yield %next : f32
  }
  return
}

// A term that depends on a condition, of a weight that the body loads: x·W of a router in the reference lowering.
// CHECK-LABEL: func.func @chosen(
// CHECK:         gpu.launch_func @moec_kernels::@chosen_product_4_{{[0-9]+}}
// CHECK:         gpu.launch_func @moec_kernels::@chosen_product_8_{{[0-9]+}} blocks in (%{{.*}}, %c1, %c1) threads in (%c256, %c1, %c1)
func.func @chosen(%x: memref<?x64xf32>, %entry: memref<?xi32>, %w: memref<64x24xf32>, %y: memref<?x24xf32>) attributes {moec.arguments = []} {
  linalg.generic {indexing_maps = [#x, affine_map<(t, e, d) -> (t)>, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %entry : memref<?x64xf32>, memref<?xi32>) outs(%y : memref<?x24xf32>) {
  ^bb0(%a: f32, %entry_of_row: i32, %sum: f32):
    %one = arith.constant 1 : i32
    %is = arith.cmpi ult, %entry_of_row, %one : i32
    %d = linalg.index 2 : index
    %e = linalg.index 1 : index
    %b = memref.load %w[%d, %e] : memref<64x24xf32>
    %term = arith.mulf %a, %b : f32
    %next = arith.addf %sum, %term : f32
    %kept = arith.select %is, %next, %sum : f32
    linalg.yield %kept : f32
  }
  return
}

// A block for each row.
// CHECK-LABEL: func.func @squares(
// CHECK:         gpu.launch_func @moec_kernels::@squares_sums_1_{{[0-9]+}} blocks in (%dim, %c1, %c1) threads in (%c256, %c1, %c1)
func.func @squares(%x: memref<?x512xf32>, %y: memref<?xf32>) attributes {moec.arguments = []} {
  linalg.generic {indexing_maps = [#row, #token], iterator_types = ["parallel", "reduction"]} ins(%x : memref<?x512xf32>) outs(%y : memref<?xf32>) {
  ^bb0(%a: f32, %sum: f32):
    %term = arith.mulf %a, %a : f32
    %next = arith.addf %sum, %term : f32
    linalg.yield %next : f32
  }
  return
}

// One row: its columns lie beside each other.
// CHECK-LABEL: func.func @vector(
// CHECK:         gpu.launch_func @moec_kernels::@vector_product_4_{{[0-9]+}} blocks in (%c2, %c1, %c1)
func.func @vector(%x: memref<64xf32>, %w: memref<64x24xf32>, %y: memref<24xf32>) attributes {moec.arguments = []} {
  linalg.vecmat ins(%x, %w : memref<64xf32>, memref<64x24xf32>) outs(%y : memref<24xf32>)
  return
}

// CHECK-LABEL: func.func @stay(
// CHECK-NOT:     gpu.launch_func
// CHECK:         return
func.func @stay(%x: memref<?x511xf32>, %sums: memref<?xf32>, %largest: memref<?xf32>, %a: memref<?x63xf32>, %w: memref<63x8xf32>,
                %y: memref<?x8xf32>, %p: memref<?x64xf64>, %q: memref<64x8xf64>, %r: memref<?x8xf64>, %long: memref<?x512xf32>)
    attributes {moec.arguments = []} {
  // Short.
  linalg.generic {indexing_maps = [#row, #token], iterator_types = ["parallel", "reduction"]} ins(%x : memref<?x511xf32>) outs(%sums : memref<?xf32>) {
  ^bb0(%b: f32, %sum: f32):
    %next = arith.addf %sum, %b : f32
    linalg.yield %next : f32
  }
  linalg.matmul ins(%a, %w : memref<?x63xf32>, memref<63x8xf32>) outs(%y : memref<?x8xf32>)
  // No sum, or one that is used otherwise.
  linalg.generic {indexing_maps = [#row, #token], iterator_types = ["parallel", "reduction"]} ins(%long : memref<?x512xf32>) outs(%largest : memref<?xf32>) {
  ^bb0(%b: f32, %most: f32):
    %next = arith.maximumf %most, %b : f32
    linalg.yield %next : f32
  }
  linalg.generic {indexing_maps = [#row, #token], iterator_types = ["parallel", "reduction"]} ins(%long : memref<?x512xf32>) outs(%largest : memref<?xf32>) {
  ^bb0(%b: f32, %sum: f32):
    %half = arith.mulf %sum, %b : f32
    %next = arith.addf %sum, %half : f32
    linalg.yield %next : f32
  }
  // In f64.
  linalg.matmul ins(%p, %q : memref<?x64xf64>, memref<64x8xf64>) outs(%r : memref<?x8xf64>)
  return
}

// Each thread adds up four rows of a column, in f32 whatever the factors are; lanes that have the same column add up in pairs,
// and warps in their order, behind what was there before.
// CHECK-LABEL: gpu.func @product_product_4_0(
// CHECK-SAME:    workgroup(%[[SHARED:.*]] : memref<1024xf32, #gpu.address_space<workgroup>>
// CHECK:         %[[SUMS:.*]]:4 = scf.for %{{.*}} = %{{.*}} to %c64 step %c32 iter_args({{.*}}) -> (f32, f32, f32, f32) {
// CHECK-COUNT-4:   math.fma
// CHECK:         } {llvm.loop_annotation = #
// CHECK-COUNT-4: gpu.shuffle
// CHECK:         gpu.barrier
// CHECK-COUNT-15: arith.addf
// CHECK:         %[[BEFORE:.*]] = memref.load
// CHECK:         %[[ALL:.*]] = arith.addf %[[BEFORE]]
// CHECK:         memref.store %[[ALL]]
