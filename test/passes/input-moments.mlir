// Codes are chosen by the second moments that a profile has of a matrix's inputs; where it has none, or of others, the remark says so.
// REQUIRES: moe-compile, moe-run
// RUN: rm -rf %t && mkdir %t
// DEFINE: %{model} = %source_root/examples/tiny-mixtral
// DEFINE: %{layer} = %S/Inputs/tiny-mixtral-layer.mlir
// DEFINE: %{run} = moe-opt %{layer} --remarks-filter='.*'
// DEFINE: %{weights} = weights=model=%{model} weights=profile=%t/profile profile=%t/profile
// RUN: moe-compile %{model} --instrument --opt-level=0 --cpu=native -o %t/exact
// RUN: moe-run %t/exact --layer layer0 --input x=%{model}/samples.safetensors:layers.0.profile_input --profile %t/profile > /dev/null

// Experts as they are: outputs err less than half as much, weights more.
// RUN: %{run} --moe-encode-experts="%{weights} encoding='int4 group 32 scale f16'" -o /dev/null 2>&1 | FileCheck %s --check-prefix=NEAREST
// NEAREST: gate: int4 group 32 scale f16; relative error 0.09{{[0-9]+}} mean, 0.09{{[0-9]+}} largest"
// RUN: %{run} --moe-encode-experts="%{weights} encoding='int4 group 32 scale f16' rounding=calibrated" 2>%t/remarks | FileCheck %s --check-prefix=ENCODED
// RUN: FileCheck %s --check-prefix=REMARKS < %t/remarks
// ENCODED: moe.param private @layer0.gate : {{.+}} encoding <int4 group 32 scale f16> rounded by @layer0.gate.moments
// ENCODED: moe.param private @layer0.up : {{.+}} encoding <int4 group 32 scale f16> rounded by @layer0.up.moments
// ENCODED: moe.param private @layer0.down : {{.+}} encoding <int4 group 32 scale f16> {moe.relative_error
// ENCODED: moe.param private @layer0.gate.moments : !moe.weight<96x96xf32> = #moe.external<"profile"::"layers.0.input_moments_full">
// REMARKS: gate: int4 group 32 scale f16; relative error 0.1{{[0-9]+}} mean, 0.1{{[0-9]+}} largest; calibrated, of outputs 0.03{{[0-9]+}} mean, 0.03{{[0-9]+}} largest
// REMARKS: [Missed] encode-experts{{.+}}down is rounded to nearest: the profile has no second moments of its inputs
// REMARKS: down: int4 group 32 scale f16; relative error 0.09{{[0-9]+}} mean, 0.09{{[0-9]+}} largest"
// Encodings without scales leave no choice.
// RUN: %{run} --moe-encode-experts="%{weights} encoding=f16 rounding=calibrated" 2>&1 | FileCheck %s --check-prefix=PLAIN
// PLAIN-NOT: nearest
// PLAIN-NOT: rounded by
// Without a profile nothing is known.
// RUN: %{run} --moe-encode-experts="weights=model=%{model} encoding='int8 group 32' rounding=calibrated" -o /dev/null 2>&1 | FileCheck %s --check-prefix=NOPROFILE
// NOPROFILE: gate is rounded to nearest: the profile has no second moments of its inputs
// A second time the param of the moments is found again.
// RUN: moe-opt %{layer} --moe-encode-experts="%{weights} encoding='int8 group 32' rounding=calibrated" --moe-encode-experts="%{weights} encoding='int4 group 32' rounding=calibrated" | FileCheck %s --check-prefix=TWICE
// TWICE: @layer0.gate : {{.+}} encoding <int4 group 32> rounded by @layer0.gate.moments
// TWICE-COUNT-2: #moe.external<"profile"::
// TWICE-NOT: #moe.external<"profile"::

// Hidden activations, where the profile has them: of another width they are refused.
// RUN: %python %S/Inputs/add_moments.py %t/profile %t/hidden 160 full
// RUN: %{run} --moe-encode-experts="weights=model=%{model} profile=%t/hidden encoding='int4 group 32' rounding=calibrated" -o /dev/null 2>&1 | FileCheck %s --check-prefix=HIDDEN
// HIDDEN: down: int4 group 32; relative error 0.{{[0-9]+}} mean, 0.{{[0-9]+}} largest; calibrated, of outputs 0.0
// RUN: %python %S/Inputs/add_moments.py %t/profile %t/narrow 80 full
// RUN: not moe-opt %{layer} --moe-encode-experts="weights=model=%{model} profile=%t/narrow encoding='int4 group 32' rounding=calibrated" 2>&1 | FileCheck %s --check-prefix=NARROW
// NARROW: error: 'moe.experts' op has 160 rows of down, but the profile has moments of 80

