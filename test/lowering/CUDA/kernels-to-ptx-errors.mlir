// RUN: moe-opt %s --moe-kernels-to-ptx --split-input-file --verify-diagnostics
// RUN: not moe-opt %s --moe-kernels-to-ptx=target=sm_70 --split-input-file 2>&1 | FileCheck %s

// CHECK: option target: expected sm_80, sm_90a, found 'sm_70'

module attributes {gpu.container_module} {
  // expected-error@+1 {{kernels need '__nv_powf', which GPUs have only in a library: expected operations that become instructions}}
  gpu.module @moec_kernels {
    llvm.func @__nv_powf(f32, f32) -> f32
    llvm.func @power(%to: !llvm.ptr) attributes {gpu.kernel, nvvm.kernel} {
      %x = llvm.load %to : !llvm.ptr -> f32
      %y = llvm.call @__nv_powf(%x, %x) : (f32, f32) -> f32
      llvm.store %y, %to : f32, !llvm.ptr
      llvm.return
    }
  }
}
