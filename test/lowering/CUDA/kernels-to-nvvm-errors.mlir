// RUN: moe-opt %s --pass-pipeline='builtin.module(gpu.module(convert-kernels-to-nvvm))' --verify-diagnostics

gpu.module @kernels {
  gpu.func @wide(%x: f64, %out: memref<1xf64>) kernel {
    %c0 = arith.constant 0 : index
    // expected-error@+1 {{has no device code in f64: expected f32}}
    %y = math.exp %x : f64
    memref.store %y, %out[%c0] : memref<1xf64>
    gpu.return
  }
}
