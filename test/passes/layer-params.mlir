// What the passes that compress read beside the module: a checkpoint's weights, a profile, and a profile of another shape.
// REQUIRES: moe-compile, moe-run
// RUN: rm -rf %t && mkdir %t
// RUN: moe-compile %source_root/examples/tiny-mixtral --instrument -o %t/exact
// RUN: moe-run %t/exact --layer layer0 --profile %t/profile > /dev/null
// RUN: not moe-opt %s --moe-cluster-experts="clusters=2 profile=%t/profile" 2>&1 | FileCheck %s --check-prefix=EXPERTS
// EXPERTS: error: 'moe.experts' op has 4 experts, but layer 0 of the profile has 16
// RUN: sed 's/expert\[4\]/expert[16]/g' %s > %t/wide.mlir
// RUN: not moe-opt %t/wide.mlir --moe-cluster-experts="clusters=2 profile=%t/profile" 2>&1 | FileCheck %s --check-prefix=WIDTH
// WIDTH: error: 'moe.experts' op has inputs of width 4, but layer 0 of the profile has 96

// All options on weights of a checkpoint; the names of params that are taken get numbers.
// RUN: moe-opt %S/Inputs/tiny-mixtral-layer.mlir --moe-cluster-experts="weights=model=%source_root/examples/tiny-mixtral profile=%t/profile clusters=4 alpha=0.5 slack=1.5 seed=3 remove-mean=false" | FileCheck %s --check-prefix=NAMED
// NAMED: moe.param private @layer0.cluster.1 : !moe.table<expert[16] -> cluster[4]>
// RUN: moe-opt %S/Inputs/tiny-mixtral-layer.mlir --moe-cluster-experts="weights=model=%source_root/examples/tiny-mixtral clusters=4 exact-balance=true" --remarks-filter='.*' -o /dev/null 2>&1 | FileCheck %s --check-prefix=EVEN
// EVEN: 16 experts in 4 clusters of 4, 4, 4, 4
// RUN: moe-opt %S/Inputs/tiny-mixtral-layer.mlir --moe-cluster-experts="weights=model=%source_root/examples/tiny-mixtral clusters=4" --moe-factorize-experts="weights=model=%source_root/examples/tiny-mixtral profile=%t/profile rank=16 base=usage whiten=diagonal" --remarks-filter='.*' 2>%t/remarks | FileCheck %s --check-prefix=WHITE
// WHITE: #moe.mean<@layer0.gate by @layer0.cluster.1 weighted [
// WHITE: moe.param private @layer0.gate.moments : !moe.weight<1x96xf32> = #moe.external<"profile"::"layers.0.input_moments">
// WHITE: #moe.svd<input rank 16 of @layer0.gate minus @layer0.gate.base by @layer0.cluster.1 whitened by @layer0.gate.moments>
// RUN: FileCheck %s --check-prefix=HIDDEN < %t/remarks
// HIDDEN: [Missed] factorize-experts{{.+}}down is not whitened: the profile has no second moments of its inputs
// Fisher information has a row for each role.
// RUN: %python %S/Inputs/add_fisher.py %t/profile %t/fisher 16
// RUN: moe-opt %S/Inputs/tiny-mixtral-layer.mlir --moe-cluster-experts="weights=model=seeded:1 clusters=4" --moe-factorize-experts="weights=model=seeded:1 profile=%t/fisher rank=16 base=fisher" | FileCheck %s --check-prefix=FISHER
// FISHER-DAG: @layer0.gate.base {{.*}} = #moe.mean<@layer0.gate by @layer0.cluster.1 weighted [5.000000e-01, 1.500000e+00, 2.500000e+00,
// FISHER-DAG: @layer0.up.base {{.*}} = #moe.mean<@layer0.up by @layer0.cluster.1 weighted [2.000000e+00, 2.000000e+00,
// FISHER-DAG: @layer0.down.base {{.*}} = #moe.mean<@layer0.down by @layer0.cluster.1 weighted [0.000000e+00, 1.000000e+00,

// RUN: moe-opt %S/Inputs/tiny-mixtral-layer.mlir --moe-cluster-experts="weights=model=seeded:1 clusters=4" --moe-factorize-experts="weights=model=seeded:1 profile=%t/profile rank=16 align=true whiten=diagonal" --remarks-filter='.*' 2>&1 -o /dev/null | FileCheck %s --check-prefix=ORDER
// ORDER: [Passed] factorize-experts{{.+}}neurons aligned in {{[1-4]}} of 4 clusters; squared distance to the means
// ORDER: [Missed] factorize-experts{{.+}}down is not whitened: the profile knows its neurons in their old order
// RUN: moe-opt %S/Inputs/tiny-mixtral-layer.mlir --moe-cluster-experts="weights=model=%source_root/examples/tiny-mixtral clusters=4" --moe-factorize-experts="weights=model=%source_root/examples/tiny-mixtral profile=%t/profile rank=16 whiten=full" | FileCheck %s --check-prefix=WHOLE
// WHOLE: moe.param private @layer0.up.moments : !moe.weight<96x96xf32> = #moe.external<"profile"::"layers.0.input_moments_full">

!up = !moe.weight<4x6xf32, expert[4]>
!down = !moe.weight<6x4xf32, expert[4]>
moe.param private @up : !up = #moe.seeded<1>
moe.param private @down : !down = #moe.seeded<2>
func.func @layer0(%x: tensor<?x4xf32>, %ids: tensor<?x2x!moe.id<expert[4]>>, %p: tensor<?x2xf32>) -> tensor<?x4xf32> {
  %u = moe.leaf @up : !up
  %d = moe.leaf @down : !down
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> : (tensor<?x4xf32>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>, !up, !down) -> tensor<?x4xf32>
  return %y : tensor<?x4xf32>
}
