#!/bin/sh
# Shows one shared-basis block on its way from graph to running library, and that every rewrite keeps its numbers.
# Part of moec, under the Apache License v2.0 with LLVM Exceptions.
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/build/bin:$PATH
block=examples/shared_basis_block.mlir
out=demo-out
limit=1e-5
rm -rf "$out"
mkdir -p "$out"

# The moe operations of a form: without the parts around them, long types by name.
fold() {
  grep -E '= moe\.|moe\.(group|gather|grouped_matmul|scatter_combine)' | grep -v 'moe\.leaf' |
    sed -E -e 's/^ +//' \
      -e 's/ : (\(|tensor|!moe\.weight).*//' \
      -e 's/ *: tensor<[^)]*\)/)/g' -e 's/ *: !moe\.weight<[^)]*\)/)/g' -e 's/ outs\([^)]*\).*//' |
    cut -c1-150
}

count() {
  moe-opt "$block" --pass-pipeline="builtin.module(moe-optimize{to=$1},func.func(moe-count-multiply-adds))" |
    sed -n 's/.*moe.multiply_adds_per_token = \([0-9]*\).*/\1/p'
}

for form in graph slot scheduled; do
  echo "== $form form: $(count $form) multiply-adds per token in the expert layer"
  moe-opt "$block" --moe-optimize=to=$form | fold
  echo
done

echo "== decisions"
moe-opt "$block" --moe-optimize --remarks-filter='.*' 2>&1 >/dev/null |
  sed -n -E 's/.*remark: \[(Passed|Missed)\] ([a-z-]+).*Remark="(.*)"/  \2: \3/p' | sort | uniq -c |
  sed -E 's/^ *([0-9]+) +/  \1 x /'
echo

echo "== compiled ahead of time after each rewrite, run on 64 seeded tokens, compared with the block as written"
share="canonicalize,cse,moe-decompose-experts"
moe-compile "$block" -o "$out/original"
worst=0
previous=""
check() {
  moe-compile "$block" -o "$out/$1" --passes="func.func($2)"
  line=$(moe-run "$out/original" --compare-with="$out/$1" --tokens 64 --max-error $limit | grep 'max rel') ||
    { echo "demo: FAILED: $1 differs by more than $limit" >&2; exit 1; }
  error=$(echo "$line" | sed -E 's|.*max rel ([0-9.e+-]+).*|\1|')
  printf '  %-28s max relative error %s\n' "$1" "$error"
  worst=$(printf '%s\n%s\n' "$worst" "$error" | sort -g | tail -1)
}
check moe-decompose-experts "$share"
check moe-distribute-weights "$share,moe-distribute-weights"
check moe-share-base "$share,moe-share-base,canonicalize,cse"
check moe-group-tokens "$share,moe-share-base,canonicalize,cse,moe-group-tokens"
check moe-fuse-residual "$share,moe-share-base,canonicalize,cse,moe-group-tokens,cse,moe-fuse-residual"
echo

before=$(count graph)
after=$(count scheduled)
ratio=$(awk "BEGIN { printf \"%.2f\", $before / $after }")
echo "demo: ok multiply_adds_per_token=$before->$after (${ratio}x fewer) max_relative_error=$worst (limit $limit)"
