// RUN: moe-opt %s --split-input-file --verify-diagnostics
// Constraints S1 to S10, E3, E5 to E7, A1.

// S1 to S3: apply.
func.func @f(%x: tensor<64xf32>, %w: !moe.weight<64x32xf32>) {
  // expected-error @below {{S1: expected [token, (slot,) feature] tensors, found 'tensor<64xf32>' and 'tensor<?x32xf32>'}}
  %0 = moe.apply %x, %w : tensor<64xf32>, !moe.weight<64x32xf32> -> tensor<?x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !moe.weight<64x32xf32>) {
  // expected-error @below {{S1: expected [token, (slot,) feature] tensors, found 'tensor<?x64xf32>' and 'tensor<?x1x1x32xf32>'}}
  %0 = moe.apply %x, %w : tensor<?x64xf32>, !moe.weight<64x32xf32> -> tensor<?x1x1x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?x64xf32>, %w: !moe.weight<64x32xf32>) {
  // expected-error @below {{S1: only the number of tokens of input may be dynamic, type is 'tensor<?x?x64xf32>'}}
  %0 = moe.apply %x, %w : tensor<?x?x64xf32>, !moe.weight<64x32xf32> -> tensor<?x2x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !moe.weight<64x32xf32>) {
  // expected-error @below {{S1: only the number of tokens of result may be dynamic, type is 'tensor<?x?xf32>'}}
  %0 = moe.apply %x, %w : tensor<?x64xf32>, !moe.weight<64x32xf32> -> tensor<?x?xf32>
  return
}

// -----

func.func @f(%x: tensor<?x32xf32>, %w: !moe.weight<64x32xf32>) {
  // expected-error @below {{S1: 'tensor<?x32xf32>' times '!moe.weight<64x32xf32>' is not 'tensor<?x32xf32>'}}
  %0 = moe.apply %x, %w : tensor<?x32xf32>, !moe.weight<64x32xf32> -> tensor<?x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !moe.weight<64x32xf32>) {
  // expected-error @below {{S1: 'tensor<?x64xf32>' times '!moe.weight<64x32xf32>' is not 'tensor<?x64xf32>'}}
  %0 = moe.apply %x, %w : tensor<?x64xf32>, !moe.weight<64x32xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf16>, %w: !moe.weight<64x32xf32>) {
  // expected-error @below {{S1: 'tensor<?x64xf16>' times '!moe.weight<64x32xf32>' is not 'tensor<?x32xf32>'}}
  %0 = moe.apply %x, %w : tensor<?x64xf16>, !moe.weight<64x32xf32> -> tensor<?x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !moe.weight<64x32xf32>) {
  // expected-error @below {{S1: 'tensor<?x64xf32>' times '!moe.weight<64x32xf32>' is not 'tensor<?x32xf64>'}}
  %0 = moe.apply %x, %w : tensor<?x64xf32>, !moe.weight<64x32xf32> -> tensor<?x32xf64>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !moe.weight<64x32xf32, expert[8]>) {
  // expected-error @below {{S2: an indexed weight needs ids; the weight is '!moe.weight<64x32xf32, expert[8]>'}}
  %0 = moe.apply %x, %w : tensor<?x64xf32>, !moe.weight<64x32xf32, expert[8]> -> tensor<?x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !moe.weight<64x32xf32, expert[8]>, %ids: tensor<?x2x!moe.id<expert[8+1]>>) {
  // expected-error @below {{S2: ids must not count special experts, are '!moe.id<expert[8+1]>'}}
  %0 = moe.apply %x, %w at %ids : tensor<?x64xf32>, !moe.weight<64x32xf32, expert[8]> at tensor<?x2x!moe.id<expert[8+1]>> -> tensor<?x2x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !moe.weight<64x32xf32, expert[4]>, %ids: tensor<?x2x!moe.id<expert[8]>>) {
  // expected-error @below {{S2: the weight is '!moe.weight<64x32xf32, expert[4]>' but ids are '!moe.id<expert[8]>'}}
  %0 = moe.apply %x, %w at %ids : tensor<?x64xf32>, !moe.weight<64x32xf32, expert[4]> at tensor<?x2x!moe.id<expert[8]>> -> tensor<?x2x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !moe.weight<64x32xf32, cluster[8]>, %ids: tensor<?x2x!moe.id<expert[8]>>) {
  // expected-error @below {{S2: the weight is '!moe.weight<64x32xf32, cluster[8]>' but ids are '!moe.id<expert[8]>'}}
  %0 = moe.apply %x, %w at %ids : tensor<?x64xf32>, !moe.weight<64x32xf32, cluster[8]> at tensor<?x2x!moe.id<expert[8]>> -> tensor<?x2x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !moe.weight<64x32xf32>) {
  // expected-error @below {{S3: result must have the rows of 'tensor<?x64xf32>', is 'tensor<?x2x32xf32>'}}
  %0 = moe.apply %x, %w : tensor<?x64xf32>, !moe.weight<64x32xf32> -> tensor<?x2x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x2x64xf32>, %w: !moe.weight<64x32xf32>) {
  // expected-error @below {{S3: input is 'tensor<?x2x64xf32>' but result is 'tensor<?x3x32xf32>': extent 1 differs}}
  %0 = moe.apply %x, %w : tensor<?x2x64xf32>, !moe.weight<64x32xf32> -> tensor<?x3x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !moe.weight<64x32xf32, expert[8]>, %ids: tensor<?x!moe.id<expert[8]>>) {
  // expected-error @below {{S3: ids must have rank 2, is 'tensor<?x!moe.id<expert[8]>>'}}
  %0 = moe.apply %x, %w at %ids : tensor<?x64xf32>, !moe.weight<64x32xf32, expert[8]> at tensor<?x!moe.id<expert[8]>> -> tensor<?x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !moe.weight<64x32xf32, expert[8]>, %ids: tensor<?x2x!moe.id<expert[8]>>) {
  // expected-error @below {{S3: result needs one row for each of 'tensor<?x2x!moe.id<expert[8]>>', is 'tensor<?x32xf32>'}}
  %0 = moe.apply %x, %w at %ids : tensor<?x64xf32>, !moe.weight<64x32xf32, expert[8]> at tensor<?x2x!moe.id<expert[8]>> -> tensor<?x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %w: !moe.weight<64x32xf32, expert[8]>, %ids: tensor<?x2x!moe.id<expert[8]>>) {
  // expected-error @below {{S3: ids is 'tensor<?x2x!moe.id<expert[8]>>' but result is 'tensor<?x3x32xf32>': extent 1 differs}}
  %0 = moe.apply %x, %w at %ids : tensor<?x64xf32>, !moe.weight<64x32xf32, expert[8]> at tensor<?x2x!moe.id<expert[8]>> -> tensor<?x3x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x3x64xf32>, %w: !moe.weight<64x32xf32, expert[8]>, %ids: tensor<?x2x!moe.id<expert[8]>>) {
  // expected-error @below {{S3: input is 'tensor<?x3x64xf32>' but ids is 'tensor<?x2x!moe.id<expert[8]>>': extent 1 differs}}
  %0 = moe.apply %x, %w at %ids : tensor<?x3x64xf32>, !moe.weight<64x32xf32, expert[8]> at tensor<?x2x!moe.id<expert[8]>> -> tensor<?x2x32xf32>
  return
}

