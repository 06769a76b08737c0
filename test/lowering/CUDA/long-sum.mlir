// Which operations are long sums, and which of their dimensions are rows and columns.
// RUN: moe-opt %s --moe-split-sums --canonicalize --cse | FileCheck %s

#x = affine_map<(t, e, d) -> (t, d)>
#w = affine_map<(t, e, d) -> (d, e)>
#y = affine_map<(t, e, d) -> (t, e)>

// The term stands in front of the sum or behind it.
// CHECK-LABEL: func.func @either_side(
// CHECK-COUNT-2: gpu.launch_func @moec_kernels::@either_side_product
func.func @either_side(%x: memref<?x64xf32>, %w: memref<64x24xf32>, %y: memref<?x24xf32>) attributes {moec.arguments = []} {
  linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : memref<?x64xf32>, memref<64x24xf32>) outs(%y : memref<?x24xf32>) {
  ^bb0(%a: f32, %b: f32, %sum: f32):
    %term = arith.mulf %a, %b : f32
    %next = arith.addf %term, %sum : f32
    linalg.yield %next : f32
  }
  return
}

// What depends on columns and terms has terms inside: dots.
// CHECK-LABEL: func.func @dots(
// CHECK-COUNT-2: gpu.launch_func @moec_kernels::@dots_dots
func.func @dots(%x: memref<?x64xf32>, %w: memref<24x64xf32>, %y: memref<?x24xf32>) attributes {moec.arguments = []} {
  linalg.generic {indexing_maps = [#x, affine_map<(t, e, d) -> (e, d)>, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : memref<?x64xf32>, memref<24x64xf32>) outs(%y : memref<?x24xf32>) {
  ^bb0(%a: f32, %b: f32, %sum: f32):
    %term = arith.mulf %a, %b : f32
    %next = arith.addf %sum, %term : f32
    linalg.yield %next : f32
  }
  return
}

// A sum that is used otherwise too is none.
// CHECK-LABEL: func.func @used_twice(
// CHECK-NOT:     gpu.launch_func
func.func @used_twice(%x: memref<?x64xf32>, %w: memref<64x24xf32>, %y: memref<?x24xf32>) attributes {moec.arguments = []} {
  linalg.generic {indexing_maps = [#x, #w, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : memref<?x64xf32>, memref<64x24xf32>) outs(%y : memref<?x24xf32>) {
  ^bb0(%a: f32, %b: f32, %sum: f32):
    %scaled = arith.mulf %a, %sum : f32
    %term = arith.mulf %scaled, %b : f32
    %next = arith.addf %sum, %term : f32
    linalg.yield %next : f32
  }
  return
}
