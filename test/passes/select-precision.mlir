// Encodings are chosen within a budget; the decision states the numbers behind it.
// 4 experts of 32 x 64 and 64 x 32: int4 with groups of 32 takes 4·(1024 + 128) bytes a matrix, int8 4·(2048 + 128), f32 32768.
// DEFINE: %{select} = moe-opt %s --remarks-filter='.*'
// RUN: %{select} --moe-select-precision=bytes=14000 2>%t.remarks | FileCheck %s --check-prefix=BYTES
// RUN: FileCheck %s --check-prefix=REMARK < %t.remarks
// What it makes runs through the rest.
// RUN: moe-opt %s --moe-select-precision=bytes=14000 | moe-opt --moe-optimize -o %t.optimized
// BYTES: module attributes {moe.precision = "2 matrices: 13568 bytes, error 0.0{{[0-9]+}}, at least {{[0-9.]+}} us at 1 tokens on x86-64-core"}
// BYTES: moe.param private @layer0.up : !moe.weight<32x64xf32, expert[4]> = #moe.seeded<1> encoding <int8 group 32 scale f16> {moe.precision_error = {{.+}} : f64, moe.precision_reason = "0.0{{[0-9]+}} for 3840 bytes less, 0.0002 for 7680 bytes more", moe.relative_error = array<f64: 0.00{{[0-9]+}}, 0.00{{[0-9]+}}>}
// BYTES: moe.param private @layer0.down : !moe.weight<64x32xf32, expert[4]> = #moe.seeded<2> encoding <int4 group 32 zero_point scale f16>
// REMARK: [Missed] select-precision{{.+}}up left as it is: expected matrices of experts, bases by a table or low-rank products, as leaves
// REMARK: [Analysis] select-precision{{.+}}2 matrices: 13568 bytes, error 0.0{{[0-9]+}}, at least {{[0-9.]+}} us at 1 tokens on x86-64-core
// REMARK: [Passed] select-precision{{.+}}up: int8 group 32 scale f16, 8704 bytes, error 0.00{{[0-9]+}}, 0.26 us; of weights, of 6 mixes; with fewer bytes int4 group 32 zero_point scale f16, 4864 bytes
// REMARK: [Passed] select-precision{{.+}}down: int4 group 32 zero_point scale f16, 4864 bytes, error 0.0{{[0-9]+}}, {{[0-9.]+}} us; of weights, of 6 mixes; with fewer bytes int4 group 32 scale f16, 4608 bytes, error 0.0{{[0-9]+}}, {{[0-9.]+}} us; with less error int8 group 32 scale f16, 8704 bytes
// REMARK-NOT: select-precision

// As many bytes as there are: all stay exact. The fewest possible: int4.
// RUN: %{select} --moe-select-precision=bytes=65536 2>&1 >/dev/null | FileCheck %s --check-prefix=MANY
// MANY: 2 matrices: 65536 bytes, error 0.0000
// RUN: %{select} --moe-select-precision=bytes=9216 2>&1 >/dev/null | FileCheck %s --check-prefix=FEW
// FEW: 2 matrices: 9216 bytes, error 0.0
// RUN: not moe-opt %s --moe-select-precision=bytes=9215 2>&1 | FileCheck %s --check-prefix=NOBYTES
// NOBYTES: error: option bytes: expected at least 9216, the fewest possible, found 9215

// The fewest bytes within an error; a bound that nothing but the weights as they are keeps; one that products of low rank cannot.
// RUN: %{select} --moe-select-precision=error-budget=0.02 2>&1 >/dev/null | FileCheck %s --check-prefix=ERROR
// ERROR: 2 matrices: 17408 bytes, error 0.00
// RUN: %{select} --moe-select-precision=error-budget=0.0000001 2>&1 >/dev/null | FileCheck %s --check-prefix=MANY
// RUN: not moe-opt %s --moe-factorize-experts="base=none rank=16" --moe-select-precision=error-budget=0.01 2>&1 | FileCheck %s --check-prefix=NOERROR
// NOERROR: error: option error-budget: expected at least 0.{{[0-9]+}}, the least possible, found 0.01000

