// Stages: a parallel loop whose body is one call; buffers of a caller; ids as numbers.
// RUN: moe-opt %s --pass-pipeline='builtin.module(moe-export-entries,moe-select-cpu-kernels,convert-moe-to-linalg,canonicalize,one-shot-bufferize,canonicalize,cse,convert-moe-to-cpu{isa=x86-64-v3},canonicalize,cse)' | FileCheck %s --implicit-check-not=moe.id_cast

// CHECK-LABEL: func.func @rows(
// CHECK-SAME:    %[[X:[a-z0-9]+]]: memref<?x40xf32, strided<[?, ?], offset: ?>>
// A view of wide strides is copied, once; any other is read where it is.
// CHECK:         %[[LIST:.*]] = scf.if %{{.*}} -> (memref<?xf32, strided<[1], offset: ?>>) {
// CHECK:           memref.reinterpret_cast %[[X]]
// CHECK:         } else {
// CHECK:           memref.load %[[X]]
// CHECK:         call @rows_moert_group_rows
// CHECK:         scf.parallel
// CHECK-NEXT:      func.call @rows_gather{{[0-9]+}}(%{{.*}}, %[[LIST]],
// CHECK-NEXT:      scf.reduce
// CHECK:         call @rows_scatter
// The runtime's function gets pointers, through a function that holds the buffers as long as it runs.
// CHECK-LABEL: func.func private @rows_moert_group_rows
// CHECK:         call @moert_group_rows({{.*}}) : (!llvm.ptr,
// 40 columns: two vectors and eight numbers.
// CHECK-LABEL: func.func private @rows_gather
// CHECK:         arith.cmpi ult
// CHECK:         scf.for %{{.*}} = %c0 to %c32 step %c16
// CHECK:           vector.store {{.*}} vector<16xf32>
// CHECK:         scf.for %{{.*}} = %c32 to %c40 step %c1
// CHECK:           memref.store
// Columns are split between tasks, so rows that meet are added in their order.
// CHECK-LABEL: func.func private @rows_scatter
// CHECK:         arith.muli %arg0, %c128
!x = tensor<?x40xf32>
!ids = tensor<?x2x!moe.id<expert[4]>>
func.func @rows(%x: !x, %ids: !ids, %p: tensor<?x2xf32>) -> !x {
  %c0 = arith.constant 0 : index
  %c2 = arith.constant 2 : index
  %t = tensor.dim %x, %c0 : !x
  %n = arith.muli %t, %c2 : index
  %l = tensor.empty(%n) : tensor<?xi32>
  %o = tensor.empty() : tensor<5xi32>
  %e = tensor.empty(%n) : tensor<?x!moe.id<expert[4]>>
  %f = tensor.empty(%n) : tensor<?xf32>
  %r, %off, %row, %expert, %w = moe.group ins(%ids, %ids, %p : !ids, !ids, tensor<?x2xf32>)
    outs(%l, %o, %l, %e, %f : tensor<?xi32>, tensor<5xi32>, tensor<?xi32>, tensor<?x!moe.id<expert[4]>>, tensor<?xf32>)
    -> tensor<?xi32>, tensor<5xi32>, tensor<?xi32>, tensor<?x!moe.id<expert[4]>>, tensor<?xf32>
  %g = tensor.empty(%n) : !x
  %rows = moe.gather ins(%x, %r : !x, tensor<?xi32>) outs(%g : !x) -> !x
  %z = tensor.empty(%t) : !x
  %y = moe.scatter_combine ins(%rows, %r : !x, tensor<?xi32>) weighted(%w : tensor<?xf32>) outs(%z : !x) -> !x
  return %y : !x
}
