// RUN: moe-opt %s --convert-moe-to-moert --split-input-file --verify-diagnostics
// RUN: not moe-opt %s --convert-moe-to-moert=rows-at-a-time=0 --split-input-file 2>&1 | FileCheck %s
// CHECK: error: option rows-at-a-time: expected a number from 1 on, found 0

func.func @no_group(%x: tensor<8x16xf32>, %off: tensor<5xi32>, %pool: tensor<?x16x16xf32>, %table: tensor<4xi32>, %o: tensor<8x16xf32>) -> tensor<8x16xf32> {
  %w = moe.wrap %pool slots(%table : tensor<4xi32>) : tensor<?x16x16xf32> to !moe.weight<16x16xf32, cluster[4]>
  // expected-error @+1 {{'moe.grouped_matmul' op reads a paged pool: expected a product of rows that a moe.group sorted}}
  %y = moe.grouped_matmul ins(%x : tensor<8x16xf32>) weights(%w : !moe.weight<16x16xf32, cluster[4]>) groups(%off : tensor<5xi32>) outs(%o : tensor<8x16xf32>) -> tensor<8x16xf32>
  return %y : tensor<8x16xf32>
}

// -----

// Two sortings whose products wait for each other.
!x = tensor<8x16xf32>
!c = tensor<8x1x!moe.id<cluster[4]>>
!l = tensor<8x!moe.id<cluster[4]>>
!w = !moe.weight<16x16xf32, cluster[4]>
func.func @in_turn(%x: !x, %c: !c, %d: !c, %p: tensor<8x1xf32>, %rows: tensor<8xi32>, %off: tensor<5xi32>, %e: !l, %q: tensor<8xf32>,
                   %pool: tensor<?x16x16xf32>, %table: tensor<4xi32>, %o: !x) -> !x {
  %w = moe.wrap %pool slots(%table : tensor<4xi32>) : tensor<?x16x16xf32> to !w
  %g:5 = moe.group ins(%c, %c, %p : !c, !c, tensor<8x1xf32>) outs(%rows, %off, %rows, %e, %q : tensor<8xi32>, tensor<5xi32>, tensor<8xi32>, !l, tensor<8xf32>)
    -> tensor<8xi32>, tensor<5xi32>, tensor<8xi32>, !l, tensor<8xf32>
  %h:5 = moe.group ins(%d, %d, %p : !c, !c, tensor<8x1xf32>) outs(%rows, %off, %rows, %e, %q : tensor<8xi32>, tensor<5xi32>, tensor<8xi32>, !l, tensor<8xf32>)
    -> tensor<8xi32>, tensor<5xi32>, tensor<8xi32>, !l, tensor<8xf32>
  %a = moe.grouped_matmul ins(%x : !x) weights(%w : !w) groups(%g#1 : tensor<5xi32>) outs(%o : !x) -> !x
  // expected-error @+1 {{'moe.grouped_matmul' op reads paged bases between products of other rows that wait for it: expected those of one moe.group in front of those of the next}}
  %b = moe.grouped_matmul ins(%a : !x) weights(%w : !w) groups(%h#1 : tensor<5xi32>) outs(%o : !x) -> !x
  %y = moe.grouped_matmul ins(%b : !x) weights(%w : !w) groups(%g#1 : tensor<5xi32>) outs(%o : !x) -> !x
  return %y : !x
}