// The least error within a time. f32 experts need 32768 bytes of two experts at 17 GB/s for one token.
// RUN: %{select} --moe-select-precision=latency-us=1 2>&1 >/dev/null | FileCheck %s --check-prefix=TIME
// TIME: 2 matrices: 32768 bytes, error 0.0002, at least 0.96 us at 1 tokens on x86-64-core
// RUN: %{select} --moe-select-precision=latency-us=2 2>&1 >/dev/null | FileCheck %s --check-prefix=MANY
// RUN: not moe-opt %s --moe-select-precision="latency-us=0.001 target-tokens=4 target-description=h200" 2>&1 | FileCheck %s --check-prefix=NOTIME
// NOTIME: error: option latency-us: expected at least 0.00{{[0-9]+}}, the least possible at 4 tokens on h200, found 0.00100

// Presets. At one token int4 is fastest; where arithmetic is what takes time the exact weights are as fast, and are kept.
// RUN: %{select} --moe-select-precision=preset=paper 2>&1 >/dev/null | FileCheck %s --check-prefix=PAPER
// PAPER: 2 matrices: 32768 bytes
// PAPER: up: f16, 16384 bytes
// RUN: moe-opt %s --moe-select-precision=preset=exact | FileCheck %s --check-prefix=EXACT
// EXACT: moe.param private @layer0.up : !moe.weight<32x64xf32, expert[4]> = #moe.seeded<1> {{.+}}moe.relative_error = array<f64: 0.000000e+00, 0.000000e+00>}
// RUN: %{select} --moe-select-precision=preset=small 2>&1 >/dev/null | FileCheck %s --check-prefix=FEW
// RUN: %{select} --moe-select-precision="preset=small error-budget=0.02" 2>&1 >/dev/null | FileCheck %s --check-prefix=ERROR
// RUN: %{select} --moe-select-precision=preset=fast 2>&1 >/dev/null | FileCheck %s --check-prefix=FAST
// FAST: at 1 tokens
// FAST: up: int4 group 32
// RUN: %{select} --moe-select-precision="target-tokens=100000 target-description=h200" 2>&1 >/dev/null | FileCheck %s --check-prefix=FULL
// FULL: error 0.0000, at least {{[0-9.]+}} us at 100000 tokens on h200
// FULL: up: f32

// Rows that are rounded: at 64 tokens products of integers are worth int8; a target that has no such products has rows as they are.
// RUN: %{select} --moe-select-precision="target-tokens=64" 2>&1 >/dev/null | FileCheck %s --check-prefix=FLOATS
// FLOATS: us at 64 tokens on x86-64-core"
// FLOATS: up: f32
// RUN: %{select} --moe-select-precision="target-tokens=64 activations=int8" 2>&1 >/dev/null | FileCheck %s --check-prefix=INTEGERS
// INTEGERS: us at 64 tokens on x86-64-core, rows in int8
// INTEGERS: up: int{{[48]}} group 32
// RUN: %{select} --moe-select-precision="target-tokens=64 activations=bf16" 2>&1 >/dev/null | FileCheck %s --check-prefix=NORATE
// NORATE: [Missed] select-precision{{.+}}times are those of rows as they are: target x86-64-core: expected arithmetic of bf16, found that of f32, int8
// NORATE: us at 64 tokens on x86-64-core"

// The user's encodings; groups that do not divide get smaller, or are left out.
// RUN: %{select} --moe-select-precision="bytes=14000 encodings='bf16,int8 group 24 scale f16,mxfp4 group 32'" 2>&1 >/dev/null | FileCheck %s --check-prefix=MENU
// MENU: [Analysis] select-precision{{.+}}up: experts: group 16 for int8 group 24 scale f16, whose group does not divide 32
// MENU: 2 matrices: {{[0-9]+}} bytes
// MENU: [Passed] select-precision{{.+}}of 4 mixes; with fewer bytes mxfp4 group 32

