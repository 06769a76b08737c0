// Extents that no argument has, so that a caller could not allocate the result.
// RUN: moe-opt %s --moe-export-entries --split-input-file --verify-diagnostics

// Branches that yield different extents constrain nobody: x and y may differ, and the result has neither's extent.
// expected-error @+1 {{result 0 'result0' has an extent, of dimension 0}}
func.func @either(%x: tensor<?xf32>, %y: tensor<?xf32>, %n: tensor<1xi1>) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %p = tensor.extract %n[%c0] : tensor<1xi1>
  %b = scf.if %p -> tensor<?xf32> {
    scf.yield %x : tensor<?xf32>
  } else {
    scf.yield %y : tensor<?xf32>
  }
  return %b : tensor<?xf32>
}

// -----

// A tensor that grows from turn to turn.
// expected-error @+1 {{result 0 'result0' has an extent, of dimension 0}}
func.func @grows(%x: tensor<?xf32>) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %r = scf.for %i = %c0 to %c4 step %c1 iter_args(%acc = %x) -> tensor<?xf32> {
    %s = tensor.concat dim(0) %acc, %x : (tensor<?xf32>, tensor<?xf32>) -> tensor<?xf32>
    scf.yield %s : tensor<?xf32>
  }
  return %r : tensor<?xf32>
}

// -----

// Two tensors that trade places: each has its extent only at every other turn.
// expected-error @+1 {{result 0 'result0' has an extent, of dimension 0}}
func.func @swaps(%x: tensor<?xf32>, %y: tensor<?xf32>) -> tensor<?xf32> {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %c4 = arith.constant 4 : index
  %r:2 = scf.for %i = %c0 to %c4 step %c1 iter_args(%a = %x, %b = %y) -> (tensor<?xf32>, tensor<?xf32>) {
    scf.yield %b, %a : tensor<?xf32>, tensor<?xf32>
  }
  return %r#0 : tensor<?xf32>
}

// -----

// T·4 is not T.
// expected-error @+1 {{result 0 'result0' has an extent, of dimension 0}}
func.func @product(%x: tensor<?x4xf32>) -> tensor<?xf32> {
  %flat = tensor.collapse_shape %x [[0, 1]] : tensor<?x4xf32> into tensor<?xf32>
  return %flat : tensor<?xf32>
}
