// RUN: moe-opt %s --inline | FileCheck %s
// Functions with moert operations are inlined.

func.func private @hint(%c: tensor<?xi32>) {
  moert.prefetch %c : tensor<?xi32>
  return
}

// CHECK-LABEL: func.func @caller
// CHECK-NOT: call
// CHECK: moert.prefetch
func.func @caller(%c: tensor<?xi32>) {
  call @hint(%c) : (tensor<?xi32>) -> ()
  return
}
