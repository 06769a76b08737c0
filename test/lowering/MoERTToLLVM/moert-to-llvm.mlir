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

// Exchanges have one argument more, and say so for the manifest. A moert_received is on the stack, once. Rows are copied from and to where it says; behind
// the last one ids become -1 and gate weights 0.
// CHECK-LABEL: func.func @moec.exchange
// CHECK-SAME: %[[STATE:[^:]*]]: !llvm.ptr) attributes {moec.arguments = [], moec.exchanges}
// CHECK-NEXT: %[[ONE:.*]] = llvm.mlir.constant(1 : i64)
// CHECK-NEXT: %[[PLACE:.*]] = llvm.alloca %[[ONE]] x !llvm.struct<(i64, ptr, ptr, ptr, ptr)>
// CHECK: %[[NONE:.*]] = llvm.mlir.zero : !llvm.ptr
// CHECK: %[[TYPE:.*]] = arith.constant 1040 : i32
// CHECK: call @moert_exchange_begin(%[[STATE]], %{{.*}}, %{{.*}}, %[[NONE]], %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %[[TYPE]], %[[TYPE]], %c2_i64{{[_0-9]*}})
// CHECK-SAME: : (!llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, !llvm.ptr, i64, i64, i64, i64, i32, i32, i64) -> ()
// CHECK: call @moert_exchange_dispatch(%[[STATE]], %c0_i64{{[_0-9]*}}) : (!llvm.ptr, i64) -> ()
// CHECK: call @moert_exchange_receive(%[[STATE]], %c1_i64{{[_0-9]*}}, %[[PLACE]]) : (!llvm.ptr, i64, !llvm.ptr) -> i64
// CHECK: %[[TOTAL:.*]] = llvm.load %[[PLACE]] : !llvm.ptr -> i64
// CHECK: llvm.getelementptr %[[PLACE]][0, 1]
// CHECK: "llvm.intr.memcpy"
// CHECK: llvm.getelementptr %[[PLACE]][0, 2]
// CHECK: "llvm.intr.memcpy"
// CHECK: %[[FULL:.*]] = arith.constant -1 : i8
// CHECK: "llvm.intr.memset"(%{{.*}}, %[[FULL]]
// CHECK: llvm.getelementptr %[[PLACE]][0, 3]
// CHECK: "llvm.intr.memcpy"
// CHECK: %[[ZERO:.*]] = arith.constant 0 : i8
// CHECK: "llvm.intr.memset"(%{{.*}}, %[[ZERO]]
// CHECK: %[[RESULTS:.*]] = llvm.getelementptr %[[PLACE]][0, 4]
// CHECK: llvm.load %[[RESULTS]]
// CHECK: "llvm.intr.memcpy"
// CHECK: call @moert_exchange_send_back(%[[STATE]], %c1_i64{{[_0-9]*}}) : (!llvm.ptr, i64) -> ()
// CHECK: call @moert_exchange_collect(%[[STATE]], %c1_i64{{[_0-9]*}}) : (!llvm.ptr, i64) -> ()
// CHECK-NOT: moert.
func.func @moec.exchange(%x: memref<?x64xbf16>, %ids: memref<?x2xi32>, %p: memref<?x2xf32>, %o: memref<?x64xbf16>, %r: memref<8x64xbf16>, %i: memref<8x2xi32>, %q: memref<8x2xf32>)
    attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %c8 = arith.constant 8 : index
  %e = moert.begin ins(%x, %ids, %p : memref<?x64xbf16>, memref<?x2xi32>, memref<?x2xf32>) outs(%o : memref<?x64xbf16>) parts 2
  moert.dispatch %e part 0
  %count, %received = moert.receive %e part 1
  scf.for %first = %c0 to %count step %c8 {
    moert.read %received[%first] outs(%r, %i, %q : memref<8x64xbf16>, memref<8x2xi32>, memref<8x2xf32>)
    moert.write %received[%first] ins(%r : memref<8x64xbf16>)
  }
  moert.send_back %received
  moert.collect %e part 1 ins(%x, %ids, %p : memref<?x64xbf16>, memref<?x2xi32>, memref<?x2xf32>) outs(%o : memref<?x64xbf16>)
  return
}
