// PTX is made by LLVM alone: no GPU, no toolkit. It is the oldest version that has what we use, so that old drivers take it.
// RUN: moe-opt %s --moe-kernels-to-ptx=target=sm_80 | FileCheck %s --check-prefixes=CHECK,SM80
// RUN: moe-opt %s --moe-kernels-to-ptx=target=sm_90a | FileCheck %s --check-prefixes=CHECK,SM90

// CHECK:      module attributes {moec.device_code = {
// SM80-SAME:    capability = 80 : i64
// SM90-SAME:    capability = 90 : i64
// SM80-SAME:    .version 7.0\0A.target sm_80
// SM90-SAME:    .version 8.0\0A.target sm_90a
// CHECK-SAME:   .visible .entry store(
// CHECK-SAME:   st.global
// CHECK-SAME:   form = "PTX"
// SM80-SAME:    is_exact = false
// SM90-SAME:    is_exact = true
// CHECK-SAME:   kernels = [{cluster = 2 : i64, is_dependent = true, name = "store", shared_bytes = 96 : i64}]
// SM80-SAME:    target = "sm_80"
// CHECK-NOT:  gpu.module
// CHECK:      func.func private @moec.launch.store
module attributes {gpu.container_module} {
  gpu.module @moec_kernels {
    llvm.func @store(%to: !llvm.ptr) attributes {gpu.kernel, nvvm.kernel} {
      %one = llvm.mlir.constant(1.0 : f32) : f32
      llvm.store %one, %to : f32, !llvm.ptr
      llvm.return
    }
  }
  func.func private @moec.launch.store(!llvm.ptr, index, !llvm.ptr) attributes {moec.block = 1 : i64, moec.cluster = 2 : i64, moec.is_dependent, moec.kernel = 0 : i64, moec.shared_bytes = 96 : i64}
}
