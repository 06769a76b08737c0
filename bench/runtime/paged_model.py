"""How much memory a compiled model takes under a budget, and how long its steps are: `paged_model.py FOLDER [options]`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Makes a model of seeded weights in FOLDER (layers whose experts share bases of bfloat16), compiles it with --page-bases, and runs it by
moe-run with budgets that are parts of all bases. Peaks are of the process, less what it had before it opened the model; the bound is
budget + pinned weights + 10 %. The checksum of all outputs must be that of a run without a budget.
"""

import argparse
import pathlib
import re
import subprocess
import sys

LAYER = """
moe.param private @{name}.router : !moe.weight<{hidden}x{experts}xf32> = #moe.seeded<{seed}1>
moe.param private @{name}.cluster : !table = dense<{table}> : tensor<{experts}xi32>
{params}
func.func @{name}(%x: !tokens {{moec.name = "x"}}) -> (!tokens {{moec.name = "y"}}) {{
  %router = moe.leaf @{name}.router : !moe.weight<{hidden}x{experts}xf32>
  %logits = moe.apply %x, %router : !tokens, !moe.weight<{hidden}x{experts}xf32> -> tensor<?x{experts}xf32>
  %ids, %p = moe.route %logits score softmax choose <top_k 2> gates <scores, l1> : (tensor<?x{experts}xf32>) -> (!ids, tensor<?x2xf32>)
  %cluster = moe.leaf @{name}.cluster : !table
{matrices}
  %y = moe.experts %x to %ids weighted %p gate %gate up %up down %down act <silu>
    : (!tokens, !ids, tensor<?x2xf32>, !up_own, !up_own, !down_own) -> !tokens
  return %y : !tokens
}}
"""
PARAMS = """\
moe.param private @{name}.{matrix}.base : !{kind}_base = #moe.seeded<{seed}{place}1 scale 0.02> encoding <bf16>
moe.param private @{name}.{matrix}.a : !{kind}_a = #moe.seeded<{seed}{place}2 scale 0.02> encoding <bf16>
moe.param private @{name}.{matrix}.b : !{kind}_b = #moe.seeded<{seed}{place}3 scale 0.02> encoding <bf16>"""
MATRIX = """\
  %{matrix}_base = moe.leaf @{name}.{matrix}.base : !{kind}_base
  %{matrix}_a = moe.leaf @{name}.{matrix}.a : !{kind}_a
  %{matrix}_b = moe.leaf @{name}.{matrix}.b : !{kind}_b
  %{matrix}_shared = moe.weight.select %{matrix}_base by %cluster : !{kind}_base, !table
  %{matrix}_own = moe.weight.mul %{matrix}_a, %{matrix}_b : !{kind}_a, !{kind}_b
  %{matrix} = moe.weight.add %{matrix}_shared, %{matrix}_own : !{kind}_own, !{kind}_own"""


def module(layers: int, clusters: int, experts: int, hidden: int, inner: int, rank: int) -> str:
    """The text of a module of so many layers; a base has 3 · hidden · inner numbers of two bytes."""
    lines = [f"!tokens = tensor<?x{hidden}xf32>", f"!ids = tensor<?x2x!moe.id<expert[{experts}]>>"]
    lines += [f"!table = !moe.table<expert[{experts}] -> cluster[{clusters}]>"]
    for kind, rows, columns in (("up", hidden, inner), ("down", inner, hidden)):
        lines += [
            f"!{kind}_base = !moe.weight<{rows}x{columns}xf32, cluster[{clusters}]>",
            f"!{kind}_a = !moe.weight<{rows}x{rank}xf32, expert[{experts}]>",
            f"!{kind}_b = !moe.weight<{rank}x{columns}xf32, expert[{experts}]>",
            f"!{kind}_own = !moe.weight<{rows}x{columns}xf32, expert[{experts}]>",
        ]
    table = [expert % clusters for expert in range(experts)]
    for layer in range(layers):
        each = [
            {"name": f"layer{layer}", "matrix": matrix, "kind": kind, "seed": layer + 1, "place": place}
            for place, (matrix, kind) in enumerate((("gate", "up"), ("up", "up"), ("down", "down")))
        ]
        lines.append(
            LAYER.format(
                name=f"layer{layer}",
                hidden=hidden,
                experts=experts,
                seed=layer + 1,
                table=table,
                params="\n".join(PARAMS.format(**fields) for fields in each),
                matrices="\n".join(MATRIX.format(**fields) for fields in each),
            )
        )
    return "\n".join(lines)


