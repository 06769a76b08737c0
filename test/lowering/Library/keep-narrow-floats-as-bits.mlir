// RUN: moe-opt %s --moe-keep-narrow-floats-as-bits --split-input-file --verify-diagnostics | FileCheck %s

// Loads, stores, constants and globals of narrow floats become those of their bits.
// CHECK-LABEL: llvm.mlir.global private constant @table
// CHECK-SAME: dense<[15360, 16384]> : tensor<2xi16>) {{.*}} : !llvm.array<2 x i16>
llvm.mlir.global private constant @table(dense<[1.0, 2.0]> : tensor<2xf16>) {addr_space = 0 : i32} : !llvm.array<2 x f16>

// CHECK-LABEL: llvm.func @choose
// CHECK: llvm.mlir.constant(16256 : i16) : i16
// CHECK: llvm.load {{.*}} -> i16
// CHECK: llvm.select {{.*}} : i1, i16
// CHECK: llvm.store {{.*}} : i16, !llvm.ptr
// CHECK-NOT: bf16
llvm.func @choose(%p: !llvm.ptr, %c: i1) {
  %one = llvm.mlir.constant(1.0 : bf16) : bf16
  %x = llvm.load %p : !llvm.ptr -> bf16
  %y = llvm.select %c, %x, %one : i1, bf16
  llvm.store %y, %p : bf16, !llvm.ptr
  llvm.return
}

// What makes vectors of numbers and takes them apart moves them too.
// CHECK-LABEL: llvm.func @spread
// CHECK: llvm.insertelement {{.*}} : vector<4xi16>
// CHECK: llvm.shufflevector {{.*}} : vector<4xi16>
// CHECK: llvm.extractelement {{.*}} : vector<4xi16>
llvm.func @spread(%p: !llvm.ptr, %i: i64) {
  %none = llvm.mlir.poison : vector<4xbf16>
  %x = llvm.load %p : !llvm.ptr -> bf16
  %one = llvm.insertelement %x, %none[%i : i64] : vector<4xbf16>
  %all = llvm.shufflevector %one, %none [0, 0, 0, 0] : vector<4xbf16>
  %y = llvm.extractelement %all[%i : i64] : vector<4xbf16>
  llvm.store %y, %p : bf16, !llvm.ptr
  llvm.return
}

// What one instruction widens is bits up to there.
// CHECK-LABEL: llvm.func @widen
// CHECK: %[[BITS:.+]] = llvm.load {{.*}} -> vector<16xi16>
// CHECK: %[[HALVES:.+]] = llvm.bitcast %[[BITS]] : vector<16xi16> to vector<16xf16>
// CHECK: llvm.fpext %[[HALVES]] : vector<16xf16> to vector<16xf32>
llvm.func @widen(%p: !llvm.ptr) -> vector<16xf32> {
  %x = llvm.load %p : !llvm.ptr -> vector<16xf16>
  %y = llvm.fpext %x : vector<16xf16> to vector<16xf32>
  llvm.return %y : vector<16xf32>
}

// What one instruction rounds is bits from there on.
// CHECK-LABEL: llvm.func @round
// CHECK: %[[HALVES:.+]] = llvm.fptrunc %{{.+}} : vector<16xf32> to vector<16xf16>
// CHECK: %[[BITS:.+]] = llvm.bitcast %[[HALVES]] : vector<16xf16> to vector<16xi16>
// CHECK: llvm.store %[[BITS]], {{.*}} : vector<16xi16>, !llvm.ptr
llvm.func @round(%p: !llvm.ptr, %x: vector<16xf32>) {
  %y = llvm.fptrunc %x : vector<16xf32> to vector<16xf16>
  llvm.store %y, %p : vector<16xf16>, !llvm.ptr
  llvm.return
}

// -----

// Arithmetic would compute with bits: refused.
llvm.func @add(%p: !llvm.ptr) {
  %x = llvm.load %p : !llvm.ptr -> f16
  // expected-error @+1 {{arithmetic on f16 or bf16 is left: expected it in f32, found 'llvm.fadd'}}
  %y = llvm.fadd %x, %x : f16
  llvm.store %y, %p : f16, !llvm.ptr
  llvm.return
}
