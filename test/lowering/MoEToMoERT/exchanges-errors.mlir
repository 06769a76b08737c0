// RUN: moe-opt %s --convert-moe-to-moert --split-input-file --verify-diagnostics

!x = tensor<?x16xf32>
!ids = tensor<?x2x!moe.id<expert[4]>>
!p = tensor<?x2xf32>
func.func @never_back(%x: !x, %ids: !ids, %p: !p) {
  // expected-error @+1 {{'moe.dispatch' op expected a moe.return of its exchange}}
  %rows, %row_ids, %row_p, %exchange = moe.dispatch %x, %ids, %p : !x, !ids, !p
  return
}

// -----

!x = tensor<?x16xf32>
!ids = tensor<?x2x!moe.id<expert[4]>>
!p = tensor<?x2xf32>
func.func @back_twice(%x: !x, %ids: !ids, %p: !p) -> (!x, !x) {
  // expected-error @+1 {{'moe.dispatch' op expected one moe.return, found several}}
  %rows, %row_ids, %row_p, %exchange = moe.dispatch %x, %ids, %p : !x, !ids, !p
  %y = moe.return %rows, %exchange : !x -> !x
  %z = moe.return %rows, %exchange : !x -> !x
  return %y, %z : !x, !x
}

// -----

!x = tensor<?x16xf32>
!ids = tensor<?x2x!moe.id<expert[4]>>
!p = tensor<?x2xf32>
func.func @elsewhere(%if: i1, %x: !x, %ids: !ids, %p: !p) -> !x {
  // expected-error @+1 {{'moe.dispatch' op expected its moe.return behind it in the block of a function}}
  %rows, %row_ids, %row_p, %exchange = moe.dispatch %x, %ids, %p : !x, !ids, !p
  %y = scf.if %if -> !x {
    %z = moe.return %rows, %exchange : !x -> !x
    scf.yield %z : !x
  } else {
    scf.yield %x : !x
  }
  return %y : !x
}

// -----

!x = tensor<?x16xf32>
!ids = tensor<?x2x!moe.id<expert[4]>>
!p = tensor<?x2xf32>
func.func @kept(%x: !x, %ids: !ids, %p: !p) -> (!x, !p) {
  %rows, %row_ids, %row_p, %exchange = moe.dispatch %x, %ids, %p : !x, !ids, !p
  %y = moe.return %rows, %exchange : !x -> !x
  // expected-error @+1 {{'func.return' uses what was computed of received rows: expected it between moe.dispatch and moe.return}}
  return %y, %row_p : !x, !p
}

// -----

!x = tensor<?x16xf32>
!ids = tensor<?x2x!moe.id<expert[4]>>
!p = tensor<?x2xf32>
func.func @dispatched_again(%x: !x, %ids: !ids, %p: !p) -> !x {
  %rows, %row_ids, %row_p, %exchange = moe.dispatch %x, %ids, %p : !x, !ids, !p
  %more, %more_ids, %more_p, %other = moe.dispatch %rows, %row_ids, %row_p : !x, !ids, !p
  // expected-error @+1 {{'moert.begin' has effects: expected none of what uses received rows}}
  %z = moe.return %more, %other : !x -> !x
  %y = moe.return %z, %exchange : !x -> !x
  return %y : !x
}

// -----

!x = tensor<?x16xf32>
!ids = tensor<?x2x!moe.id<expert[4]>>
!p = tensor<?x2xf32>
!t = !moe.table<expert[4] -> cluster[2]>
func.func @unbound(%x: !x, %ids: !ids, %p: !p, %t: !t) -> !x {
  // expected-error @+1 {{'moe.dispatch' op expected a table that a tensor holds: behind moe-bind-params}}
  %rows, %row_ids, %row_p, %exchange = moe.dispatch %x, %ids, %p by %t : !x, !ids, !p by !t
  %y = moe.return %rows, %exchange : !x -> !x
  return %y : !x
}
