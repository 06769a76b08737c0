// RUN: moe-opt %s --moe-outline-parallel --split-input-file --verify-diagnostics

func.func private @task(tensor<4xf32>)
func.func @tensor(%x: tensor<4xf32>) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-error @below {{uses a value of type 'tensor<4xf32>' from outside: expected buffers, vectors and scalars}}
  scf.parallel (%i) = (%c0) to (%c1) step (%c1) {
    func.call @task(%x) : (tensor<4xf32>) -> ()
  }
  return
}

// -----

func.func private @task(memref<?xf32>)
func.func @scratch(%n: index) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    // expected-error @below {{in a parallel loop is of type 'memref<?xf32>': expected constant extents}}
    %a = memref.alloca(%n) : memref<?xf32>
    func.call @task(%a) : (memref<?xf32>) -> ()
  }
  return
}

// -----

func.func private @task(index)
func.func @grain(%n: index) attributes {moec.arguments = []} {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  // expected-error @below {{has moe.grain = 0 : i64: expected a number from 1 on}}
  scf.parallel (%i) = (%c0) to (%n) step (%c1) {
    func.call @task(%i) : (index) -> ()
  } {moe.grain = 0 : i64}
  return
}
