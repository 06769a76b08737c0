// RUN: moe-opt %s --split-input-file --verify-diagnostics
// Constraints G1 to G8, A1.

// Destination style: results are the destinations, tensors or buffers.
func.func @f(%x: tensor<?x64xf32>, %i: tensor<?xi32>, %o: tensor<?x64xf32>) {
  // expected-error @below {{'moe.gather' op expected the number of tensor results (0) to be equal to the number of output tensors (1)}}
  moe.gather ins(%x, %i : tensor<?x64xf32>, tensor<?xi32>) outs(%o : tensor<?x64xf32>)
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %i: memref<?xi32>, %o: memref<?x64xf32>) {
  // expected-error @below {{'moe.gather' op expected the number of tensor results (1) to be equal to the number of output tensors (0)}}
  %0 = moe.gather ins(%x, %i : memref<?x64xf32>, memref<?xi32>) outs(%o : memref<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %i: tensor<?xi32>, %o: tensor<?x64xf32>) {
  // expected-error @below {{'moe.gather' op expected type of operand #2 ('tensor<?x64xf32>') to match type of corresponding result ('tensor<8x64xf32>')}}
  %0 = moe.gather ins(%x, %i : tensor<?x64xf32>, tensor<?xi32>) outs(%o : tensor<?x64xf32>) -> tensor<8x64xf32>
  return
}

// -----

func.func @f(%x: memref<?x64xf32>, %i: tensor<?xi32>, %o: tensor<?x64xf32>) {
  // expected-error @below {{G3: operands must be all tensors or all buffers}}
  %0 = moe.gather ins(%x, %i : memref<?x64xf32>, tensor<?xi32>) outs(%o : tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %i: memref<?xi32>, %o: tensor<?x64xf32>) {
  // expected-error @below {{G3: operands must be all tensors or all buffers}}
  %0 = moe.scatter_combine ins(%x, %i : tensor<?x64xf32>, memref<?xi32>) outs(%o : tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xf32>, %slot: memref<8x2xi32>, %r: tensor<8xi32>, %o: tensor<3xi32>, %pr: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %pw: tensor<16xf32>) {
  // expected-error @below {{G3: operands must be all tensors or all buffers}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xf32>) slots(%slot : memref<8x2xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>) -> tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: memref<3xi32>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G3: operands must be all tensors or all buffers}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : memref<3xi32>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<*xf32>, %i: tensor<?xi32>, %o: tensor<?x64xf32>) {
  // expected-error @below {{'moe.gather' op operand #0 must be ranked tensor of any type values or strided memref of any type values, but got 'tensor<*xf32>'}}
  %0 = moe.gather ins(%x, %i : tensor<*xf32>, tensor<?xi32>) outs(%o : tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %i: tensor<?xi32>, %o: vector<8x64xf32>) {
  // expected-error @below {{'moe.gather' op operand #2 must be ranked tensor of any type values or strided memref of any type values, but got 'vector<8x64xf32>'}}
  moe.gather ins(%x, %i : tensor<?x64xf32>, tensor<?xi32>) outs(%o : vector<8x64xf32>)
  return
}

// -----

// G7: group.
func.func @f(%c: tensor<8x!moe.id<cluster[2]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xf32>, %slot: tensor<8x2xi32>, %r: tensor<8xi32>, %o: tensor<3xi32>, %pr: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %pw: tensor<16xf32>) {
  // expected-error @below {{G7: clusters must have rank 2, is 'tensor<8x!moe.id<cluster[2]>>'}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xf32>) slots(%slot : tensor<8x2xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>) -> tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>
  return
}

// -----

func.func @f(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<16x!moe.id<expert[4]>>, %p: tensor<8x2xf32>, %slot: tensor<8x2xi32>, %r: tensor<8xi32>, %o: tensor<3xi32>, %pr: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %pw: tensor<16xf32>) {
  // expected-error @below {{G7: ids must have rank 2, is 'tensor<16x!moe.id<expert[4]>>'}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<16x!moe.id<expert[4]>>, tensor<8x2xf32>) slots(%slot : tensor<8x2xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>) -> tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>
  return
}

// -----

func.func @f(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<16xf32>, %slot: tensor<8x2xi32>, %r: tensor<8xi32>, %o: tensor<3xi32>, %pr: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %pw: tensor<16xf32>) {
  // expected-error @below {{G7: weights must have rank 2, is 'tensor<16xf32>'}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<16xf32>) slots(%slot : tensor<8x2xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>) -> tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>
  return
}

// -----

func.func @f(%c: tensor<8x1xi32>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xf32>, %slot: tensor<8x2xi32>, %r: tensor<8xi32>, %o: tensor<3xi32>, %pr: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %pw: tensor<16xf32>) {
  // expected-error @below {{G7: expected cluster ids, expert ids and gate weights}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1xi32>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xf32>) slots(%slot : tensor<8x2xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>) -> tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>
  return
}

// -----

func.func @f(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<8x2xi32>, %p: tensor<8x2xf32>, %slot: tensor<8x2xi32>, %r: tensor<8xi32>, %o: tensor<3xi32>, %pr: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %pw: tensor<16xf32>) {
  // expected-error @below {{G7: expected cluster ids, expert ids and gate weights}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2xi32>, tensor<8x2xf32>) slots(%slot : tensor<8x2xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>) -> tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>
  return
}

// -----

func.func @f(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xi32>, %slot: tensor<8x2xi32>, %r: tensor<8xi32>, %o: tensor<3xi32>, %pr: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %pw: tensor<16xf32>) {
  // expected-error @below {{G7: expected cluster ids, expert ids and gate weights}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xi32>) slots(%slot : tensor<8x2xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>) -> tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>
  return
}

// -----

func.func @f(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xf8E4M3FN>, %slot: tensor<8x2xi32>, %r: tensor<8xi32>, %o: tensor<3xi32>, %pr: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %pw: tensor<16xf8E4M3FN>) {
  // expected-error @below {{G7: expected cluster ids, expert ids and gate weights}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xf8E4M3FN>) slots(%slot : tensor<8x2xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf8E4M3FN>) -> tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf8E4M3FN>
  return
}

// -----

func.func @f(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x3xf32>, %slot: tensor<8x2xi32>, %r: tensor<8xi32>, %o: tensor<3xi32>, %pr: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %pw: tensor<16xf32>) {
  // expected-error @below {{G7: ids is 'tensor<8x2x!moe.id<expert[4]>>' but weights is 'tensor<8x3xf32>': extent 1 differs}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x3xf32>) slots(%slot : tensor<8x2xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>) -> tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>
  return
}

// -----

func.func @f(%c: tensor<7x1x!moe.id<cluster[2]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xf32>, %slot: tensor<8x2xi32>, %r: tensor<8xi32>, %o: tensor<3xi32>, %pr: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %pw: tensor<16xf32>) {
  // expected-error @below {{G7: ids is 'tensor<8x2x!moe.id<expert[4]>>' but clusters is 'tensor<7x1x!moe.id<cluster[2]>>': extent 0 differs}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<7x1x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xf32>) slots(%slot : tensor<8x2xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>) -> tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>
  return
}

// -----

func.func @f(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xf32>, %slot: tensor<16xi32>, %r: tensor<8xi32>, %o: tensor<3xi32>, %pr: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %pw: tensor<16xf32>) {
  // expected-error @below {{G7: slots must have rank 2, is 'tensor<16xi32>'}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xf32>) slots(%slot : tensor<16xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>) -> tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>
  return
}

// -----

func.func @f(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xf32>, %slot: tensor<8x1xi32>, %r: tensor<8xi32>, %o: tensor<3xi32>, %pr: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %pw: tensor<16xf32>) {
  // expected-error @below {{G7: slots is 'tensor<8x1xi32>' but ids is 'tensor<8x2x!moe.id<expert[4]>>': extent 1 differs}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xf32>) slots(%slot : tensor<8x1xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>) -> tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>
  return
}

// -----

func.func @f(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xf32>, %slot: tensor<8x2xi64>, %r: tensor<8xi32>, %o: tensor<3xi32>, %pr: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %pw: tensor<16xf32>) {
  // expected-error @below {{G7: slots must be i32, are 'tensor<8x2xi64>'}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xf32>) slots(%slot : tensor<8x2xi64>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>) -> tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>
  return
}

// -----

func.func @f(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xf32>, %r: tensor<8xi32>, %o: tensor<3xi32>, %pr: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %pw: tensor<16xf32>) {
  // expected-error @below {{G7: without slots there is one row for each choice: 'tensor<8x1x!moe.id<cluster[2]>>' and 'tensor<8x2x!moe.id<expert[4]>>'}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xf32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>) -> tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>
  return
}

// -----

func.func @f(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xf32>, %slot: tensor<8x2xi32>, %r: tensor<8xindex>, %o: tensor<3xi32>, %pr: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %pw: tensor<16xf32>) {
  // expected-error @below {{G7: row_token must be a list of i32, is 'tensor<8xindex>'}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xf32>) slots(%slot : tensor<8x2xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xindex>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>) -> tensor<8xindex>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>
  return
}

// -----

func.func @f(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xf32>, %slot: tensor<8x2xi32>, %r: tensor<8xi32>, %o: tensor<3x1xi32>, %pr: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %pw: tensor<16xf32>) {
  // expected-error @below {{G7: row_offsets must be a list of i32, is 'tensor<3x1xi32>'}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xf32>) slots(%slot : tensor<8x2xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<3x1xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>) -> tensor<8xi32>, tensor<3x1xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>
  return
}

// -----

func.func @f(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xf32>, %slot: tensor<8x2xi32>, %r: tensor<8xi32>, %o: tensor<3xi32>, %pr: tensor<16xui32>, %pe: tensor<16x!moe.id<expert[4]>>, %pw: tensor<16xf32>) {
  // expected-error @below {{G7: pair_row must be a list of i32, is 'tensor<16xui32>'}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xf32>) slots(%slot : tensor<8x2xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<3xi32>, tensor<16xui32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>) -> tensor<8xi32>, tensor<3xi32>, tensor<16xui32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>
  return
}

// -----

func.func @f(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xf32>, %slot: tensor<8x2xi32>, %r: tensor<8xi32>, %o: tensor<3xi32>, %pr: tensor<16xi32>, %pe: tensor<16xi32>, %pw: tensor<16xf32>) {
  // expected-error @below {{G7: pair_expert must be a list of ids, is 'tensor<16xi32>'}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xf32>) slots(%slot : tensor<8x2xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16xi32>, tensor<16xf32>) -> tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16xi32>, tensor<16xf32>
  return
}

// -----

func.func @f(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xf32>, %slot: tensor<8x2xi32>, %r: tensor<8xi32>, %o: tensor<3xi32>, %pr: tensor<16xi32>, %pe: tensor<8x2x!moe.id<expert[4]>>, %pw: tensor<16xf32>) {
  // expected-error @below {{G7: pair_expert must be a list of ids, is 'tensor<8x2x!moe.id<expert[4]>>'}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xf32>) slots(%slot : tensor<8x2xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<8x2x!moe.id<expert[4]>>, tensor<16xf32>) -> tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<8x2x!moe.id<expert[4]>>, tensor<16xf32>
  return
}

// -----

func.func @f(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xf32>, %slot: tensor<8x2xi32>, %r: tensor<8xi32>, %o: tensor<3xi32>, %pr: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %pw: tensor<8x2xf32>) {
  // expected-error @below {{G7: pair_weight must have rank 1, is 'tensor<8x2xf32>'}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xf32>) slots(%slot : tensor<8x2xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<8x2xf32>) -> tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<8x2xf32>
  return
}

// -----

func.func @f(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xf32>, %slot: tensor<8x2xi32>, %r: tensor<8xi32>, %o: tensor<3xi32>, %pr: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[8]>>, %pw: tensor<16xf32>) {
  // expected-error @below {{G7: pairs must have the types of ids and weights}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xf32>) slots(%slot : tensor<8x2xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[8]>>, tensor<16xf32>) -> tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[8]>>, tensor<16xf32>
  return
}

// -----

func.func @f(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xf32>, %slot: tensor<8x2xi32>, %r: tensor<8xi32>, %o: tensor<3xi32>, %pr: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %pw: tensor<16xf16>) {
  // expected-error @below {{G7: pairs must have the types of ids and weights}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xf32>) slots(%slot : tensor<8x2xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf16>) -> tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf16>
  return
}

// -----

func.func @f(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xf32>, %slot: tensor<8x2xi32>, %r: tensor<16xi32>, %o: tensor<3xi32>, %pr: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %pw: tensor<16xf32>) {
  // expected-error @below {{G7: row_token must have 8 elements, is 'tensor<16xi32>'}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xf32>) slots(%slot : tensor<8x2xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<16xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>) -> tensor<16xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>
  return
}

// -----

func.func @f(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xf32>, %slot: tensor<8x2xi32>, %r: tensor<8xi32>, %o: tensor<2xi32>, %pr: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %pw: tensor<16xf32>) {
  // expected-error @below {{G7: row_offsets must have 3 elements, is 'tensor<2xi32>'}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xf32>) slots(%slot : tensor<8x2xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<2xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>) -> tensor<8xi32>, tensor<2xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>
  return
}

// -----

func.func @f(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xf32>, %slot: tensor<8x2xi32>, %r: tensor<8xi32>, %o: tensor<3xi32>, %pr: tensor<8xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %pw: tensor<16xf32>) {
  // expected-error @below {{G7: pair_row must have 16 elements, is 'tensor<8xi32>'}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xf32>) slots(%slot : tensor<8x2xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<3xi32>, tensor<8xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>) -> tensor<8xi32>, tensor<3xi32>, tensor<8xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>
  return
}

// -----

func.func @f(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xf32>, %slot: tensor<8x2xi32>, %r: tensor<8xi32>, %o: tensor<3xi32>, %pr: tensor<16xi32>, %pe: tensor<8x!moe.id<expert[4]>>, %pw: tensor<16xf32>) {
  // expected-error @below {{G7: pair_expert must have 16 elements, is 'tensor<8x!moe.id<expert[4]>>'}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xf32>) slots(%slot : tensor<8x2xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<8x!moe.id<expert[4]>>, tensor<16xf32>) -> tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<8x!moe.id<expert[4]>>, tensor<16xf32>
  return
}

// -----

func.func @f(%c: tensor<8x1x!moe.id<cluster[2]>>, %ids: tensor<8x2x!moe.id<expert[4]>>, %p: tensor<8x2xf32>, %slot: tensor<8x2xi32>, %r: tensor<8xi32>, %o: tensor<3xi32>, %pr: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %pw: tensor<17xf32>) {
  // expected-error @below {{G7: pair_weight must have 16 elements, is 'tensor<17xf32>'}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<8x1x!moe.id<cluster[2]>>, tensor<8x2x!moe.id<expert[4]>>, tensor<8x2xf32>) slots(%slot : tensor<8x2xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<17xf32>) -> tensor<8xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<17xf32>
  return
}

// -----

func.func @f(%c: tensor<?x1x!moe.id<cluster[2]>>, %ids: tensor<4611686018427387904x4x!moe.id<expert[4]>>, %p: tensor<?x4xf32>, %slot: tensor<?x4xi32>, %r: tensor<?xi32>, %o: tensor<3xi32>, %pr: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %pw: tensor<16xf32>) {
  // expected-error @below {{G7: pair_row must have 9223372036854775807 elements, is 'tensor<16xi32>'}}
  %0:5 = moe.group ins(%c, %ids, %p : tensor<?x1x!moe.id<cluster[2]>>, tensor<4611686018427387904x4x!moe.id<expert[4]>>, tensor<?x4xf32>) slots(%slot : tensor<?x4xi32>)
    outs(%r, %o, %pr, %pe, %pw : tensor<?xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>) -> tensor<?xi32>, tensor<3xi32>, tensor<16xi32>, tensor<16x!moe.id<expert[4]>>, tensor<16xf32>
  return
}

// -----

// G8: gather.
func.func @f(%x: tensor<?x64xf32>, %i: tensor<?xi64>, %o: tensor<?x64xf32>) {
  // expected-error @below {{G8: index must be a list of i32, is 'tensor<?xi64>'}}
  %0 = moe.gather ins(%x, %i : tensor<?x64xf32>, tensor<?xi64>) outs(%o : tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %i: tensor<?x1xi32>, %o: tensor<?x64xf32>) {
  // expected-error @below {{G8: index must be a list of i32, is 'tensor<?x1xi32>'}}
  %0 = moe.gather ins(%x, %i : tensor<?x64xf32>, tensor<?x1xi32>) outs(%o : tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?xindex>, %i: tensor<?xi32>, %o: tensor<?xindex>) {
  // expected-error @below {{G8: rows must hold floats, integers or ids, are 'tensor<?xindex>'}}
  %0 = moe.gather ins(%x, %i : tensor<?xindex>, tensor<?xi32>) outs(%o : tensor<?xindex>) -> tensor<?xindex>
  return
}

// -----

func.func @f(%x: tensor<?x4xcomplex<f32>>, %i: tensor<?xi32>, %o: tensor<?x4xcomplex<f32>>) {
  // expected-error @below {{G8: rows must hold floats, integers or ids, are 'tensor<?x4xcomplex<f32>>'}}
  %0 = moe.gather ins(%x, %i : tensor<?x4xcomplex<f32>>, tensor<?xi32>) outs(%o : tensor<?x4xcomplex<f32>>) -> tensor<?x4xcomplex<f32>>
  return
}

// -----

func.func @f(%x: tensor<?x!moe.weight<4x4xf32>>, %i: tensor<?xi32>, %o: tensor<?x!moe.weight<4x4xf32>>) {
  // expected-error @below {{G8: rows must hold floats, integers or ids, are 'tensor<?x!moe.weight<4x4xf32>>'}}
  %0 = moe.gather ins(%x, %i : tensor<?x!moe.weight<4x4xf32>>, tensor<?xi32>) outs(%o : tensor<?x!moe.weight<4x4xf32>>) -> tensor<?x!moe.weight<4x4xf32>>
  return
}

// -----

func.func @f(%x: tensor<f32>, %i: tensor<?xi32>, %o: tensor<f32>) {
  // expected-error @below {{G8: rows of 'tensor<f32>' do not fit 'tensor<f32>'}}
  %0 = moe.gather ins(%x, %i : tensor<f32>, tensor<?xi32>) outs(%o : tensor<f32>) -> tensor<f32>
  return
}

// -----

func.func @f(%x: tensor<?x2x4xf32>, %i: tensor<?xi32>, %o: tensor<?x2x4xf32>) {
  // expected-error @below {{G8: rows of 'tensor<?x2x4xf32>' do not fit 'tensor<?x2x4xf32>'}}
  %0 = moe.gather ins(%x, %i : tensor<?x2x4xf32>, tensor<?xi32>) outs(%o : tensor<?x2x4xf32>) -> tensor<?x2x4xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %i: tensor<?xi32>, %o: tensor<?x32xf32>) {
  // expected-error @below {{G8: rows of 'tensor<?x64xf32>' do not fit 'tensor<?x32xf32>'}}
  %0 = moe.gather ins(%x, %i : tensor<?x64xf32>, tensor<?xi32>) outs(%o : tensor<?x32xf32>) -> tensor<?x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %i: tensor<?xi32>, %o: tensor<?x64xf16>) {
  // expected-error @below {{G8: rows of 'tensor<?x64xf32>' do not fit 'tensor<?x64xf16>'}}
  %0 = moe.gather ins(%x, %i : tensor<?x64xf32>, tensor<?xi32>) outs(%o : tensor<?x64xf16>) -> tensor<?x64xf16>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %i: tensor<?xi32>, %o: tensor<?xf32>) {
  // expected-error @below {{G8: rows of 'tensor<?x64xf32>' do not fit 'tensor<?xf32>'}}
  %0 = moe.gather ins(%x, %i : tensor<?x64xf32>, tensor<?xi32>) outs(%o : tensor<?xf32>) -> tensor<?xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %i: tensor<4xi32>, %o: tensor<5x64xf32>) {
  // expected-error @below {{G8: index is 'tensor<4xi32>' but destination is 'tensor<5x64xf32>': extent 0 differs}}
  %0 = moe.gather ins(%x, %i : tensor<?x64xf32>, tensor<4xi32>) outs(%o : tensor<5x64xf32>) -> tensor<5x64xf32>
  return
}

// -----

// G8: scatter_combine.
func.func @f(%x: tensor<?x64xf32>, %i: tensor<?xf32>, %o: tensor<?x64xf32>) {
  // expected-error @below {{G8: index must be a list of i32, is 'tensor<?xf32>'}}
  %0 = moe.scatter_combine ins(%x, %i : tensor<?x64xf32>, tensor<?xf32>) outs(%o : tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?xf32>, %i: tensor<?xi32>, %o: tensor<?x64xf32>) {
  // expected-error @below {{G8: input must have rank 2, is 'tensor<?xf32>'}}
  %0 = moe.scatter_combine ins(%x, %i : tensor<?xf32>, tensor<?xi32>) outs(%o : tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %i: tensor<?xi32>, %o: tensor<?xf32>) {
  // expected-error @below {{G8: destination must have rank 2, is 'tensor<?xf32>'}}
  %0 = moe.scatter_combine ins(%x, %i : tensor<?x64xf32>, tensor<?xi32>) outs(%o : tensor<?xf32>) -> tensor<?xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %i: tensor<?xi32>, %o: tensor<?x32xf32>) {
  // expected-error @below {{G8: rows of 'tensor<?x64xf32>' do not fit 'tensor<?x32xf32>'}}
  %0 = moe.scatter_combine ins(%x, %i : tensor<?x64xf32>, tensor<?xi32>) outs(%o : tensor<?x32xf32>) -> tensor<?x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xi32>, %i: tensor<?xi32>, %o: tensor<?x64xi32>) {
  // expected-error @below {{G8: rows of 'tensor<?x64xi32>' do not fit 'tensor<?x64xi32>'}}
  %0 = moe.scatter_combine ins(%x, %i : tensor<?x64xi32>, tensor<?xi32>) outs(%o : tensor<?x64xi32>) -> tensor<?x64xi32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf16>, %i: tensor<?xi32>, %o: tensor<?x64xf32>) {
  // expected-error @below {{G8: rows of 'tensor<?x64xf16>' do not fit 'tensor<?x64xf32>'}}
  %0 = moe.scatter_combine ins(%x, %i : tensor<?x64xf16>, tensor<?xi32>) outs(%o : tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<5x64xf32>, %i: tensor<4xi32>, %o: tensor<?x64xf32>) {
  // expected-error @below {{G8: index is 'tensor<4xi32>' but input is 'tensor<5x64xf32>': extent 0 differs}}
  %0 = moe.scatter_combine ins(%x, %i : tensor<5x64xf32>, tensor<4xi32>) outs(%o : tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %i: tensor<?xi32>, %p: tensor<?x1xf32>, %o: tensor<?x64xf32>) {
  // expected-error @below {{G8: weights must have rank 1, is 'tensor<?x1xf32>'}}
  %0 = moe.scatter_combine ins(%x, %i : tensor<?x64xf32>, tensor<?xi32>) weighted(%p : tensor<?x1xf32>) outs(%o : tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %i: tensor<5xi32>, %p: tensor<4xf32>, %o: tensor<?x64xf32>) {
  // expected-error @below {{G8: weights is 'tensor<4xf32>' but index is 'tensor<5xi32>': extent 0 differs}}
  %0 = moe.scatter_combine ins(%x, %i : tensor<?x64xf32>, tensor<5xi32>) weighted(%p : tensor<4xf32>) outs(%o : tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %i: tensor<?xi32>, %p: tensor<?xf64>, %o: tensor<?x64xf32>) {
  // expected-error @below {{G8: weights are 'tensor<?xf64>' but rows are 'tensor<?x64xf32>'}}
  %0 = moe.scatter_combine ins(%x, %i : tensor<?x64xf32>, tensor<?xi32>) weighted(%p : tensor<?xf64>) outs(%o : tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

// G5: weights.
func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %w1: !moe.weight<64x32xf32, cluster[2]>, %w2: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G5: expected one weight, or up and gate, found 3}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0, %w1, %w2 : !moe.weight<64x32xf32, cluster[2]>, !moe.weight<64x32xf32, cluster[2]>, !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) act <silu>
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %w1: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G5: two weights need an activation}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0, %w1 : !moe.weight<64x32xf32, cluster[2]>, !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %w1: !moe.weight<64x32xf32, expert[2]>, %off: tensor<3xi32>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G5: up is '!moe.weight<64x32xf32, cluster[2]>' but gate is '!moe.weight<64x32xf32, expert[2]>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0, %w1 : !moe.weight<64x32xf32, cluster[2]>, !moe.weight<64x32xf32, expert[2]>) groups(%off : tensor<3xi32>) act <silu>
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G5: expected one weight, or up and gate, found 0}}
  %0 = "moe.grouped_matmul"(%x, %o) {operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1>} : (tensor<8x64xf32>, tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %o: tensor<8x32xf32>) {
  // expected-error @below {{A1: an offset needs a gate}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) act <silu offset 1.0>
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

// G3: sizes.
func.func @f(%x: tensor<8x1x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G3: rows must have rank 2, is 'tensor<8x1x64xf32>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x1x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %o: tensor<8xf32>) {
  // expected-error @below {{G3: destination must have rank 2, is 'tensor<8xf32>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>)
    outs(%o : tensor<8xf32>) -> tensor<8xf32>
  return
}

// -----

func.func @f(%x: tensor<8x32xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G3: 'tensor<8x32xf32>' times '!moe.weight<64x32xf32, cluster[2]>' does not fit 'tensor<8x32xf32>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x32xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %o: tensor<8x64xf32>) {
  // expected-error @below {{G3: 'tensor<8x64xf32>' times '!moe.weight<64x32xf32, cluster[2]>' does not fit 'tensor<8x64xf32>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>)
    outs(%o : tensor<8x64xf32>) -> tensor<8x64xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf16>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G3: 'tensor<8x64xf16>' times '!moe.weight<64x32xf32, cluster[2]>' does not fit 'tensor<8x32xf32>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf16>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %o: tensor<8x32xbf16>) {
  // expected-error @below {{G3: 'tensor<8x64xf32>' times '!moe.weight<64x32xf32, cluster[2]>' does not fit 'tensor<8x32xbf16>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>)
    outs(%o : tensor<8x32xbf16>) -> tensor<8x32xbf16>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %o: tensor<9x32xf32>) {
  // expected-error @below {{G3: rows is 'tensor<8x64xf32>' but destination is 'tensor<9x32xf32>': extent 0 differs}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>)
    outs(%o : tensor<9x32xf32>) -> tensor<9x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G3: pairs is 'tensor<16xi32>' but destination is 'tensor<8x32xf32>': extent 0 differs}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi64>, %pe: tensor<16x!moe.id<expert[4]>>, %o: tensor<16x32xf32>) {
  // expected-error @below {{G3: pair_rows must be a list of i32, is 'tensor<16xi64>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi64>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>)
    outs(%o : tensor<16x32xf32>) -> tensor<16x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16xi32>, %o: tensor<16x32xf32>) {
  // expected-error @below {{G3: pair_experts must be a list of ids, is 'tensor<16xi32>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16xi32>)
    outs(%o : tensor<16x32xf32>) -> tensor<16x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<15x!moe.id<expert[4]>>, %o: tensor<16x32xf32>) {
  // expected-error @below {{G3: pair_rows is 'tensor<16xi32>' but pair_experts is 'tensor<15x!moe.id<expert[4]>>': extent 0 differs}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<15x!moe.id<expert[4]>>)
    outs(%o : tensor<16x32xf32>) -> tensor<16x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4+1]>>, %o: tensor<16x32xf32>) {
  // expected-error @below {{G3: pair_experts must not count special experts, are 'tensor<16x!moe.id<expert[4+1]>>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4+1]>>)
    outs(%o : tensor<16x32xf32>) -> tensor<16x32xf32>
  return
}

// -----

// G1: what picks the matrix of a row.
func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %e: tensor<8x!moe.id<cluster[2]>>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G1: groups and entries exclude each other}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) entries(%e : tensor<8x!moe.id<cluster[2]>>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi64>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G1: groups must be a list of i32, is 'tensor<3xi64>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi64>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %e: tensor<8xi32>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G1: entries must be a list of ids, is 'tensor<8xi32>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) entries(%e : tensor<8xi32>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %e: tensor<7x!moe.id<cluster[2]>>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G1: entries is 'tensor<7x!moe.id<cluster[2]>>' but rows is 'tensor<8x64xf32>': extent 0 differs}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) entries(%e : tensor<7x!moe.id<cluster[2]>>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, expert[2]>, %e: tensor<8x!moe.id<expert[2+1]>>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G1: entries must not count special experts, are 'tensor<8x!moe.id<expert[2+1]>>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, expert[2]>) entries(%e : tensor<8x!moe.id<expert[2+1]>>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G1: groups or entries are needed exactly when the weight is indexed; the weight is '!moe.weight<64x32xf32, cluster[2]>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32>, %off: tensor<3xi32>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G1: groups or entries are needed exactly when the weight is indexed; the weight is '!moe.weight<64x32xf32>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32>) groups(%off : tensor<3xi32>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %e: tensor<8x!moe.id<expert[4]>>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G1: the weight is '!moe.weight<64x32xf32, cluster[2]>' but ids are '!moe.id<expert[4]>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) entries(%e : tensor<8x!moe.id<expert[4]>>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<2xi32>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G1: '!moe.weight<64x32xf32, cluster[2]>' needs 3 offsets, found 'tensor<2xi32>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<2xi32>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2147483647]>, %off: tensor<3xi32>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G1: '!moe.weight<64x32xf32, cluster[2147483647]>' needs 2147483648 offsets, found 'tensor<3xi32>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2147483647]>) groups(%off : tensor<3xi32>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

// G2: residuals.
func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G2: pair_rows and pair_experts go together}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G2: pair_rows and pair_experts go together}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %res0: !moe.weight<64x4xf32, expert[4]>, %res1: !moe.weight<4x32xf32, expert[4]>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G2: a residual needs pairs}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) residual(%res0, %res1 : !moe.weight<64x4xf32, expert[4]>, !moe.weight<4x32xf32, expert[4]>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %res0: !moe.weight<64x4xf32, expert[4]>, %o: tensor<16x32xf32>) {
  // expected-error @below {{G2: 1 weights need 2 residual factors, found 1}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>) residual(%res0 : !moe.weight<64x4xf32, expert[4]>)
    outs(%o : tensor<16x32xf32>) -> tensor<16x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %w1: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %res0: !moe.weight<64x4xf32, expert[4]>, %res1: !moe.weight<4x32xf32, expert[4]>, %o: tensor<16x32xf32>) {
  // expected-error @below {{G2: 2 weights need 4 residual factors, found 2}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0, %w1 : !moe.weight<64x32xf32, cluster[2]>, !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>) residual(%res0, %res1 : !moe.weight<64x4xf32, expert[4]>, !moe.weight<4x32xf32, expert[4]>) act <silu>
    outs(%o : tensor<16x32xf32>) -> tensor<16x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %res0: !moe.weight<4x32xf32, expert[4]>, %res1: !moe.weight<64x4xf32, expert[4]>, %o: tensor<16x32xf32>) {
  // expected-error @below {{G2: '!moe.weight<4x32xf32, expert[4]>' times '!moe.weight<64x4xf32, expert[4]>' is no residual of '!moe.weight<64x32xf32, cluster[2]>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>) residual(%res0, %res1 : !moe.weight<4x32xf32, expert[4]>, !moe.weight<64x4xf32, expert[4]>)
    outs(%o : tensor<16x32xf32>) -> tensor<16x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %res0: !moe.weight<64x4xf32, expert[4]>, %res1: !moe.weight<8x32xf32, expert[4]>, %o: tensor<16x32xf32>) {
  // expected-error @below {{G2: '!moe.weight<64x4xf32, expert[4]>' times '!moe.weight<8x32xf32, expert[4]>' is no residual of '!moe.weight<64x32xf32, cluster[2]>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>) residual(%res0, %res1 : !moe.weight<64x4xf32, expert[4]>, !moe.weight<8x32xf32, expert[4]>)
    outs(%o : tensor<16x32xf32>) -> tensor<16x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %res0: !moe.weight<64x4xf16, expert[4]>, %res1: !moe.weight<4x32xf32, expert[4]>, %o: tensor<16x32xf32>) {
  // expected-error @below {{G2: '!moe.weight<64x4xf16, expert[4]>' times '!moe.weight<4x32xf32, expert[4]>' is no residual of '!moe.weight<64x32xf32, cluster[2]>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>) residual(%res0, %res1 : !moe.weight<64x4xf16, expert[4]>, !moe.weight<4x32xf32, expert[4]>)
    outs(%o : tensor<16x32xf32>) -> tensor<16x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %res0: !moe.weight<64x4xf32, cluster[2]>, %res1: !moe.weight<4x32xf32, expert[4]>, %o: tensor<16x32xf32>) {
  // expected-error @below {{G2: a residual factor is '!moe.weight<64x4xf32, cluster[2]>' but ids are '!moe.id<expert[4]>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>) residual(%res0, %res1 : !moe.weight<64x4xf32, cluster[2]>, !moe.weight<4x32xf32, expert[4]>)
    outs(%o : tensor<16x32xf32>) -> tensor<16x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %res0: !moe.weight<64x4xf32, expert[4]>, %res1: !moe.weight<4x32xf32, expert[8]>, %o: tensor<16x32xf32>) {
  // expected-error @below {{G2: a residual factor is '!moe.weight<4x32xf32, expert[8]>' but ids are '!moe.id<expert[4]>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>) residual(%res0, %res1 : !moe.weight<64x4xf32, expert[4]>, !moe.weight<4x32xf32, expert[8]>)
    outs(%o : tensor<16x32xf32>) -> tensor<16x32xf32>
  return
}

// -----

// G4: segments.
func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %v: tensor<16x4xf32>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G4: segment and expand go together}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>) segment(%v : tensor<16x4xf32>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %b: !moe.weight<4x32xf32, expert[4]>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G4: segment and expand go together}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>) expand(%b : !moe.weight<4x32xf32, expert[4]>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %p: tensor<16xf32>, %o: tensor<16x32xf32>) {
  // expected-error @below {{G4: weighted without a segment}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>) weighted(%p : tensor<16xf32>)
    outs(%o : tensor<16x32xf32>) -> tensor<16x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %v: tensor<16x4xf32>, %b: !moe.weight<4x32xf32, expert[4]>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G4: a segment needs pairs and one weight, and excludes residual and act}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) segment(%v : tensor<16x4xf32>) expand(%b : !moe.weight<4x32xf32, expert[4]>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %v: tensor<16x4xf32>, %b: !moe.weight<4x32xf32, expert[4]>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G4: a segment needs pairs and one weight, and excludes residual and act}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>) segment(%v : tensor<16x4xf32>) expand(%b : !moe.weight<4x32xf32, expert[4]>) act <silu>
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %res0: !moe.weight<64x4xf32, expert[4]>, %res1: !moe.weight<4x32xf32, expert[4]>, %v: tensor<16x4xf32>, %b: !moe.weight<4x32xf32, expert[4]>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G4: a segment needs pairs and one weight, and excludes residual and act}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>) residual(%res0, %res1 : !moe.weight<64x4xf32, expert[4]>, !moe.weight<4x32xf32, expert[4]>) segment(%v : tensor<16x4xf32>) expand(%b : !moe.weight<4x32xf32, expert[4]>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %w1: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %v: tensor<16x4xf32>, %b: !moe.weight<4x32xf32, expert[4]>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G4: a segment needs pairs and one weight, and excludes residual and act}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0, %w1 : !moe.weight<64x32xf32, cluster[2]>, !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>) segment(%v : tensor<16x4xf32>) expand(%b : !moe.weight<4x32xf32, expert[4]>) act <silu>
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %v: tensor<16xf32>, %b: !moe.weight<4x32xf32, expert[4]>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G4: segment must have rank 2, is 'tensor<16xf32>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>) segment(%v : tensor<16xf32>) expand(%b : !moe.weight<4x32xf32, expert[4]>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %v: tensor<15x4xf32>, %b: !moe.weight<4x32xf32, expert[4]>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G4: segment is 'tensor<15x4xf32>' but pair_rows is 'tensor<16xi32>': extent 0 differs}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>) segment(%v : tensor<15x4xf32>) expand(%b : !moe.weight<4x32xf32, expert[4]>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %v: tensor<16x8xf32>, %b: !moe.weight<4x32xf32, expert[4]>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G4: 'tensor<16x8xf32>' times '!moe.weight<4x32xf32, expert[4]>' cannot be added to a product with '!moe.weight<64x32xf32, cluster[2]>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>) segment(%v : tensor<16x8xf32>) expand(%b : !moe.weight<4x32xf32, expert[4]>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %v: tensor<16x4xf32>, %b: !moe.weight<4x64xf32, expert[4]>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G4: 'tensor<16x4xf32>' times '!moe.weight<4x64xf32, expert[4]>' cannot be added to a product with '!moe.weight<64x32xf32, cluster[2]>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>) segment(%v : tensor<16x4xf32>) expand(%b : !moe.weight<4x64xf32, expert[4]>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %v: tensor<16x4xf16>, %b: !moe.weight<4x32xf32, expert[4]>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G4: 'tensor<16x4xf16>' times '!moe.weight<4x32xf32, expert[4]>' cannot be added to a product with '!moe.weight<64x32xf32, cluster[2]>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>) segment(%v : tensor<16x4xf16>) expand(%b : !moe.weight<4x32xf32, expert[4]>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %v: tensor<16x4xf32>, %b: !moe.weight<4x32xf32, cluster[2]>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G4: expand is '!moe.weight<4x32xf32, cluster[2]>' but ids are '!moe.id<expert[4]>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>) segment(%v : tensor<16x4xf32>) expand(%b : !moe.weight<4x32xf32, cluster[2]>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %v: tensor<16x4xf32>, %b: !moe.weight<4x32xf32, expert[4]>, %p: tensor<16x1xf32>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G4: weighted must have rank 1, is 'tensor<16x1xf32>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>) segment(%v : tensor<16x4xf32>) expand(%b : !moe.weight<4x32xf32, expert[4]>) weighted(%p : tensor<16x1xf32>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %v: tensor<16x4xf32>, %b: !moe.weight<4x32xf32, expert[4]>, %p: tensor<8xf32>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G4: weighted is 'tensor<8xf32>' but pair_rows is 'tensor<16xi32>': extent 0 differs}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>) segment(%v : tensor<16x4xf32>) expand(%b : !moe.weight<4x32xf32, expert[4]>) weighted(%p : tensor<8xf32>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %v: tensor<16x4xf32>, %b: !moe.weight<4x32xf32, expert[4]>, %p: tensor<16xf64>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G4: weighted is 'tensor<16xf64>' but the weight is '!moe.weight<64x32xf32, cluster[2]>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>) segment(%v : tensor<16x4xf32>) expand(%b : !moe.weight<4x32xf32, expert[4]>) weighted(%p : tensor<16xf64>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %v: tensor<16x4xf32>, %b: !moe.weight<4x32xf32, expert[4]>, %o: tensor<16x32xf32>) {
  // expected-error @below {{G3: rows is 'tensor<8x64xf32>' but destination is 'tensor<16x32xf32>': extent 0 differs}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>) segment(%v : tensor<16x4xf32>) expand(%b : !moe.weight<4x32xf32, expert[4]>)
    outs(%o : tensor<16x32xf32>) -> tensor<16x32xf32>
  return
}

