// A param is evaluated at compile time: its source, what its encoding makes of it, rounded to the element type.
// RUN: split-file %s %t
// RUN: moe-opt %t/sources.mlir --convert-moe-to-linalg | FileCheck %t/sources.mlir --implicit-check-not="moe."
// RUN: moe-opt %t/external.mlir --convert-moe-to-linalg="weights=model=splat:0.3 weights=other=seeded:7:0.5" | FileCheck %t/external.mlir --implicit-check-not="moe."
// RUN: moe-opt %t/limit.mlir --convert-moe-to-linalg="max-bytes=40" | FileCheck %t/limit.mlir --implicit-check-not="moe."

//--- sources.mlir

// Inline values are rounded once, to nearest even; f64 keeps what f32 would lose.
moe.param @inline : !moe.weight<1x3xbf16> = dense<[[1.0, 1.00390625, 3.0e38]]> : tensor<1x3xf32>
moe.param @wide : !moe.weight<1x2xf64> = dense<[[0.1, 1.0e300]]> : tensor<1x2xf64>
moe.param @splat : !moe.weight<2x2xf16, cluster[2]> = dense<0.1> : tensor<2x2x2xf32>
moe.param @table : !moe.table<expert[3] -> cluster[2]> = dense<[1, 0, 1]> : tensor<3xi32>
// CHECK-LABEL: func.func @inline_values
// CHECK-DAG: arith.constant dense<{{\[\[}}1.000000e+00, 1.000000e+00, 3.004060e+38]]> : tensor<1x3xbf16>
// CHECK-DAG: arith.constant dense<{{\[\[}}1.000000e-01, 1.000000e+300]]> : tensor<1x2xf64>
// CHECK-DAG: arith.constant dense<9.997550e-02> : tensor<2x2x2xf16>
// CHECK-DAG: arith.constant dense<[1, 0, 1]> : tensor<3xi32>
func.func @inline_values() -> (!moe.weight<1x3xbf16>, !moe.weight<1x2xf64>, !moe.weight<2x2xf16, cluster[2]>, !moe.table<expert[3] -> cluster[2]>) {
  %0 = moe.leaf @inline : !moe.weight<1x3xbf16>
  %1 = moe.leaf @wide : !moe.weight<1x2xf64>
  %2 = moe.leaf @splat : !moe.weight<2x2xf16, cluster[2]>
  %3 = moe.leaf @table : !moe.table<expert[3] -> cluster[2]>
  return %0, %1, %2, %3 : !moe.weight<1x3xbf16>, !moe.weight<1x2xf64>, !moe.weight<2x2xf16, cluster[2]>, !moe.table<expert[3] -> cluster[2]>
}

// Row-major over entries, rows, columns; the values are those of specification 2.1.
moe.param @seeded : !moe.weight<1x2xf32, expert[2]> = #moe.seeded<7>
moe.param @scaled : !moe.weight<1x2xf64, expert[2]> = #moe.seeded<7 scale 0.5>
// CHECK-LABEL: func.func @seeded_values
// CHECK-DAG: arith.constant dense<{{\[\[\[}}0.36649{{[0-9]*}}, -0.04889{{.*}}]], {{\[\[}}0.12351{{[0-9]*}}, -0.35046{{[0-9]*}}]]]> : tensor<2x1x2xf32>
// CHECK-DAG: arith.constant dense<{{\[\[\[}}0.18324{{[0-9]*}}, -0.02444{{.*}}]], {{\[\[}}0.06175{{[0-9]*}}, -0.17523{{[0-9]*}}]]]> : tensor<2x1x2xf64>
func.func @seeded_values() -> (!moe.weight<1x2xf32, expert[2]>, !moe.weight<1x2xf64, expert[2]>) {
  %0 = moe.leaf @seeded : !moe.weight<1x2xf32, expert[2]>
  %1 = moe.leaf @scaled : !moe.weight<1x2xf64, expert[2]>
  return %0, %1 : !moe.weight<1x2xf32, expert[2]>, !moe.weight<1x2xf64, expert[2]>
}

// decode(encode(v)): int4 codes along each column, scale 0.5 in the first: 0.3 rounds up, 0.2 down.
moe.param @coded : !moe.weight<4x2xf32> = dense<[[3.5, 1.0], [0.3, 7.0], [0.2, -7.0], [-1.3, 0.0]]> : tensor<4x2xf32> encoding <int4 group 4>
// A layout says where numbers lie, never what they are.
moe.param @laid_out : !moe.weight<1x2xf32> = dense<[[0.1, 0.2]]> : tensor<1x2xf32> encoding <bf16> layout panel16 residency cold
// CHECK-LABEL: func.func @encoded
// CHECK-DAG: arith.constant dense<{{\[\[}}3.500000e+00, 1.000000e+00], [5.000000e-01, 7.000000e+00], [0.000000e+00, -7.000000e+00], [-1.500000e+00, 0.000000e+00]]> : tensor<4x2xf32>
// CHECK-DAG: arith.constant dense<{{\[\[}}0.100097656, 0.200195313]]> : tensor<1x2xf32>
func.func @encoded() -> (!moe.weight<4x2xf32>, !moe.weight<1x2xf32>) {
  %0 = moe.leaf @coded : !moe.weight<4x2xf32>
  %1 = moe.leaf @laid_out : !moe.weight<1x2xf32>
  return %0, %1 : !moe.weight<4x2xf32>, !moe.weight<1x2xf32>
}