// -----

func.func @f(%x: tensor<4x64xf32>, %w: !moe.weight<64x32xf32, expert[8]>, %ids: tensor<5x2x!moe.id<expert[8]>>) {
  // expected-error @below {{S3: input is 'tensor<4x64xf32>' but ids is 'tensor<5x2x!moe.id<expert[8]>>': extent 0 differs}}
  %0 = moe.apply %x, %w at %ids : tensor<4x64xf32>, !moe.weight<64x32xf32, expert[8]> at tensor<5x2x!moe.id<expert[8]>> -> tensor<?x2x32xf32>
  return
}

// -----

// S8, S3, S1: lookup.
func.func @f(%w: !moe.weight<2x32xf32, expert[8]>, %ids: tensor<?x2x!moe.id<expert[8]>>) {
  // expected-error @below {{S8: a lookup needs a weight of one row, found '!moe.weight<2x32xf32, expert[8]>'}}
  %0 = moe.lookup %w at %ids : !moe.weight<2x32xf32, expert[8]>, tensor<?x2x!moe.id<expert[8]>> -> tensor<?x2x32xf32>
  return
}

// -----

func.func @f(%w: !moe.weight<1x32xf32, expert[8]>, %ids: tensor<?x2x1x!moe.id<expert[8]>>) {
  // expected-error @below {{S3: ids must be [token, slot] or a list, are 'tensor<?x2x1x!moe.id<expert[8]>>'}}
  %0 = moe.lookup %w at %ids : !moe.weight<1x32xf32, expert[8]>, tensor<?x2x1x!moe.id<expert[8]>> -> tensor<?x2x1x32xf32>
  return
}

// -----

func.func @f(%w: !moe.weight<1x32xf32, expert[8]>, %ids: tensor<!moe.id<expert[8]>>) {
  // expected-error @below {{S3: ids must be [token, slot] or a list, are 'tensor<!moe.id<expert[8]>>'}}
  %0 = moe.lookup %w at %ids : !moe.weight<1x32xf32, expert[8]>, tensor<!moe.id<expert[8]>> -> tensor<32xf32>
  return
}

// -----

func.func @f(%w: !moe.weight<1x32xf32, expert[8]>, %ids: tensor<?x?x!moe.id<expert[8]>>) {
  // expected-error @below {{S3: only the number of tokens of ids may be dynamic, type is 'tensor<?x?x!moe.id<expert[8]>>'}}
  %0 = moe.lookup %w at %ids : !moe.weight<1x32xf32, expert[8]>, tensor<?x?x!moe.id<expert[8]>> -> tensor<?x2x32xf32>
  return
}

// -----

