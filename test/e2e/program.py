"""Builds a function of the moe dialect and, with the oracle, the numbers it must give; compiles, runs and compares.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

A test describes a function once: each step emits an op and computes its value with moe_numpy. The text must not depend
on the number of tokens, so one compiled module serves runs with several. Stored tensors are arguments (`moe.wrap`)
unless a test is about params.
"""

import importlib
import os
import pathlib
import subprocess
import sys
from dataclasses import dataclass

import numpy as np

import artifact
import moe_numpy as moe

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Largest difference allowed, relative to the largest expected number. The oracle rounds where the specification rounds,
# so f32 leaves the order of a few sums, fused multiply-adds and exp; narrower types add one rounding to a neighbour for
# each op in a chain of up to eight.
TOLERANCE = {"f64": 1e-13, "f32": 1e-5, "f16": 8 * 2.0**-11, "bf16": 8 * 2.0**-8}


# Ways to a library that must not change a number beyond rounding: passes of moe-opt, then options of moe-compile. What
# LLVM optimises is not the question after the first, so those take less of its time.
QUICK = ["--opt-level=1"]
ALGEBRA = ["--canonicalize", "--cse", "--moe-decompose-experts", "--moe-distribute-weights", "--moe-share-base", "--canonicalize", "--cse"]
STAGES = {
    "graph": ([], []),
    "slot": (["--moe-decompose-experts", "--moe-verify-slot-form"], QUICK),
    "shared": (["--moe-optimize=to=slot"], QUICK),
    "distributed": ([p if p != "--moe-distribute-weights" else p + "=always" for p in ALGEBRA], QUICK),
    "scheduled": ([*ALGEBRA, "--moe-group-tokens", "--canonicalize", "--cse", "--moe-verify-scheduled-form"], QUICK),
    "optimized": ([], ["--optimize", *QUICK]),
}


def binary(name):
    """A tool of the build: from MOEC_BIN, or build/bin."""
    return str(pathlib.Path(os.environ.get("MOEC_BIN", ROOT / "build" / "bin")) / name)


def bench_program(name):
    """The module bench/NAME.py, which finds what is beside it."""
    folder = str(ROOT / "bench")
    if folder not in sys.path:
        sys.path.append(folder)
    return importlib.import_module(name)


def tool(name, *arguments, text=None):
    """Runs a tool; returns its output, or fails with what it said."""
    done = subprocess.run([binary(name), *map(str, arguments)], input=text, capture_output=True, text=True)
    assert done.returncode == 0, f"{name} {' '.join(map(str, arguments))}: {done.returncode}\n{done.stderr[-4000:]}"
    return done.stdout


def compile_module(text, directory, passes=(), options=()):
    """Compiles a module, after `passes` of moe-opt, into a directory; returns the loaded artifact."""
    directory = pathlib.Path(directory)
    source = directory / "module.mlir"
    source.write_text(text)
    if passes:
        source = directory / "rewritten.mlir"
        source.write_text(tool("moe-opt", *passes, text=text))
    tool("moe-compile", source, "-o", directory / "artifact", *options)
    return artifact.Artifact(directory / "artifact")


@dataclass
class Value:
    """An SSA value, its type as text, and what it must hold."""

    name: str
    type: str
    data: np.ndarray
    element: str | None = None
    symbol: str | None = None  # of the param it is the leaf of

    def __str__(self):
        return self.name