// Bad input.
// RUN: not moe-opt %s --moe-select-precision 2>&1 | FileCheck %s --check-prefix=NONE
// NONE: error: expected a preset, a budget or target-tokens, found none
// RUN: not moe-opt %s --moe-select-precision=bytes=-1 2>&1 | FileCheck %s --check-prefix=NEGATIVE
// NEGATIVE: error: expected bytes, error-budget, latency-us and target-tokens to be positive
// RUN: not moe-opt %s --moe-select-precision="bytes=1 latency-us=1" 2>&1 | FileCheck %s --check-prefix=TWO
// TWO: error: expected one of the options bytes, error-budget and latency-us, found 2
// RUN: not moe-opt %s --moe-select-precision="preset=paper error-budget=1" 2>&1 | FileCheck %s --check-prefix=FIXED
// FIXED: error: expected no budget beside a preset that fixes the encodings, found one
// RUN: not moe-opt %s --moe-select-precision="preset=exact encodings=bf16" 2>&1 | FileCheck %s --check-prefix=NOMENU
// NOMENU: error: expected no encodings beside a preset that fixes them, found 'bf16'
// RUN: not moe-opt %s --moe-select-precision="preset=small bytes=1" 2>&1 | FileCheck %s --check-prefix=PRESET
// PRESET: error: expected error-budget or no budget beside a preset, found bytes
// RUN: not moe-opt %s --moe-select-precision="preset=fast latency-us=1" 2>&1 | FileCheck %s --check-prefix=LATENCY
// LATENCY: error: expected error-budget or no budget beside a preset, found latency-us
// RUN: not moe-opt %s --moe-select-precision="preset=small encodings=int5" 2>&1 | FileCheck %s --check-prefix=ENCODING
// ENCODING: error: option encodings: expected an encoding such as 'bf16'
// RUN: not moe-opt %s --moe-select-precision="preset=small target-description=%t.absent" 2>&1 | FileCheck %s --check-prefix=TARGET
// TARGET: error: option target-description: {{.+}}.absent
// RUN: not moe-opt %s --moe-select-precision="preset=small profile=%t.absent" 2>&1 | FileCheck %s --check-prefix=PROFILE
// PROFILE: error: option profile: {{.+}}.absent
// RUN: not moe-opt %s --moe-select-precision="preset=small weights=nonsense" 2>&1 | FileCheck %s --check-prefix=SCOPE
// SCOPE: error: option weights: expected scope=

!up = !moe.weight<32x64xf32, expert[4]>
!down = !moe.weight<64x32xf32, expert[4]>
!ids = tensor<?x2x!moe.id<expert[4]>>

moe.param private @layer0.up : !up = #moe.seeded<1>
moe.param private @layer0.down : !down = #moe.seeded<2>
func.func @layer0(%x: tensor<?x32xf32>, %ids: !ids, %p: tensor<?x2xf32>) -> tensor<?x32xf32> {
  %u = moe.leaf @layer0.up : !up
  %d = moe.leaf @layer0.down : !down
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> : (tensor<?x32xf32>, !ids, tensor<?x2xf32>, !up, !down) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}

// Weights that layers share are chosen for once; those that are arguments are nobody's to choose for.
func.func @layer1(%x: tensor<?x32xf32>, %ids: !ids, %p: tensor<?x2xf32>, %u: !up) -> tensor<?x32xf32> {
  %d = moe.leaf @layer0.down : !down
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> : (tensor<?x32xf32>, !ids, tensor<?x2xf32>, !up, !down) -> tensor<?x32xf32>
  return %y : tensor<?x32xf32>
}
