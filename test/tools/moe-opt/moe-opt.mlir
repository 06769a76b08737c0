// RUN: moe-opt --version | FileCheck %s --check-prefix=VERSION
// RUN: moe-opt --help | FileCheck %s --check-prefix=HELP
// RUN: not moe-opt %s --moe-optimize --split-input-file 2>/dev/null | FileCheck %s
// RUN: not moe-opt %s --moe-optimize=to=nowhere 2>&1 | FileCheck %s --check-prefix=OPTION
// RUN: not moe-opt %s --split-input-file --pass-pipeline='builtin.module(func.func(moe-verify-graph-form))' 2>&1 | FileCheck %s --check-prefix=REPRODUCER

// The driver says what it is, shows examples, and leaves a reproducer of a failing pass.
// VERSION: LLVM version 22
// VERSION: moec {{[0-9]+\.[0-9]+\.[0-9]+}}
// HELP: moe-opt layer.mlir --moe-optimize
// HELP: Exit code 0
// OPTION: nowhere
// REPRODUCER: is not part of graph form
// REPRODUCER: reproducer generated at `{{.*}}moe-opt-reproducer.mlir`

// CHECK-LABEL: func.func @layer
// CHECK: moe.grouped_matmul
func.func @layer(%x: tensor<?x8xf32>, %l: tensor<?x4xf32>, %u: !moe.weight<8x6xf32, expert[4]>, %d: !moe.weight<6x8xf32, expert[4]>) -> tensor<?x8xf32> {
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores> : (tensor<?x4xf32>) -> (tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>)
  %y = moe.experts %x to %ids weighted %p up %u down %d act <relu>
    : (tensor<?x8xf32>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>, !moe.weight<8x6xf32, expert[4]>, !moe.weight<6x8xf32, expert[4]>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}

// -----

func.func @sum(%x: tensor<?x2x4xf32>) -> tensor<?x4xf32> {
  %y = moe.combine %x : tensor<?x2x4xf32> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
