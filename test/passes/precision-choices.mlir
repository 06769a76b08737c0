// What encodings are measured by: traffic and moments of a profile, kept statistics, values that an encoding cannot hold.
// REQUIRES: moe-compile, moe-run
// RUN: rm -rf %t && mkdir %t
// DEFINE: %{model} = %source_root/examples/tiny-mixtral
// DEFINE: %{layer} = %S/Inputs/tiny-mixtral-layer.mlir
// RUN: moe-compile %{model} --instrument --opt-level=0 --cpu=native -o %t/exact
// RUN: moe-run %t/exact --layer layer0 --input x=%{model}/samples.safetensors:layers.0.profile_input --profile %t/profile > /dev/null

// With second moments of inputs errors are those of outputs; without, of weights.
// DEFINE: %{select} = moe-opt %{layer} --moe-select-precision="weights=model=%{model} preset=small profile=%t/profile cache=%t/cache" --remarks-filter='.*' -o /dev/null
// RUN: %{select} 2>&1 | FileCheck %s --check-prefix=OUTPUTS
// OUTPUTS: cache miss: errors of gate
// OUTPUTS: cache miss: errors of up
// OUTPUTS: cache miss: errors of down
// OUTPUTS: [Passed] select-precision{{.+}}gate: int4 group 32 scale f16, 138240 bytes, error 0.07{{[0-9]+}}, {{[0-9.]+}} us; of outputs
// OUTPUTS: [Passed] select-precision{{.+}}down: int4 group 32 scale f16, 138240 bytes, error 0.09{{[0-9]+}}, {{[0-9.]+}} us; of weights
// RUN: moe-opt %{layer} --moe-select-precision="weights=model=%{model} preset=small progress=true" --remarks-filter='.*' -o /dev/null 2>&1 | FileCheck %s --check-prefix=WEIGHTS
// WEIGHTS: gate: int4 group 32 scale f16, 138240 bytes, error 0.09{{[0-9]+}}, {{[0-9.]+}} us; of weights
// WEIGHTS: down: int4 group 32 scale f16, 138240 bytes, error 0.0970
// Experts count as often as they were chosen: of one token there are two.
// RUN: moe-run %t/exact --layer layer0 --tokens 1 --profile %t/one > /dev/null
// RUN: moe-opt %{layer} --moe-select-precision="weights=model=%{model} preset=small profile=%t/one" --remarks-filter='.*' -o /dev/null 2>&1 | FileCheck %s --check-prefix=USED
// USED: down: int4 group 32 scale f16, 138240 bytes, error 0.0976
// A second run finds the errors.
// RUN: %{select} 2>&1 | FileCheck %s --check-prefix=FOUND
// FOUND-NOT: cache miss
// FOUND: cache hit: errors of down
// FOUND: gate: int4 group 32 scale f16, 138240 bytes, error 0.07

// Of hidden activations only the first is ever there, so that of down only its first row counts; of another width they are refused.
// RUN: %python %S/Inputs/add_moments.py %t/profile %t/hidden 160
// RUN: moe-opt %{layer} --moe-select-precision="weights=model=%{model} preset=small profile=%t/hidden" --remarks-filter='.*' -o /dev/null 2>&1 | FileCheck %s --check-prefix=HIDDEN
// HIDDEN: [Passed] select-precision{{.+}}down: int4 group 32 {{.+}} us; of outputs
// RUN: %python %S/Inputs/add_moments.py %t/profile %t/narrow 80
// RUN: not moe-opt %{layer} --moe-select-precision="weights=model=%{model} preset=small profile=%t/narrow" 2>&1 | FileCheck %s --check-prefix=NARROW
// NARROW: error: 'moe.experts' op has 160 rows of down, but the profile has moments of 80
// Neurons that were put in another order are not those of the profile.
// RUN: moe-opt %{layer} --moe-cluster-experts="weights=model=seeded:1 clusters=4" --moe-factorize-experts="weights=model=seeded:1 rank=16 align=true" --moe-select-precision="weights=model=seeded:1 preset=paper profile=%t/hidden" --remarks-filter='.*' 2>&1 -o /dev/null | FileCheck %s --check-prefix=ORDER
// ORDER: [Missed] select-precision{{.+}}errors of down are those of weights: the profile knows its neurons in their old order