func.func @f(%w: !moe.weight<1x32xf32, expert[8]>, %ids: tensor<?x2x!moe.id<expert[8]>>) {
  // expected-error @below {{S3: only the number of tokens of result may be dynamic, type is 'tensor<?x?x32xf32>'}}
  %0 = moe.lookup %w at %ids : !moe.weight<1x32xf32, expert[8]>, tensor<?x2x!moe.id<expert[8]>> -> tensor<?x?x32xf32>
  return
}

// -----

func.func @f(%w: !moe.weight<1x32xf32, expert[8]>, %ids: tensor<?x2x!moe.id<expert[8]>>) {
  // expected-error @below {{S3: result needs one row for each of 'tensor<?x2x!moe.id<expert[8]>>', is 'tensor<?x32xf32>'}}
  %0 = moe.lookup %w at %ids : !moe.weight<1x32xf32, expert[8]>, tensor<?x2x!moe.id<expert[8]>> -> tensor<?x32xf32>
  return
}

// -----

func.func @f(%w: !moe.weight<1x32xf32, cluster[2]>, %ids: tensor<?x2x!moe.id<expert[8]>>) {
  // expected-error @below {{S2: the weight is '!moe.weight<1x32xf32, cluster[2]>' but ids are '!moe.id<expert[8]>'}}
  %0 = moe.lookup %w at %ids : !moe.weight<1x32xf32, cluster[2]>, tensor<?x2x!moe.id<expert[8]>> -> tensor<?x2x32xf32>
  return
}

// -----

func.func @f(%w: !moe.weight<1x32xf32>, %ids: tensor<?x2x!moe.id<expert[8+1]>>) {
  // expected-error @below {{S2: ids must not count special experts, are '!moe.id<expert[8+1]>'}}
  %0 = moe.lookup %w at %ids : !moe.weight<1x32xf32>, tensor<?x2x!moe.id<expert[8+1]>> -> tensor<?x2x32xf32>
  return
}

// -----

func.func @f(%w: !moe.weight<1x32xf32, expert[8]>, %ids: tensor<?x2x!moe.id<expert[8]>>) {
  // expected-error @below {{S1: rows of '!moe.weight<1x32xf32, expert[8]>' do not fit 'tensor<?x2x64xf32>'}}
  %0 = moe.lookup %w at %ids : !moe.weight<1x32xf32, expert[8]>, tensor<?x2x!moe.id<expert[8]>> -> tensor<?x2x64xf32>
  return
}

// -----

func.func @f(%w: !moe.weight<1x32xf32, expert[8]>, %ids: tensor<?x2x!moe.id<expert[8]>>) {
  // expected-error @below {{S1: rows of '!moe.weight<1x32xf32, expert[8]>' do not fit 'tensor<?x2x32xbf16>'}}
  %0 = moe.lookup %w at %ids : !moe.weight<1x32xf32, expert[8]>, tensor<?x2x!moe.id<expert[8]>> -> tensor<?x2x32xbf16>
  return
}

// -----

// S4, S5: clusters_of.
func.func @f(%ids: tensor<?x!moe.id<expert[8]>>, %t: !moe.table<expert[8] -> cluster[2]>) {
  // expected-error @below {{S4: ids must have rank 2, is 'tensor<?x!moe.id<expert[8]>>'}}
  %0, %1 = moe.clusters_of %ids by %t : tensor<?x!moe.id<expert[8]>>, !moe.table<expert[8] -> cluster[2]> -> tensor<?x1x!moe.id<cluster[2]>>, tensor<?x2xi32>
  return
}

// -----

func.func @f(%ids: tensor<?x2x!moe.id<expert[8]>>, %t: !moe.table<expert[8] -> cluster[2]>) {
  // expected-error @below {{S4: clusters must have rank 2, is 'tensor<?x!moe.id<cluster[2]>>'}}
  %0, %1 = moe.clusters_of %ids by %t : tensor<?x2x!moe.id<expert[8]>>, !moe.table<expert[8] -> cluster[2]> -> tensor<?x!moe.id<cluster[2]>>, tensor<?x2xi32>
  return
}

// -----

func.func @f(%ids: tensor<?x2x!moe.id<expert[8]>>, %t: !moe.table<expert[8] -> cluster[2]>) {
  // expected-error @below {{S4: slot must have rank 2, is 'tensor<?xi32>'}}
  %0, %1 = moe.clusters_of %ids by %t : tensor<?x2x!moe.id<expert[8]>>, !moe.table<expert[8] -> cluster[2]> -> tensor<?x1x!moe.id<cluster[2]>>, tensor<?xi32>
  return
}

// -----

func.func @f(%ids: tensor<?x2x!moe.id<expert[8]>>, %t: !moe.table<expert[8] -> cluster[2]>) {
  // expected-error @below {{S4: ids is 'tensor<?x2x!moe.id<expert[8]>>' but slot is 'tensor<?x3xi32>': extent 1 differs}}
  %0, %1 = moe.clusters_of %ids by %t : tensor<?x2x!moe.id<expert[8]>>, !moe.table<expert[8] -> cluster[2]> -> tensor<?x1x!moe.id<cluster[2]>>, tensor<?x3xi32>
  return
}

// -----