// -----

// G6: biases.
func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %bias0: !moe.weight<1x32xf32>, %bias1: !moe.weight<1x32xf32>, %off: tensor<3xi32>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G6: one bias for each weight, found 2}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) bias(%bias0, %bias1 : !moe.weight<1x32xf32>, !moe.weight<1x32xf32>) groups(%off : tensor<3xi32>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %w1: !moe.weight<64x32xf32, cluster[2]>, %bias0: !moe.weight<1x32xf32>, %off: tensor<3xi32>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G6: one bias for each weight, found 1}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0, %w1 : !moe.weight<64x32xf32, cluster[2]>, !moe.weight<64x32xf32, cluster[2]>) bias(%bias0 : !moe.weight<1x32xf32>) groups(%off : tensor<3xi32>) act <silu>
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %bias0: !moe.weight<32x1xf32>, %off: tensor<3xi32>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G6: bias must be 1x32, is '!moe.weight<32x1xf32>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) bias(%bias0 : !moe.weight<32x1xf32>) groups(%off : tensor<3xi32>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %bias0: !moe.weight<1x32xf16>, %off: tensor<3xi32>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G6: bias must be 1x32, is '!moe.weight<1x32xf16>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) bias(%bias0 : !moe.weight<1x32xf16>) groups(%off : tensor<3xi32>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %bias0: !moe.weight<1x32xf32, expert[4]>, %off: tensor<3xi32>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G6: bias '!moe.weight<1x32xf32, expert[4]>' is not indexed like '!moe.weight<64x32xf32, cluster[2]>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) bias(%bias0 : !moe.weight<1x32xf32, expert[4]>) groups(%off : tensor<3xi32>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32>, %bias0: !moe.weight<1x32xf32, cluster[2]>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G6: bias '!moe.weight<1x32xf32, cluster[2]>' is not indexed like '!moe.weight<64x32xf32>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32>) bias(%bias0 : !moe.weight<1x32xf32, cluster[2]>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %bias0: !moe.weight<1x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %o: tensor<16x32xf32>) {
  // expected-error @below {{G6: bias is '!moe.weight<1x32xf32, cluster[2]>' but ids are '!moe.id<expert[4]>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) bias(%bias0 : !moe.weight<1x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>)
    outs(%o : tensor<16x32xf32>) -> tensor<16x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w0: !moe.weight<64x32xf32, cluster[2]>, %bias0: !moe.weight<1x32xf32, expert[4]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %pe: tensor<16x!moe.id<expert[4]>>, %v: tensor<16x4xf32>, %b: !moe.weight<4x32xf32, expert[4]>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G6: bias '!moe.weight<1x32xf32, expert[4]>' is not indexed like '!moe.weight<64x32xf32, cluster[2]>'}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) weights(%w0 : !moe.weight<64x32xf32, cluster[2]>) bias(%bias0 : !moe.weight<1x32xf32, expert[4]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%pe : tensor<16x!moe.id<expert[4]>>) segment(%v : tensor<16x4xf32>) expand(%b : !moe.weight<4x32xf32, expert[4]>)
    outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