def compile_model(binaries: pathlib.Path, folder: pathlib.Path, text: str, *options: str) -> pathlib.Path:
    """The artifact in `folder` that the module is compiled to."""
    (folder / "model.mlir").write_text(text)
    artifact = folder / "model.moec"
    command = [binaries / "moe-compile", folder / "model.mlir", "--optimize", "--separate-weights", "--page-bases", "-o", artifact]
    subprocess.run([*command, *options], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return artifact


def run(binaries: pathlib.Path, *arguments) -> str:
    """What moe-run printed."""
    done = subprocess.run([binaries / "moe-run", *map(str, arguments)], stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"moe-run: exit code {done.returncode}")
    return done.stdout


def number(pattern: str, text: str) -> float:
    return float(re.search(pattern, text).group(1))


def weight_bytes(said: str) -> float:
    """The most memory that a run took, less what it took before weights, by moe-run --steps."""
    most, start = re.search(r"memory: at most ([0-9.]+) MB, ([0-9.]+) MB of them", said).groups()
    return (float(most) - float(start)) * 1e6


def pinned_bytes(listed: str) -> int:
    """Of what is always in memory, by moe-run --list."""
    return sum(int(each) for each in re.findall(r"runs \w+, (\d+) bytes of weights", listed))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--bin", type=pathlib.Path, default=pathlib.Path("build/bin"))
    for name, value in (("layers", 8), ("clusters", 8), ("experts", 32), ("hidden", 1024), ("inner", 1536), ("rank", 8)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--tokens", type=int, default=1)
    options = parser.parse_args()
    extents = (options.layers, options.clusters, options.experts, options.hidden, options.inner, options.rank)
    artifact = compile_model(options.bin, options.folder, module(*extents), "--cpu=native")

    pinned = pinned_bytes(run(options.bin, artifact, "--list"))
    steps = (artifact, "--steps", options.steps, "--tokens", options.tokens)
    said = run(options.bin, *steps)
    whole, checksum = number(r"median ([0-9.]+) us", said), re.search(r"fnv1a (\w+)", said).group(1)
    bases = options.layers * options.clusters * 3 * options.hidden * options.inner * 2
    print(f"{bases * 1e-6:.0f} MB of bases, {pinned * 1e-6:.1f} MB pinned; without a budget {weight_bytes(said) * 1e-6:.0f} MB, {whole:.0f} us a step")
    print(f"{'budget':>8} {'predictor':>9} {'peak':>9} {'bound':>9} {'of it':>6} {'hits':>6} {'read':>9} {'a step':>10} {'ratio':>6}")
    for part in (0.125, 0.25, 0.5):
        budget = int(part * bases)
        for predictor in ("none", "hint"):
            said = run(options.bin, *steps, "--memory-budget", budget, "--predictor", predictor)
            assert re.search(r"fnv1a (\w+)", said).group(1) == checksum, "expected the values of a run without a budget"
            hits, late, misses = (number(rf"(\d+) {what}", said) for what in ("hits", "late", "misses"))
            peak, bound, step = weight_bytes(said), 1.1 * (budget + pinned), number(r"median ([0-9.]+) us", said)
            print(
                f"{budget * 1e-6:5.0f} MB {predictor:>9} {peak * 1e-6:6.1f} MB {bound * 1e-6:6.1f} MB {peak / bound:6.2f}"
                f" {hits / (hits + late + misses):6.1%} {number(r'reads of ([0-9.e+]+) MB', said):6.0f} MB {step:7.0f} us {step / whole:6.2f}"
            )


if __name__ == "__main__":
    main()
