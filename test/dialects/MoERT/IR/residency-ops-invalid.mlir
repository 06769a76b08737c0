// RUN: moe-opt %s --split-input-file --verify-diagnostics
// Constraints M1 to M4.

func.func @ahead(%c: tensor<?xi32>) {
  // expected-error @+1 {{attribute 'ahead' failed to satisfy constraint: 32-bit signless integer attribute whose value is non-negative}}
  moert.prefetch %c ahead -1 : tensor<?xi32>
  return
}

// -----

func.func @prefetch_rank(%c: tensor<2x2x2xi32>) {
  // expected-error @+1 {{M2: expected clusters to be a list of i32, or to have a row for each token, found 'tensor<2x2x2xi32>'}}
  moert.prefetch %c : tensor<2x2x2xi32>
  return
}

// -----

func.func @ids(%c: tensor<?x!moe.id<cluster[4]>>) {
  // expected-error @+1 {{operand #0 must be ranked tensor of 32-bit signless integer values or strided memref of 32-bit signless integer values}}
  "moert.prefetch"(%c) : (tensor<?x!moe.id<cluster[4]>>) -> ()
  return
}

// -----

func.func @acquire_rank(%c: tensor<i32>, %t: tensor<4xi32>) {
  // expected-error @+1 {{M2: expected clusters to be a list of i32, or to have a row for each token, found 'tensor<i32>'}}
  %lease, %slots = moert.acquire ins(%c, %t : tensor<i32>, tensor<4xi32>) outs(%t : tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @two_forms(%c: tensor<?xi32>, %t: memref<4xi32>) {
  // expected-error @+1 {{M1: operands must be all tensors or all buffers}}
  %lease = moert.acquire ins(%c, %t : tensor<?xi32>, memref<4xi32>) outs(%t : memref<4xi32>)
  return
}

// -----

func.func @no_result(%c: tensor<?xi32>, %t: tensor<4xi32>) {
  // expected-error @+1 {{M1: expected a result of the destination's type}}
  %lease = moert.acquire ins(%c, %t : tensor<?xi32>, tensor<4xi32>) outs(%t : tensor<4xi32>)
  return
}

// -----

func.func @other_result(%c: tensor<?xi32>, %t: tensor<4xi32>) {
  // expected-error @+1 {{M1: expected a result of the destination's type}}
  %lease, %slots = moert.acquire ins(%c, %t : tensor<?xi32>, tensor<4xi32>) outs(%t : tensor<4xi32>) -> tensor<?xi32>
  return
}

// -----

func.func @result_of_buffers(%c: memref<?xi32>, %t: memref<4xi32>) {
  // expected-error @+1 {{M1: expected no result on buffers}}
  %lease, %slots = moert.acquire ins(%c, %t : memref<?xi32>, memref<4xi32>) outs(%t : memref<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @table(%c: tensor<?xi32>, %t: tensor<?xi32>) {
  // expected-error @+1 {{M3: expected the table to be a list of i32 of known length, found 'tensor<?xi32>'}}
  %lease, %slots = moert.acquire ins(%c, %t : tensor<?xi32>, tensor<?xi32>) outs(%t : tensor<?xi32>) -> tensor<?xi32>
  return
}

// -----

func.func @destination(%c: tensor<?xi32>, %t: tensor<4xi32>, %o: tensor<5xi32>) {
  // expected-error @+1 {{M3: expected a destination with a place for each cluster of the table, found 'tensor<5xi32>' for 'tensor<4xi32>'}}
  %lease, %slots = moert.acquire ins(%c, %t : tensor<?xi32>, tensor<4xi32>) outs(%o : tensor<5xi32>) -> tensor<5xi32>
  return
}

// -----

func.func @pool(%c: tensor<?xi32>, %t: tensor<4xi32>, %p: tensor<4xf32>) {
  // expected-error @+1 {{M4: expected a pool to have a row for each place, found 'tensor<4xf32>'}}
  %lease, %slots = moert.acquire ins(%c, %t : tensor<?xi32>, tensor<4xi32>) pools(%p : tensor<4xf32>) outs(%t : tensor<4xi32>) -> tensor<4xi32>
  return
}

// -----

func.func @release_forms(%lease: !moert.lease, %t: tensor<4xi32>, %p: memref<4x8xf32>) {
  // expected-error @+1 {{M1: operands must be all tensors or all buffers}}
  moert.release %lease slots(%t : tensor<4xi32>) pools(%p : memref<4x8xf32>)
  return
}

// -----

func.func @release_slots(%lease: !moert.lease, %t: tensor<4x1xi32>) {
  // expected-error @+1 {{M3: expected slots to be a list of i32 of known length, found 'tensor<4x1xi32>'}}
  moert.release %lease slots(%t : tensor<4x1xi32>)
  return
}

// -----

func.func @release_pool(%lease: !moert.lease, %t: tensor<4xi32>, %p: tensor<i32>) {
  // expected-error @+1 {{M4: expected a pool to have a row for each place, found 'tensor<i32>'}}
  moert.release %lease slots(%t : tensor<4xi32>) pools(%p : tensor<i32>)
  return
}