// Generic form: operands are missing.
func.func @f(%x: tensor<?x64xf32>) {
  // expected-error @below {{'moe.gather' op expected 3 operands, but found 1}}
  %0 = "moe.gather"(%x) : (tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?xi32>) {
  // expected-error @below {{'moe.group' op expected 8 or more operands, but found 7}}
  "moe.group"(%x, %x, %x, %x, %x, %x, %x) : (tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>, tensor<?xi32>) -> ()
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w: !moe.weight<64x32xf32, cluster[2]>) {
  // expected-error @below {{'moe.grouped_matmul' op failed to verify that operands that are not optional must be there}}
  %0 = "moe.grouped_matmul"(%x, %w, %x) {operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0>} : (tensor<8x64xf32>, !moe.weight<64x32xf32, cluster[2]>, tensor<8x64xf32>) -> tensor<8x64xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>) {
  // expected-error @below {{'moe.grouped_matmul' op operand count (2) does not match with the total size (0) specified in attribute 'operandSegmentSizes'}}
  %0 = "moe.grouped_matmul"(%x, %x) : (tensor<8x64xf32>, tensor<8x64xf32>) -> tensor<8x64xf32>
  return
}

// -----

// G9: grouped_up.
func.func @f(%x: tensor<8x64xf32>, %w: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %e: tensor<16x!moe.id<expert[4]>>, %p: tensor<16x1xf32>, %s: !moe.weight<32x4xf32, expert[4]>, %h: tensor<8x32xf32>, %v: tensor<16x4xf32>) {
  // expected-error @below {{G9: weighted must have rank 1, is 'tensor<16x1xf32>'}}
  %0:2 = moe.grouped_up ins(%x : tensor<8x64xf32>) weights(%w : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%e : tensor<16x!moe.id<expert[4]>>)
    weighted(%p : tensor<16x1xf32>) act <silu> shrink(%s : !moe.weight<32x4xf32, expert[4]>) outs(%h, %v : tensor<8x32xf32>, tensor<16x4xf32>) -> tensor<8x32xf32>, tensor<16x4xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %e: tensor<16x!moe.id<expert[4]>>, %p: tensor<15xf32>, %s: !moe.weight<32x4xf32, expert[4]>, %h: tensor<8x32xf32>, %v: tensor<16x4xf32>) {
  // expected-error @below {{G9: weighted is 'tensor<15xf32>' but pair_rows is 'tensor<16xi32>': extent 0 differs}}
  %0:2 = moe.grouped_up ins(%x : tensor<8x64xf32>) weights(%w : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%e : tensor<16x!moe.id<expert[4]>>)
    weighted(%p : tensor<15xf32>) act <silu> shrink(%s : !moe.weight<32x4xf32, expert[4]>) outs(%h, %v : tensor<8x32xf32>, tensor<16x4xf32>) -> tensor<8x32xf32>, tensor<16x4xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %e: tensor<16x!moe.id<expert[4]>>, %p: tensor<16xf16>, %s: !moe.weight<32x4xf32, expert[4]>, %h: tensor<8x32xf32>, %v: tensor<16x4xf32>) {
  // expected-error @below {{G9: weighted is 'tensor<16xf16>' but the weight is '!moe.weight<64x32xf32, cluster[2]>'}}
  %0:2 = moe.grouped_up ins(%x : tensor<8x64xf32>) weights(%w : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%e : tensor<16x!moe.id<expert[4]>>)
    weighted(%p : tensor<16xf16>) act <silu> shrink(%s : !moe.weight<32x4xf32, expert[4]>) outs(%h, %v : tensor<8x32xf32>, tensor<16x4xf32>) -> tensor<8x32xf32>, tensor<16x4xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %e: tensor<16x!moe.id<expert[4]>>, %p: tensor<16xf32>, %s: !moe.weight<32x4xf32, expert[4]>, %h: tensor<8x32xf32>, %v: tensor<16x4xf32>) {
  // expected-error @below {{G9: shrink and its destination go together}}
  %0:2 = moe.grouped_up ins(%x : tensor<8x64xf32>) weights(%w : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%e : tensor<16x!moe.id<expert[4]>>)
    weighted(%p : tensor<16xf32>) act <silu> outs(%h, %v : tensor<8x32xf32>, tensor<16x4xf32>) -> tensor<8x32xf32>, tensor<16x4xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %e: tensor<16x!moe.id<expert[4]>>, %p: tensor<16xf32>, %s: !moe.weight<32x4xf32, expert[4]>, %h: tensor<8x32xf32>, %v: tensor<16x4xf32>) {
  // expected-error @below {{G9: shrink and its destination go together}}
  %0 = moe.grouped_up ins(%x : tensor<8x64xf32>) weights(%w : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%e : tensor<16x!moe.id<expert[4]>>)
    weighted(%p : tensor<16xf32>) act <silu> shrink(%s : !moe.weight<32x4xf32, expert[4]>) outs(%h : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %e: tensor<16x!moe.id<expert[4]>>, %p: tensor<16xf32>, %s: !moe.weight<32x4xf32, expert[4]>, %h: tensor<8x32xf32>, %v: tensor<16xf32>) {
  // expected-error @below {{G9: shrunk must have rank 2, is 'tensor<16xf32>'}}
  %0:2 = moe.grouped_up ins(%x : tensor<8x64xf32>) weights(%w : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%e : tensor<16x!moe.id<expert[4]>>)
    weighted(%p : tensor<16xf32>) act <silu> shrink(%s : !moe.weight<32x4xf32, expert[4]>) outs(%h, %v : tensor<8x32xf32>, tensor<16xf32>) -> tensor<8x32xf32>, tensor<16xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %e: tensor<16x!moe.id<expert[4]>>, %p: tensor<16xf32>, %s: !moe.weight<32x4xf32, expert[4]>, %h: tensor<8x32xf32>, %v: tensor<8x4xf32>) {
  // expected-error @below {{G9: shrunk is 'tensor<8x4xf32>' but pair_rows is 'tensor<16xi32>': extent 0 differs}}
  %0:2 = moe.grouped_up ins(%x : tensor<8x64xf32>) weights(%w : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%e : tensor<16x!moe.id<expert[4]>>)
    weighted(%p : tensor<16xf32>) act <silu> shrink(%s : !moe.weight<32x4xf32, expert[4]>) outs(%h, %v : tensor<8x32xf32>, tensor<8x4xf32>) -> tensor<8x32xf32>, tensor<8x4xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %e: tensor<16x!moe.id<expert[4]>>, %p: tensor<16xf32>, %s: !moe.weight<31x4xf32, expert[4]>, %h: tensor<8x32xf32>, %v: tensor<16x4xf32>) {
  // expected-error @below {{G9: hidden activations of '!moe.weight<64x32xf32, cluster[2]>' times '!moe.weight<31x4xf32, expert[4]>' do not fit 'tensor<16x4xf32>'}}
  %0:2 = moe.grouped_up ins(%x : tensor<8x64xf32>) weights(%w : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%e : tensor<16x!moe.id<expert[4]>>)
    weighted(%p : tensor<16xf32>) act <silu> shrink(%s : !moe.weight<31x4xf32, expert[4]>) outs(%h, %v : tensor<8x32xf32>, tensor<16x4xf32>) -> tensor<8x32xf32>, tensor<16x4xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %e: tensor<16x!moe.id<expert[4]>>, %p: tensor<16xf32>, %s: !moe.weight<32x4xf32, expert[4]>, %h: tensor<8x32xf32>, %v: tensor<16x5xf32>) {
  // expected-error @below {{G9: hidden activations of '!moe.weight<64x32xf32, cluster[2]>' times '!moe.weight<32x4xf32, expert[4]>' do not fit 'tensor<16x5xf32>'}}
  %0:2 = moe.grouped_up ins(%x : tensor<8x64xf32>) weights(%w : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%e : tensor<16x!moe.id<expert[4]>>)
    weighted(%p : tensor<16xf32>) act <silu> shrink(%s : !moe.weight<32x4xf32, expert[4]>) outs(%h, %v : tensor<8x32xf32>, tensor<16x5xf32>) -> tensor<8x32xf32>, tensor<16x5xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %e: tensor<16x!moe.id<expert[4]>>, %p: tensor<16xf32>, %s: !moe.weight<32x4xf32, expert[5]>, %h: tensor<8x32xf32>, %v: tensor<16x4xf32>) {
  // expected-error @below {{G9: shrink is '!moe.weight<32x4xf32, expert[5]>' but ids are '!moe.id<expert[4]>'}}
  %0:2 = moe.grouped_up ins(%x : tensor<8x64xf32>) weights(%w : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%e : tensor<16x!moe.id<expert[4]>>)
    weighted(%p : tensor<16xf32>) act <silu> shrink(%s : !moe.weight<32x4xf32, expert[5]>) outs(%h, %v : tensor<8x32xf32>, tensor<16x4xf32>) -> tensor<8x32xf32>, tensor<16x4xf32>
  return
}

// -----

func.func @f(%x: tensor<8x63xf32>, %w: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %e: tensor<16x!moe.id<expert[4]>>, %p: tensor<16xf32>, %s: !moe.weight<32x4xf32, expert[4]>, %h: tensor<8x32xf32>, %v: tensor<16x4xf32>) {
  // expected-error @below {{G3: 'tensor<8x63xf32>' times '!moe.weight<64x32xf32, cluster[2]>' does not fit 'tensor<8x32xf32>'}}
  %0:2 = moe.grouped_up ins(%x : tensor<8x63xf32>) weights(%w : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%e : tensor<16x!moe.id<expert[4]>>)
    weighted(%p : tensor<16xf32>) act <silu> shrink(%s : !moe.weight<32x4xf32, expert[4]>) outs(%h, %v : tensor<8x32xf32>, tensor<16x4xf32>) -> tensor<8x32xf32>, tensor<16x4xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w: !moe.weight<64x32xf32, cluster[3]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %e: tensor<16x!moe.id<expert[4]>>, %p: tensor<16xf32>, %s: !moe.weight<32x4xf32, expert[4]>, %h: tensor<8x32xf32>, %v: tensor<16x4xf32>) {
  // expected-error @below {{G1: '!moe.weight<64x32xf32, cluster[3]>' needs 4 offsets, found 'tensor<3xi32>'}}
  %0:2 = moe.grouped_up ins(%x : tensor<8x64xf32>) weights(%w : !moe.weight<64x32xf32, cluster[3]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%e : tensor<16x!moe.id<expert[4]>>)
    weighted(%p : tensor<16xf32>) act <silu> shrink(%s : !moe.weight<32x4xf32, expert[4]>) outs(%h, %v : tensor<8x32xf32>, tensor<16x4xf32>) -> tensor<8x32xf32>, tensor<16x4xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w: !moe.weight<64x32xf32, cluster[2]>, %off: tensor<3xi32>, %row: tensor<16xi32>, %e: tensor<15x!moe.id<expert[4]>>, %p: tensor<16xf32>, %s: !moe.weight<32x4xf32, expert[4]>, %h: tensor<8x32xf32>, %v: tensor<16x4xf32>) {
  // expected-error @below {{G3: pair_rows is 'tensor<16xi32>' but pair_experts is 'tensor<15x!moe.id<expert[4]>>': extent 0 differs}}
  %0:2 = moe.grouped_up ins(%x : tensor<8x64xf32>) weights(%w : !moe.weight<64x32xf32, cluster[2]>) groups(%off : tensor<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%e : tensor<15x!moe.id<expert[4]>>)
    weighted(%p : tensor<16xf32>) act <silu> shrink(%s : !moe.weight<32x4xf32, expert[4]>) outs(%h, %v : tensor<8x32xf32>, tensor<16x4xf32>) -> tensor<8x32xf32>, tensor<16x4xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w: !moe.weight<64x32xf32, cluster[2]>, %off: memref<3xi32>, %row: tensor<16xi32>, %e: tensor<16x!moe.id<expert[4]>>, %p: tensor<16xf32>, %s: !moe.weight<32x4xf32, expert[4]>, %h: tensor<8x32xf32>, %v: tensor<16x4xf32>) {
  // expected-error @below {{G3: operands must be all tensors or all buffers}}
  %0:2 = moe.grouped_up ins(%x : tensor<8x64xf32>) weights(%w : !moe.weight<64x32xf32, cluster[2]>) groups(%off : memref<3xi32>) pair_rows(%row : tensor<16xi32>) pair_experts(%e : tensor<16x!moe.id<expert[4]>>)
    weighted(%p : tensor<16xf32>) act <silu> shrink(%s : !moe.weight<32x4xf32, expert[4]>) outs(%h, %v : tensor<8x32xf32>, tensor<16x4xf32>) -> tensor<8x32xf32>, tensor<16x4xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w: !moe.weight<64x32xf32>) {
  // expected-error @below {{'moe.grouped_up' op failed to verify that operands that are not optional must be there}}
  %0 = "moe.grouped_up"(%x, %w, %w, %w, %x) {act = #moe.activation<silu>, operandSegmentSizes = array<i32: 1, 3, 0, 0, 0, 0, 0, 0, 0, 1, 0>} : (tensor<8x64xf32>, !moe.weight<64x32xf32>, !moe.weight<64x32xf32>, !moe.weight<64x32xf32>, tensor<8x64xf32>) -> tensor<8x64xf32>
  return
}

// -----

// G10: what rows are rounded to.
func.func @f(%x: tensor<8x64xf32>, %w: !moe.weight<64x32xf32>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G10: expected rows to be rounded to <bf16>, <int8> or <int8 group g>, found #moe.encoding<f16>}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) rounded <f16> weights(%w : !moe.weight<64x32xf32>) outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}

// -----

func.func @f(%x: tensor<8x64xf32>, %w: !moe.weight<64x32xf32>, %o: tensor<8x32xf32>) {
  // expected-error @below {{G10: expected rows of whole groups of 48, found 64 columns}}
  %0 = moe.grouped_matmul ins(%x : tensor<8x64xf32>) rounded <int8 group 48> weights(%w : !moe.weight<64x32xf32>) outs(%o : tensor<8x32xf32>) -> tensor<8x32xf32>
  return
}
