// What params are stored as, and what cannot be stored.
// REQUIRES: moe-compile
// RUN: not moe-compile %s --separate-weights -o %t.out 2>&1 | FileCheck %s
// CHECK: param-sources.mlir:[[# @LINE + 1]]:1: error: 'moe.param' op cannot be stored: expected a weight of f32, bf16 or f16, or one with an encoding, found 'f64'
moe.param private @w : !moe.weight<4x4xf64> = #moe.seeded<1>
func.func @f(%x: tensor<?x4xf64>) -> tensor<?x4xf64> {
  %w = moe.leaf @w : !moe.weight<4x4xf64>
  %y = moe.apply %x, %w : tensor<?x4xf64>, !moe.weight<4x4xf64> -> tensor<?x4xf64>
  return %y : tensor<?x4xf64>
}
