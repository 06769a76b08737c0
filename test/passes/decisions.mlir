// RUN: moe-opt %s --moe-share-base --moe-count-multiply-adds --remarks-filter='.*' -o /dev/null 2>&1 | FileCheck %s
// RUN: moe-opt %s --moe-share-base --moe-count-multiply-adds --remarks-filter-missed=moe -o /dev/null 2>&1 | FileCheck %s --check-prefix=MISSED
// RUN: moe-opt %s --moe-share-base --moe-count-multiply-adds -o /dev/null 2>&1 | FileCheck %s --check-prefix=SILENT --allow-empty
// RUN: moe-opt %s --moe-share-base --moe-count-multiply-adds --remarks-filter='.*' --remark-format=yaml --remarks-output-file=%t.yaml -o /dev/null
// RUN: FileCheck %s --check-prefix=FILE --input-file=%t.yaml
// Decisions are remarks: taken, declined, or a figure, each with the pass, its category and numbers; at the layer they
// are about; heard only by who asks.

// SILENT-NOT: remark
// MISSED-NOT: {{Passed|Analysis}}
// MISSED: [Missed] share-base
// MISSED-NOT: {{Passed|Analysis}}

!x = tensor<?x64xf32>
!ids = tensor<?x4x!moe.id<expert[8]>>
!in = !moe.weight<64x64xf32, expert[8]>
func.func @layer(%x: !x, %ids: !ids, %base: !moe.weight<64x64xf32, cluster[2]>, %own: !in, %t: !moe.table<expert[8] -> cluster[2]>) -> tensor<?x4x64xf32> {
  %w = moe.weight.select %base by %t : !moe.weight<64x64xf32, cluster[2]>, !moe.table<expert[8] -> cluster[2]>
  // CHECK: decisions.mlir:[[#@LINE+3]]:{{.*}}: remark: [Passed] share-base | Category:moe | Remark="base once: !moe.weight<64x64xf32, cluster[2]> for 2 clusters of a token instead of 4 choices"
  // FILE: --- !Passed
  // FILE: base once
  %0 = moe.apply %x, %w at %ids : !x, !in at !ids -> tensor<?x4x64xf32>
  %1 = moe.apply %0, %own at %ids : tensor<?x4x64xf32>, !in at !ids -> tensor<?x4x64xf32>
  // CHECK: decisions.mlir:[[#@LINE+3]]:{{.*}}: remark: [Missed] share-base | Category:moe | Remark="base not shared: rows differ from expert to expert and do not meet a combine; !moe.weight<64x64xf32, expert[8]> is multiplied for each of 4 choices"
  // FILE: --- !Missed
  // FILE: base not shared
  %2 = moe.apply %1, %w at %ids : tensor<?x4x64xf32>, !in at !ids -> tensor<?x4x64xf32>
  // CHECK: remark: [Analysis] count-multiply-adds | Category:moe | Remark="8192 multiply-adds per token"
  // CHECK: remark: [Analysis] count-multiply-adds | Category:moe | Remark="16384 multiply-adds per token"
  // FILE: --- !Analysis
  // FILE: 8192 multiply-adds
  return %2 : tensor<?x4x64xf32>
}
