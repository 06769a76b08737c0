"""CPU kernels against the reference lowering: random layers of any size, encoding, activation and routing.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Each layer is a function of its number, so a failure can be repeated; MOEC_RANDOM_CPU_LAYERS is how many to try (16 when it is
not set). Weights lie in an archive, in panels for the kernels, in rows for the reference.
"""

import os
import random
import re

import pytest

from program import tool

COUNT = int(os.environ.get("MOEC_RANDOM_CPU_LAYERS", 16))
TOKENS = (1, 2, 3, 5, 13, 40, 210)
ISAS = [name for name in os.environ.get("MOEC_CPU_ISAS", "portable,x86-64-v3").split(",") if name]
ENCODINGS = ("f32", "f16", "bf16", "f8e4m3", "int8", "int8 zero_point", "int8 group {g}", "int8 group {g} zero_point scale bf16",
             "int4 group {g}", "int4 group {g} scale f16", "int4 group {g} zero_point", "f8e4m3 group {g}")
ACTIVATIONS = ("<silu>", "<silu clamp 0.5>", "<gelu>", "<gelu_tanh>", "<relu>", "<relu2>", "<identity>", "<tanh>",
               "<sigmoid_alpha alpha 1.702 clamp 7.0 offset 1.0>")


class Layer:
    """The text of one layer, and the longest groups of rows that its matrices allow."""

    def __init__(self, number, element="f32", encoding=None, width=None):
        """With an encoding all its weights have it, and rows are of whole groups of 16. A width stands instead of a random one."""
        self.random = random.Random(number)
        self.element = element
        self.only = encoding
        pick = self.random.choice
        self.params, self.lines, self.weights = [], [], 0
        self.clusters = pick((1, 2, 3))
        self.experts = self.clusters * pick((1, 2, 4))
        self.k = min(pick((1, 2, 4)), self.experts)
        self.group = pick((2, 4, 16, 32))
        whole = pick((True, False))
        size = lambda: self.group * pick((1, 2, 5)) if whole else pick((1, 7, 16, 33, 48, 150))
        self.width, self.inner = size(), size()
        self.rank = self.group * pick((1, 2)) if whole else pick((1, 4, 16, 17))
        if encoding:
            self.width, self.inner, self.rank = width or 16 * pick((1, 3, 8)), 16 * pick((2, 5)), 16
        self.shared = pick((True, True, False))
        self.low_rank = pick((True, False))

    def encoding(self, rows):
        if self.only:
            return self.only
        text = self.random.choice(ENCODINGS)
        if "{g}" in text and rows % self.group:
            text = "f16"
        return text.format(g=self.group)

    def leaf(self, rows, columns, axis, coded=True):
        name, kind = f"w{self.weights}", f"!moe.weight<{rows}x{columns}x{self.element}, {axis}>"
        scale = 1.0 / max(rows, 1) ** 0.5
        encoding = f" encoding <{self.encoding(rows)}>" if coded else self.random.choice(("", " encoding <bf16>"))
        self.params.append(f"moe.param private @{name} : {kind} = #moe.seeded<{self.weights} scale {scale:.6f}>{encoding}")
        self.lines.append(f"%{name} = moe.leaf @{name} : {kind}")
        self.weights += 1
        return f"%{name}", kind

    def matrix(self, rows, columns):
        expert, cluster = f"expert[{self.experts}]", f"cluster[{self.clusters}]"
        full = f"!moe.weight<{rows}x{columns}x{self.element}, {expert}>"
        if not self.shared and not self.low_rank:
            return self.leaf(rows, columns, expert)
        if not self.shared:
            return self.product(rows, columns, expert)
        base, base_type = self.leaf(rows, columns, cluster)
        n = self.weights
        self.lines.append(f"%s{n} = moe.weight.select {base} by %table : {base_type}, !moe.table<{expert} -> {cluster}>")
        if self.random.random() < 0.15:
            return f"%s{n}", full
        own, _ = self.product(rows, columns, expert)
        self.lines.append(f"%a{n} = moe.weight.add %s{n}, {own} : {full}, {full}")
        return f"%a{n}", full

    def product(self, rows, columns, axis):
        a, a_type = self.leaf(rows, self.rank, axis)
        b, b_type = self.leaf(self.rank, columns, axis)
        name = f"%m{self.weights}"
        self.lines.append(f"{name} = moe.weight.mul {a}, {b} : {a_type}, {b_type}")
        return name, f"!moe.weight<{rows}x{columns}x{self.element}, {axis}>"

    def text(self):
        pick, width, inner = self.random.choice, self.width, self.inner
        members = [i % self.clusters for i in range(self.experts)]
        self.random.shuffle(members)
        table = f"!moe.table<expert[{self.experts}] -> cluster[{self.clusters}]>"
        self.params.append(f"moe.param private @table : {table} = dense<{members}> : tensor<{self.experts}xi32>")
        self.lines.append(f"%table = moe.leaf @table : {table}")
        self.lines.append(f"%router = moe.leaf @router : !moe.weight<{width}x{self.experts}x{self.element}>")
        self.params.append(f"moe.param private @router : !moe.weight<{width}x{self.experts}x{self.element}> = #moe.seeded<99 scale 0.3>")
        logits, ids = f"tensor<?x{self.experts}x{self.element}>", f"tensor<?x{self.k}x!moe.id<expert[{self.experts}]>>"
        tokens, gates = f"tensor<?x{width}x{self.element}>", f"tensor<?x{self.k}x{self.element}>"
        self.lines.append(f"%logits = moe.apply %x, %router : {tokens}, !moe.weight<{width}x{self.experts}x{self.element}> -> {logits}")
        limit = f"limit <keep 1 of {self.clusters} by max> clusters %table " if pick((True, False)) else ""
        operands = f"({logits}, {table})" if limit else f"({logits})"
        self.lines.append(f"%ids, %p = moe.route %logits score softmax {limit}choose <top_k {self.k}> gates <scores, l1> : {operands} -> ({ids}, {gates})")
        gated = pick((True, True, False))
        act = pick([a for a in ACTIVATIONS if gated or "offset" not in a])
        operands, types, biases, bias_types = "", [], "", []
        for name, rows, columns in [("gate", width, inner)] * gated + [("up", width, inner), ("down", inner, width)]:
            value, kind = self.matrix(rows, columns)
            operands += f" {name} {value}"
            types.append(kind)
            if self.random.random() < 0.2:
                bias, kind = self.leaf(1, columns, f"expert[{self.experts}]", coded=False)
                biases += f" {name}_bias {bias}"
                bias_types.append(kind)
        types = f"({', '.join([tokens, ids, gates, *types, *bias_types])})"
        self.lines.append(f"%y = moe.experts %x to %ids weighted %p{operands}{biases} act {act} : {types} -> {tokens}")
        body = "\n  ".join(self.lines)
        return "\n".join(self.params) + f"\nfunc.func @layer(%x: {tokens}) -> {tokens} {{\n  {body}\n  return %y : {tokens}\n}}\n"


