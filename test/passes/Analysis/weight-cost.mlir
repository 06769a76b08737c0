// RUN: moe-opt %s --moe-distribute-weights --split-input-file --verify-diagnostics --remarks-filter='.*' -o /dev/null
// What an expression costs as its parts and as its built matrix, by the remarks of the pass that asks. Matrices are 8 x 8.

!x = tensor<?x8xf32>
!ids = tensor<?x2x!moe.id<expert[4]>>
!y = tensor<?x2x8xf32>
!e = !moe.weight<8x8xf32, expert[4]>

// Leaves count once for each entry, however often they are used; products count each time.
func.func @shared_leaf(%x: !x, %ids: !ids, %a: !e) -> !y {
  %0 = moe.weight.add %a, %a : !e, !e
  %1 = moe.weight.mul %0, %a : !e, !e
  // expected-remark @below {{the parts store 256 numbers and cost 192 multiply-adds a row, the built matrix 256 and 64}}
  %2 = moe.apply %x, %1 at %ids : !x, !e at !ids -> !y
  return %2 : !y
}

// Diagonals are leaves; so is a mix or a ragged matrix, which is built; a sparse one counts its values.
func.func @kinds_of_leaves(%x: !x, %ids: !ids, %a: !e, %d: !moe.weight<1x8xf32, expert[4]>, %n: tensor<4xi32>, %basis: !moe.weight<8x8xf32, basis[2]>, %alpha: !moe.weight<1x2xf32, expert[4]>,
    %v: !moe.weight<1x3xf32, expert[4]>, %at: tensor<4x3x2xi32>) -> (!y, !y, !y, !y) {
  %0 = moe.weight.scale input %a, %d : !e, !moe.weight<1x8xf32, expert[4]>
  // expected-remark @below {{the parts store 288 numbers and cost 72 multiply-adds a row, the built matrix 256 and 64}}
  %1 = moe.apply %x, %0 at %ids : !x, !e at !ids -> !y
  %2 = moe.weight.mix %basis, %alpha : !moe.weight<8x8xf32, basis[2]>, !moe.weight<1x2xf32, expert[4]>
  %3 = moe.weight.add %2, %a : !e, !e
  // expected-remark @below {{the parts store 512 numbers and cost 128 multiply-adds}}
  %4 = moe.apply %x, %3 at %ids : !x, !e at !ids -> !y
  %5 = moe.weight.ragged output %2 to %n : !e, tensor<4xi32>
  %6 = moe.weight.add %5, %a : !e, !e
  // expected-remark @below {{the parts store 512 numbers and cost 128 multiply-adds}}
  %7 = moe.apply %x, %6 at %ids : !x, !e at !ids -> !y
  %8 = moe.weight.sparse %v at %at : !moe.weight<1x3xf32, expert[4]>, tensor<4x3x2xi32> -> !e
  %9 = moe.weight.add %8, %a : !e, !e
  // expected-remark @below {{the parts store 268 numbers and cost 67 multiply-adds}}
  %10 = moe.apply %x, %9 at %ids : !x, !e at !ids -> !y
  return %1, %4, %7, %10 : !y, !y, !y, !y
}

// Through a select a leaf is stored for each cluster; without axis, once.
func.func @few_entries(%x: !x, %ids: !ids, %a: !e, %c: !moe.weight<8x8xf32, cluster[2]>, %w: !moe.weight<8x8xf32>, %t: !moe.table<expert[4] -> cluster[2]>) -> (!y, !y) {
  %0 = moe.weight.select %c by %t : !moe.weight<8x8xf32, cluster[2]>, !moe.table<expert[4] -> cluster[2]>
  %1 = moe.weight.add %0, %a : !e, !e
  // expected-remark @below {{the parts store 384 numbers and cost 128 multiply-adds}}
  %2 = moe.apply %x, %1 at %ids : !x, !e at !ids -> !y
  %3 = moe.weight.add %w, %a : !moe.weight<8x8xf32>, !e
  // expected-remark @below {{the parts store 320 numbers and cost 128 multiply-adds}}
  %4 = moe.apply %x, %3 at %ids : !x, !e at !ids -> !y
  return %2, %4 : !y, !y
}

// -----

// Numbers too large to count stop at a bound. Parts that are as large are no gain; nothing overflows.
!huge = !moe.weight<2147483647x2147483647xf32, expert[2147483647]>
func.func @huge(%x: tensor<?x2147483647xf32>, %ids: tensor<?x1x!moe.id<expert[2147483647]>>, %a: !huge) -> tensor<?x1x2147483647xf32> {
  %0 = moe.weight.add %a, %a : !huge, !huge
  %1 = moe.weight.mul %0, %0 : !huge, !huge
  // expected-remark @below {{the parts store 36028797018963967 numbers and cost 36028797018963967 multiply-adds a row, the built matrix 36028797018963967 and 36028797018963967}}
  %2 = moe.apply %x, %1 at %ids : tensor<?x2147483647xf32>, !huge at tensor<?x1x!moe.id<expert[2147483647]>> -> tensor<?x1x2147483647xf32>
  return %2 : tensor<?x1x2147483647xf32>
}
