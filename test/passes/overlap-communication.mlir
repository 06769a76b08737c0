// Work for the time that rows are on their way, and how many parts tokens go in.
// RUN: moe-opt %s --moe-overlap-communication=parts=2 --remarks-filter='.*' 2>%t.remarks | FileCheck %s
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks
// RUN: moe-opt %s --moe-overlap-communication=parts=1 | FileCheck %s --check-prefix=ONE
// RUN: moe-opt %s --moe-overlap-communication --remarks-filter='.*' 2>&1 >/dev/null | FileCheck %s --check-prefix=MODEL
// RUN: moe-opt %s --moe-overlap-communication="tokens=1" | FileCheck %s --check-prefix=ONE
// RUN: moe-opt %s --moe-overlap-communication="latency-us=100000" | FileCheck %s --check-prefix=ONE
// RUN: moe-opt %s --moe-overlap-communication="ranks=1" | FileCheck %s --check-prefix=ONE
// RUN: moe-opt %s --moe-overlap-communication="memory-gbs=0.001" | FileCheck %s --check-prefix=ONE
// RUN: moe-opt %s --moe-overlap-communication="parts=3 bandwidth-gbs=1 compute-gflops=10" --convert-moe-to-moert --moe-verify-exchanges | FileCheck %s --check-prefix=LOWERED
// ONE-NOT: moe.parts
// LOWERED-COUNT-3: moert.collect

!x = tensor<?x64xf32>
!ids = tensor<?x2x!moe.id<expert[4]>>
!p = tensor<?x2xf32>
!w = !moe.weight<64x64xf32>

// The shared product behind, and what it needs, is done between; so is the one in front that nothing is sent of. What goes in and what needs sums
// stays where it is.
// REMARK: tokens go in 2 parts, with 2 products beside them; expected microseconds:
// MODEL: tokens go in {{[0-9]+}} parts, with 2 products beside them
// CHECK-LABEL: func.func @beside
// CHECK-SAME: %[[X:[^:]*]]: tensor<?x64xf32>
// CHECK: %[[SENT:.*]] = moe.apply %[[X]]
// CHECK-NEXT: %[[ROWS:.*]], %{{.*}}, %{{.*}}, %{{.*}} = moe.dispatch %[[SENT]], {{.*}} {moe.parts = 2 : i64}
// CHECK-NEXT: %[[EARLY:.*]] = moe.apply %[[X]]
// CHECK-NEXT: %[[OUT:.*]] = moe.apply %[[ROWS]]
// CHECK-NEXT: %[[TWICE:.*]] = arith.addf %[[X]], %[[X]]
// CHECK-NEXT: %[[LATE:.*]] = moe.apply %[[TWICE]]
// CHECK-NEXT: %[[BACK:.*]] = moe.return %[[OUT]]
// CHECK-NEXT: %[[AFTER:.*]] = moe.apply %[[BACK]]
// CHECK-NEXT: arith.addf %[[AFTER]], %[[EARLY]]
// CHECK-NEXT: arith.addf %{{.*}}, %[[LATE]]
func.func @beside(%x: !x, %ids: !ids, %p: !p, %w: !w) -> !x {
  %early = moe.apply %x, %w : !x, !w -> !x
  %sent = moe.apply %x, %w : !x, !w -> !x
  %rows, %row_ids, %row_p, %exchange = moe.dispatch %sent, %ids, %p : !x, !ids, !p
  %out = moe.apply %rows, %w : !x, !w -> !x
  %back = moe.return %out, %exchange : !x -> !x
  %twice = arith.addf %x, %x : !x
  %late = moe.apply %twice, %w : !x, !w -> !x
  %after = moe.apply %back, %w : !x, !w -> !x
  %sum = arith.addf %after, %early : !x
  %y = arith.addf %sum, %late : !x
  return %y : !x
}

// Without work nothing moves.
// REMARK: tokens go in 2 parts, with 0 products beside them
// CHECK-LABEL: func.func @nothing_beside
// CHECK: moe.return
// CHECK-NEXT: arith.addf
// CHECK-NEXT: arith.addf
func.func @nothing_beside(%x: !x, %ids: !ids, %p: !p, %w: !w) -> !x {
  %rows, %row_ids, %row_p, %exchange = moe.dispatch %x, %ids, %p : !x, !ids, !p
  %out = moe.apply %rows, %w : !x, !w -> !x
  %back = moe.return %out, %exchange : !x -> !x
  %twice = arith.addf %x, %x : !x
  %y = arith.addf %back, %twice : !x
  return %y : !x
}

// RUN: not moe-opt %s --moe-overlap-communication=parts=17 2>&1 | FileCheck %s --check-prefix=PARTS
// PARTS: error: option parts: expected a number from 1 to 16, or 0 for the model's, found 17
// RUN: not moe-opt %s --moe-overlap-communication=tokens=0 2>&1 | FileCheck %s --check-prefix=TOKENS
// TOKENS: error: option tokens: expected a number from 1 on, found 0
// RUN: not moe-opt %s --moe-overlap-communication=ranks=0 2>&1 | FileCheck %s --check-prefix=RANKS
// RANKS: error: option ranks: expected a number from 1 on, found 0
// RUN: not moe-opt %s --moe-overlap-communication=latency-us=-1 2>&1 | FileCheck %s --check-prefix=LATENCY
// LATENCY: error: option latency-us: expected a number that is not negative, found -1
// RUN: not moe-opt %s --moe-overlap-communication=bandwidth-gbs=0 2>&1 | FileCheck %s --check-prefix=RATE
// RATE: error: option bandwidth-gbs: expected a positive number, found 0
