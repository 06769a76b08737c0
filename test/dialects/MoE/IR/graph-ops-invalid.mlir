// RUN: moe-opt %s --split-input-file --verify-diagnostics
// Constraints R1 to R15, R20 to R22, E1 to E7, A1.

// R22, R1: shapes.
func.func @f(%l: tensor<8xf32>) {
  // expected-error @below {{R22: logits must have rank 2, is 'tensor<8xf32>'}}
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores>
    : (tensor<8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x?xf32>) {
  // expected-error @below {{R22: only the number of tokens of logits may be dynamic, type is 'tensor<?x?xf32>'}}
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores>
    : (tensor<?x?xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R1: ids must have rank 2, is 'tensor<?x!moe.id<expert[8]>>'}}
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>) -> (tensor<?x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R1: only the number of tokens of ids may be dynamic, type is 'tensor<?x?x!moe.id<expert[8]>>'}}
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>) -> (tensor<?x?x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R1: weights must have rank 2, is 'tensor<?x2x1xf32>'}}
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2x1xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R1: ids is 'tensor<?x2x!moe.id<expert[8]>>' but weights is 'tensor<?x3xf32>': extent 1 differs}}
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x3xf32>)
  return
}

// -----

func.func @f(%l: tensor<5x8xf32>) {
  // expected-error @below {{R1: ids is 'tensor<4x2x!moe.id<expert[8]>>' but logits is 'tensor<5x8xf32>': extent 0 differs}}
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores>
    : (tensor<5x8xf32>) -> (tensor<4x2x!moe.id<expert[8]>>, tensor<4x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R1: chooses 2 but ids are 'tensor<?x3x!moe.id<expert[8]>>'}}
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>) -> (tensor<?x3x!moe.id<expert[8]>>, tensor<?x3xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R1: weights are 'tensor<?x2xf16>' but logits are 'tensor<?x8xf32>'}}
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf16>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %b: tensor<7xf32>) {
  // expected-error @below {{R22: bias must have 8 elements of the logits' type, is 'tensor<7xf32>'}}
  %ids, %p = moe.route %l score softmax bias %b choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>, tensor<7xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %b: tensor<8xf64>) {
  // expected-error @below {{R22: bias must have 8 elements of the logits' type, is 'tensor<8xf64>'}}
  %ids, %p = moe.route %l score softmax bias %b choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>, tensor<8xf64>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %b: tensor<?xf32>) {
  // expected-error @below {{R22: bias must have 8 elements of the logits' type, is 'tensor<?xf32>'}}
  %ids, %p = moe.route %l score softmax bias %b choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>, tensor<?xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xi32>) {
  // expected-error @below {{'moe.route' op operand #0 must be ranked tensor of 64-bit float or 32-bit float or 16-bit float or bfloat16 type values, but got 'tensor<?x8xi32>'}}
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores>
    : (tensor<?x8xi32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{'moe.route' op result #0 must be ranked tensor of entry of an axis, or -1 for none; element type of id tensors values, but got 'tensor<?x2xi32>'}}
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>) -> (tensor<?x2xi32>, tensor<?x2xf32>)
  return
}

// -----

// R2, R3, R20: experts and columns.
func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R2: 8 logits for 4 experts and 0 special ones}}
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R2: 8 logits for 7 experts and 2 special ones}}
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores> specials <zero 2>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[7+2]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R2: 8 logits for 2147483646 experts and 1 special ones}}
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores> specials <zero 1>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[2147483646+1]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R3: cannot choose 9 of 8}}
  %ids, %p = moe.route %l score softmax choose <top_k 9> gates <scores>
    : (tensor<?x8xf32>) -> (tensor<?x9x!moe.id<expert[8]>>, tensor<?x9xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x0xf32>) {
  // expected-error @below {{R3: cannot choose 1 of 0}}
  %ids, %p = moe.route %l score softmax choose <top_k 1> gates <scores>
    : (tensor<?x0xf32>) -> (tensor<?x1x!moe.id<expert[8]>>, tensor<?x1xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R20: 1 special experts but ids are '!moe.id<expert[8]>'}}
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores> specials <zero 1>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R20: 0 special experts but ids are '!moe.id<expert[6+2]>'}}
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[6+2]>>, tensor<?x2xf32>)
  return
}

