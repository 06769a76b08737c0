// Parallel loops give the same values on any number of threads.
// REQUIRES: moe-compile, moe-run
// RUN: rm -rf %t && mkdir %t && moe-compile %s -o %t/artifact
// RUN: moe-run %t/artifact --print --tokens 3 | FileCheck %s
// RUN: moe-run %t/artifact --tokens 1000 > %t/one
// RUN: moe-run %t/artifact --tokens 1000 --threads=3 > %t/three && diff %t/one %t/three
// RUN: moe-run %t/artifact --tokens 1000 --threads 0 > %t/all && diff %t/one %t/all
// RUN: moe-run %t/artifact --tokens 1000 --threads 2 --repeat 200 | FileCheck %s --check-prefix=REPEATED
// RUN: moe-run %t/artifact --tokens 0 --threads 2 | FileCheck %s --check-prefix=EMPTY
// The library takes threads from its caller and has none of its own.
// RUN: llvm-nm -D --undefined-only --format=just-symbols %t/artifact/library.so | FileCheck %s --check-prefix=NEEDED --implicit-check-not=pthread
// NEEDED: snprintf

// x - x and what a turn makes of its number, through a struct of all that may be captured: rows 0.5, 3.5, 6.5, and the
// lanes 0, 1, 2, 3 that the scratch memory of a turn carries.
// CHECK: result0: float32 [3, 4]
// CHECK: 0.5 1.5 2.5 3.5
// CHECK: 3.5 4.5 5.5 6.5
// CHECK: 6.5 7.5 8.5 9.5
// REPEATED: 200 runs: min
// EMPTY: result0: float32 [0, 4]
func.func @f(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %n = tensor.dim %x, %c0 : tensor<?x4xf32>
  %zero = arith.subf %x, %x : tensor<?x4xf32>
  // Numbers that nothing knows before the run.
  %integer = arith.index_cast %n : index to i64
  %float = arith.sitofp %integer : i64 to f32
  %nothing = arith.subf %float, %float : f32
  %three = arith.constant 3.0 : f32
  %scale = arith.addf %nothing, %three : f32
  %half = arith.constant 0.5 : f32
  %also_half = arith.addf %nothing, %half : f32
  %narrow = arith.truncf %also_half : f32 to bf16
  %steps = arith.constant dense<[0.0, 1.0, 2.0, 3.0]> : vector<4xf32>
  %same = vector.broadcast %nothing : f32 to vector<4xf32>
  %lanes = arith.addf %same, %steps : vector<4xf32>
  %to = memref.alloc(%n) : memref<?x4xf32>
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    %scratch = memref.alloca() : memref<4xf32>
    vector.store %lanes, %scratch[%c0] : memref<4xf32>, vector<4xf32>
    %number = arith.index_cast %i : index to i64
    %row = arith.sitofp %number : i64 to f32
    %product = arith.mulf %row, %scale : f32
    %wide = arith.extf %narrow : bf16 to f32
    %sum = arith.addf %product, %wide : f32
    %all = vector.broadcast %sum : f32 to vector<4xf32>
    %back = vector.load %scratch[%c0] : memref<4xf32>, vector<4xf32>
    %values = arith.addf %all, %back : vector<4xf32>
    vector.store %values, %to[%i, %c0] : memref<?x4xf32>, vector<4xf32>
  } {moe.grain = 2 : i64}
  %made = bufferization.to_tensor %to restrict writable : memref<?x4xf32> to tensor<?x4xf32>
  %result = arith.addf %zero, %made : tensor<?x4xf32>
  return %result : tensor<?x4xf32>
}
