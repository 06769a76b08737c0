// RUN: moe-opt %s --moe-define-launches | FileCheck %s

// CHECK: llvm.func @moert_cuda_launch(!llvm.ptr, i32, i64, i64, i64, i64, i64, i64, i64, !llvm.ptr)

// CHECK-LABEL: llvm.func internal @moec.launch.up_3(
// CHECK-SAME:    %[[CONTEXT:[a-z0-9]+]]: !llvm.ptr, %[[BLOCKS:[a-z0-9]+]]: i64, %[[X:[a-z0-9]+]]: !llvm.ptr, %[[N:[a-z0-9]+]]: i64)
// CHECK:         llvm.store %[[X]], %[[X_PLACE:.*]] : !llvm.ptr, !llvm.ptr
// CHECK:         llvm.store %[[N]], %[[N_PLACE:.*]] : i64, !llvm.ptr
// CHECK:         %[[LIST:.*]] = llvm.alloca {{.*}} x !llvm.array<2 x ptr>
// CHECK:         %[[FIRST:.*]] = llvm.getelementptr %[[LIST]][0, 0]
// CHECK:         llvm.store %[[X_PLACE]], %[[FIRST]]
// CHECK:         %[[SECOND:.*]] = llvm.getelementptr %[[LIST]][0, 1]
// CHECK:         llvm.store %[[N_PLACE]], %[[SECOND]]
// CHECK-DAG:     %[[ONE:.*]] = llvm.mlir.constant(1 : i64)
// CHECK-DAG:     %[[KERNEL:.*]] = llvm.mlir.constant(3 : i32)
// CHECK:         llvm.call @moert_cuda_launch(%[[CONTEXT]], %[[KERNEL]], %[[BLOCKS]], %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %{{.*}}, %[[LIST]])
llvm.func @moec.launch.up_3(!llvm.ptr, i64, !llvm.ptr, i64) attributes {moec.block = 128 : i64, moec.kernel = 3 : i64, moec.shared_bytes = 64 : i64}

// Anything else without a body is somebody else's.
// CHECK: llvm.func @other(!llvm.ptr)
llvm.func @other(!llvm.ptr)

// A view that comes first in the kernel's arguments becomes its tensor map: bf16 (4, 16) of rank 2, rows of 128 bytes swizzled.
// CHECK-LABEL: llvm.func internal @moec.launch.mapped_4(
// CHECK-SAME:    %[[CONTEXT:[a-z0-9]+]]: !llvm.ptr, %{{[a-z0-9]+}}: i64, %{{[a-z0-9]+}}: !llvm.ptr, %[[BASE:[a-z0-9]+]]: !llvm.ptr, %[[OFFSET:[a-z0-9]+]]: i64,
// CHECK-SAME:    %[[E0:[a-z0-9]+]]: i64, %[[E1:[a-z0-9]+]]: i64, %[[S0:[a-z0-9]+]]: i64, %[[S1:[a-z0-9]+]]: i64, %[[N:[a-z0-9]+]]: i64)
// CHECK:         %[[MAP:.*]] = llvm.alloca {{.*}} x i8 {alignment = 64 : i64}
// CHECK:         %[[ADDRESS:.*]] = llvm.getelementptr %[[BASE]][%[[OFFSET]]] : (!llvm.ptr, i64) -> !llvm.ptr, i16
// CHECK-DAG:     %[[CODE:.*]] = llvm.mlir.constant(4 : i32)
// CHECK-DAG:     %[[BITS:.*]] = llvm.mlir.constant(16 : i32)
// CHECK-DAG:     %[[RANK:.*]] = llvm.mlir.constant(2 : i32)
// CHECK:         %[[EXTENTS:.*]] = llvm.alloca {{.*}} x !llvm.array<2 x i64>
// CHECK:         llvm.store %[[E0]],
// CHECK:         llvm.store %[[E1]],
// CHECK:         %[[STRIDES:.*]] = llvm.alloca {{.*}} x !llvm.array<2 x i64>
// CHECK:         llvm.store %[[S0]],
// CHECK:         llvm.store %[[S1]],
// CHECK:         %[[BOX:.*]] = llvm.alloca {{.*}} x !llvm.array<2 x i64>
// CHECK:         %[[SWIZZLE:.*]] = llvm.mlir.constant(128 : i32)
// CHECK:         llvm.call @moert_cuda_tensor_map(%[[CONTEXT]], %[[MAP]], %[[CODE]], %[[BITS]], %[[RANK]], %[[ADDRESS]], %[[EXTENTS]], %[[STRIDES]], %[[BOX]], %[[SWIZZLE]])
// CHECK:         llvm.store %[[N]], %[[N_PLACE:.*]] : i64, !llvm.ptr
// CHECK:         %[[LIST:.*]] = llvm.alloca {{.*}} x !llvm.array<2 x ptr>
// CHECK:         llvm.store %[[MAP]],
// CHECK:         llvm.store %[[N_PLACE]],
// CHECK:         llvm.call @moert_cuda_launch({{.*}}%[[LIST]])
llvm.func @moec.launch.mapped_4(!llvm.ptr, i64, !llvm.ptr, !llvm.ptr, i64, i64, i64, i64, i64, i64) attributes {moec.block = 384 : i64, moec.kernel = 4 : i64,
  moec.shared_bytes = 200000 : i64, moec.tensor_maps = [{bits = 16 : i32, box = array<i64: 128, 64>, code = 4 : i32}]}
