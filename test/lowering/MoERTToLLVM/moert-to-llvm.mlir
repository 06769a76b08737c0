// What is asked of the runtime becomes calls; the entry's last argument, behind the executor, is the call's paging.
// RUN: moe-opt %s --convert-moert-to-llvm | FileCheck %s

// There are no parallel loops here, so the executor's place is made too.
// CHECK-LABEL: func.func @moec.layer
// CHECK-SAME: %[[C:[^:]*]]: memref<?x2xi32>, %[[T:[^:]*]]: memref<4xi32, strided<[?], offset: ?>>, %{{[^:]*}}: memref<?xi8>, %{{[^:]*}}: !llvm.ptr, %[[PAGING:[^:]*]]: !llvm.ptr)
// CHECK: %[[ADDRESS:.*]] = llvm.inttoptr
// CHECK: %[[AHEAD:.*]] = arith.constant 1 : i32
// CHECK: %[[COUNT:.*]] = arith.index_cast %{{.*}} : index to i64
// CHECK-NEXT: call @moert_paging_prefetch(%[[PAGING]], %[[AHEAD]], %[[ADDRESS]], %[[COUNT]]) : (!llvm.ptr, i32, !llvm.ptr, i64) -> ()
// CHECK: call @moert_paging_acquire(%[[PAGING]], %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %[[SLOTS:.*]]) : (!llvm.ptr, !llvm.ptr, i64, !llvm.ptr, i64, !llvm.ptr) -> ()
// CHECK: memref.load
// CHECK: call @moert_paging_release(%[[PAGING]], %{{.*}}) : (!llvm.ptr, !llvm.ptr) -> ()
// CHECK-NOT: moert.
func.func @moec.layer(%c: memref<?x2xi32>, %t: memref<4xi32, strided<[?], offset: ?>>, %scratch: memref<?xi8>) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %o = memref.view %scratch[%c0][] : memref<?xi8> to memref<4xi32>
  moert.prefetch %c ahead 1 : memref<?x2xi32>
  %lease = moert.acquire ins(%c, %t : memref<?x2xi32>, memref<4xi32, strided<[?], offset: ?>>) outs(%o : memref<4xi32>)
  %place = memref.load %o[%c0] : memref<4xi32>
  moert.release %lease slots(%o : memref<4xi32>)
  return
}

// With an executor there is one argument more.
// CHECK-LABEL: func.func @moec.parallel
// CHECK-SAME: (%{{[^:]*}}: memref<?xi32>, %{{[^:]*}}: !llvm.ptr, %[[PAGING:[^:]*]]: !llvm.ptr)
// CHECK: call @moert_paging_prefetch(%[[PAGING]], %c0_i32
func.func @moec.parallel(%c: memref<?xi32>, %executor: !llvm.ptr) attributes {moec.arguments = []} {
  moert.prefetch %c : memref<?xi32>
  return
}

// CHECK-LABEL: func.func @moec.resident
// CHECK-SAME: (%{{[^:]*}}: memref<?xi32>)
func.func @moec.resident(%c: memref<?xi32>) attributes {moec.arguments = []} {
  return
}