def compile_with(text, output, *options, passes=("--optimize",)):
    module = output.with_suffix(".mlir")
    module.write_text(text)
    tool("moe-compile", module, *passes, "--separate-weights", "-o", output, *options)
    return output


# The largest difference of an output from the reference's, in units of the largest: see docs/cpu.md.
BOUNDS = {"f32": 2e-5, "f16": 6 * 2.0**-11, "bf16": 6 * 2.0**-8}


# int8 codes of hidden activations differ by one where sums differ in their last bits: 1/127 of one number of many.
ROUNDED = {"f32": 2e-5, "bf16": 2e-3, "int8": 5e-3}


@pytest.mark.parametrize("number", range(COUNT))
def test_random_layers(number, tmp_path):
    element = ("f32", "f16", "f32", "bf16")[number % 4]
    activations = ("f32", "bf16", "int8")[number % 3]
    bound = max(BOUNDS[element], ROUNDED[activations])
    text = Layer(number, element).text()
    reference = compile_with(text, tmp_path / "reference", "--pipeline=reference", f"--activations={activations}")
    for isa in ISAS:
        kernels = compile_with(text, tmp_path / isa, f"--isas={isa}", f"--activations={activations}")
        for tokens in TOKENS:
            tool("moe-run", reference, "--tokens", tokens, "--compare-with", kernels, "--max-error", bound)


def skip_where_lacking(artifact):
    try:
        tool("moe-run", artifact, "--tokens", 1)
    except AssertionError as error:
        if not (lacks := re.search("needs sapphirerapids, .*", str(error))):
            raise
        pytest.skip(lacks[0])


DOT_PRODUCTS = [("int8", encoding) for encoding in ("int8", "int8 zero_point", "int8 group 16", "int8 group 16 zero_point scale bf16",
                                                    "int4 group 16", "int4 group 16 scale f16", "int4 group 16 zero_point")] + [("bf16", "bf16")]


@pytest.mark.parametrize("activations,encoding", DOT_PRODUCTS)
def test_dot_products(activations, encoding, tmp_path):
    """Instructions that multiply int8 or bf16, on a machine that has them."""
    for number in (0, 1):
        text = Layer(number, encoding=encoding).text()
        reference = compile_with(text, tmp_path / f"reference{number}", "--pipeline=reference", f"--activations={activations}")
        kernels = compile_with(text, tmp_path / f"kernels{number}", "--isas=sapphirerapids", f"--activations={activations}")
        skip_where_lacking(kernels)
        for tokens in TOKENS:
            tool("moe-run", reference, "--tokens", tokens, "--compare-with", kernels, "--max-error", ROUNDED[activations])


