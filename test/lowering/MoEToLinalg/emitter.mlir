// The vocabulary of the reference lowering: extents, conversions between float types, masks, loops.
// RUN: moe-opt %s --convert-moe-to-linalg | FileCheck %s --implicit-check-not="moe."

// Static extents are in the type, dynamic ones read from the operand that has them; a result is cast to the type the
// op states.
// CHECK-LABEL: func.func @extents
// CHECK: tensor.empty() : tensor<3x2x6xf32>
// CHECK: tensor.cast {{.*}} : tensor<3x2x6xf32> to tensor<?x2x6xf32>
// CHECK: %[[T:.*]] = tensor.dim
// CHECK: tensor.empty(%[[T]]) : tensor<?x2x6xf32>
// CHECK: tensor.cast {{.*}} : tensor<?x2x6xf32> to tensor<4x2x6xf32>
func.func @extents(%x: tensor<3x6xf32>, %y: tensor<?x6xf32>) -> (tensor<?x2x6xf32>, tensor<4x2x6xf32>) {
  %0 = moe.spread %x : tensor<3x6xf32> -> tensor<?x2x6xf32>
  %1 = moe.spread %y : tensor<?x6xf32> -> tensor<4x2x6xf32>
  return %0, %1 : tensor<?x2x6xf32>, tensor<4x2x6xf32>
}

// Narrow types compute in f32 and round once; f32 and f64 compute in their own type.
// CHECK-LABEL: func.func @conversions
// CHECK: ^bb0(%[[A:.*]]: f16, %[[B:.*]]: f16, %{{.*}}: f16):
// CHECK-DAG: %[[X:.*]] = arith.extf %[[A]] : f16 to f32
// CHECK-DAG: %[[Y:.*]] = arith.extf %[[B]] : f16 to f32
// CHECK: %[[P:.*]] = arith.mulf %[[X]], %[[Y]] : f32
// CHECK: arith.truncf %[[P]] : f32 to f16
// CHECK: arith.extf {{.*}} : bf16 to f32
// CHECK: arith.truncf {{.*}} : f32 to bf16
// CHECK-NOT: arith.extf
// CHECK-NOT: arith.truncf
// CHECK: arith.mulf {{.*}} : f32
// CHECK-NOT: arith.extf
// CHECK-NOT: arith.truncf
// CHECK: arith.mulf {{.*}} : f64
func.func @conversions(%a: tensor<?x6xf16>, %p: tensor<?xf16>, %b: tensor<?x6xbf16>, %q: tensor<?xbf16>, %c: tensor<?x6xf32>, %r: tensor<?xf32>, %d: tensor<?x6xf64>, %s: tensor<?xf64>)
    -> (tensor<?x6xf16>, tensor<?x6xbf16>, tensor<?x6xf32>, tensor<?x6xf64>) {
  %0 = moe.scale_rows %a by %p : tensor<?x6xf16>, tensor<?xf16> -> tensor<?x6xf16>
  %1 = moe.scale_rows %b by %q : tensor<?x6xbf16>, tensor<?xbf16> -> tensor<?x6xbf16>
  %2 = moe.scale_rows %c by %r : tensor<?x6xf32>, tensor<?xf32> -> tensor<?x6xf32>
  %3 = moe.scale_rows %d by %s : tensor<?x6xf64>, tensor<?xf64> -> tensor<?x6xf64>
  return %0, %1, %2, %3 : tensor<?x6xf16>, tensor<?x6xbf16>, tensor<?x6xf32>, tensor<?x6xf64>
}

// One unsigned comparison says whether a number is in range.
// CHECK-LABEL: func.func @masks
// CHECK: arith.cmpi ult
// CHECK-NOT: arith.cmpi s
// CHECK: return
func.func @masks(%w: !moe.weight<1x6xf32, expert[8]>, %ids: tensor<?x2x!moe.id<expert[8]>>) -> tensor<?x2x6xf32> {
  %0 = moe.lookup %w at %ids : !moe.weight<1x6xf32, expert[8]>, tensor<?x2x!moe.id<expert[8]>> -> tensor<?x2x6xf32>
  return %0 : tensor<?x2x6xf32>
}

// Loops run from zero by one and carry tensors.
// CHECK-LABEL: func.func @loops
// CHECK: scf.for %{{.*}} = %c0{{.*}} to %{{.*}} step %c1{{.*}} iter_args({{.*}}) -> (tensor<?x6xf32>)
func.func @loops(%x: tensor<?x6xf32>, %i: tensor<?xi32>, %o: tensor<?x6xf32>) -> tensor<?x6xf32> {
  %0 = moe.gather ins(%x, %i : tensor<?x6xf32>, tensor<?xi32>) outs(%o : tensor<?x6xf32>) -> tensor<?x6xf32>
  return %0 : tensor<?x6xf32>
}