func.func @f(%ids: tensor<3x2x!moe.id<expert[8]>>, %t: !moe.table<expert[8] -> cluster[2]>) {
  // expected-error @below {{S4: ids is 'tensor<3x2x!moe.id<expert[8]>>' but clusters is 'tensor<4x1x!moe.id<cluster[2]>>': extent 0 differs}}
  %0, %1 = moe.clusters_of %ids by %t : tensor<3x2x!moe.id<expert[8]>>, !moe.table<expert[8] -> cluster[2]> -> tensor<4x1x!moe.id<cluster[2]>>, tensor<3x2xi32>
  return
}

// -----

func.func @f(%ids: tensor<?x2x!moe.id<expert[8]>>, %t: !moe.table<expert[8] -> cluster[2]>) {
  // expected-error @below {{S4: ids '!moe.id<expert[8]>' and '!moe.id<cluster[3]>' do not follow '!moe.table<expert[8] -> cluster[2]>'}}
  %0, %1 = moe.clusters_of %ids by %t : tensor<?x2x!moe.id<expert[8]>>, !moe.table<expert[8] -> cluster[2]> -> tensor<?x1x!moe.id<cluster[3]>>, tensor<?x2xi32>
  return
}

// -----

func.func @f(%ids: tensor<?x2x!moe.id<expert[4]>>, %t: !moe.table<expert[8] -> cluster[2]>) {
  // expected-error @below {{S4: ids '!moe.id<expert[4]>' and '!moe.id<cluster[2]>' do not follow '!moe.table<expert[8] -> cluster[2]>'}}
  %0, %1 = moe.clusters_of %ids by %t : tensor<?x2x!moe.id<expert[4]>>, !moe.table<expert[8] -> cluster[2]> -> tensor<?x1x!moe.id<cluster[2]>>, tensor<?x2xi32>
  return
}

// -----

func.func @f(%ids: tensor<?x2x!moe.id<expert[8]>>, %t: !moe.table<expert[8] -> expert[2]>) {
  // expected-error @below {{S4: ids '!moe.id<expert[8]>' and '!moe.id<expert[2+1]>' do not follow '!moe.table<expert[8] -> expert[2]>'}}
  %0, %1 = moe.clusters_of %ids by %t : tensor<?x2x!moe.id<expert[8]>>, !moe.table<expert[8] -> expert[2]> -> tensor<?x1x!moe.id<expert[2+1]>>, tensor<?x2xi32>
  return
}

// -----

func.func @f(%ids: tensor<?x4x!moe.id<expert[8]>>, %t: !moe.table<expert[8] -> cluster[2]>) {
  // expected-error @below {{S5: a token cannot have 3 clusters: it has 4 choices and there are 2}}
  %0, %1 = moe.clusters_of %ids by %t : tensor<?x4x!moe.id<expert[8]>>, !moe.table<expert[8] -> cluster[2]> -> tensor<?x3x!moe.id<cluster[2]>>, tensor<?x4xi32>
  return
}

// -----

func.func @f(%ids: tensor<?x1x!moe.id<expert[8]>>, %t: !moe.table<expert[8] -> cluster[2]>) {
  // expected-error @below {{S5: a token cannot have 2 clusters: it has 1 choices and there are 2}}
  %0, %1 = moe.clusters_of %ids by %t : tensor<?x1x!moe.id<expert[8]>>, !moe.table<expert[8] -> cluster[2]> -> tensor<?x2x!moe.id<cluster[2]>>, tensor<?x1xi32>
  return
}

// -----

func.func @f(%ids: tensor<?x2x!moe.id<expert[8]>>, %t: !moe.table<expert[8] -> cluster[2]>) {
  // expected-error @below {{S5: a token cannot have 0 clusters: it has 2 choices and there are 2}}
  %0, %1 = moe.clusters_of %ids by %t : tensor<?x2x!moe.id<expert[8]>>, !moe.table<expert[8] -> cluster[2]> -> tensor<?x0x!moe.id<cluster[2]>>, tensor<?x2xi32>
  return
}

// -----

// S7, S1: spread.
func.func @f(%x: tensor<?x1x32xf32>, %slot: tensor<?x2xi32>, %ids: tensor<?x2x!moe.id<expert[8]>>) {
  // expected-error @below {{S7: slots and ids exclude each other}}
  %0 = moe.spread %x at %slot for %ids : tensor<?x1x32xf32> at tensor<?x2xi32> for tensor<?x2x!moe.id<expert[8]>> -> tensor<?x2x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x32xf32>, %slot: tensor<?x2xi32>) {
  // expected-error @below {{S7: input must have rank 3, is 'tensor<?x32xf32>'}}
  %0 = moe.spread %x at %slot : tensor<?x32xf32> at tensor<?x2xi32> -> tensor<?x2x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x1x32xf32>) {
  // expected-error @below {{S7: input must have rank 2, is 'tensor<?x1x32xf32>'}}
  %0 = moe.spread %x : tensor<?x1x32xf32> -> tensor<?x2x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x32xf32>) {
  // expected-error @below {{S7: result must have rank 3, is 'tensor<?x32xf32>'}}
  %0 = moe.spread %x : tensor<?x32xf32> -> tensor<?x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x32xf32>) {
  // expected-error @below {{S7: only the number of tokens of result may be dynamic, type is 'tensor<?x?x32xf32>'}}
  %0 = moe.spread %x : tensor<?x32xf32> -> tensor<?x?x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x32xf32>) {
  // expected-error @below {{S1: features of 'tensor<?x32xf32>' and 'tensor<?x2x64xf32>' differ}}
  %0 = moe.spread %x : tensor<?x32xf32> -> tensor<?x2x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x32xf32>) {
  // expected-error @below {{S1: features of 'tensor<?x32xf32>' and 'tensor<?x2x32xf16>' differ}}
  %0 = moe.spread %x : tensor<?x32xf32> -> tensor<?x2x32xf16>
  return
}