// -----

// R4 to R9: limits.
func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R4: a limit applies to top_k without candidates, not to top_p}}
  %ids, %p = moe.route %l score softmax limit <keep 1 of 2 by max> choose <top_p 2 at 0.5> gates <scores>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %c: tensor<?x8x!moe.id<expert[8]>>) {
  // expected-error @below {{R4: a limit applies to top_k without candidates, not to top_k}}
  %ids, %p = moe.route %l score softmax limit <keep 1 of 2 by max> candidates %c choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>, tensor<?x8x!moe.id<expert[8]>>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R5: 3 groups do not divide 8 columns}}
  %ids, %p = moe.route %l score softmax limit <keep 1 of 3 by max> choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R5: 9223372036854775807 groups do not divide 8 columns}}
  %ids, %p = moe.route %l score softmax limit <keep 9223372036854775807 of 9223372036854775807 by max> choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %t: !moe.table<expert[8] -> cluster[3]>) {
  // expected-error @below {{R5: '!moe.table<expert[8] -> cluster[3]>' does not map '!moe.id<expert[8]>' to 2 groups}}
  %ids, %p = moe.route %l score softmax limit <keep 1 of 2 by max> clusters %t choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>, !moe.table<expert[8] -> cluster[3]>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %t: !moe.table<cluster[8] -> cluster[2]>) {
  // expected-error @below {{R5: '!moe.table<cluster[8] -> cluster[2]>' does not map '!moe.id<expert[8]>' to 2 groups}}
  %ids, %p = moe.route %l score softmax limit <keep 1 of 2 by max> clusters %t choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>, !moe.table<cluster[8] -> cluster[2]>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %t: !moe.table<expert[8] -> cluster[2]>) {
  // expected-error @below {{R5: '!moe.table<expert[8] -> cluster[2]>' does not map '!moe.id<expert[7+1]>' to 2 groups}}
  %ids, %p = moe.route %l score softmax limit <keep 1 of 2 by max> clusters %t choose <top_k 2> gates <scores> specials <zero 1>
    : (tensor<?x8xf32>, !moe.table<expert[8] -> cluster[2]>) -> (tensor<?x2x!moe.id<expert[7+1]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R6: 'masked zero' needs non-negative scores}}
  %ids, %p = moe.route %l score identity limit <keep 1 of 2 by max masked zero> choose <top_k 2> gates <softmax>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R7: the kept groups hold fewer than 2 columns}}
  %ids, %p = moe.route %l score softmax limit <keep 1 of 8 by max> choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R8: top2_sum needs two columns in a group}}
  %ids, %p = moe.route %l score softmax limit <keep 2 of 8 by top2_sum> choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R9: 'by logits' and group logits go together}}
  %ids, %p = moe.route %l score softmax limit <keep 1 of 2 by logits> choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %g: tensor<?x2xf32>) {
  // expected-error @below {{R9: 'by logits' and group logits go together}}
  %ids, %p = moe.route %l score softmax limit <keep 1 of 2 by max> scored by %g choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>, tensor<?x2xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %g: tensor<?x2xf32>) {
  // expected-error @below {{R9: clusters or group logits without a limit}}
  %ids, %p = moe.route %l score softmax scored by %g choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>, tensor<?x2xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %t: !moe.table<expert[8] -> cluster[2]>) {
  // expected-error @below {{R9: clusters or group logits without a limit}}
  %ids, %p = moe.route %l score softmax clusters %t choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>, !moe.table<expert[8] -> cluster[2]>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %g: tensor<2xf32>) {
  // expected-error @below {{R9: group logits must have rank 2, is 'tensor<2xf32>'}}
  %ids, %p = moe.route %l score softmax limit <keep 1 of 2 by logits> scored by %g choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>, tensor<2xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<4x8xf32>, %g: tensor<3x2xf32>) {
  // expected-error @below {{R9: group logits is 'tensor<3x2xf32>' but logits is 'tensor<4x8xf32>': extent 0 differs}}
  %ids, %p = moe.route %l score softmax limit <keep 1 of 2 by logits> scored by %g choose <top_k 2> gates <scores>
    : (tensor<4x8xf32>, tensor<3x2xf32>) -> (tensor<4x2x!moe.id<expert[8]>>, tensor<4x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %g: tensor<?x3xf32>) {
  // expected-error @below {{R9: group logits must have 2 columns of the logits' type, are 'tensor<?x3xf32>'}}
  %ids, %p = moe.route %l score softmax limit <keep 1 of 2 by logits> scored by %g choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>, tensor<?x3xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %g: tensor<?x2xf64>) {
  // expected-error @below {{R9: group logits must have 2 columns of the logits' type, are 'tensor<?x2xf64>'}}
  %ids, %p = moe.route %l score softmax limit <keep 1 of 2 by logits> scored by %g choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>, tensor<?x2xf64>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

// R10: hash tables.
func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R10: hash choice, hash table ('from') and token ids ('at') go together}}
  %ids, %p = moe.route %l score softmax choose <hash 2> gates <scores>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %h: tensor<9x2x!moe.id<expert[8]>>) {
  // expected-error @below {{R10: hash choice, hash table ('from') and token ids ('at') go together}}
  %ids, %p = moe.route %l score softmax choose <hash 2> from %h gates <scores>
    : (tensor<?x8xf32>, tensor<9x2x!moe.id<expert[8]>>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %t: tensor<?xi32>) {
  // expected-error @below {{R10: hash choice, hash table ('from') and token ids ('at') go together}}
  %ids, %p = moe.route %l score softmax choose <top_k 2> at %t gates <scores>
    : (tensor<?x8xf32>, tensor<?xi32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %b: tensor<8xf32>, %h: tensor<9x2x!moe.id<expert[8]>>, %t: tensor<?xi32>) {
  // expected-error @below {{R10: a bias steers a choice by score, not by hash}}
  %ids, %p = moe.route %l score softmax bias %b choose <hash 2> from %h at %t gates <scores>
    : (tensor<?x8xf32>, tensor<8xf32>, tensor<9x2x!moe.id<expert[8]>>, tensor<?xi32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %h: tensor<9x3x!moe.id<expert[8]>>, %t: tensor<?xi32>) {
  // expected-error @below {{R10: hash table must hold 2 '!moe.id<expert[8]>' for each token id, is 'tensor<9x3x!moe.id<expert[8]>>'}}
  %ids, %p = moe.route %l score softmax choose <hash 2> from %h at %t gates <scores>
    : (tensor<?x8xf32>, tensor<9x3x!moe.id<expert[8]>>, tensor<?xi32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %h: tensor<18x!moe.id<expert[8]>>, %t: tensor<?xi32>) {
  // expected-error @below {{R10: hash table must hold 2 '!moe.id<expert[8]>' for each token id, is 'tensor<18x!moe.id<expert[8]>>'}}
  %ids, %p = moe.route %l score softmax choose <hash 2> from %h at %t gates <scores>
    : (tensor<?x8xf32>, tensor<18x!moe.id<expert[8]>>, tensor<?xi32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %h: tensor<9x2x!moe.id<cluster[8]>>, %t: tensor<?xi32>) {
  // expected-error @below {{R10: hash table must hold 2 '!moe.id<expert[8]>' for each token id, is 'tensor<9x2x!moe.id<cluster[8]>>'}}
  %ids, %p = moe.route %l score softmax choose <hash 2> from %h at %t gates <scores>
    : (tensor<?x8xf32>, tensor<9x2x!moe.id<cluster[8]>>, tensor<?xi32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %h: tensor<9x2x!moe.id<expert[8]>>, %t: tensor<?x1xi32>) {
  // expected-error @below {{R10: token ids must have rank 1, is 'tensor<?x1xi32>'}}
  %ids, %p = moe.route %l score softmax choose <hash 2> from %h at %t gates <scores>
    : (tensor<?x8xf32>, tensor<9x2x!moe.id<expert[8]>>, tensor<?x1xi32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<4x8xf32>, %h: tensor<9x2x!moe.id<expert[8]>>, %t: tensor<3xi32>) {
  // expected-error @below {{R10: token ids is 'tensor<3xi32>' but logits is 'tensor<4x8xf32>': extent 0 differs}}
  %ids, %p = moe.route %l score softmax choose <hash 2> from %h at %t gates <scores>
    : (tensor<4x8xf32>, tensor<9x2x!moe.id<expert[8]>>, tensor<3xi32>) -> (tensor<4x2x!moe.id<expert[8]>>, tensor<4x2xf32>)
  return
}

// -----

// R11 to R15: choices and gates.
func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R11: sparsemixer choice and gates go together}}
  %ids, %p = moe.route %l score identity choose <sparsemixer 2 at 0.01> gates <softmax>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R11: sparsemixer choice and gates go together}}
  %ids, %p = moe.route %l score identity choose <top_k 2> gates <sparsemixer>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R11: sparsemixer chooses 2 by identity score, without bias or candidates}}
  %ids, %p = moe.route %l score identity choose <sparsemixer 3 at 0.01> gates <sparsemixer>
    : (tensor<?x8xf32>) -> (tensor<?x3x!moe.id<expert[8]>>, tensor<?x3xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R11: sparsemixer chooses 2 by identity score, without bias or candidates}}
  %ids, %p = moe.route %l score softmax choose <sparsemixer 2 at 0.01> gates <sparsemixer>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %b: tensor<8xf32>) {
  // expected-error @below {{R11: sparsemixer chooses 2 by identity score, without bias or candidates}}
  %ids, %p = moe.route %l score identity bias %b choose <sparsemixer 2 at 0.01> gates <sparsemixer>
    : (tensor<?x8xf32>, tensor<8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %c: tensor<?x8x!moe.id<expert[8]>>) {
  // expected-error @below {{R11: sparsemixer chooses 2 by identity score, without bias or candidates}}
  %ids, %p = moe.route %l score identity candidates %c choose <sparsemixer 2 at 0.01> gates <sparsemixer>
    : (tensor<?x8xf32>, tensor<?x8x!moe.id<expert[8]>>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R12: top_p needs softmax scores}}
  %ids, %p = moe.route %l score sigmoid choose <top_p 2 at 0.5> gates <scores>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R13: expert choice sets its own capacity and excludes candidates}}
  %ids, %p = moe.route %l score softmax choose <expert_choice 2 at 1.0> gates <scores> capacity <1.0 drop last>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %c: tensor<?x8x!moe.id<expert[8]>>) {
  // expected-error @below {{R13: expert choice sets its own capacity and excludes candidates}}
  %ids, %p = moe.route %l score softmax candidates %c choose <expert_choice 2 at 1.0> gates <scores>
    : (tensor<?x8xf32>, tensor<?x8x!moe.id<expert[8]>>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R14: normalising identity scores; use gates <softmax>}}
  %ids, %p = moe.route %l score identity choose <top_k 2> gates <scores, l1>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R15: gates <softmax> start from logits; score must be identity}}
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <softmax>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{R15: gates <sigmoid> start from logits; score must be identity}}
  %ids, %p = moe.route %l score sigmoid choose <top_k 2> gates <sigmoid, l1>
    : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

