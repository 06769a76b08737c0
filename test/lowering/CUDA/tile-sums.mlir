// Products of many rows beside layers, of numbers of 16 bits, as tiles on tensor cores.
// RUN: moe-opt %s --moe-split-sums --canonicalize --cse | FileCheck %s

#x = affine_map<(t, e, d) -> (t, d)>
#token = affine_map<(t, e, d) -> (t)>
#y = affine_map<(t, e, d) -> (t, e)>

// Few columns: 32 rows, and four warps share the terms. Who calls may bring any strides: the host looks whether copies can bring eight
// numbers, and takes the threads' loop where they cannot.
// CHECK-LABEL: func.func @any_strides(
// CHECK:         arith.cmpi sle, %{{.*}}, %c32
// CHECK:           gpu.launch_func @moec_kernels::@any_strides_product_4_
// CHECK:         } else {
// CHECK:           %{{.*}}, %[[OFFSET:.*]], %{{.*}}:2, %[[STRIDES:.*]]:2 = memref.extract_strided_metadata %arg0
// CHECK-DAG:       arith.remui %[[OFFSET]], %c8
// CHECK-DAG:       arith.remui %[[STRIDES]]#0, %c8
// CHECK-DAG:       arith.cmpi eq, %[[STRIDES]]#1, %c1
// CHECK:           scf.if
// CHECK:             gpu.launch_func @moec_kernels::@any_strides_product_tile_32_{{[0-9]+}} blocks in (%{{.*}}, %c1, %c1) threads in (%c128, %c1, %c1)
// CHECK:           } else {
// CHECK:             gpu.launch_func @moec_kernels::@any_strides_product_8_
func.func @any_strides(%x: memref<?x64xbf16, strided<[?, ?], offset: ?>>, %w: memref<64x24xbf16>, %y: memref<?x24xf32>) attributes {moec.arguments = []} {
  linalg.matmul ins(%x, %w : memref<?x64xbf16, strided<[?, ?], offset: ?>>, memref<64x24xbf16>) outs(%y : memref<?x24xf32>)
  return
}

// Many columns: 64 x 64. Strides that are known are not looked at.
// CHECK-LABEL: func.func @wide(
// CHECK-NOT:     extract_strided_metadata %{{.*}} : memref<?x64xf16> {{.*}}arith.remui
// CHECK:           gpu.launch_func @moec_kernels::@wide_product_4_
// CHECK:           gpu.launch_func @moec_kernels::@wide_product_tile_64_
// CHECK-NOT:       gpu.launch_func
func.func @wide(%x: memref<?x64xf16>, %w: memref<64x136xf16>, %y: memref<?x136xf16>) attributes {moec.arguments = []} {
  linalg.matmul ins(%x, %w : memref<?x64xf16>, memref<64x136xf16>) outs(%y : memref<?x136xf16>)
  return
}

// A router's x·W in the reference lowering: whether there is a weight depends on the row, so it is asked when sums are written.
// CHECK-LABEL: func.func @chosen(
// CHECK:         gpu.launch_func @moec_kernels::@chosen_product_tile_32_
func.func @chosen(%x: memref<?x64xbf16>, %entry: memref<?xi32>, %w: memref<64x24xbf16>, %y: memref<?x24xf32>) attributes {moec.arguments = []} {
  linalg.generic {indexing_maps = [#x, #token, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %entry : memref<?x64xbf16>, memref<?xi32>) outs(%y : memref<?x24xf32>) {
  ^bb0(%a: bf16, %entry_of_row: i32, %sum: f32):
    %one = arith.constant 1 : i32
    %is = arith.cmpi ult, %entry_of_row, %one : i32
    %d = linalg.index 2 : index
    %e = linalg.index 1 : index
    %wide_a = arith.extf %a : bf16 to f32
    %b = memref.load %w[%d, %e] : memref<64x24xbf16>
    %wide_b = arith.extf %b : bf16 to f32
    %term = arith.mulf %wide_a, %wide_b : f32
    %next = arith.addf %sum, %term : f32
    %kept = arith.select %is, %next, %sum : f32
    linalg.yield %kept : f32
  }
  return
}

// Left to threads: conditions of single terms, f32, columns that are no multiple of eight, rows that are known to lie apart by an odd number,
// factors of two types, terms beside each other.
// CHECK-LABEL: func.func @stay(
// CHECK-NOT:     product_tile
// CHECK:         return
func.func @stay(%x: memref<?x64xbf16>, %w: memref<64x24xbf16>, %y: memref<?x24xf32>, %a: memref<?x64xf32>, %b: memref<64x24xf32>,
                %v: memref<64x20xbf16>, %z: memref<?x20xf32>, %o: memref<?x64xbf16, strided<[67, 1]>>, %h: memref<?x64xf16>, %t: memref<24x64xbf16>)
    attributes {moec.arguments = []} {
  linalg.generic {indexing_maps = [#x, affine_map<(t, e, d) -> (d, e)>, #y], iterator_types = ["parallel", "parallel", "reduction"]}
      ins(%x, %w : memref<?x64xbf16>, memref<64x24xbf16>) outs(%y : memref<?x24xf32>) {
  ^bb0(%p: bf16, %q: bf16, %sum: f32):
    %d = linalg.index 2 : index
    %c32 = arith.constant 32 : index
    %is = arith.cmpi ult, %d, %c32 : index
    %wide_p = arith.extf %p : bf16 to f32
    %wide_q = arith.extf %q : bf16 to f32
    %term = arith.mulf %wide_p, %wide_q : f32
    %next = arith.addf %sum, %term : f32
    %kept = arith.select %is, %next, %sum : f32
    linalg.yield %kept : f32
  }
  linalg.matmul ins(%a, %b : memref<?x64xf32>, memref<64x24xf32>) outs(%y : memref<?x24xf32>)
  linalg.matmul ins(%x, %v : memref<?x64xbf16>, memref<64x20xbf16>) outs(%z : memref<?x20xf32>)
  linalg.matmul ins(%o, %w : memref<?x64xbf16, strided<[67, 1]>>, memref<64x24xbf16>) outs(%y : memref<?x24xf32>)
  linalg.matmul ins(%h, %w : memref<?x64xf16>, memref<64x24xbf16>) outs(%y : memref<?x24xf32>)
  linalg.matmul indexing_maps = [#x, affine_map<(t, e, d) -> (e, d)>, #y]
    ins(%x, %t : memref<?x64xbf16>, memref<24x64xbf16>) outs(%y : memref<?x24xf32>)
  return
}

// CHECK:      gpu.func @any_strides_product_tile_32_
// CHECK-SAME:   workgroup(%[[BYTES:.*]] : memref<{{[0-9]+}}xi8, #gpu.address_space<workgroup>>
// CHECK-COUNT-8: nvvm.mma.sync
// CHECK-NOT:    nvvm.mma.sync
// CHECK:        memref.view %[[BYTES]]{{.*}} to memref<1024xf32, #gpu.address_space<workgroup>>
// What was there before is added at the end.
// CHECK:        memref.load %{{.*}} : memref<?x24xf32>
// CHECK:        arith.addf
// CHECK:        memref.store %{{.*}} : memref<?x24xf32>

// CHECK:      gpu.func @chosen_product_tile_32_
// CHECK:        nvvm.mma.sync
// CHECK:        %[[ENTRY:.*]] = memref.load %{{.*}} : memref<?xi32>
// CHECK:        %[[IS:.*]] = arith.cmpi ult, %[[ENTRY]]
// CHECK:        arith.select %[[IS]], %{{.*}} : f32