// -----

func.func @f(%x: tensor<3x32xf32>) {
  // expected-error @below {{S7: input is 'tensor<3x32xf32>' but result is 'tensor<4x2x32xf32>': extent 0 differs}}
  %0 = moe.spread %x : tensor<3x32xf32> -> tensor<4x2x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x1x32xf32>, %slot: tensor<?xi32>) {
  // expected-error @below {{S7: slot must have rank 2, is 'tensor<?xi32>'}}
  %0 = moe.spread %x at %slot : tensor<?x1x32xf32> at tensor<?xi32> -> tensor<?x2x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x1x32xf32>, %slot: tensor<?x3xi32>) {
  // expected-error @below {{S7: slot is 'tensor<?x3xi32>' but result is 'tensor<?x2x32xf32>': extent 1 differs}}
  %0 = moe.spread %x at %slot : tensor<?x1x32xf32> at tensor<?x3xi32> -> tensor<?x2x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x32xf32>, %ids: tensor<?x3x!moe.id<expert[8]>>) {
  // expected-error @below {{S7: slot is 'tensor<?x3x!moe.id<expert[8]>>' but result is 'tensor<?x2x32xf32>': extent 1 differs}}
  %0 = moe.spread %x for %ids : tensor<?x32xf32> for tensor<?x3x!moe.id<expert[8]>> -> tensor<?x2x32xf32>
  return
}

// -----

// S7, S1: scale_rows.
func.func @f(%x: tensor<?x2x32xf32>, %p: tensor<?x2x1xf32>) {
  // expected-error @below {{S7: weights must be [token, slot] or a list, are 'tensor<?x2x1xf32>'}}
  %0 = moe.scale_rows %x by %p : tensor<?x2x32xf32>, tensor<?x2x1xf32> -> tensor<?x2x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x2x32xf32>, %p: tensor<f32>) {
  // expected-error @below {{S7: weights must be [token, slot] or a list, are 'tensor<f32>'}}
  %0 = moe.scale_rows %x by %p : tensor<?x2x32xf32>, tensor<f32> -> tensor<?x2x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x2x32xf32>, %p: tensor<?xf32>) {
  // expected-error @below {{S7: 'tensor<?xf32>' cannot scale the rows of 'tensor<?x2x32xf32>'}}
  %0 = moe.scale_rows %x by %p : tensor<?x2x32xf32>, tensor<?xf32> -> tensor<?x2x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?xf32>, %p: tensor<?x2xf32>) {
  // expected-error @below {{S7: 'tensor<?x2xf32>' cannot scale the rows of 'tensor<?xf32>'}}
  %0 = moe.scale_rows %x by %p : tensor<?xf32>, tensor<?x2xf32> -> tensor<?x2x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x32xf32>, %p: tensor<?x2xf32>) {
  // expected-error @below {{S7: result must have rank 3, is 'tensor<?x32xf32>'}}
  %0 = moe.scale_rows %x by %p : tensor<?x32xf32>, tensor<?x2xf32> -> tensor<?x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x2x32xf32>, %p: tensor<?x?xf32>) {
  // expected-error @below {{S7: only the number of tokens of weights may be dynamic, type is 'tensor<?x?xf32>'}}
  %0 = moe.scale_rows %x by %p : tensor<?x2x32xf32>, tensor<?x?xf32> -> tensor<?x2x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x32xf32>, %p: tensor<?x2xf32>) {
  // expected-error @below {{S1: features of 'tensor<?x32xf32>' and 'tensor<?x2x16xf32>' differ}}
  %0 = moe.scale_rows %x by %p : tensor<?x32xf32>, tensor<?x2xf32> -> tensor<?x2x16xf32>
  return
}

// -----

func.func @f(%x: tensor<?x32xf32>, %p: tensor<?x3xf32>) {
  // expected-error @below {{S7: weights is 'tensor<?x3xf32>' but result is 'tensor<?x2x32xf32>': extent 1 differs}}
  %0 = moe.scale_rows %x by %p : tensor<?x32xf32>, tensor<?x3xf32> -> tensor<?x2x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x3x32xf32>, %p: tensor<?x2xf32>) {
  // expected-error @below {{S7: input is 'tensor<?x3x32xf32>' but result is 'tensor<?x2x32xf32>': extent 1 differs}}
  %0 = moe.scale_rows %x by %p : tensor<?x3x32xf32>, tensor<?x2xf32> -> tensor<?x2x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x32xf32>, %p: tensor<?x2xf64>) {
  // expected-error @below {{S1: weights are 'tensor<?x2xf64>' but rows are 'tensor<?x32xf32>'}}
  %0 = moe.scale_rows %x by %p : tensor<?x32xf32>, tensor<?x2xf64> -> tensor<?x2x32xf32>
  return
}

