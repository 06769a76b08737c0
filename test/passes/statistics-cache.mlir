// Similarities and spectra are kept by content: a second run finds them, other weights do not, a damaged entry is made anew.
// DEFINE: %{cluster} = --moe-cluster-experts="clusters=2 threshold=-1 cache=%t/cache"
// DEFINE: %{factorize} = --moe-factorize-experts="rank=16 cache=%t/cache"
// DEFINE: %{run} = %{cluster} %{factorize} --remarks-filter='.*'
// RUN: rm -rf %t && mkdir %t
// RUN: moe-opt %s %{run} -o %t/first.mlir 2>&1 | FileCheck %s --check-prefix=MISS
// RUN: ls %t/cache | count 3
// RUN: moe-opt %s %{run} -o %t/second.mlir 2>&1 | FileCheck %s --check-prefix=HIT
// RUN: diff %t/first.mlir %t/second.mlir
// MISS: cluster-experts{{.+}}cache miss: similarity
// MISS: factorize-experts{{.+}}cache miss: spectra of up
// MISS: factorize-experts{{.+}}cache miss: spectra of down
// HIT-NOT: cache miss
// HIT: cluster-experts{{.+}}cache hit: similarity
// HIT-NOT: cache miss
// HIT: factorize-experts{{.+}}cache hit: spectra of up
// HIT-NOT: cache miss
// HIT: factorize-experts{{.+}}cache hit: spectra of down

// One other weight, other options.
// RUN: sed 's/seeded<1>/seeded<3>/' %s > %t/other.mlir
// RUN: moe-opt %t/other.mlir %{run} -o /dev/null 2>&1 | FileCheck %s --check-prefix=OTHER
// OTHER: cache miss: similarity
// OTHER: cache miss: spectra of up
// RUN: moe-opt %s --moe-cluster-experts="clusters=2 threshold=-1 remove-mean=false cache=%t/cache" --remarks-filter='.*' -o /dev/null 2>&1 | FileCheck %s --check-prefix=MEAN
// MEAN: cache miss: similarity

// Damaged.
// RUN: rm -rf %t/cache && moe-opt %s %{run} -o /dev/null 2> /dev/null
// RUN: %python -c "import glob, os; [os.truncate(path, os.path.getsize(path) - 1) for path in glob.glob(r'%t/cache/*')]"
// RUN: moe-opt %s %{run} -o %t/third.mlir 2>&1 | FileCheck %s --check-prefix=MISS
// RUN: diff %t/first.mlir %t/third.mlir
// RUN: moe-opt %s %{run} -o /dev/null 2>&1 | FileCheck %s --check-prefix=HIT

// Nothing is said or kept without the option; a file is no directory.
// RUN: moe-opt %s --moe-cluster-experts=clusters=2 --moe-factorize-experts=rank=16 --remarks-filter='.*' -o /dev/null 2>&1 | FileCheck %s --check-prefix=OFF
// OFF-NOT: cache {{hit|miss}}
// OFF: relative error
// RUN: not moe-opt %s --moe-cluster-experts="clusters=2 cache=%t/first.mlir" 2>&1 | FileCheck %s --check-prefix=FILE
// RUN: not moe-opt %s --moe-factorize-experts="rank=16 cache=%t/first.mlir/below" 2>&1 | FileCheck %s --check-prefix=FILE
// FILE: error: option cache: {{.+}}first.mlir

!up = !moe.weight<24x32xf32, expert[4]>
!down = !moe.weight<32x24xf32, expert[4]>
moe.param private @layer0.up : !up = #moe.seeded<1>
moe.param private @layer0.down : !down = #moe.seeded<2>
func.func @layer0(%x: tensor<?x24xf32>, %ids: tensor<?x2x!moe.id<expert[4]>>, %p: tensor<?x2xf32>) -> tensor<?x24xf32> {
  %u = moe.leaf @layer0.up : !up
  %d = moe.leaf @layer0.down : !down
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x24xf32>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>, !up, !down) -> tensor<?x24xf32>
  return %y : tensor<?x24xf32>
}