// R21: candidates.
func.func @f(%l: tensor<?x8xf32>, %c: tensor<?x!moe.id<expert[8]>>) {
  // expected-error @below {{R21: candidates must have rank 2, is 'tensor<?x!moe.id<expert[8]>>'}}
  %ids, %p = moe.route %l score softmax candidates %c choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>, tensor<?x!moe.id<expert[8]>>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %c: tensor<?x7x!moe.id<expert[8]>>) {
  // expected-error @below {{R21: candidates is 'tensor<?x7x!moe.id<expert[8]>>' but logits is 'tensor<?x8xf32>': extent 1 differs}}
  %ids, %p = moe.route %l score softmax candidates %c choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>, tensor<?x7x!moe.id<expert[8]>>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %c: tensor<?x8x!moe.id<expert[16]>>) {
  // expected-error @below {{R21: candidates are '!moe.id<expert[16]>' but ids are '!moe.id<expert[8]>'}}
  %ids, %p = moe.route %l score softmax candidates %c choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>, tensor<?x8x!moe.id<expert[16]>>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %b: tensor<8xf32>, %c: tensor<?x8x!moe.id<expert[8]>>) {
  // expected-error @below {{R21: candidates exclude a bias}}
  %ids, %p = moe.route %l score softmax bias %b candidates %c choose <top_k 2> gates <scores>
    : (tensor<?x8xf32>, tensor<8xf32>, tensor<?x8x!moe.id<expert[8]>>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>, %c: tensor<?x8x!moe.id<expert[8]>>, %h: tensor<9x2x!moe.id<expert[8]>>, %t: tensor<?xi32>) {
  // expected-error @below {{R21: candidates exclude a hash table}}
  %ids, %p = moe.route %l score softmax candidates %c choose <hash 2> from %h at %t gates <scores>
    : (tensor<?x8xf32>, tensor<?x8x!moe.id<expert[8]>>, tensor<9x2x!moe.id<expert[8]>>, tensor<?xi32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

// Generic form of a route.
func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{'moe.route' op requires attribute 'choice'}}
  %0:2 = "moe.route"(%l) {score = 0 : i32, gates = #moe.gates<scores>, operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0>} : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{'moe.route' op attribute 'score' failed to satisfy constraint: score of a logit}}
  %0:2 = "moe.route"(%l) {score = 99 : i32, choice = #moe.choice<top_k 2>, gates = #moe.gates<scores>, operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0>} : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{'moe.route' op operand count (1) does not match with the total size (6) specified in attribute 'operandSegmentSizes'}}
  %0:2 = "moe.route"(%l) {score = 0 : i32, choice = #moe.choice<top_k 2>, gates = #moe.gates<scores>, operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 5, 0>} : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{'moe.route' op failed to verify that operands that are not optional must be there}}
  %0:2 = "moe.route"(%l) {score = 0 : i32, choice = #moe.choice<top_k 2>, gates = #moe.gates<scores>, operandSegmentSizes = array<i32: 0, 1, 0, 0, 0, 0, 0>} : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

func.func @f(%l: tensor<?x8xf32>) {
  // expected-error @below {{'moe.route' op attribute 'limit' failed to satisfy constraint: restricts the choice to some groups of experts}}
  %0:2 = "moe.route"(%l) {score = 0 : i32, limit = "none", choice = #moe.choice<top_k 2>, gates = #moe.gates<scores>, operandSegmentSizes = array<i32: 1, 0, 0, 0, 0, 0, 0>} : (tensor<?x8xf32>) -> (tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>)
  return
}

// -----

// E3, E5: tokens, ids and gate weights.
func.func @f(%x: tensor<?x2x64xf32>, %ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?x2xf32>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>) {
  // expected-error @below {{E3: input must have rank 2, is 'tensor<?x2x64xf32>'}}
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x2x64xf32>, tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>) -> tensor<?x2x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x?xf32>, %ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?x2xf32>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>) {
  // expected-error @below {{E3: only the number of tokens of input may be dynamic, type is 'tensor<?x?xf32>'}}
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x?xf32>, tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>) -> tensor<?x?xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?x2xf32>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>) {
  // expected-error @below {{E3: result must have the input's type 'tensor<?x64xf32>', is 'tensor<?x32xf32>'}}
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>) -> tensor<?x32xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?x2xf32>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>) {
  // expected-error @below {{E3: result must have the input's type 'tensor<?x64xf32>', is 'tensor<4x64xf32>'}}
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>) -> tensor<4x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x!moe.id<expert[8]>>, %p: tensor<?x2xf32>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>) {
  // expected-error @below {{E5: ids must have rank 2, is 'tensor<?x!moe.id<expert[8]>>'}}
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x64xf32>, tensor<?x!moe.id<expert[8]>>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?xf32>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>) {
  // expected-error @below {{E5: weights must have rank 2, is 'tensor<?xf32>'}}
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8]>>, tensor<?xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?x3xf32>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>) {
  // expected-error @below {{E5: ids is 'tensor<?x2x!moe.id<expert[8]>>' but weights is 'tensor<?x3xf32>': extent 1 differs}}
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8]>>, tensor<?x3xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<4x64xf32>, %ids: tensor<3x2x!moe.id<expert[8]>>, %p: tensor<?x2xf32>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>) {
  // expected-error @below {{E5: ids is 'tensor<3x2x!moe.id<expert[8]>>' but input is 'tensor<4x64xf32>': extent 0 differs}}
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<4x64xf32>, tensor<3x2x!moe.id<expert[8]>>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>) -> tensor<4x64xf32>
  return
}

