// What a launch is: a private function of the context, the number of blocks, and what the kernel takes. Names are PTX's.
// RUN: moe-opt %s --moe-make-parallel-loops --moe-outline-kernels | FileCheck %s

// CHECK:      module attributes {gpu.container_module}
// CHECK:      func.func @moec.layer.0(
// CHECK:         call @moec.launch.layer_0_0(%{{.*}}) : (!llvm.ptr, index, memref<8xf32>) -> ()
// CHECK:         call @moec.launch.layer_0_1(%{{.*}}) : (!llvm.ptr, index, memref<8xf32>) -> ()
// CHECK:      gpu.module @moec_kernels {
// CHECK:        gpu.func @layer_0_0(%{{.*}}: memref<8xf32>) kernel
// CHECK:        gpu.func @layer_0_1(%{{.*}}: memref<8xf32>) kernel
// CHECK:      func.func private @moec.launch.layer_0_0(!llvm.ptr, index, memref<8xf32>) attributes {moec.block = 128 : i64, moec.kernel = 0 : i64, moec.shared_bytes = 0 : i64}
// CHECK:      func.func private @moec.launch.layer_0_1(!llvm.ptr, index, memref<8xf32>) attributes {moec.block = 128 : i64, moec.kernel = 1 : i64, moec.shared_bytes = 0 : i64}
func.func @"moec.layer.0"(%x: memref<8xf32>) attributes {moec.arguments = []} {
  %zero = arith.constant 0.0 : f32
  %one = arith.constant 1.0 : f32
  linalg.fill ins(%zero : f32) outs(%x : memref<8xf32>)
  linalg.fill ins(%one : f32) outs(%x : memref<8xf32>)
  return
}
