// A cubin stands in front of the PTX, which newer devices need.
// RUN: moe-opt %s --moe-kernels-to-ptx="target=sm_90a ptxas=%S/Inputs/assembler" | FileCheck %s
// RUN: sed s/@store/@refuse_me/ %s > %t.mlir
// RUN: not moe-opt %t.mlir --moe-kernels-to-ptx=ptxas=%S/Inputs/assembler 2>&1 | FileCheck %s --check-prefix=REFUSED
// RUN: not moe-opt %s --moe-kernels-to-ptx=ptxas=%t.missing 2>&1 | FileCheck %s --check-prefix=MISSING
// RUN: env TMPDIR=%t.nowhere not moe-opt %s --moe-kernels-to-ptx=ptxas=%S/Inputs/assembler 2>&1 | FileCheck %s --check-prefix=NOWHERE

// CHECK:      images = [{content = "cubin for -arch=sm_90a\0A", form = "cubin"}, {content = "{{.*}}.version 8.0
// CHECK-SAME:   form = "PTX"}]
// REFUSED:    assembler' failed with status 3 on the kernels for sm_80: ptxas error : refuse_me is not wanted
// MISSING:    missing' failed with status -1 on the kernels for sm_80:
// NOWHERE:    cannot write a temporary file for ptxas: No such file or directory
module attributes {gpu.container_module} {
  gpu.module @moec_kernels {
    llvm.func @store(%to: !llvm.ptr) attributes {gpu.kernel, nvvm.kernel} {
      %one = llvm.mlir.constant(1.0 : f32) : f32
      llvm.store %one, %to : f32, !llvm.ptr
      llvm.return
    }
  }
  func.func private @moec.launch.store(!llvm.ptr, index, !llvm.ptr) attributes {moec.block = 1 : i64, moec.kernel = 0 : i64, moec.shared_bytes = 96 : i64}
}
