// The form of residuals that costs least, for each row of a table; the one that is asked for, where it fits.
// RUN: moe-compile %S/Inputs/layer.mlir --optimize --separate-weights --target=cuda --isas=sm_80 --emit=linalg -o %t.mlir
// RUN: moe-opt %t.mlir --moe-schedule-cuda-kernels=target=sm_90a --remarks-filter=moe 2>&1 | FileCheck %s
// RUN: moe-opt %t.mlir --moe-schedule-cuda-kernels=residual-form=dense --remarks-filter=moe 2>&1 | FileCheck %s --check-prefix=DENSE
// RUN: not moe-opt %t.mlir --moe-schedule-cuda-kernels=residual-form=sparse 2>&1 | FileCheck %s --check-prefix=UNKNOWN
// RUN: sed 's/x4xbf16, expert/x5xbf16, expert/; s/<4x96/<5x96/; s/<4x64/<5x64/' %S/Inputs/layer.mlir > %t.odd.mlir
// RUN: moe-compile %t.odd.mlir --optimize --separate-weights --target=cuda --isas=sm_80 --emit=linalg -o %t.mlir
// RUN: moe-opt %t.mlir --moe-schedule-cuda-kernels --remarks-filter=moe 2>&1 | FileCheck %s --check-prefix=ODD
// RUN: not moe-opt %t.mlir --moe-schedule-cuda-kernels=residual-form=present 2>&1 | FileCheck %s --check-prefix=UNFIT

// Each expert has an activation for itself, so up is for those that there are; ranks of down lie one behind the other.
// CHECK: residuals of 4.0 experts a cluster and 2.0 a row, picoseconds of h200 for 16 x 16 by form; 16 rows: slot of dense {{[0-9]+}}, present {{[0-9]+}}, slot {{[0-9]+}}; 64 rows: {{.*}}; 1024 rows: present of dense
// CHECK: residuals of 4.0 experts a cluster and 2.0 a row, picoseconds of h200 for 16 x 16 by form; 16 rows: dense of dense
// CHECK: moe.grouped_up
// CHECK-SAME: most_rows = 16 : i64, residual_form = "slot", {{.*}}most_rows = 2147483647 : i64, residual_form = "present"
// CHECK: moe.grouped_matmul
// CHECK-SAME: most_rows = 16 : i64, residual_form = "dense", {{.*}}most_rows = 2147483647 : i64, residual_form = "dense"

// DENSE-NOT: residuals of
// DENSE: moe.grouped_up
// DENSE-NOT: residual_form = "{{present|slot}}"
// DENSE: residual_form = "dense"

// UNKNOWN: option residual-form: expected auto, dense, present or slot, found 'sparse'

// Odd ranks have no form in registers.
// ODD: residuals of {{.*}} by form; 16 rows: slot of slot {{[0-9]+}}; 1024 rows: slot of slot {{[0-9]+}}
// UNFIT: error: option residual-form: expected a form that residuals of these types and ranks fit, found 'present'
