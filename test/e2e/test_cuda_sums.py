"""Products beside layers and sums of rows on a CUDA device, run by the PTX emulator, against the reference lowering.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import pytest

from program import tool
from test_cpu_values import BOUNDS, compile_with
from test_cuda_values import use_driver
from test_hopper_values import mutate, run

# Rows: one; not a multiple of a thread's; the last of few; many.
TOKENS = (0, 1, 7, 32, 45, 70)


def product(name, depth, columns, element, result, transposed):
    """x·W from `element` to `result`, onto what is given; W by columns or by rows."""
    shape, at = ((columns, depth), "(e, d)") if transposed else ((depth, columns), "(d, e)")
    x, w, y = f"tensor<?x{depth}x{element}>", f"tensor<{shape[0]}x{shape[1]}x{element}>", f"tensor<?x{columns}x{result}>"
    widen = "" if element == result else f"%wide_a = arith.extf %a : {element} to {result}\n    %wide_b = arith.extf %b : {element} to {result}"
    a, b = ("%a", "%b") if element == result else ("%wide_a", "%wide_b")
    return f"""
func.func @{name}(%x: {x} {{moec.name = "x"}}, %w: {w} {{moec.name = "w"}}, %before: {y} {{moec.name = "before"}}) -> ({y} {{moec.name = "y"}}) {{
  %y = linalg.generic {{indexing_maps = [affine_map<(t, e, d) -> (t, d)>, affine_map<(t, e, d) -> {at}>, affine_map<(t, e, d) -> (t, e)>],
                       iterator_types = ["parallel", "parallel", "reduction"]}} ins(%x, %w : {x}, {w}) outs(%before : {y}) {{
  ^bb0(%a: {element}, %b: {element}, %sum: {result}):
    {widen}
    %term = arith.mulf {a}, {b} : {result}
    %next = arith.addf %sum, %term : {result}
    linalg.yield %next : {result}
  }} -> {y}
  return %y : {y}
}}"""


# What a router's logits are like, and columns and terms that fill no block.
PRODUCTS = {
    "logits": (520, 64, "bf16", "f32", False),
    "wide": (200, 150, "f32", "f32", False),
    "wide_tiles": (72, 200, "bf16", "f32", False),
    "rounded_tiles": (64, 24, "f16", "f16", False),
    "narrow": (64, 3, "f16", "f16", False),
    "rounded": (64, 17, "bf16", "bf16", False),
    "by_rows": (300, 33, "f16", "f32", True),
    "few_by_rows": (77, 1, "f32", "f32", True),
}


@pytest.mark.parametrize("name", PRODUCTS)
def test_products(name, tmp_path, monkeypatch):
    use_driver(monkeypatch)
    text = product(name, *PRODUCTS[name])
    reference = compile_with(text, tmp_path / "reference", "--pipeline=reference")
    kernels = compile_with(text, tmp_path / "cuda", "--target=cuda", "--isas=sm_80")
    for seed, tokens in enumerate(TOKENS):
        monkeypatch.setenv("MOEC_EMULATOR_SEED", str(seed))
        tool("moe-run", kernels, "--device=cuda", "--tokens", tokens, "--compare-with", reference, "--max-error", BOUNDS[PRODUCTS[name][3]])


def norm(name, width, element):
    """Sums of squares of rows."""
    rows, sums = f"tensor<?x{width}x{element}>", "tensor<?xf32>"
    return f"""
func.func @{name}(%x: {rows} {{moec.name = "x"}}) -> ({sums} {{moec.name = "y"}}) {{
  %c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %tokens = tensor.dim %x, %c0 : {rows}
  %empty = tensor.empty(%tokens) : {sums}
  %none = linalg.fill ins(%zero : f32) outs(%empty : {sums}) -> {sums}
  %y = linalg.generic {{indexing_maps = [affine_map<(t, d) -> (t, d)>, affine_map<(t, d) -> (t)>], iterator_types = ["parallel", "reduction"]}}
      ins(%x : {rows}) outs(%none : {sums}) {{
  ^bb0(%a: {element}, %sum: f32):
    {"%wide = arith.extf %a : " + element + " to f32" if element != "f32" else "%wide = arith.addf %a, %zero : f32"}
    %square = arith.mulf %wide, %wide : f32
    %next = arith.addf %sum, %square : f32
    linalg.yield %next : f32
  }} -> {sums}
  return %y : {sums}
}}"""


def test_norms(tmp_path, monkeypatch):
    use_driver(monkeypatch)
    text = norm("wide", 1000, "f32") + norm("narrow", 512, "bf16")
    reference = compile_with(text, tmp_path / "reference", "--pipeline=reference")
    kernels = compile_with(text, tmp_path / "cuda", "--target=cuda", "--isas=sm_80")
    for entry in ("wide", "narrow"):
        tool("moe-run", kernels, "--device=cuda", "--entry", entry, "--tokens", 5, "--compare-with", reference, "--max-error", BOUNDS["f32"])


@pytest.mark.parametrize("tokens", (9, 40))
def test_order_of_sums_is_one(tokens, tmp_path, monkeypatch):
    """Whatever the order in which warps and blocks run, all bits of a result are the same: of few rows, and of tiles."""
    use_driver(monkeypatch)
    kernels = compile_with(product("logits", *PRODUCTS["logits"]), tmp_path / "cuda", "--target=cuda", "--isas=sm_80")
    results = set()
    for seed in range(4):
        monkeypatch.setenv("MOEC_EMULATOR_SEED", str(seed))
        # It prints a checksum of the output's bytes.
        results.add(tool("moe-run", kernels, "--device=cuda", "--tokens", tokens))
    assert len(results) == 1 and "y" in results.pop()


def test_many_rows_are_tiles(tmp_path):
    """Factors of 16 bits are multiplied on tensor cores, those of f32 as they are."""
    for name, count in (("logits", 1), ("wide", 0)):
        kernels = compile_with(product(name, *PRODUCTS[name]), tmp_path / f"{name}.ptx", "--target=cuda", "--isas=sm_80", "--emit=ptx").read_text()
        assert ("product_tile_32" in kernels) == bool(count) and ("mma.sync" in kernels) == bool(count)


BUGS = {
    "a stage that is not there yet": (r"cp\.async\.wait_group\s+1;", 0, lambda found: found.replace("1", "2")),
    "sums without the last warp's": (r"bar\.sync\s+0;", -1, lambda _: ""),
}


@pytest.mark.parametrize("bug", BUGS)
def test_bugs_are_found(bug, tmp_path, monkeypatch):
    """A kernel with one mistake is reported by the emulator, or its results are wrong."""
    use_driver(monkeypatch)
    text = product("logits", *PRODUCTS["logits"])
    reference = compile_with(text, tmp_path / "reference", "--pipeline=reference")
    kernels = compile_with(text, tmp_path / "cuda", "--target=cuda", "--isas=sm_80", "--ptxas=none")
    assert run(kernels, reference, 1, monkeypatch, tokens=40).returncode == 0
    mutate(next(kernels.rglob("*.so")), *BUGS[bug], "product_tile_32")
    assert any(run(kernels, reference, seed, monkeypatch, tokens=40).returncode for seed in range(1, 4))