// -----

// E1, E2, E4, E7: weights and biases.
func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?x2xf32>, %u: !moe.weight<32x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>) {
  // expected-error @below {{E1: up must be 64x32, is '!moe.weight<32x32xf32, expert[8]>'}}
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>, !moe.weight<32x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?x2xf32>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<64x32xf32, expert[8]>) {
  // expected-error @below {{E1: down must be 32x64, is '!moe.weight<64x32xf32, expert[8]>'}}
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<64x32xf32, expert[8]>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?x2xf32>, %g: !moe.weight<64x16xf32, expert[8]>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>) {
  // expected-error @below {{E1: gate must be 64x32, is '!moe.weight<64x16xf32, expert[8]>'}}
  %y = moe.experts %x to %ids weighted %p gate %g up %u down %d act <silu>
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>, !moe.weight<64x16xf32, expert[8]>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?x2xf32>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>, %b: !moe.weight<1x64xf32, expert[8]>) {
  // expected-error @below {{E1: up_bias must be 1x32, is '!moe.weight<1x64xf32, expert[8]>'}}
  %y = moe.experts %x to %ids weighted %p up %u down %d up_bias %b act <silu>
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>, !moe.weight<1x64xf32, expert[8]>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?x2xf32>, %g: !moe.weight<64x32xf32, expert[8]>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>, %b: !moe.weight<32x1xf32, expert[8]>) {
  // expected-error @below {{E1: gate_bias must be 1x32, is '!moe.weight<32x1xf32, expert[8]>'}}
  %y = moe.experts %x to %ids weighted %p gate %g up %u down %d gate_bias %b act <silu>
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>, !moe.weight<32x1xf32, expert[8]>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?x2xf32>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>, %b: !moe.weight<1x32xf32, expert[8]>) {
  // expected-error @below {{E1: down_bias must be 1x64, is '!moe.weight<1x32xf32, expert[8]>'}}
  %y = moe.experts %x to %ids weighted %p up %u down %d down_bias %b act <silu>
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>, !moe.weight<1x32xf32, expert[8]>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?x2xf32>, %u: !moe.weight<64x32xf32, expert[4]>, %d: !moe.weight<32x64xf32, expert[8]>) {
  // expected-error @below {{E2: up is '!moe.weight<64x32xf32, expert[4]>' but ids are '!moe.id<expert[8]>'}}
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[4]>, !moe.weight<32x64xf32, expert[8]>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?x2xf32>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, cluster[8]>) {
  // expected-error @below {{E2: down is '!moe.weight<32x64xf32, cluster[8]>' but ids are '!moe.id<expert[8]>'}}
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, cluster[8]>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[6+2]>>, %p: tensor<?x2xf32>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>) {
  // expected-error @below {{E2: up is '!moe.weight<64x32xf32, expert[8]>' but ids are '!moe.id<expert[6+2]>'}}
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> specials <zero 2>
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[6+2]>>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?x2xf32>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>, %b: !moe.weight<1x32xf32, expert[8]>) {
  // expected-error @below {{E4: gate_bias without gate}}
  %y = moe.experts %x to %ids weighted %p up %u down %d gate_bias %b act <silu>
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>, !moe.weight<1x32xf32, expert[8]>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?x2xf32>, %u: !moe.weight<64x32xf16, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>) {
  // expected-error @below {{E7: up is '!moe.weight<64x32xf16, expert[8]>' but tokens are 'tensor<?x64xf32>'}}
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>, !moe.weight<64x32xf16, expert[8]>, !moe.weight<32x64xf32, expert[8]>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?x2xf64>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>) {
  // expected-error @below {{E7: gate weights are 'tensor<?x2xf64>' but tokens are 'tensor<?x64xf32>'}}
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf64>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?x2xf32>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>) {
  // expected-error @below {{A1: an offset needs a gate}}
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu offset 1.0>
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>) -> tensor<?x64xf32>
  return
}