// -----

// S6, S7, S1: combine.
func.func @f(%x: tensor<?x32xf32>) {
  // expected-error @below {{S6: input must have rank 3, is 'tensor<?x32xf32>'}}
  %0 = moe.combine %x : tensor<?x32xf32> -> tensor<?x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x2x32xf32>) {
  // expected-error @below {{S6: result must have rank 2, is 'tensor<?x2x32xf32>'}}
  %0 = moe.combine %x : tensor<?x2x32xf32> -> tensor<?x2x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x2x32xf32>, %slot: tensor<?x2xi32>) {
  // expected-error @below {{S6: result must have rank 3, is 'tensor<?x32xf32>'}}
  %0 = moe.combine %x into %slot : tensor<?x2x32xf32> into tensor<?x2xi32> -> tensor<?x32xf32>
  return
}

// -----

func.func @f(%x: tensor<3x2x32xf32>) {
  // expected-error @below {{S6: input is 'tensor<3x2x32xf32>' but result is 'tensor<4x32xf32>': extent 0 differs}}
  %0 = moe.combine %x : tensor<3x2x32xf32> -> tensor<4x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x2x32xf32>) {
  // expected-error @below {{S1: features of 'tensor<?x2x32xf32>' and 'tensor<?x64xf32>' differ}}
  %0 = moe.combine %x : tensor<?x2x32xf32> -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x2x32xf32>, %p: tensor<?xf32>) {
  // expected-error @below {{S7: weights must have rank 2, is 'tensor<?xf32>'}}
  %0 = moe.combine %x weighted %p : tensor<?x2x32xf32> weighted tensor<?xf32> -> tensor<?x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x2x32xf32>, %p: tensor<?x3xf32>) {
  // expected-error @below {{S7: weights is 'tensor<?x3xf32>' but input is 'tensor<?x2x32xf32>': extent 1 differs}}
  %0 = moe.combine %x weighted %p : tensor<?x2x32xf32> weighted tensor<?x3xf32> -> tensor<?x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x2x32xf32>, %p: tensor<?x2xf16>) {
  // expected-error @below {{S1: weights are 'tensor<?x2xf16>' but rows are 'tensor<?x2x32xf32>'}}
  %0 = moe.combine %x weighted %p : tensor<?x2x32xf32> weighted tensor<?x2xf16> -> tensor<?x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x2x32xf32>, %slot: tensor<?xi32>) {
  // expected-error @below {{S7: slot must have rank 2, is 'tensor<?xi32>'}}
  %0 = moe.combine %x into %slot : tensor<?x2x32xf32> into tensor<?xi32> -> tensor<?x1x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x2x32xf32>, %slot: tensor<?x3xi32>) {
  // expected-error @below {{S7: slot is 'tensor<?x3xi32>' but input is 'tensor<?x2x32xf32>': extent 1 differs}}
  %0 = moe.combine %x into %slot : tensor<?x2x32xf32> into tensor<?x3xi32> -> tensor<?x1x32xf32>
  return
}

// -----

