// RUN: moe-opt %s --moe-plan-workspace --split-input-file --verify-diagnostics

func.func @data(%x: memref<4xindex>) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %n = memref.load %x[%c0] : memref<4xindex>
  // expected-error @+1 {{has an extent that depends on data: expected scratch memory whose size follows from the extents of the function's arguments}}
  %a = memref.alloc(%n) : memref<?xf32>
  return
}

// -----

func.func @turn(%x: memref<?xf32>) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %t = memref.dim %x, %c0 : memref<?xf32>
  scf.for %i = %c0 to %t step %c1 {
    // expected-error @+1 {{has an extent that is computed from a loop's variables}}
    %a = memref.alloc(%i) : memref<?xf32>
  }
  return
}

// -----

func.func private @somewhere() -> memref<?xf32>
func.func @other(%x: memref<?xf32>) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %b = call @somewhere() : () -> memref<?xf32>
  %n = memref.dim %b, %c0 : memref<?xf32>
  // expected-error @+1 {{has an extent that is the extent of a buffer that is no argument's}}
  %a = memref.alloc(%n) : memref<?xf32>
  return
}

// -----

func.func @carried(%x: memref<8xf32>) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %r = scf.for %i = %c0 to %c4 step %c1 iter_args(%b = %x) -> memref<8xf32> {
    // expected-error @+1 {{stands in a loop and is carried to its next turn: expected a buffer allocated in front of the loop}}
    %a = memref.alloc() : memref<8xf32>
    memref.copy %b, %a : memref<8xf32> to memref<8xf32>
    scf.yield %a : memref<8xf32>
  }
  return
}

// -----

func.func @parallel(%x: memref<8xf32>) attributes {moec.arguments = []} {
  scf.forall (%i) in (8) {
    // expected-error @+1 {{stands in a parallel loop: expected scratch memory outside, or a slice for each turn}}
    %a = memref.alloc() : memref<8xf32>
    memref.copy %x, %a : memref<8xf32> to memref<8xf32>
  }
  return
}

// -----

func.func @layout() attributes {moec.arguments = []} {
  // expected-error @+1 {{of type 'memref<8xf32, strided<[2]>>': expected rows behind each other in the default memory space, aligned to at most 64 bytes}}
  %a = memref.alloc() : memref<8xf32, strided<[2]>>
  return
}

// -----

func.func @space() attributes {moec.arguments = []} {
  // expected-error @+1 {{expected rows behind each other in the default memory space, aligned to at most 64 bytes}}
  %a = memref.alloc() : memref<8xf32, 1>
  return
}

// -----

func.func @alignment() attributes {moec.arguments = []} {
  // expected-error @+1 {{expected rows behind each other in the default memory space, aligned to at most 64 bytes}}
  %a = memref.alloc() {alignment = 128 : i64} : memref<8xf32>
  return
}

// -----

func.func @huge() attributes {moec.arguments = []} {
  // expected-error @+1 {{of type 'memref<4611686018427387904x4xf32>' needs more bytes than can be counted}}
  %a = memref.alloc() : memref<4611686018427387904x4xf32>
  return
}

// -----

func.func private @helper() {
  // expected-error @+1 {{stands in a function that is not an entry: expected it to be inlined or exported}}
  %a = memref.alloc() : memref<8xf32>
  return
}

// -----

// expected-error @+1 {{expected an entry to have one block, buffers as arguments, and no results}}
func.func @tensors(%x: tensor<8xf32>) attributes {moec.arguments = []} {
  return
}
