"""Values of external params: a safetensors file of several element types, recipes over it, and the made-up scopes.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import json
import subprocess

import numpy as np
import pytest

import moe_numpy as moe
from moe_numpy import Encoding
from program import Program, binary, compile_module, module_of

TABLE = np.array([1, 0, 1, 1], np.int32)
KINDS = {"F32": "f32", "F16": "f16", "BF16": "bf16", "F64": "f64"}


def safetensors(path, tensors):
    """Writes {name: (dtype, array)}; BF16 as bit patterns."""
    header, data = {}, b""
    for name, (kind, array) in tensors.items():
        header[name] = {"dtype": kind, "shape": list(array.shape), "data_offsets": [len(data), len(data) + array.nbytes]}
        data += array.tobytes()
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    path.write_bytes(len(text).to_bytes(8, "little") + text + data)


def values():
    return np.random.default_rng(3).standard_normal((4, 8, 6)).astype(np.float32)


def stored(kind):
    """The file's array of values() in one type, and what it holds as float32."""
    v = moe.round_to(values(), KINDS[kind])
    return {"F32": v, "F16": v.astype(np.float16), "BF16": moe.bf16_bits(v), "F64": v.astype(np.float64)}[kind], v.astype(np.float32)


def program(name, build):
    f = Program(name)
    build(f)
    return f


def read(kind, suffix="", encoding=None, element="f32"):
    def build(f):
        f.read(f.param(8, 6, "expert[4]", f'#moe.external<"model"::"w.{kind}">', moe.stored(stored(kind)[1], encoding, element), element, suffix))
    return build


def mean(f):
    of = f.param(8, 6, "expert[4]", '#moe.external<"model"::"w.F32">', values())
    table = f.declare("!moe.table<expert[4] -> cluster[2]>", '#moe.external<"model"::"table">')
    f.read(f.param(8, 6, "cluster[2]", f"#moe.mean<{of.symbol} by {table}>", moe.recipe_mean(values(), TABLE, 2).astype(np.float32)),
           tolerance=1e-6)


def table(f):
    w = f.weight(8, 6, "cluster[2]")
    kind = "!moe.table<expert[4] -> cluster[2]>"
    symbol = f.declare(kind, '#moe.external<"model"::"table">')
    leaf = f.op(f"moe.leaf {symbol} : {kind}", kind, TABLE)
    f.read(f.select(w, leaf))


def splat(f):
    f.read(f.param(3, 2, None, '#moe.external<"flat"::"anything">', np.full((3, 2), 0.25, np.float32)))


PROGRAMS = {f.name: f for f in [
    *[program(f"read_{kind}", read(kind)) for kind in KINDS],
    program("read_int4", read("BF16", "encoding <int4 group 4 scale f16>", Encoding("int4", 4, scale="f16"))),
    program("read_as_bf16", read("F32", element="bf16")), program("read_twice", read("F32", "residency cold")),
    program("mean", mean), program("table", table), program("splat", splat)]}


@pytest.fixture(scope="module")
def scope(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "model.safetensors"
    safetensors(path, {"unused": ("F32", np.zeros(3, np.float32)), "table": ("I32", TABLE),
                       **{f"w.{kind}": (kind, stored(kind)[0]) for kind in KINDS}})
    return path


@pytest.fixture(scope="module")
def compiled(scope, tmp_path_factory):
    return compile_module(module_of(PROGRAMS), tmp_path_factory.mktemp("external"), (), [f"--weights=model={scope}", "--weights=flat=splat:0.25"])


@pytest.mark.parametrize("name", PROGRAMS)
def test_values(compiled, name):
    PROGRAMS[name].check(compiled)


@pytest.mark.parametrize("change,message", [
    (('"w.F32"', '"w.none"'), "model::w.none: expected a tensor of that key"),
    (("8x6xf32, expert[4]", "8x5xf32, expert[4]"), "model::w.F32: expected shape [4, 8, 5], found [4, 8, 6]"),
    (('"model"::', '"other"::'), "expected scope 'other' to be bound, found only model")])
def test_what_is_not_there_is_named(scope, tmp_path, change, message):
    f = PROGRAMS["read_twice"]
    text = module_of({"f": f}).replace(*change).replace("x6xf32>", "x5xf32>" if "8x5" in change[1] else "x6xf32>")
    (tmp_path / "bad.mlir").write_text(text)
    done = subprocess.run([binary("moe-compile"), tmp_path / "bad.mlir", "-o", tmp_path / "bad", f"--weights=model={scope}"], capture_output=True, text=True)
    assert done.returncode == 1 and "error:" in done.stderr and message in done.stderr and not (tmp_path / "bad").exists()