@pytest.mark.parametrize("weights,rounding,schedule", [
    ("int8", "int8 group 32", ""), ("bf16", "bf16", "moe.schedule = {amx_rows = 0, bf16_dot = 1}"), ("bf16", "bf16", ""),
])  # fmt: skip
def test_rounded_rows_without_a_matrix(weights, rounding, schedule, tmp_path):
    """Slots outside of the pool: products of their rows are zero, not those of another matrix."""
    element, scale_type = ("i8", "tensor<2x1x2x16xf32>") if weights == "int8" else ("bf16", "")
    scaled = f"scales(%scales : {scale_type}) " if scale_type else ""
    argument = f'%scales: {scale_type} {{moec.name = "scales"}}, ' if scale_type else ""
    encoding = "int8 group 32" if weights == "int8" else "bf16"
    text = f"""
func.func @layer(%x: tensor<16x64xf32> {{moec.name = "x"}}, %codes: tensor<2x1x64x16x{element}> {{moec.name = "codes"}}, {argument}%slots: tensor<4xi32> {{moec.name = "slots"}})
    -> (tensor<16x16xf32> {{moec.name = "y"}}) {{
  %off = arith.constant dense<[0, 5, 6, 11, 16]> : tensor<5xi32>
  %e = tensor.empty() : tensor<16x16xf32>
  %w = moe.wrap %codes {scaled}slots(%slots : tensor<4xi32>) encoding <{encoding}> layout panel16 : tensor<2x1x64x16x{element}> to !moe.weight<64x16xf32, cluster[4]>
  %y = moe.grouped_matmul ins(%x : tensor<16x64xf32>) rounded <{rounding}> weights(%w : !moe.weight<64x16xf32, cluster[4]>) groups(%off : tensor<5xi32>)
    outs(%e : tensor<16x16xf32>) {{{schedule}}} -> tensor<16x16xf32>
  return %y : tensor<16x16xf32>
}}
"""
    module = tmp_path / "layer.mlir"
    module.write_text(text)
    for name, options in (("reference", ["--pipeline=reference"]), ("kernels", ["--pipeline=cpu", "--isas=sapphirerapids"])):
        tool("moe-compile", module, "-o", tmp_path / name, *options)
    skip_where_lacking(tmp_path / "kernels")
    for seed in range(3):
        tool("moe-run", tmp_path / "reference", "--seed", seed, "--int-range", 4, "--compare-with", tmp_path / "kernels",
             "--max-error", 1e-5)


@pytest.mark.parametrize("element,width", [("f32", 40), ("f32", 288), ("f32", 512), ("bf16", 96)])
def test_tile_products(element, width, tmp_path):
    """bf16 in tile registers: one tile of rows and many, blocks of the reduction with and without a rest, odd numbers of panels, threads."""
    activations = "bf16" if element == "f32" else "f32"
    compare_tiles(Layer(width, element, "bf16", width=width).text(), activations, max(BOUNDS[element], ROUNDED[activations]), tmp_path)


def test_tile_products_are_added(tmp_path):
    """y = x + x·W."""
    compare_tiles("""
!x = tensor<?x96xf32>
!w = !moe.weight<96x96xf32>
moe.param private @w : !w = #moe.seeded<1 scale 0.1> encoding <bf16>
func.func @layer(%x: !x) -> !x {
  %w = moe.leaf @w : !w
  %y = moe.grouped_matmul accumulate ins(%x : !x) rounded <bf16> weights(%w : !w) outs(%x : !x) -> !x
  return %y : !x
}
""", "f32", BOUNDS["f32"], tmp_path, passes=())


@pytest.mark.parametrize("accumulate", ["", "accumulate "], ids=["alone", "added"])
@pytest.mark.parametrize("encoding", ["int8 group 64", "int8 group 128 zero_point scale bf16", "int4 group 64", "int4 group 128 zero_point"])
def test_integer_tile_products(encoding, accumulate, tmp_path):
    """int8 in tile registers: a rest of a block of the reduction, an odd number of panels, a ragged one."""
    compare_tiles(f"""
!x = tensor<?x384xf32>
!y = tensor<?x136xf32>
!w = !moe.weight<384x136xf32>
moe.param private @w : !w = #moe.seeded<1 scale 0.1> encoding <{encoding}>
func.func @layer(%x: !x, %y0: !y) -> !y {{
  %w = moe.leaf @w : !w
  %y = moe.grouped_matmul {accumulate}ins(%x : !x) rounded <int8 group {encoding.split()[2]}> weights(%w : !w) outs(%y0 : !y) -> !y
  return %y : !y
}}
""", "f32", BOUNDS["f32"], tmp_path, passes=())


def compare_tiles(text, activations, bound, tmp_path, **options):
    reference = compile_with(text, tmp_path / "reference", "--pipeline=reference", f"--activations={activations}", **options)
    kernels = compile_with(text, tmp_path / "kernels", "--pipeline=cpu", "--isas=sapphirerapids", f"--activations={activations}", **options)
    skip_where_lacking(kernels)
    for tokens, threads in ((4, 1), (17, 1), (33, 3), (50, 1), (300, 3)):
        tool("moe-run", reference, "--tokens", tokens, "--threads", threads, "--compare-with", kernels, "--max-error", bound)
