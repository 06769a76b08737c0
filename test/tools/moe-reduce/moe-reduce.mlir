// REQUIRES: moe-reduce
// RUN: moe-reduce %s --reduction-tree='traversal-mode=0 test=%S/keeps-combine.sh' | FileCheck %s
// RUN: moe-reduce --version | FileCheck %s --check-prefix=VERSION
// VERSION: moec {{[0-9]+\.[0-9]+\.[0-9]+}}

// What the script finds interesting stays, the rest goes.
// CHECK-LABEL: func.func @kept
// CHECK: moe.combine
// CHECK-NOT: func.func @gone
func.func @kept(%x: tensor<?x2x4xf32>, %p: tensor<?x2xf32>) -> tensor<?x4xf32> {
  %y = moe.combine %x weighted %p : tensor<?x2x4xf32> weighted tensor<?x2xf32> -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
func.func @gone(%x: tensor<?x2x4xf32>, %p: tensor<?x2xf32>) -> tensor<?x2x4xf32> {
  %y = moe.scale_rows %x by %p : tensor<?x2x4xf32>, tensor<?x2xf32> -> tensor<?x2x4xf32>
  return %y : tensor<?x2x4xf32>
}