// S1, A1: activate. The printed form says one type, so only generic form can say two.
func.func @f(%u: tensor<?x32xf32>, %g: tensor<?x16xf32>) {
  // expected-error @below {{S1: gate is 'tensor<?x16xf32>' but up is 'tensor<?x32xf32>'}}
  %0 = "moe.activate"(%u, %g) {act = #moe.activation<silu>} : (tensor<?x32xf32>, tensor<?x16xf32>) -> tensor<?x32xf32>
  return
}

// -----

func.func @f(%u: tensor<?x32xf32>) {
  // expected-error @below {{'moe.activate' op failed to verify that result has the type of up}}
  %0 = "moe.activate"(%u) {act = #moe.activation<silu>} : (tensor<?x32xf32>) -> tensor<?x16xf32>
  return
}

// -----

func.func @f(%u: tensor<?x32xf32>) {
  // expected-error @below {{A1: an offset needs a gate}}
  %0 = moe.activate <silu offset 1.0> %u : tensor<?x32xf32>
  return
}

// -----

func.func @f(%u: tensor<?x32xf32>) {
  // expected-error @below {{'moe.activate' op attribute 'act' failed to satisfy constraint: activation between up and down}}
  %0 = "moe.activate"(%u) {act = "silu"} : (tensor<?x32xf32>) -> tensor<?x32xf32>
  return
}

// -----

// S7, S9: real_experts.
func.func @f(%ids: tensor<?x!moe.id<expert[8]>>, %p: tensor<?xf32>) {
  // expected-error @below {{S7: ids must have rank 2, is 'tensor<?x!moe.id<expert[8]>>'}}
  %0, %1 = moe.real_experts %ids, %p : tensor<?x!moe.id<expert[8]>>, tensor<?xf32> -> tensor<?x!moe.id<expert[8]>>
  return
}

// -----

func.func @f(%ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?xf32>) {
  // expected-error @below {{S7: weights must have rank 2, is 'tensor<?xf32>'}}
  %0, %1 = moe.real_experts %ids, %p : tensor<?x2x!moe.id<expert[8]>>, tensor<?xf32> -> tensor<?x2x!moe.id<expert[8]>>
  return
}

// -----

func.func @f(%ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?x3xf32>) {
  // expected-error @below {{S7: ids is 'tensor<?x2x!moe.id<expert[8]>>' but weights is 'tensor<?x3xf32>': extent 1 differs}}
  %0, %1 = moe.real_experts %ids, %p : tensor<?x2x!moe.id<expert[8]>>, tensor<?x3xf32> -> tensor<?x2x!moe.id<expert[8]>>
  return
}

// -----

func.func @f(%ids: tensor<?x2x!moe.id<expert[8+1]>>, %p: tensor<?x2xf32>) {
  // expected-error @below {{S9: result must be '!moe.id<expert[8]>' of the same shape, is 'tensor<?x2x!moe.id<expert[8+1]>>'}}
  %0, %1 = moe.real_experts %ids, %p : tensor<?x2x!moe.id<expert[8+1]>>, tensor<?x2xf32> -> tensor<?x2x!moe.id<expert[8+1]>>
  return
}

// -----

func.func @f(%ids: tensor<?x2x!moe.id<expert[8+1]>>, %p: tensor<?x2xf32>) {
  // expected-error @below {{S9: result must be '!moe.id<expert[8]>' of the same shape, is 'tensor<4x2x!moe.id<expert[8]>>'}}
  %0, %1 = moe.real_experts %ids, %p : tensor<?x2x!moe.id<expert[8+1]>>, tensor<?x2xf32> -> tensor<4x2x!moe.id<expert[8]>>
  return
}

// -----

// E3, E5 to E7: special_experts.
func.func @f(%x: tensor<?x2x64xf32>, %ids: tensor<?x2x!moe.id<expert[8+1]>>, %p: tensor<?x2xf32>) {
  // expected-error @below {{E3: input must have rank 2, is 'tensor<?x2x64xf32>'}}
  %0 = moe.special_experts %x to %ids weighted %p specials <identity 1> : (tensor<?x2x64xf32>, tensor<?x2x!moe.id<expert[8+1]>>, tensor<?x2xf32>) -> tensor<?x2x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8+1]>>, %p: tensor<?x2xf32>) {
  // expected-error @below {{E3: result must have the input's type 'tensor<?x64xf32>', is 'tensor<?x2x64xf32>'}}
  %0 = moe.special_experts %x to %ids weighted %p specials <identity 1> : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8+1]>>, tensor<?x2xf32>) -> tensor<?x2x64xf32>
  return
}

// -----

func.func @f(%x: tensor<4x64xf32>, %ids: tensor<3x2x!moe.id<expert[8+1]>>, %p: tensor<?x2xf32>) {
  // expected-error @below {{E5: ids is 'tensor<3x2x!moe.id<expert[8+1]>>' but input is 'tensor<4x64xf32>': extent 0 differs}}
  %0 = moe.special_experts %x to %ids weighted %p specials <identity 1> : (tensor<4x64xf32>, tensor<3x2x!moe.id<expert[8+1]>>, tensor<?x2xf32>) -> tensor<4x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8+1]>>, %p: tensor<?x1xf32>) {
  // expected-error @below {{S7: ids is 'tensor<?x2x!moe.id<expert[8+1]>>' but weights is 'tensor<?x1xf32>': extent 1 differs}}
  %0 = moe.special_experts %x to %ids weighted %p specials <identity 1> : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8+1]>>, tensor<?x1xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8+1]>>, %p: tensor<?x2xf64>) {
  // expected-error @below {{E7: gate weights are 'tensor<?x2xf64>' but tokens are 'tensor<?x64xf32>'}}
  %0 = moe.special_experts %x to %ids weighted %p specials <identity 1> : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8+1]>>, tensor<?x2xf64>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8+1]>>, %p: tensor<?x2xf32>) {
  // expected-error @below {{E6: 2 special experts but ids are '!moe.id<expert[8+1]>'}}
  %0 = moe.special_experts %x to %ids weighted %p specials <zero 2> : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8+1]>>, tensor<?x2xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?x2xf32>) {
  // expected-error @below {{E6: 1 special experts but ids are '!moe.id<expert[8]>'}}
  %0 = moe.special_experts %x to %ids weighted %p specials <identity 1> : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8+1]>>, %p: tensor<?x2xf32>) {
  // expected-error @below {{E6: constant experts and their vectors go together}}
  %0 = moe.special_experts %x to %ids weighted %p specials <constant 1> : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8+1]>>, tensor<?x2xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8+1]>>, %p: tensor<?x2xf32>, %m: tensor<1x64x2xf32>) {
  // expected-error @below {{E6: mixing without constant experts}}
  %0 = moe.special_experts %x to %ids weighted %p specials <identity 1> mixed by %m : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8+1]>>, tensor<?x2xf32>, tensor<1x64x2xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8+1]>>, %p: tensor<?x2xf32>, %c: tensor<64xf32>) {
  // expected-error @below {{E6: vectors of constant experts must be tensor<1x64>, are 'tensor<64xf32>'}}
  %0 = moe.special_experts %x to %ids weighted %p specials <constant 1> constants %c : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8+1]>>, tensor<?x2xf32>, tensor<64xf32>) -> tensor<?x64xf32>
  return
}

