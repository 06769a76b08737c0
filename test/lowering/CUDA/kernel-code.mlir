// What threads of a block do together, as instructions: votes, shuffles, barriers, atomics in shared memory.
// RUN: moe-compile %S/Inputs/layer.mlir --optimize --separate-weights --target=cuda --emit=ptx -o %t.ptx
// RUN: awk '/entry block0_group_rows/ {found = 1} found' %t.ptx | FileCheck %s --check-prefix=ROWS
// RUN: awk '/entry block0_group_pairs/ {found = 1} found' %t.ptx | FileCheck %s --check-prefix=PAIRS

// ROWS: atom.shared.add.u32
// ROWS: bar.sync
// ROWS: match.any.sync.b32
// ROWS: popc.b32
// ROWS: .visible .entry block0_group_pairs

// PAIRS-COUNT-5: shfl.sync.up.b32
// PAIRS:         bar.sync
// PAIRS:         .visible .entry block0_tiles