// Input factors; output factors multiply what these make, and bases are left for residuals to make up for. Neurons in another order
// are not those of the profile.
// DEFINE: %{clusters} = --moe-cluster-experts="weights=model=%{model} clusters=4"
// DEFINE: %{encodings} = rank=16 base-encoding='int4 group 32' residual-encoding='int8 group 16' rounding=calibrated
// RUN: %{run} %{clusters} --moe-factorize-experts="%{weights} %{encodings} whiten=full" 2>/dev/null | FileCheck %s --check-prefix=BASES
// BASES: @layer0.gate.moments
// BASES: @layer0.gate.base : {{.+}} encoding <int4 group 32> {
// BASES: @layer0.gate.a : {{.+}} whitened by @layer0.gate.moments> encoding <int8 group 16> rounded by @layer0.gate.moments
// BASES: @layer0.gate.b : {{.+}} whitened by @layer0.gate.moments> encoding <int8 group 16>{{$}}
// Bases alone.
// RUN: %{run} %{clusters} --moe-factorize-experts="%{weights} residual=none base-encoding='int4 group 32' rounding=calibrated" 2>/dev/null | FileCheck %s --check-prefix=ALONE
// ALONE: @layer0.gate.base : {{.+}} encoding <int4 group 32> rounded by @layer0.gate.moments
// ALONE: @layer0.down.base : {{.+}} encoding <int4 group 32> {
// RUN: %{run} --moe-cluster-experts="weights=model=seeded:1 clusters=4" --moe-factorize-experts="weights=model=seeded:1 weights=profile=%t/hidden profile=%t/hidden %{encodings} align=true" -o /dev/null 2>&1 | FileCheck %s --check-prefix=ALIGNED
// ALIGNED: [Missed] factorize-experts{{.+}}down is rounded to nearest: the profile knows its neurons in their old order

// Chosen encodings: errors are measured on the codes that are stored.
// DEFINE: %{select} = %{run} --moe-select-precision="%{weights} preset=small encodings='int4 group 32 scale f16' cache=%t/cache rounding=calibrated"
// RUN: %{select} 2>&1 | FileCheck %s --check-prefix=CHOSEN
// CHOSEN: cache miss: errors of gate
// CHOSEN: down is rounded to nearest: the profile has no second moments of its inputs
// CHOSEN: gate: int4 group 32 scale f16, 138240 bytes, error 0.03{{[0-9]+}}, {{[0-9.]+}} us; of outputs
// CHOSEN: @layer0.gate : {{.+}} encoding <int4 group 32 scale f16> rounded by @layer0.gate.moments
// What was rounded to nearest is another entry of the cache; a change of mind undoes the other.
// RUN: moe-opt %{layer} --moe-encode-experts="%{weights} encoding='int8 group 32' rounding=calibrated" --moe-select-precision="%{weights} preset=small encodings='int4 group 32 scale f16' cache=%t/cache" --remarks-filter='.*' 2>&1 | FileCheck %s --check-prefix=UNDONE
// UNDONE: cache miss: errors of gate
// UNDONE-NOT: rounded by
// RUN: %{run} %{clusters} --moe-factorize-experts="%{weights} rank=16" --moe-select-precision="%{weights} bytes=400000 rounding=calibrated" 2>/dev/null | FileCheck %s --check-prefix=SHARED
// SHARED: @layer0.gate.base : {{.+}} encoding <int{{.+}} scale f16> {
// SHARED: @layer0.gate.a : {{.+}} encoding <int{{.+}}> rounded by @layer0.gate.moments
// SHARED: @layer0.gate.b : {{.+}} encoding <int{{[^>]+}}> {
// RUN: %{run} %{clusters} --moe-factorize-experts="%{weights} residual=none" --moe-select-precision="%{weights} preset=small rounding=calibrated" 2>/dev/null | FileCheck %s --check-prefix=MERGED
// MERGED: @layer0.gate.base : {{.+}} encoding <int4 group 32 {{.*}}scale f16> rounded by @layer0.gate.moments