// -----

// E6: special experts.
func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?x2xf32>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>) {
  // expected-error @below {{E6: 2 special experts but ids are '!moe.id<expert[8]>'}}
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> specials <zero 2>
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8+2]>>, %p: tensor<?x2xf32>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>) {
  // expected-error @below {{E6: 0 special experts but ids are '!moe.id<expert[8+2]>'}}
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8+2]>>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8+2]>>, %p: tensor<?x2xf32>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>) {
  // expected-error @below {{E6: constant experts and their vectors go together}}
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> specials <constant 2>
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8+2]>>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?x2xf32>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>, %c: tensor<2x64xf32>) {
  // expected-error @below {{E6: constant experts and their vectors go together}}
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> constants %c
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>, tensor<2x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8+2]>>, %p: tensor<?x2xf32>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>, %m: tensor<2x64x2xf32>) {
  // expected-error @below {{E6: mixing without constant experts}}
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> specials <zero 2> mixed by %m
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8+2]>>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>, tensor<2x64x2xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8+2]>>, %p: tensor<?x2xf32>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>, %c: tensor<1x64xf32>) {
  // expected-error @below {{E6: vectors of constant experts must be tensor<2x64>, are 'tensor<1x64xf32>'}}
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> specials <constant 2> constants %c
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8+2]>>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>, tensor<1x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8+2]>>, %p: tensor<?x2xf32>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>, %c: tensor<2x64xf32>, %m: tensor<2x2x64xf32>) {
  // expected-error @below {{E6: mixing of constant experts must be tensor<2x64x2>, is 'tensor<2x2x64xf32>'}}
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> specials <constant 2> constants %c mixed by %m
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8+2]>>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>, tensor<2x64xf32>, tensor<2x2x64xf32>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8+2]>>, %p: tensor<?x2xf32>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>, %c: tensor<2x64xf16>) {
  // expected-error @below {{E7: constant experts have 'tensor<2x64xf16>' but tokens are 'tensor<?x64xf32>'}}
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> specials <constant 2> constants %c
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8+2]>>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>, tensor<2x64xf16>) -> tensor<?x64xf32>
  return
}

