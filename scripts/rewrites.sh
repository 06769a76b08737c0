#!/bin/sh
# Shows one shared-basis block on its way from graph to running library, and that every rewrite keeps its numbers.
# Part of moec, under the Apache License v2.0 with LLVM Exceptions.
set -eu
cd "$(dirname "$0")/.."
PATH=$PWD/build/bin:$PATH
block=examples/shared_basis_block.mlir
out=demo-out/rewrites
limit=1e-5
rm -rf "$out"
mkdir -p "$out"

# The moe operations of a form: params by name, operand types left out, the result's type kept.
fold() {
  awk '
    /= moe\.leaf / { name[$1] = $4; next }
    !/moe\.(route|experts|weight|clusters_of|apply|spread|combine|activate|group|gather|scatter)/ { next }
    /moe\.param/ { next }
    {
      sub(/^ +/, "")
      result = match($0, /-> [^>]*[^(]*$/) ? substr($0, RSTART) : ""
      while (match($0, / : [^()]*\)/)) $0 = substr($0, 1, RSTART - 1) ")" substr($0, RSTART + RLENGTH)
      sub(/ outs\(.*/, ""); sub(/ : .*/, ""); sub(/ -> .*/, "")
      line = ""
      while (match($0, /%[a-zA-Z0-9_]+/)) {
        word = substr($0, RSTART, RLENGTH)
        line = line substr($0, 1, RSTART - 1) (word in name ? name[word] : word)
        $0 = substr($0, RSTART + RLENGTH)
      }
      line = line $0
      if (line ~ /moe\.(apply|spread|combine|gather|grouped_matmul|grouped_up|scatter_combine)/) line = line "  " result
      print "  " line
    }'
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
    { echo "rewrites: FAILED: $1 differs by more than $limit" >&2; exit 1; }
  error=$(echo "$line" | sed -E 's|.*max rel ([0-9.e+-]+).*|\1|')
  printf '  %-28s max relative error %s\n' "$1" "$error"
  worst=$(printf '%s\n%s\n' "$worst" "$error" | sort -g | tail -1)
}
check moe-decompose-experts "$share"
check moe-distribute-weights "$share,moe-distribute-weights"
check moe-share-base "$share,moe-share-base,canonicalize,cse"
check moe-group-tokens "$share,moe-share-base,canonicalize,cse,moe-group-tokens"
check moe-fuse-residual "$share,moe-share-base,canonicalize,cse,moe-group-tokens,cse,moe-fuse-residual"
check moe-fuse-combine "$share,moe-share-base,canonicalize,cse,moe-group-tokens,cse,moe-fuse-residual,canonicalize,cse,moe-fuse-combine"
echo

before=$(count graph)
after=$(count scheduled)
ratio=$(awk "BEGIN { printf \"%.2f\", $before / $after }")
echo "rewrites: ok multiply_adds_per_token=$before->$after (${ratio}x fewer) max_relative_error=$worst (limit $limit)"