// -----

// S10: id_cast.
func.func @f(%a: tensor<?x2x!moe.id<expert[8]>>) {
  // expected-error @below {{S10: cannot read 'tensor<?x2x!moe.id<expert[8]>>' as 'tensor<?x2x!moe.id<expert[4]>>'}}
  %0 = moe.id_cast %a : tensor<?x2x!moe.id<expert[8]>> to tensor<?x2x!moe.id<expert[4]>>
  return
}

// -----

func.func @f(%a: tensor<?x2x!moe.id<expert[8]>>) {
  // expected-error @below {{S10: cannot read 'tensor<?x2x!moe.id<expert[8]>>' as 'tensor<?x2xi64>'}}
  %0 = moe.id_cast %a : tensor<?x2x!moe.id<expert[8]>> to tensor<?x2xi64>
  return
}

// -----

func.func @f(%a: tensor<?x2xsi32>) {
  // expected-error @below {{S10: cannot read 'tensor<?x2xsi32>' as 'tensor<?x2x!moe.id<expert[8]>>'}}
  %0 = moe.id_cast %a : tensor<?x2xsi32> to tensor<?x2x!moe.id<expert[8]>>
  return
}

// -----

func.func @f(%a: tensor<?xf32>) {
  // expected-error @below {{S10: cannot read 'tensor<?xf32>' as 'tensor<?xi32>'}}
  %0 = moe.id_cast %a : tensor<?xf32> to tensor<?xi32>
  return
}

// -----

func.func @f(%a: tensor<?x2x!moe.id<expert[8]>>) {
  // expected-error @below {{S10: cannot read 'tensor<?x2x!moe.id<expert[8]>>' as 'tensor<?x3xi32>'}}
  %0 = moe.id_cast %a : tensor<?x2x!moe.id<expert[8]>> to tensor<?x3xi32>
  return
}

// -----

func.func @f(%a: tensor<?x2x!moe.id<expert[8]>>) {
  // expected-error @below {{S10: cannot read 'tensor<?x2x!moe.id<expert[8]>>' as 'tensor<4x2xi32>'}}
  %0 = moe.id_cast %a : tensor<?x2x!moe.id<expert[8]>> to tensor<4x2xi32>
  return
}

// -----

func.func @f(%a: memref<?x2xi32, strided<[4, 1]>>) {
  // expected-error @below {{S10: cannot read 'memref<?x2xi32, strided<[4, 1]>>' as 'memref<?x2x!moe.id<expert[8]>>'}}
  %0 = moe.id_cast %a : memref<?x2xi32, strided<[4, 1]>> to memref<?x2x!moe.id<expert[8]>>
  return
}

// -----

func.func @f(%a: memref<2xi32>) {
  // expected-error @below {{S10: cannot read 'memref<2xi32>' as 'tensor<2x!moe.id<expert[8]>>'}}
  %0 = moe.id_cast %a : memref<2xi32> to tensor<2x!moe.id<expert[8]>>
  return
}

// -----

func.func @f(%a: tensor<2xi32>) {
  // expected-error @below {{S10: cannot read 'tensor<2xi32>' as 'memref<2x!moe.id<expert[8]>>'}}
  %0 = moe.id_cast %a : tensor<2xi32> to memref<2x!moe.id<expert[8]>>
  return
}

// -----

// Generic form: a required operand is missing.
func.func @f(%p: tensor<?x2xf32>) {
  // expected-error @below {{'moe.combine' op failed to verify that operands that are not optional must be there}}
  %0 = "moe.combine"(%p) {operandSegmentSizes = array<i32: 0, 1, 0>} : (tensor<?x2xf32>) -> tensor<?x2xf32>
  return
}

// -----

func.func @f(%s: tensor<?x2xi32>) {
  // expected-error @below {{'moe.spread' op failed to verify that operands that are not optional must be there}}
  %0 = "moe.spread"(%s) {operandSegmentSizes = array<i32: 0, 1, 0>} : (tensor<?x2xi32>) -> tensor<?x2x2xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8+1]>>) {
  // expected-error @below {{'moe.special_experts' op failed to verify that operands that are not optional must be there}}
  %0 = "moe.special_experts"(%x, %ids, %x) {specials = #moe.specials<zero 1>, operandSegmentSizes = array<i32: 1, 1, 0, 1, 0>} : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8+1]>>, tensor<?x64xf32>) -> tensor<?x64xf32>
  return
}