// Residuals that are whitened are fitted so here too.
// RUN: moe-opt %{layer} --moe-cluster-experts="weights=model=%{model} clusters=4" --moe-factorize-experts="weights=model=%{model} weights=profile=%t/profile profile=%t/profile rank=16 whiten=diagonal" --moe-select-precision="weights=model=%{model} weights=profile=%t/profile profile=%t/profile preset=exact" --remarks-filter='.*' 2>&1 -o /dev/null | FileCheck %s --check-prefix=WHITE
// RUN: moe-opt %{layer} --moe-cluster-experts="weights=model=%{model} clusters=4" --moe-factorize-experts="weights=model=%{model} rank=16" --moe-select-precision="weights=model=%{model} profile=%t/profile preset=exact" --remarks-filter='.*' 2>&1 -o /dev/null | FileCheck %s --check-prefix=UNFITTED
// WHITE: [Passed] select-precision{{.+}}gate: base bf16, residual bf16, 253952 bytes, error 0.10
// UNFITTED: [Passed] select-precision{{.+}}gate: base bf16, residual bf16, 253952 bytes, error 0.12

// What is too large for f16 stays as it is, or is refused where f16 is all there is; NaN is refused by name.
// RUN: moe-opt %{layer} --moe-select-precision="weights=model=splat:1000000 preset=small encodings=f16" --remarks-filter='.*' -o /dev/null 2>&1 | FileCheck %s --check-prefix=LARGE
// LARGE: [Analysis] select-precision{{.+}}3 matrices: 1474560 bytes
// RUN: sed 's/encoding <bf16>//' %{layer} > %t/wide.mlir
// RUN: moe-opt %t/wide.mlir --moe-select-precision="weights=model=splat:1000000 preset=small encodings=f16" --remarks-filter='.*' -o /dev/null 2>&1 | FileCheck %s --check-prefix=DROPPED
// DROPPED: [Missed] select-precision{{.+}}gate: not f16, which does not hold its values
// DROPPED: 3 matrices: 2949120 bytes
// RUN: not moe-opt %{layer} --moe-select-precision="weights=model=splat:1000000 preset=paper" 2>&1 | FileCheck %s --check-prefix=NOTHING
// NOTHING: error: 'moe.experts' op expected an encoding that holds the values of gate, found none
// RUN: mkdir %t/nan && cp %{model}/config.json %t/nan && %python %source_root/test/tools/moe-compile/Inputs/spoil_weight.py %{model}/model.safetensors %t/nan/model.safetensors
// RUN: sed 's/layers.0.down/layers.1.down/' %{layer} > %t/layer1.mlir
// RUN: not moe-opt %t/layer1.mlir --moe-select-precision="weights=model=%t/nan preset=small" 2>&1 | FileCheck %s --check-prefix=NAN
// NAN: error: 'moe.experts' op layer0.down: expected finite values, found nan at [3, 5, 0]
// Groups that nothing divides leave an encoding out.
// RUN: moe-opt %s --moe-select-precision="preset=small" --remarks-filter='.*' -o /dev/null 2>&1 | FileCheck %s --check-prefix=PRIME
// PRIME: [Missed] select-precision{{.+}}up: experts without int4 group 32 scale f16, whose group does not divide 37
// A group of zeros stays one; scales of denormals round to zero, and the error says so.
// RUN: moe-opt %{layer} --moe-select-precision="weights=model=splat:0 preset=small" --remarks-filter='.*' -o /dev/null 2>&1 | FileCheck %s --check-prefix=ZERO
// ZERO: gate: int4 group 32 scale f16, 138240 bytes, error 0.0000
// RUN: moe-opt %{layer} --moe-select-precision="weights=model=splat:1e-12 preset=small" --remarks-filter='.*' -o /dev/null 2>&1 | FileCheck %s --check-prefix=TINY
// TINY: gate: bf16, 491520 bytes, error 0.0000, {{[0-9.]+}} us; of weights, of 5 mixes; with fewer bytes int4 group 32 scale f16, 138240 bytes, error 1.0000

!up = !moe.weight<37x35xf32, expert[2]>
!down = !moe.weight<35x37xf32, expert[2]>
moe.param private @up : !up = #moe.seeded<1>
moe.param private @down : !down = #moe.seeded<2>
func.func @layer0(%x: tensor<?x37xf32>, %ids: tensor<?x1x!moe.id<expert[2]>>, %p: tensor<?x1xf32>) -> tensor<?x37xf32> {
  %u = moe.leaf @up : !up
  %d = moe.leaf @down : !down
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu> : (tensor<?x37xf32>, tensor<?x1x!moe.id<expert[2]>>, tensor<?x1xf32>, !up, !down) -> tensor<?x37xf32>
  return %y : tensor<?x37xf32>
}
