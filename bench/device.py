#!/usr/bin/env python3
"""Layers on a CUDA device, against what the device can do and against the same layer uncompressed.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

    python3 bench/device.py prepare           where the tools are: compiles all layers into build/device-bench
    python3 bench/device.py run -o FILE.md    where the device is: validates, then times; under eight minutes

`run` needs build/bin, build/lib and build/device-bench, and nothing else: no compiler, no Python package. It begins with single
instructions (micro_kernels.py; --golden FILE keeps what the device made of them), then compares layers with the reference. --peers PYTHON, one
that has PyTorch and transformers, times those on the same shapes. Weights are made on the
device. Times are medians of replayed graphs by the device's clock; a layer is everything from hidden states and router logits to
the output, a router is timed alone too. Work and bytes are those of the algorithm for uniform routing: 2·P for each (token, cluster)
and 2·R for each (token, expert); bases and residuals of the clusters and experts that some token chose, once.
"""

import argparse
import json
import math
import os
import pathlib
import subprocess
import sys
from dataclasses import dataclass

import micro_kernels

ROOT = pathlib.Path(__file__).resolve().parents[1]
TARGETS = ("sm_80", "sm_90a")
# Largest difference from the reference lowering, in units of the largest output: rows and hidden rows are rounded to bf16.
MOST_ERROR = 6 * 2.0**-8


@dataclass(frozen=True)
class Shape:
    """A layer: width d, inner width f, experts, clusters, choices of a token, rank of residuals."""

    name: str
    d: int
    f: int
    experts: int
    clusters: int
    k: int
    rank: int

    @property
    def base(self):
        return 3 * self.d * self.f

    @property
    def residual(self):
        return 3 * self.rank * (self.d + self.f)


SHAPES = [
    Shape("paper-like", 4096, 14336, 32, 4, 2, 16),
    Shape("Mixtral", 4096, 14336, 8, 2, 2, 16),
    Shape("DeepSeek-V3", 7168, 2048, 256, 16, 8, 16),
    Shape("Qwen3-30B", 2048, 768, 128, 8, 8, 16),
]
TINY = Shape("tiny", 64, 96, 16, 4, 2, 4)
MEDIUM = Shape("medium", 512, 1408, 16, 4, 4, 16)
# What a token's choice is: the experts of its best cluster, or of any; and the same with a matrix for each expert.
FORMS = ("two-stage", "flat", "uncompressed")
TOKENS = (1, 8, 32, 64, 128, 512, 4096, 8192)


class Module:
    """The text of a layer whose weights are arguments."""

    def __init__(self, shape, form):
        self.shape, self.form = shape, form
        self.arguments, self.lines = [], []

    def weight(self, name, rows, columns, axis, count):
        stored, kind = f"tensor<{count}x{rows}x{columns}xbf16>", f"!moe.weight<{rows}x{columns}xbf16, {axis}[{count}]>"
        self.arguments.append(f'%{name}: {stored} {{moec.name = "{name}"}}')
        self.lines.append(f"%{name}_w = moe.wrap %{name} : {stored} to {kind}")
        return f"%{name}_w", kind

    def matrix(self, name, rows, columns):
        """Base and residual of each expert, or a matrix of its own."""
        s = self.shape
        if self.form == "uncompressed":
            return self.weight(name, rows, columns, "expert", s.experts)
        base, base_type = self.weight(f"{name}_base", rows, columns, "cluster", s.clusters)
        a, a_type = self.weight(f"{name}_a", rows, s.rank, "expert", s.experts)
        b, b_type = self.weight(f"{name}_b", s.rank, columns, "expert", s.experts)
        kind = f"!moe.weight<{rows}x{columns}xbf16, expert[{s.experts}]>"
        self.lines += [
            f"%{name}_shared = moe.weight.select {base} by %table : {base_type}, !table",
            f"%{name}_own = moe.weight.mul {a}, {b} : {a_type}, {b_type}",
            f"%{name} = moe.weight.add %{name}_shared, %{name}_own : {kind}, {kind}",
        ]
        return f"%{name}", kind

    def route(self):
        s = self.shape
        limit = f"limit <keep 1 of {s.clusters} by max> clusters %table " if self.form == "two-stage" else ""
        operands = f"(tensor<?x{s.experts}xbf16>{', !table' if limit else ''})"
        return (
            f"%ids, %p = moe.route %logits score softmax {limit}choose <top_k {s.k}> gates <scores, l1> : {operands} -> "
            f"(tensor<?x{s.k}x!moe.id<expert[{s.experts}]>>, tensor<?x{s.k}xbf16>)"
        )

    def text(self):
        s = self.shape
        gate, up = (self.matrix(name, s.d, s.f) for name in ("gate", "up"))
        down = self.matrix("down", s.f, s.d)
        tokens, ids, p = f"tensor<?x{s.d}xbf16>", f"tensor<?x{s.k}x!moe.id<expert[{s.experts}]>>", f"tensor<?x{s.k}xbf16>"
        logits = f'%logits: tensor<?x{s.experts}xbf16> {{moec.name = "logits"}}'
        table = ", ".join(str(i % s.clusters) for i in range(s.experts))
        leaf = "%table = moe.leaf @cluster : !table"
        body = "\n  ".join([leaf, *self.lines, self.route()])
        return f"""!table = !moe.table<expert[{s.experts}] -> cluster[{s.clusters}]>
moe.param private @cluster : !table = dense<[{table}]> : tensor<{s.experts}xi32>
func.func @layer(%x: {tokens} {{moec.name = "x"}}, {logits}, {', '.join(self.arguments)}) -> ({tokens} {{moec.name = "y"}}) {{
  {body}
  %y = moe.experts %x to %ids weighted %p gate {gate[0]} up {up[0]} down {down[0]} act <silu>
    : ({tokens}, {ids}, {p}, {gate[1]}, {up[1]}, {down[1]}) -> {tokens}
  return %y : {tokens}
}}
func.func @route({logits}) -> ({p} {{moec.name = "p"}}) {{
  {leaf}
  {self.route()}
  return %p : {p}
}}
"""