// -----

func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8+2]>>, %p: tensor<?x2xf32>, %u: !moe.weight<64x32xf32, expert[8]>, %d: !moe.weight<32x64xf32, expert[8]>, %c: tensor<2x64xf32>, %m: tensor<2x64x2xf64>) {
  // expected-error @below {{E7: constant experts have 'tensor<2x64x2xf64>' but tokens are 'tensor<?x64xf32>'}}
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> specials <constant 2> constants %c mixed by %m
    : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8+2]>>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<32x64xf32, expert[8]>, tensor<2x64xf32>, tensor<2x64x2xf64>) -> tensor<?x64xf32>
  return
}

// -----

// Generic form of experts: required operands are missing.
func.func @f(%x: tensor<?x64xf32>, %ids: tensor<?x2x!moe.id<expert[8]>>, %p: tensor<?x2xf32>, %u: !moe.weight<64x32xf32, expert[8]>) {
  // expected-error @below {{'moe.experts' op failed to verify that operands that are not optional must be there}}
  %0 = "moe.experts"(%x, %ids, %p, %u, %u) {act = #moe.activation<silu>, operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0>} : (tensor<?x64xf32>, tensor<?x2x!moe.id<expert[8]>>, tensor<?x2xf32>, !moe.weight<64x32xf32, expert[8]>, !moe.weight<64x32xf32, expert[8]>) -> tensor<?x64xf32>
  return
}
