#!/bin/sh
# The main job on a real checkpoint: import, compile exactly, profile, plan, compress, compile, run, compare, time.
# Part of moec, under the Apache License v2.0 with LLVM Exceptions.
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/build/bin:$PATH
model=examples/tiny-mixtral
samples=$model/samples.safetensors
out=demo-out
# What an exact artifact may differ by from the model's own outputs, and what the compressed one may: max|a-b| / max|a|.
exact_limit=1e-4
flat_limit=$(sed -n 's/.*flat_limit=\([0-9.e-]*\).*/\1/p' $model/README.md)
compress="--compress --clusters=4 --rank=16"
rm -rf "$out"
mkdir -p "$out"

fail() { echo "demo: FAILED: $1" >&2; exit 1; }
largest() { printf '%s\n%s\n' "$1" "$2" | sort -g | tail -1; }
mean() { awk -v sum="$1" -v count="$2" 'BEGIN { printf "%.2f", sum / count }'; }

# run NAME LIMIT: every layer of $out/NAME on the stored hidden states, against the model's own outputs. Sets worst, rms,
# clusters and kept.
run() {
  worst=0 rms=0 met=0 keep=0 layers=0
  for layer in $(moe-run "$out/$1" --list | sed -n 's/^\(layer[0-9]*\) runs .*/\1/p'); do
    key=layers.${layer#layer}
    text=$(moe-run "$out/$1" --layer "$layer" --input x=$samples:"$key".input --expect y=$samples:"$key".output \
      --max-error "$2") || fail "$1: $layer is further than $2 from the model"
    line=$(echo "$text" | grep 'max rel')
    worst=$(largest "$worst" "$(echo "$line" | sed 's/.*max rel \([^ ]*\).*/\1/')")
    rms=$(largest "$rms" "$(echo "$line" | sed 's/.*rms rel \([^ ,]*\).*/\1/')")
    met=$(awk -v a="$met" -v b="$(echo "$text" | sed -n 's/.* and \([0-9.]*\) clusters.*/\1/p')" 'BEGIN { print a + b }')
    if [ "$1" != exact ]; then
      kept=$(moe-run "$out/exact" --layer "$layer" --input x=$samples:"$key".input --compare-with="$out/$1" |
        sed -n 's/routing: \([0-9.]*\) % of the choices.*/\1/p')
      keep=$(awk -v a="$keep" -v b="$kept" 'BEGIN { print a + b }')
    fi
    layers=$((layers + 1))
  done
}
bytes() { wc -c < "$out/$1/weights.safetensors"; }
row() { printf '  %-20s %10s %10s %12s %12s %10s\n' "$@"; }

echo "== import and compile exactly"
moe-compile $model --instrument -o "$out/exact"
echo

echo "== profile: what the routers decide on other text"
for layer in $(moe-run "$out/exact" --list | sed -n 's/^\(layer[0-9]*\) runs .*/\1/p'); do
  moe-run "$out/exact" --layer "$layer" --input x=$samples:layers."${layer#layer}".profile_input \
    --profile "$out/profile.safetensors" | sed -n "s/^profile:/  $layer:/p"
done
echo

echo "== plan"
# shellcheck disable=SC2086 # several options
moe-compile $model $compress --profile "$out/profile.safetensors" --dry-run | tee "$out/plan"
echo

echo "== compress and compile; run on held-out hidden states, against the model's own outputs"
# shellcheck disable=SC2086
compile() { moe-compile $model $compress --profile "$out/profile.safetensors" --instrument "$@" > /dev/null; }
compile -o "$out/flat"
compile --two-stage=1 -o "$out/two-stage-1"
compile --two-stage=2 -o "$out/two-stage-2"

row artifact bytes clusters/t 'max rel err' 'rms rel err' 'kept %'
run exact $exact_limit
exact_err=$worst
row exact "$(bytes exact)" - "$worst" "$rms" 100
run flat "$flat_limit"
flat_err=$worst
row "flat choices" "$(bytes flat)" "$(mean "$met" "$layers")" "$worst" "$rms" "$(mean "$keep" "$layers")"
two_stage_err=0
for m in 1 2; do
  run two-stage-$m 10
  row "two stages, M = $m" "$(bytes two-stage-$m)" "$(mean "$met" "$layers")" "$worst" "$rms" "$(mean "$keep" "$layers")"
  if [ $m = 1 ]; then two_stage_err=$worst; fi
done
echo

echo "== times of a layer, on one thread"
shape=$(sed -n 's/.* layers of \([0-9]*\) experts (\([0-9]*\) chosen), hidden \([0-9]*\), intermediate \([0-9]*\),.*/"experts": \1, "k": \2, "width": \3, "inner": \4/p' "$out/plan" | head -1)
cat > "$out/shapes.json" <<EOF
{"suite": "demo", "kind": "layer", "problems": [
 {"name": "layer", $shape, "clusters": 4, "rank": 16, "encoding": "bf16", "residual_encoding": "bf16", "tokens": [1, 8, 64, 512], "contenders": [
  {"name": "exact", "form": "uncompressed", "keep": 1},
  {"name": "two stages", "form": "compressed", "keep": 1},
  {"name": "exact by OpenBLAS", "solver": "openblas", "form": "uncompressed", "keep": 1},
  {"name": "two stages by OpenBLAS", "solver": "openblas", "form": "compressed", "keep": 1}]}]}
EOF
moe-bench "$out/exact" "$out/two-stage-1" --tokens 1,8,64,512 --seconds 0.2 --json "$out/artifacts.json" > "$out/bench.log" ||
  fail "moe-bench: see $out/bench.log"
moe-bench --suite "$out/shapes.json" --seconds 0.2 --json "$out/shapes.times" >> "$out/bench.log" ||
  fail "moe-bench: see $out/bench.log"
# table FILE FIRST SECOND: times of both, and how many times faster the second is.
table() {
  sed -n 's/.*"contender": "\([^"]*\)".*"tokens": \([0-9]*\),.*"median_s": \([^,]*\),.*"speedup": \([^,]*\),.*/\2|\1|\3|\4/p' "$1" |
    awk -F'|' -v first="$2" -v second="$3" '
      $2 == first { time[$1] = $3; speed[$1] = $4 }
      $2 == second { other[$1] = $3; faster[$1] = $4; order[++count] = $1 }
      END { for (i = 1; i <= count; ++i) { t = order[i]
        printf "  %6d %10.1f us %10.1f us %8.2fx\n", t, time[t] * 1e6, other[t] * 1e6, faster[t] / speed[t] } }'
}
heading() { printf '  %6s %13s %13s %9s   %s\n' "$@"; }
heading tokens exact 'two stages' faster '(layer0 of these artifacts, with its router)'
table "$out/artifacts.json" "$out/exact" "$out/two-stage-1"
if grep -q 'left out: OpenBLAS' "$out/bench.log"; then
  echo "  OpenBLAS not found: no times of a layer composed of library calls"
else
  kernels=$(sed -n 's/.*with its kernels for //p' "$out/bench.log" | head -1)
  heading tokens OpenBLAS moec faster "(exact, same shapes, logits given, weights from memory; OpenBLAS for $kernels)"
  table "$out/shapes.times" "exact by OpenBLAS" exact
  heading tokens OpenBLAS moec faster "(two stages, the same)"
  table "$out/shapes.times" "two stages by OpenBLAS" "two stages"
fi
echo

moe-archive verify "$out/flat/weights.safetensors" | tail -1

experts=$(sed -n 's/.* layers of \([0-9]*\) experts.*/\1/p' "$out/plan" | head -1)
clusters=$(sed -n 's/^plan: \([0-9]*\) clusters.*/\1/p' "$out/plan")
params=$(sed -n 's/.*parameters .*(\([0-9.]*\)x fewer).*/\1/p' "$out/plan")
ratio=$(awk -v a="$(bytes exact)" -v b="$(bytes flat)" 'BEGIN { printf "%.2f", a / b }')
echo "demo: ok layers=$layers experts=$experts clusters=$clusters params=${params}x bytes=${ratio}x" \
  "exact_err=$exact_err flat_err=$flat_err two_stage_err=$two_stage_err"