def artifact_of(directory, shape, form, kind="cuda"):
    return directory / f"{shape.name.lower()}-{form}-{kind}"


def tool(name, *arguments, text=None):
    """Runs a program of the build; its output, or an end with what it said."""
    found = next((p for p in (BUILD / "bin" / name, BUILD / "bench" / "device" / name) if p.exists()), None)
    if not found:
        sys.exit(f"device.py: there is no {name} in {BUILD}: build it, or name the build folder by MOEC_BUILD")
    done = subprocess.run([str(found), *map(str, arguments)], input=text, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"device.py: {name} {' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    return done.stdout


def prepare(directory, shapes, checked):
    directory.mkdir(parents=True, exist_ok=True)
    for shape in (*checked, *shapes):
        for form in FORMS:
            text = Module(shape, form).text()
            tool("moe-compile", "-", "--optimize", "--target=cuda", "-o", artifact_of(directory, shape, form), text=text)
            if shape in checked:
                tool("moe-compile", "-", "--optimize", "-o", artifact_of(directory, shape, form, "reference"), text=text)


def validate(directory, checked, tokens, report):
    """Every form and target against the reference lowering on the CPU."""
    for shape in checked:
        for form in FORMS:
            for target in TARGETS:
                for count in tokens:
                    tool("moe-run", artifact_of(directory, shape, form), "--device=cuda", f"--isa={target}", "--entry=layer",
                         "--tokens", count, "--compare-with", artifact_of(directory, shape, form, "reference"), "--max-error",
                         MOST_ERROR)
        report(f"{shape.name}: {len(FORMS)} forms, {len(TARGETS)} targets, {len(tokens)} numbers of tokens agree with the reference lowering")


def touched(count, chosen, tokens):
    """How many of `count` some of `tokens` tokens choose, each `chosen` of them, on average."""
    return count * (1 - (1 - chosen / count) ** tokens)


def clusters_of_token(shape, form):
    if form == "two-stage":
        return 1
    missed = math.comb(shape.experts - shape.experts // shape.clusters, shape.k) / math.comb(shape.experts, shape.k)
    return shape.clusters * (1 - missed)


def work(shape, form, tokens):
    """Operations and bytes of a layer."""
    rows = tokens * 2 * 2 * shape.d
    if form == "uncompressed":
        return 2 * shape.base * tokens * shape.k, 2 * shape.base * touched(shape.experts, shape.k, tokens) + rows
    chosen = clusters_of_token(shape, form)
    operations = 2 * shape.base * tokens * chosen + 2 * shape.residual * tokens * shape.k
    bases, residuals = touched(shape.clusters, chosen, tokens), touched(shape.experts, shape.k, tokens)
    return operations, 2 * (shape.base * bases + shape.residual * residuals) + rows


def time_entry(artifact, entry, tokens, target, options):
    out = tool("device-time-entry", artifact, "--entry", entry, "--tokens", ",".join(map(str, tokens)), "--isa", target, *options)
    return {line["tokens"]: line["seconds"] for line in map(json.loads, out.splitlines())}


def time_peers(shape, tokens, arguments, report):
    """Seconds by contender and number of tokens."""
    sizes = ",".join(map(str, (shape.d, shape.f, shape.experts, shape.clusters, shape.k, shape.rank)))
    command = [arguments.peers, ROOT / "bench" / "peers" / "device_layer.py", "--shape", sizes, "--tokens", ",".join(map(str, tokens))]
    quick = ["--device", arguments.peers_device, *(["--rounds", "1"] if arguments.quick else [])]
    done = subprocess.run(list(map(str, command + quick)), capture_output=True, text=True)
    said = done.stderr.strip().splitlines()
    for line in [line for line in said if "left out" in line] + (said[-1:] if done.returncode else []):
        report(f"\nPeers: {line}")
    found = {}
    for line in map(json.loads, done.stdout.splitlines()):
        found.setdefault(line["contender"], {})[line["tokens"]] = line["seconds"]
    return found


def measure(directory, shapes, tokens, arguments, rates, options, report):
    target = arguments.isa
    for shape in shapes:
        report(f"\n### {shape.name}: d={shape.d} f={shape.f} E={shape.experts} G={shape.clusters} k={shape.k} r={shape.rank}, {target}\n")
        report("| form | tokens | layer, µs | router, µs | TFLOP/s | of cuBLAS | GB/s | of copy | uncompressed ÷ this |")
        report("|---|---|---|---|---|---|---|---|---|")
        layers = {form: time_entry(artifact_of(directory, shape, form), "layer", tokens, target, options) for form in FORMS}
        for form in FORMS:
            routers = time_entry(artifact_of(directory, shape, form), "route", tokens, target, options)
            for count in tokens:
                seconds = layers[form][count]
                operations, moved = work(shape, form, count)
                products = f"{operations / seconds / rates['blas']:.2f}" if rates["blas"] else "no cuBLAS"
                report(
                    f"| {form} | {count} | {seconds * 1e6:.1f} | {routers[count] * 1e6:.1f} | {operations / seconds * 1e-12:.3g} | {products} | "
                    f"{moved / seconds * 1e-9:.4g} | {moved / seconds / rates['copy']:.2f} | {layers['uncompressed'][count] / seconds:.2f} |"
                )
        if arguments.peers:
            report("\n| peer | tokens | layer, µs | ÷ two-stage | ÷ uncompressed |\n|---|---|---|---|---|")
            for name, times in time_peers(shape, tokens, arguments, report).items():
                for count, seconds in times.items():
                    ratios = " | ".join(f"{seconds / layers[form][count]:.2f}" for form in ("two-stage", "uncompressed"))
                    report(f"| {name} | {count} | {seconds * 1e6:.1f} | {ratios} |")


def run(directory, arguments, shapes, checked):
    lines = []

    def report(line):
        lines.append(line)
        print(line, flush=True)

    quick = ["--rounds", "2", "--milliseconds", "0"] if arguments.quick else []
    report("# Layers on a CUDA device\n\nMade by `python3 bench/device.py run`.\n")
    driver = micro_kernels.open_driver("device.py")
    results, wrong = micro_kernels.check(driver, report=report)
    if arguments.golden:
        micro_kernels.record(arguments.golden, driver, results)
    if wrong:
        report("The emulator is wrong about these, or the device is: what follows was compared with the reference lowering, not with it.")
    validate(directory, checked, (1, 19) if arguments.quick else (1, 19, 300), report)
    rates = json.loads(tool("device-time-entry", "--rates", *quick, *(["--bytes", "65536"] if arguments.quick else [])))
    report(f"\n{rates['device']}. Copies {rates['copy'] * 1e-9:.4g} GB/s, read and written; cuBLAS bf16 {rates['blas'] * 1e-12:.4g} TFLOP/s.")
    measure(directory, shapes, (1, 19) if arguments.quick else TOKENS, arguments, rates, quick, report)
    if arguments.output:
        pathlib.Path(arguments.output).write_text("\n".join(lines) + "\n")


BUILD = pathlib.Path(os.environ.get("MOEC_BUILD", ROOT / "build"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=["prepare", "run"])
    parser.add_argument("--quick", action="store_true", help="a tiny layer alone: shows that all of it works, in the emulator too")
    parser.add_argument("--isa", default=TARGETS[-1], choices=TARGETS, help="the variant that is timed")
    parser.add_argument("--directory", type=pathlib.Path, default=BUILD / "device-bench")
    parser.add_argument("--peers", metavar="PYTHON", help="with run: an interpreter that has PyTorch and transformers")
    parser.add_argument("--peers-device", default="cuda", help="where peers compute; cpu shows that they work")
    parser.add_argument("--golden", type=pathlib.Path, help="with run: where results of single instructions go, as JSON")
    parser.add_argument("-o", "--output", help="with run: where the tables go too")
    arguments = parser.parse_args()
    shapes, checked = ([TINY], [TINY]) if arguments.quick else (SHAPES, [TINY, MEDIUM])
    if arguments.command == "prepare":
        prepare(arguments.directory, shapes, checked)
    else:
        run(arguments.directory, arguments, shapes, checked)


if __name__ == "__main__":
    main()
