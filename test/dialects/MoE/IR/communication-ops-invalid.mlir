// RUN: moe-opt %s --split-input-file --verify-diagnostics

!x = tensor<?x64xf32>
!ids = tensor<?x2x!moe.id<expert[4]>>
func.func @fewer_tokens(%x: tensor<8x64xf32>, %ids: tensor<7x2x!moe.id<expert[4]>>, %p: tensor<7x2xf32>) {
  // expected-error @+1 {{'moe.dispatch' op X1: ids is 'tensor<7x2x!moe.id<expert[4]>>' but input is 'tensor<8x64xf32>': extent 0 differs}}
  %r:4 = moe.dispatch %x, %ids, %p : tensor<8x64xf32>, tensor<7x2x!moe.id<expert[4]>>, tensor<7x2xf32>
  return
}

// -----

!x = tensor<?x64xf32>
!ids = tensor<?x2x!moe.id<expert[4]>>
func.func @weights(%x: !x, %ids: !ids, %p: tensor<?x2xf16>) {
  // expected-error @+1 {{'moe.dispatch' op X1: gate weights are 'tensor<?x2xf16>' but tokens are 'tensor<?x64xf32>'}}
  %r:4 = moe.dispatch %x, %ids, %p : !x, !ids, tensor<?x2xf16>
  return
}

// -----

!x = tensor<?x64xf32>
!ids = tensor<?x2x!moe.id<expert[4+1]>>
func.func @specials(%x: !x, %ids: !ids, %p: tensor<?x2xf32>) {
  // expected-error @+1 {{'moe.dispatch' op X1: expected ids without special experts, which no rank has, found '!moe.id<expert[4+1]>'}}
  %r:4 = moe.dispatch %x, %ids, %p : !x, !ids, tensor<?x2xf32>
  return
}

// -----

!x = tensor<?x64xf32>
!ids = tensor<?x2x!moe.id<expert[4]>>
!t = !moe.table<expert[8] -> cluster[2]>
func.func @other_experts(%x: !x, %ids: !ids, %p: tensor<?x2xf32>, %t: !t) {
  // expected-error @+1 {{'moe.dispatch' op X2: expected a table from '!moe.id<expert[4]>' to clusters, found '!moe.table<expert[8] -> cluster[2]>'}}
  %r:4 = moe.dispatch %x, %ids, %p by %t : !x, !ids, tensor<?x2xf32> by !t
  return
}

// -----

!x = tensor<?x64xf32>
func.func @no_dispatch(%x: !x, %exchange: !moe.exchange) -> !x {
  // expected-error @+1 {{'moe.return' op X3: expected the exchange of a moe.dispatch}}
  %y = moe.return %x, %exchange : !x -> !x
  return %y : !x
}

// -----

!x = tensor<?x64xf32>
!ids = tensor<?x2x!moe.id<expert[4]>>
func.func @other_rows(%x: !x, %ids: !ids, %p: tensor<?x2xf32>, %other: tensor<?x32xf32>) -> !x {
  %rows, %row_ids, %row_weights, %exchange = moe.dispatch %x, %ids, %p : !x, !ids, tensor<?x2xf32>
  // expected-error @+1 {{'moe.return' op X3: expected rows as its moe.dispatch yields, 'tensor<?x64xf32>', found 'tensor<?x32xf32>'}}
  %y = moe.return %other, %exchange : tensor<?x32xf32> -> !x
  return %y : !x
}

// -----

!x = tensor<8x64xf32>
!ids = tensor<8x2x!moe.id<expert[4]>>
func.func @other_tokens(%x: !x, %ids: !ids, %p: tensor<8x2xf32>) -> tensor<9x64xf32> {
  %rows, %row_ids, %row_weights, %exchange = moe.dispatch %x, %ids, %p : !x, !ids, tensor<8x2xf32>
  // expected-error @+1 {{'moe.return' op X3: expected a result as the tokens of its moe.dispatch, 'tensor<8x64xf32>', found 'tensor<9x64xf32>'}}
  %y = moe.return %rows, %exchange : tensor<?x64xf32> -> tensor<9x64xf32>
  return %y : tensor<9x64xf32>
}