class Program:
    """One function under construction."""

    def __init__(self, name, tokens=7, seed=0):
        self.name, self.tokens, self.seed = name, tokens, seed
        self.arguments, self.inputs, self.lines, self.results, self.params = [], [], [], [], []
        self.drawn = self.named = 0

    # Numbers

    def random(self):
        """A new generator, the same in every run."""
        self.drawn += 1
        return np.random.default_rng([self.seed, self.drawn, *self.name.encode()])

    def floats(self, *shape, element="f32", scale=1.0):
        """Normal numbers of the element type."""
        return moe.round_to(self.random().standard_normal(shape) * scale, element)

    def choices(self, experts, k):
        """k different ids for each token, about one in six of them -1."""
        random = self.random()
        ids = np.array([random.permutation(experts)[:k] for _ in range(self.tokens)], np.int32).reshape(self.tokens, k)
        return np.where(random.random(ids.shape) < 1 / 6, np.int32(-1), ids)

    # Text

    def fresh(self):
        self.named += 1
        return f"%v{self.named}"

    def type_of(self, shape, element, tokens):
        return "tensor<" + "x".join(["?"] * tokens + [str(n) for n in shape[tokens:]] + [element]) + ">"

    def op(self, text, result, data, element=None):
        """Emits `%v = text` with one result of type `result`, holding `data`."""
        return self.ops(text, (result, data, element))[0]

    def ops(self, text, *results):
        """Emits an op with several results, each (type, data, element)."""
        values = [Value(self.fresh(), *result) for result in results]
        self.lines.append(", ".join(map(str, values)) + f" = {text}")
        return values

    def argument(self, data, element, tokens=True):
        """A function argument; `tokens` says that its first extent is the number of tokens."""
        shape = np.shape(data)
        value = Value(f"%arg{len(self.arguments)}", self.type_of(shape, element, 1 if tokens else 0), data, element)
        self.arguments.append(value)
        self.inputs.append(data)
        return value

    def tokens_of(self, width, element="f32", scale=1.0):
        """Token rows [T, width] as an argument."""
        return self.argument(self.floats(self.tokens, width, element=element, scale=scale), element)

    def ids(self, data, axis, tokens=True):
        """An id tensor from an i32 argument; axis is text, such as "expert[8]" or "expert[8+2]"."""
        numbers = self.argument(data, "i32", tokens)
        kind = self.type_of(data.shape, f"!moe.id<{axis}>", 1 if tokens else 0)
        return self.op(f"moe.id_cast {numbers} : {numbers.type} to {kind}", kind, data, "id")

    def weight(self, rows, columns, axis=None, element="f32", data=None):
        """A stored weight as an argument; axis is text, such as "expert[8]". Values about 1/√rows."""
        count = [int(axis.split("[")[1][:-1])] if axis else []
        if data is None:
            data = self.floats(*count, rows, columns, element=element, scale=max(rows, 2) ** -0.5)
        tensor = self.argument(data, element, tokens=False)
        kind = f"!moe.weight<{rows}x{columns}x{element}{', ' + axis if axis else ''}>"
        return self.op(f"moe.wrap {tensor} : {tensor.type} to {kind}", kind, data, element)

    def table(self, targets, source, target):
        """A table as an argument, such as ([0, 1, 0], "expert[3]", "cluster[2]")."""
        data = np.asarray(targets, np.int32)
        tensor = self.argument(data, "i32", tokens=False)
        kind = f"!moe.table<{source} -> {target}>"
        return self.op(f"moe.wrap {tensor} : {tensor.type} to {kind}", kind, data)

    # Params

    def declare(self, kind, source, suffix=""):
        """A param of this function; returns its symbol. `suffix` is text: encoding, layout, residency."""
        symbol = f"@{self.name}_{len(self.params)}"
        self.params.append(f"moe.param private {symbol} : {kind} = {source}{' ' + suffix if suffix else ''}")
        return symbol

    def param(self, rows, columns, axis, source, data, element="f32", suffix=""):
        """A declared weight and its leaf, which must hold `data` rounded to the element type."""
        kind = f"!moe.weight<{rows}x{columns}x{element}{', ' + axis if axis else ''}>"
        symbol = self.declare(kind, source, suffix)
        leaf = self.op(f"moe.leaf {symbol} : {kind}", kind, moe.round_to(data, element), element)
        leaf.symbol = symbol
        return leaf

    def read(self, w, tolerance=0.0):
        """Returns a weight's values from the function: unit rows times every entry, [IN, entries, OUT] or [IN, OUT].

        Exact for finite weights: one product of each sum is not zero."""
        axis = axis_of(w)
        rows, columns = w.data.shape[-2:]
        x = self.argument(np.eye(rows, dtype=moe.computing(w.element)), w.element)
        if axis is None:
            kind = self.type_of((rows, columns), w.element, 1)
            self.give(self.op(f"moe.apply {x}, {w} : {x.type}, {w.type} -> {kind}", kind, w.data, w.element),
                      tolerance=tolerance)
            return
        ids = self.ids(np.tile(np.arange(len(w.data), dtype=np.int32), (rows, 1)), axis)
        kind = self.type_of((rows, len(w.data), columns), w.element, 1)
        self.give(self.op(f"moe.apply {x}, {w} at {ids} : {x.type}, {w.type} at {ids.type} -> {kind}", kind,
                          w.data.transpose(1, 0, 2), w.element), tolerance=tolerance)

    # Weight expressions

    def weight_op(self, text, operands, data, element, axis):
        rows, columns = data.shape[-2:]
        kind = f"!moe.weight<{rows}x{columns}x{element}{', ' + axis if axis else ''}>"
        types = ", ".join(o.type for o in operands)
        return self.op(f"moe.weight.{text} : {types}", kind, data, element)

    def select(self, w, table):
        axis = table.type.split("<")[1].split(" ->")[0]
        return self.weight_op(f"select {w} by {table}", [w, table], moe.weight_select(w.data, table.data), w.element, axis)

    def mul(self, left, right):
        return self.weight_op(f"mul {left}, {right}", [left, right], moe.weight_mul(left.data, right.data, left.element),
                              left.element, axis_of(left) or axis_of(right))

    def add(self, left, right):
        return self.weight_op(f"add {left}, {right}", [left, right], moe.weight_add(left.data, right.data, left.element),
                              left.element, axis_of(left) or axis_of(right))

    def mix(self, basis, alpha, phi=None):
        return self.weight_op(f"mix {f'phi {phi} ' if phi else ''}{basis}, {alpha}", [basis, alpha],
                              moe.weight_mix(basis.data, alpha.data, phi, basis.element), basis.element, axis_of(alpha))

    def scale(self, side, w, diagonal):
        return self.weight_op(f"scale {side} {w}, {diagonal}", [w, diagonal],
                              moe.weight_scale(side, w.data, diagonal.data, w.element), w.element,
                              axis_of(w) or axis_of(diagonal))

    def ragged(self, side, w, sizes):
        """sizes: numbers, given to the function as an argument."""
        tensor = self.argument(np.asarray(sizes, np.int32), "i32", tokens=False)
        return self.weight_op(f"ragged {side} {w} to {tensor}", [w, tensor], moe.weight_ragged(side, w.data, tensor.data),
                              w.element, axis_of(w))

    def sparse(self, values, positions, rows, columns):
        """positions: an integer array [entries,] nnz, 2, given to the function as an argument."""
        tensor = self.argument(np.asarray(positions, np.int32), "i32", tokens=False)
        data = moe.weight_sparse(values.data, tensor.data, (rows, columns), values.element)
        axis = axis_of(values)
        kind = f"!moe.weight<{rows}x{columns}x{values.element}{', ' + axis if axis else ''}>"
        return self.op(f"moe.weight.sparse {values} at {tensor} : {values.type}, {tensor.type} -> {kind}", kind, data,
                       values.element)

    def slice(self, side, w, offset, size):
        rows, columns = w.data.shape[-2:]
        rows, columns = (size, columns) if side == "input" else (rows, size)
        axis = axis_of(w)
        index = self.op(f"arith.constant {offset} : index", "index", offset)
        kind = f"!moe.weight<{rows}x{columns}x{w.element}{', ' + axis if axis else ''}>"
        return self.op(f"moe.weight.slice {side} {w}[{index}] : {w.type} -> {kind}", kind,
                       moe.weight_slice(side, w.data, offset, size), w.element)

    # Layers and results

    def experts(self, x, ids, p, up, down, act="<silu>", activation=None, gate=None, gate_bias=None, up_bias=None,
                down_bias=None, gated="on_output", specials=None, numbers=None, constants=None, mixing=None):
        """moe.experts; `act` and `specials` are text, `activation` (moe.Act) and `numbers` (moe.Specials) their meaning."""
        given = [("gate", gate), ("up", up), ("down", down), ("gate_bias", gate_bias), ("up_bias", up_bias),
                 ("down_bias", down_bias)]
        text = f"moe.experts {x} to {ids} weighted {p}" + (" gated on_input" if gated == "on_input" else "")
        text += "".join(f" {word} {w}" for word, w in given if w) + f" act {act}"
        text += f" specials {specials}" if specials else ""
        text += f" constants {constants}" if constants else ""
        text += f" mixed by {mixing}" if mixing else ""
        operands = [x, ids, p, *[w for _, w in given if w], *[v for v in (constants, mixing) if v]]
        plain = {word: w.data for word, w in given if w and word not in ("up", "down")}
        count = int(ids.type.split("[")[1].split("]")[0].split("+")[0])
        data = moe.experts(x.data, ids.data, p.data, up.data, down.data, act=activation or moe.Act(act.strip("<>")),
                           gated=gated, specials=numbers, count=count, element=x.element, **plain)
        return self.op(f"{text} : ({', '.join(o.type for o in operands)}) -> {x.type}", x.type, data, x.element)

    def give(self, *values, tolerance=None):
        """Returns values from the function; ids leave as i32."""
        for value in values:
            if value.element == "id":
                kind = value.type[: value.type.index("!")] + "i32>"
                value = self.op(f"moe.id_cast {value} : {value.type} to {kind}", kind, value.data, "i32")
            self.results.append((value, tolerance))

    def text(self):
        takes = ", ".join(f"{a}: {a.type}" for a in self.arguments)
        types = ", ".join(v.type for v, _ in self.results)
        last = f"return {', '.join(str(v) for v, _ in self.results)} : {types}" if self.results else "return"
        body = "".join(f"  {line}\n" for line in self.lines)
        return f"func.func @{self.name}({takes}) -> ({types}) {{\n{body}  {last}\n}}\n"

    # Running

    def run(self, compiled):
        """Calls the compiled function; returns its results as numbers of the type of computation."""
        stored = [moe.bf16_bits(v) if a.element == "bf16" else v for v, a in zip(self.inputs, self.arguments)]
        outputs = compiled(self.name, *stored, shapes=[np.shape(v.data) for v, _ in self.results])
        return [moe.from_bf16_bits(y) if v.element == "bf16" else y for y, (v, _) in zip(outputs, self.results)]

    def check(self, compiled):
        """Calls the compiled function and compares every result."""
        for number, (got, (value, tolerance)) in enumerate(zip(self.run(compiled), self.results)):
            compare(got, value.data, value.element, tolerance, f"@{self.name} result {number} ({self.tokens} tokens)")


