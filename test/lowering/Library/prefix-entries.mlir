// RUN: moe-opt %s --moe-prefix-entries | FileCheck %s
// RUN: moe-opt %s --moe-prefix-entries --moe-prefix-entries | FileCheck %s
// RUN: not moe-opt %S/Inputs/prefix-taken.mlir --moe-prefix-entries 2>&1 | FileCheck %s --check-prefix=TAKEN
// TAKEN: prefix-taken.mlir:2:1: error: needs the name 'moec.f', which something else has

// A function may have the name of one that its lowering calls. Calls follow the name; declarations are someone else's.
// CHECK: func.func @moec.tanh(
// CHECK: call @moec.helper()
// CHECK: func.func private @moec.helper()
// CHECK: func.func private @outside()
func.func @tanh(%x: memref<f64>) {
  call @helper() : () -> ()
  return
}
func.func private @helper() {
  return
}
func.func private @outside()
