// RUN: moe-opt %s --moe-verify-weights --split-input-file --verify-diagnostics

!w = !moe.weight<8x8xf32, expert[4]>
!t = !moe.table<expert[4] -> cluster[2]>

// Weights and tables may be arguments, results, operands of calls and of moe operations in any region.
func.func @allowed(%w: !w, %t: !t, %x: tensor<?x8xf32>, %ids: tensor<?x2x!moe.id<expert[4]>>, %c: i1) -> (!w, !t) {
  %0 = func.call @twice(%w) : (!w) -> !w
  scf.if %c {
    %1 = moe.weight.add %0, %w : !w, !w
    %2 = moe.apply %x, %1 at %ids : tensor<?x8xf32>, !w at tensor<?x2x!moe.id<expert[4]>> -> tensor<?x2x8xf32>
  }
  return %0, %t : !w, !t
}
func.func private @twice(%w: !w) -> !w {
  %0 = moe.weight.add %w, %w : !w, !w
  return %0 : !w
}
func.func private @elsewhere(!w) -> !t

// -----

// A choice between two weights.
func.func @select(%c: i1, %a: !moe.weight<8x8xf32>, %b: !moe.weight<8x8xf32>) -> !moe.weight<8x8xf32> {
  // expected-error @below {{'arith.select' uses a weight or table, which only moe operations and calls may: its params could no longer be told}}
  %0 = arith.select %c, %a, %b : !moe.weight<8x8xf32>
  return %0 : !moe.weight<8x8xf32>
}

// -----

// A weight out of a branch.
func.func @branch(%c: i1, %a: !moe.weight<8x8xf32>, %b: !moe.weight<8x8xf32>) -> !moe.weight<8x8xf32> {
  %0 = scf.if %c -> !moe.weight<8x8xf32> {
    // expected-error @below {{'scf.yield' uses a weight or table}}
    scf.yield %a : !moe.weight<8x8xf32>
  } else {
    scf.yield %b : !moe.weight<8x8xf32>
  }
  return %0 : !moe.weight<8x8xf32>
}

// -----

// A weight that a loop carries.
func.func @loop(%n: index, %w: !moe.weight<8x8xf32>) {
  %c0 = arith.constant 0 : index
  %c1 = arith.constant 1 : index
  %0 = scf.for %i = %c0 to %n step %c1 iter_args(%v = %w) -> !moe.weight<8x8xf32> {
    // expected-error @below {{'scf.yield' uses a weight or table}}
    scf.yield %v : !moe.weight<8x8xf32>
  }
  return
}

// -----

// A table through a block argument.
func.func @blocks(%t: !moe.table<expert[4] -> cluster[2]>) -> !moe.table<expert[4] -> cluster[2]> {
  // expected-error @below {{'cf.br' uses a weight or table}}
  cf.br ^next(%t : !moe.table<expert[4] -> cluster[2]>)
^next(%u: !moe.table<expert[4] -> cluster[2]>):
  return %u : !moe.table<expert[4] -> cluster[2]>
}

// -----

// A weight made of something else.
func.func @cast(%i: i32) -> !moe.weight<8x8xf32> {
  // expected-error @below {{'builtin.unrealized_conversion_cast' uses a weight or table}}
  %w = builtin.unrealized_conversion_cast %i : i32 to !moe.weight<8x8xf32>
  return %w : !moe.weight<8x8xf32>
}
