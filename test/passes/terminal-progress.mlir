// What takes long counts on a terminal, in one line that is gone in the end; nothing of it gets into a file.
// DEFINE: %{run} = moe-opt %s --moe-cluster-experts="clusters=2 threshold=-1 progress=true" --moe-factorize-experts="rank=3 align=true progress=true" -o %t.mlir
// RUN: %{run} 2>&1 | count 0
// RUN: %python %S/Inputs/on_terminal.py %{run} | FileCheck %s --match-full-lines
// CHECK: layer0: similarity: 1 of 2 blocks<erase>
// CHECK-NEXT: <erase>
// CHECK-NEXT: layer0: alignment: 1 of 2 clusters<erase>
// CHECK-NEXT: <erase>
// CHECK-NEXT: layer0: up: 1 of 4 experts<erase>
// CHECK: layer0: up: 3 of 4 experts<erase>
// CHECK-NEXT: <erase>
// CHECK-NEXT: layer0: down: 1 of 4 experts<erase>
// CHECK: layer0: down: 3 of 4 experts<erase>
// CHECK-NEXT: <erase>
// CHECK-NOT: {{.}}

// Work that fails leaves no line in front of its diagnostic.
// RUN: sed 's/seeded<2>/external<"w"::"w">/' %s > %t.infinite.mlir
// RUN: not %python %S/Inputs/on_terminal.py moe-opt %t.infinite.mlir --moe-cluster-experts="clusters=2 progress=true weights=w=splat:inf" | FileCheck %s --check-prefix=FAILED
// FAILED: {{^<erase>.*}}error: {{.+}}expected finite values

!up = !moe.weight<3x4xf32, expert[4]>
!down = !moe.weight<4x3xf32, expert[4]>
moe.param private @layer0.up : !up = #moe.seeded<1>
moe.param private @layer0.down : !down = #moe.seeded<2>
func.func @layer0(%x: tensor<?x3xf32>, %ids: tensor<?x2x!moe.id<expert[4]>>, %p: tensor<?x2xf32>) -> tensor<?x3xf32> {
  %u = moe.leaf @layer0.up : !up
  %d = moe.leaf @layer0.down : !down
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x3xf32>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>, !up, !down) -> tensor<?x3xf32>
  return %y : tensor<?x3xf32>
}
