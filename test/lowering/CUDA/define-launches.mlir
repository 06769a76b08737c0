// RUN: moe-opt %s --moe-define-launches | FileCheck %s

// CHECK: llvm.func @moert_cuda_launch(!llvm.ptr, i32, i64, i64, i64, i64, i64, i64, i64, !llvm.ptr)

// CHECK-LABEL: llvm.func internal @moec.launch.up_3(
// CHECK-SAME:    %[[CONTEXT:[a-z0-9]+]]: !llvm.ptr, %[[BLOCKS:[a-z0-9]+]]: i64, %[[X:[a-z0-9]+]]: !llvm.ptr, %[[N:[a-z0-9]+]]: i64)
// CHECK:         %[[LIST:.*]] = llvm.alloca {{.*}} x !llvm.array<2 x ptr>
// CHECK:         llvm.store %[[X]], %[[X_PLACE:.*]] : !llvm.ptr, !llvm.ptr
// CHECK:         %[[FIRST:.*]] = llvm.getelementptr %[[LIST]][0, 0]
// CHECK:         llvm.store %[[X_PLACE]], %[[FIRST]]
// CHECK:         llvm.store %[[N]], %[[N_PLACE:.*]] : i64, !llvm.ptr
// CHECK:         %[[SECOND:.*]] = llvm.getelementptr %[[LIST]][0, 1]
// CHECK:         llvm.store %[[N_PLACE]], %[[SECOND]]
// CHECK-DAG:     %[[ONE:.*]] = llvm.mlir.constant(1 : i64)
// CHECK-DAG:     %[[KERNEL:.*]] = llvm.mlir.constant(3 : i32)
// CHECK:         llvm.call @moert_cuda_launch(%[[CONTEXT]], %[[KERNEL]], %[[BLOCKS]], %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %[[LIST]])
llvm.func @moec.launch.up_3(!llvm.ptr, i64, !llvm.ptr, i64) attributes {moec.block = 128 : i64, moec.kernel = 3 : i64, moec.shared_bytes = 64 : i64}

// Anything else without a body is somebody else's.
// CHECK: llvm.func @other(!llvm.ptr)
llvm.func @other(!llvm.ptr)