def axis_of(weight):
    """The axis of a weight's type as text, or None."""
    return weight.type.split(", ")[1][:-1] if ", " in weight.type else None


def compare(got, expected, element, tolerance=None, what="result"):
    """Fails with the place of the largest difference; integers must be equal, NaN and infinity must agree."""
    assert got.shape == np.shape(expected), f"{what}: shape {got.shape}, expected {np.shape(expected)}"
    if got.size == 0:
        return
    if element in ("i32", "id"):
        wrong = np.argwhere(got != expected)
        assert not len(wrong), f"{what}: first at {wrong[0].tolist()}\ngot\n{got}\nexpected\n{expected}"
        return
    got, expected = got.astype(np.float64), np.asarray(expected, np.float64)
    special = ~np.isfinite(expected)
    same = (np.isnan(got) == np.isnan(expected)) & (np.isinf(got) == np.isinf(expected))
    assert same.all(), f"{what}: NaN or infinity differ at {np.argwhere(~same)[0].tolist()}\ngot\n{got}\nexpected\n{expected}"
    assert np.array_equal(got[np.isinf(expected)], expected[np.isinf(expected)]), f"{what}: sign of infinity"
    error = np.where(special, 0, np.abs(np.where(special, 0, got) - np.where(special, 0, expected)))
    largest = np.abs(np.where(special, 0, expected)).max()
    bound = (TOLERANCE[element] if tolerance is None else tolerance) * (largest if largest > 0 else 1)
    place = np.unravel_index(error.argmax(), error.shape)
    assert error[place] <= bound, (f"{what}: {got[place]} instead of {expected[place]} at {[int(i) for i in place]}; "
                                   f"difference {error[place]:.3g}, allowed {bound:.3g}")


def programs(builders, tokens=7, seed=0):
    """One Program for each builder, named after it."""
    result = {}
    for builder in builders:
        program = Program(builder.__name__, tokens, seed)
        builder(program)
        result[program.name] = program
    return result


def module_of(all_programs):
    """The text of a module with these functions."""
    params = "".join(f"{line}\n" for p in all_programs.values() for line in p.params)
    return "module {\n" + params + "".join(p.text() for p in all_programs.values()) + "}\n"


def dense(data, element="f32"):
    """An inline source with exactly these numbers."""
    stored = {"f64": np.float64, "f32": np.float32, "f16": np.float16, "i32": np.int32}.get(element)
    raw = moe.bf16_bits(data) if element == "bf16" else np.asarray(data, stored)
    shape = "x".join(map(str, np.shape(data)))
    return f'dense<"0x{raw.tobytes().hex().upper()}"> : tensor<{shape}x{element}>'
