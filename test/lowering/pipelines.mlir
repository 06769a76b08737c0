// Stages of moe-reference: what is left after each.
// RUN: moe-opt %s --moe-reference | FileCheck %s
// RUN: moe-opt %s --moe-reference="weights=m=splat:0.5 max-bytes=4096" | FileCheck %s
// RUN: not moe-opt %s --moe-reference=max-bytes=16 2>&1 | FileCheck %s --check-prefix=BYTES

// Private functions are gone, inlined; entries and their queries have C wrappers; everything is of the LLVM dialect.
// CHECK-NOT: @half
// CHECK-NOT: @unused
// CHECK-NOT: builtin.unrealized_conversion_cast
// CHECK-NOT: func.func
// CHECK-DAG: llvm.func @expf(f32) -> f32
// CHECK-DAG: llvm.func @log1pf(f32) -> f32
// CHECK: llvm.func @moec.layer(
// CHECK-SAME: moec.arguments = [{dtype = "bfloat16", name = "arg0", role = "input", shape = array<i64: -2, 8>},
// CHECK-NOT: f16 to f32
// CHECK-NOT: memrefCopy
// CHECK-NOT: @malloc
// CHECK: llvm.func @_mlir_ciface_moec.layer(%{{[a-z0-9]+}}: !llvm.ptr, %{{[a-z0-9]+}}: !llvm.ptr, %{{[a-z0-9]+}}: !llvm.ptr)
// CHECK: llvm.func @moec.layer_workspace({{.*}} -> i64
// CHECK: llvm.func @_mlir_ciface_moec.layer_workspace(%{{[a-z0-9]+}}: !llvm.ptr, %{{[a-z0-9]+}}: !llvm.ptr) -> i64

// BYTES: error: {{.+}}
moe.param private @w : !moe.weight<8x8xbf16> = #moe.seeded<1 scale 0.5>
func.func private @half(%x: tensor<?x8xbf16>) -> tensor<?x8xbf16> {
  %e = math.exp %x : tensor<?x8xbf16>
  %l = math.log1p %e : tensor<?x8xbf16>
  return %l : tensor<?x8xbf16>
}
// Nobody calls it, so its weight is nobody's concern.
func.func private @unused(%w: !moe.weight<8x8xbf16>) -> !moe.weight<8x8xbf16> {
  return %w : !moe.weight<8x8xbf16>
}
func.func @layer(%x: tensor<?x8xbf16>) -> tensor<?x8xbf16> {
  %w = moe.leaf @w : !moe.weight<8x8xbf16>
  %h = call @half(%x) : (tensor<?x8xbf16>) -> tensor<?x8xbf16>
  %y = moe.apply %h, %w : tensor<?x8xbf16>, !moe.weight<8x8xbf16> -> tensor<?x8xbf16>
  %z = call @half(%y) : (tensor<?x8xbf16>) -> tensor<?x8xbf16>
  return %z : tensor<?x8xbf16>
}
