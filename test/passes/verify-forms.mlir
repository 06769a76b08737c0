// RUN: moe-opt %s --pass-pipeline='builtin.module(func.func(moe-verify-graph-form))' -o /dev/null
// RUN: not moe-opt %s --moe-verify-slot-form 2>&1 | FileCheck %s
// The three forms are checked by one walk: it refuses what is not allowed at its place, whatever stands around it.

// Operations of other dialects, regions, and functions without body are never refused; two layers are two errors.
// CHECK: verify-forms.mlir:[[#@LINE + 7]]:{{.*}}: error: 'moe.experts' op is not part of slot form
// CHECK: verify-forms.mlir:[[#@LINE + 9]]:{{.*}}: error: 'moe.experts' op is not part of slot form
// CHECK-NOT: is not part of
!in = !moe.weight<8x8xf32, expert[4]>
func.func @layers(%x: tensor<?x8xf32>, %ids: tensor<?x2x!moe.id<expert[4]>>, %p: tensor<?x2xf32>, %w: !in, %n: index) -> tensor<?x8xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %0 = moe.experts %x to %ids weighted %p up %w down %w act <silu> : (tensor<?x8xf32>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>, !in, !in) -> tensor<?x8xf32>
  %1 = scf.for %i = %c0 to %n step %c1 iter_args(%h = %0) -> tensor<?x8xf32> {
    %2 = math.exp %h : tensor<?x8xf32>
    %3 = moe.experts %2 to %ids weighted %p up %w down %w act <silu> : (tensor<?x8xf32>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>, !in, !in) -> tensor<?x8xf32>
    scf.yield %3 : tensor<?x8xf32>
  }
  return %1 : tensor<?x8xf32>
}
func.func private @elsewhere(tensor<?x8xf32>) -> tensor<?x8xf32>
