// A variant for each target that is asked for, the oldest first; and for all if nobody asks.
// RUN: moe-compile %S/Inputs/layer.mlir --optimize --separate-weights --no-archive --target=cuda --isas=sm_80 -o %t/one
// RUN: FileCheck %s --input-file=%t/one/manifest.json --check-prefix=ONE
// RUN: moe-compile %S/Inputs/layer.mlir --optimize --separate-weights --no-archive --pipeline=cuda -o %t/two
// RUN: FileCheck %s --input-file=%t/two/manifest.json --check-prefix=TWO
// RUN: moe-compile %S/Inputs/layer.mlir --optimize --separate-weights --no-archive --pipeline=cuda --isas=sm_90a,sm_80 -o %t/two
// RUN: FileCheck %s --input-file=%t/two/manifest.json --check-prefix=TWO

// ONE: "pipeline": "cuda"
// ONE:      "variants": [
// ONE-NEXT: "sm_80"
// ONE-NEXT: ]
// TWO:      "variants": [
// TWO-NEXT: "sm_80",
// TWO-NEXT: "sm_90a"
// TWO-NEXT: ]
