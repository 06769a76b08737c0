// What the toolkit has in a library becomes arithmetic; what GPUs have becomes an instruction.
// RUN: moe-opt %s --convert-kernels-to-nvvm | FileCheck %s --implicit-check-not=__nv --implicit-check-not='math.'

gpu.module @moec_kernels {
  // CHECK-LABEL: llvm.func @functions(
  // CHECK-SAME:    attributes {gpu.kernel, {{.*}}nvvm.kernel
  // CHECK:         nvvm.read.ptx.sreg.tid.x
  // CHECK:         llvm.intr.sqrt
  // CHECK:         llvm.intr.fma
  // CHECK:         llvm.store
  gpu.func @functions(%x: memref<64xf32>) kernel attributes {known_block_size = array<i32: 64, 1, 1>} {
    %i = gpu.thread_id x
    %v = memref.load %x[%i] : memref<64xf32>
    %a = math.sqrt %v : f32
    %b = math.exp %a : f32
    %c = math.tanh %b : f32
    %d = math.erf %c : f32
    %e = math.rsqrt %d : f32
    %f = math.log1p %e : f32
    %g = math.absf %f : f32
    memref.store %g, %x[%i] : memref<64xf32>
    gpu.return
  }
}
