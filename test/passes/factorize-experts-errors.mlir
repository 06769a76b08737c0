// What the passes that compress refuse, and where.
// RUN: not moe-opt %s --moe-factorize-experts 2>&1 | FileCheck %s --check-prefix=NONE
// NONE: error: expected one of the options rank, error-bound and bytes, found 0
// RUN: not moe-opt %s --moe-factorize-experts="rank=4 bytes=7" 2>&1 | FileCheck %s --check-prefix=TWO
// TWO: error: expected one of the options rank, error-bound and bytes, found 2
// RUN: not moe-opt %s --moe-factorize-experts="rank=16 base-encoding=int4" 2>&1 | FileCheck %s --check-prefix=ENCODING
// ENCODING: error: option base-encoding: expected an encoding, for example 'int8 group 32', found 'int4'
// RUN: not moe-opt %s --moe-factorize-experts="base=none residual=none" 2>&1 | FileCheck %s --check-prefix=NEITHER
// NEITHER: error: expected a base or a residual, found base=none and residual=none
// RUN: not moe-opt %s --moe-factorize-experts="base=none rank=16 align" 2>&1 | FileCheck %s --check-prefix=NOBASE
// RUN: not moe-opt %s --moe-factorize-experts="base=none rank=16 base-encoding=bf16" 2>&1 | FileCheck %s --check-prefix=NOBASE
// NOBASE: error: expected a base for the options align and base-encoding, found base=none
// RUN: not moe-opt %s --moe-factorize-experts="residual=none rank=16" 2>&1 | FileCheck %s --check-prefix=NORESIDUAL
// RUN: not moe-opt %s --moe-factorize-experts="residual=none whiten=full" 2>&1 | FileCheck %s --check-prefix=NORESIDUAL
// RUN: not moe-opt %s --moe-factorize-experts="residual=none residual-encoding=bf16" 2>&1 | FileCheck %s --check-prefix=NORESIDUAL
// NORESIDUAL: error: expected a residual for the options rank, error-bound, bytes, whiten and residual-encoding, found residual=none
// RUN: not moe-opt %s --moe-factorize-experts="base=none error-bound=2" 2>&1 | FileCheck %s --check-prefix=NOTHING
// NOTHING: error: expected a rank of at least 1 for each matrix without a base, found 0: of the bytes or the error asked for, nothing is left to store
// RUN: not moe-opt %s --moe-cluster-experts=clusters=2 --moe-factorize-experts="rank=16 base=usage" 2>&1 | FileCheck %s --check-prefix=USAGE
// USAGE: error: 'moe.experts' op a base weighted by usage needs a profile of this layer, found none
// RUN: not moe-opt %s --moe-cluster-experts=clusters=2 --moe-factorize-experts="rank=16 base=fisher" 2>&1 | FileCheck %s --check-prefix=FISHER
// FISHER: error: 'moe.experts' op a base weighted by Fisher information needs a profile with `fisher` of this layer, found none
// RUN: not moe-opt %s --moe-cluster-experts=clusters=2 --moe-factorize-experts="rank=64" 2>&1 | FileCheck %s --check-prefix=RANK
// RANK: error: {{.+}}64
// RUN: not moe-opt %s --moe-cluster-experts=clusters=5 2>&1 | FileCheck %s --check-prefix=MANY
// MANY: error: 'moe.experts' op {{.+}}5
// RUN: not moe-opt %s --moe-cluster-experts="clusters=2 weights=nonsense" 2>&1 | FileCheck %s --check-prefix=SCOPE
// SCOPE: error: option weights: expected scope=
// RUN: not moe-opt %s --moe-cluster-experts="clusters=2 profile=%t.absent" 2>&1 | FileCheck %s --check-prefix=PROFILE
// PROFILE: error: option profile: {{.+}}.absent
// RUN: not moe-opt %s --moe-cluster-experts=clusters=2 --moe-route-two-stage=clusters-per-token=3 2>&1 | FileCheck %s --check-prefix=KEEP
// KEEP: error: 'moe.experts' op option clusters-per-token: expected 1 to 2, found 3

// A layer without clusters is declined.
// RUN: moe-opt %s --moe-factorize-experts=rank=16 --remarks-filter='.*' -o /dev/null 2>&1 | FileCheck %s --check-prefix=DECLINED
// DECLINED: [Missed] factorize-experts{{.+}}layer left as it is: no clusters; run moe-cluster-experts first

// Layers of two shapes have no common ranks.
// RUN: sed 's/^\/\/OTHER //' %s > %t.two.mlir
// RUN: not moe-opt %t.two.mlir --moe-cluster-experts=clusters=2 --moe-factorize-experts=rank=16 2>&1 | FileCheck %s --check-prefix=SHAPES
// SHAPES: error: 'moe.experts' op expected layers of one shape, found '!moe.weight<16x48xf32, expert[4]>' beside '!moe.weight<16x32xf32, expert[4]>'

!up = !moe.weight<16x32xf32, expert[4]>
!down = !moe.weight<32x16xf32, expert[4]>
moe.param private @up : !up = #moe.seeded<1>
moe.param private @down : !down = #moe.seeded<2>
func.func @layer0(%x: tensor<?x16xf32>, %l: tensor<?x4xf32>) -> tensor<?x16xf32> {
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores, l1>
    : (tensor<?x4xf32>) -> (tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>)
  %u = moe.leaf @up : !up
  %d = moe.leaf @down : !down
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x16xf32>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>, !up, !down) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}
//OTHER moe.param private @up1 : !moe.weight<16x48xf32, expert[4]> = #moe.seeded<3>
//OTHER moe.param private @down1 : !moe.weight<48x16xf32, expert[4]> = #moe.seeded<4>
//OTHER func.func @layer1(%x: tensor<?x16xf32>, %ids: tensor<?x2x!moe.id<expert[4]>>, %p: tensor<?x2xf32>) -> tensor<?x16xf32> {
//OTHER   %u = moe.leaf @up1 : !moe.weight<16x48xf32, expert[4]>
//OTHER   %d = moe.leaf @down1 : !moe.weight<48x16xf32, expert[4]>
//OTHER   %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
//OTHER     : (tensor<?x16xf32>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>, !moe.weight<16x48xf32, expert[4]>, !moe.weight<48x16xf32, expert[4]>) -> tensor<?x16xf32>
//OTHER   return %y : tensor<?x16xf32>
//OTHER }