// Recipes read decoded params, also params that no leaf names. The mean of no member is zero. The residual of entry 0
// is (4, 2) - (3, 3): its largest magnitude in U is positive, so the sign sits in B.
moe.param private @members : !moe.table<expert[3] -> cluster[3]> = dense<[0, 0, 2]> : tensor<3xi32>
moe.param private @of : !moe.weight<1x2xf32, expert[3]> = dense<[[[4.0, 2.0]], [[2.0, 4.0]], [[1.0, 5.0]]]> : tensor<3x1x2xf32>
moe.param private @mean : !moe.weight<1x2xf32, cluster[3]> = #moe.mean<@of by @members>
moe.param private @a : !moe.weight<1x1xf32, expert[3]> = #moe.svd<input rank 1 of @of minus @mean by @members>
moe.param private @b : !moe.weight<1x2xf32, expert[3]> = #moe.svd<output rank 1 of @of minus @mean by @members>
// CHECK-LABEL: func.func @recipes
// CHECK-DAG: arith.constant dense<{{\[\[\[}}3.000000e+00, 3.000000e+00]], {{\[\[}}0.000000e+00, 0.000000e+00]], {{\[\[}}1.000000e+00, 5.000000e+00]]]> : tensor<3x1x2xf32>
// CHECK-DAG: arith.constant dense<{{\[\[\[}}1.189207{{.*}}]], {{\[\[}}1.189207{{.*}}]], {{\[\[}}0.000000e+00]]]> : tensor<3x1x1xf32>
// CHECK-DAG: arith.constant dense<{{\[\[\[}}0.8408{{[0-9]*}}, -0.8408{{[0-9]*}}]], {{\[\[}}-0.8408{{[0-9]*}}, 0.8408{{[0-9]*}}]], {{\[\[}}{{-?}}0.000000e+00, {{-?}}0.000000e+00]]]> : tensor<3x1x2xf32>
func.func @recipes() -> (!moe.weight<1x2xf32, cluster[3]>, !moe.weight<1x1xf32, expert[3]>, !moe.weight<1x2xf32, expert[3]>) {
  %0 = moe.leaf @mean : !moe.weight<1x2xf32, cluster[3]>
  %1 = moe.leaf @a : !moe.weight<1x1xf32, expert[3]>
  %2 = moe.leaf @b : !moe.weight<1x2xf32, expert[3]>
  return %0, %1, %2 : !moe.weight<1x2xf32, cluster[3]>, !moe.weight<1x1xf32, expert[3]>, !moe.weight<1x2xf32, expert[3]>
}

// A param that nothing reads is not evaluated, so its scope need not be bound.
moe.param @unread : !moe.weight<1x2xf32> = #moe.external<"nowhere"::"nothing">

//--- external.mlir

// The key of a seeded scope takes part in its seed, so two params of it differ.
moe.param @constant : !moe.weight<1x2xf16> = #moe.external<"model"::"a"> encoding <int8>
moe.param @first : !moe.weight<1x1xf32> = #moe.external<"other"::"a">
moe.param @second : !moe.weight<1x1xf32> = #moe.external<"other"::"b">
// CHECK-LABEL: func.func @external
// CHECK-DAG: arith.constant dense<3.000490e-01> : tensor<1x2xf16>
// CHECK-DAG: arith.constant dense<[[FIRST:.*]]> : tensor<1x1xf32>
// CHECK-DAG: arith.constant dense<[[SECOND:.*]]> : tensor<1x1xf32>
func.func @external() -> (!moe.weight<1x2xf16>, !moe.weight<1x1xf32>, !moe.weight<1x1xf32>) {
  %0 = moe.leaf @constant : !moe.weight<1x2xf16>
  %1 = moe.leaf @first : !moe.weight<1x1xf32>
  %2 = moe.leaf @second : !moe.weight<1x1xf32>
  return %0, %1, %2 : !moe.weight<1x2xf16>, !moe.weight<1x1xf32>, !moe.weight<1x1xf32>
}

//--- limit.mlir

// 40 bytes are allowed and 40 are used: two leaves of one param count once.
moe.param @w : !moe.weight<2x4xf32> = #moe.seeded<1>
moe.param @t : !moe.table<expert[2] -> cluster[1]> = dense<0> : tensor<2xi32>
// CHECK-LABEL: func.func @within
// CHECK: return {{.*}} : tensor<2x4xf32>, tensor<2x4xf32>, tensor<2xi32>
func.func @within() -> (!moe.weight<2x4xf32>, !moe.weight<2x4xf32>, !moe.table<expert[2] -> cluster[1]>) {
  %0 = moe.leaf @w : !moe.weight<2x4xf32>
  %1 = moe.leaf @w : !moe.weight<2x4xf32>
  %2 = moe.leaf @t : !moe.table<expert[2] -> cluster[1]>
  return %0, %1, %2 : !moe.weight<2x4xf32>, !moe.weight<2x4xf32>, !moe.table<expert[2] -> cluster[1]>
}
