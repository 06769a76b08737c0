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

// -----

// Instructions that only Hopper has.
module attributes {gpu.container_module} {
  gpu.module @moec_kernels {
    // expected-error@+1 {{kernel 'up' is for warpgroups: expected target sm_90a, found sm_80}}
    llvm.func @up(%map: !llvm.ptr {llvm.byval = !llvm.array<128 x i8>}) attributes {gpu.kernel, nvvm.kernel,
        moec.tensor_maps = [{bits = 16 : i32, box = array<i64: 64, 64>, code = 4 : i32}]} {
      llvm.return
    }
  }
}
