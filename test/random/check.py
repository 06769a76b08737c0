"""Runs a module on the reference lowering before and after passes, and compares the numbers.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

    check.py MODULE.mlir [--seed N] [--keep DIR]     exit 0: all agree, 1: not, 2: the module is not valid
    check.py --interesting MODULE.mlir               for moe-reduce: exit 1 while the module is valid and disagrees

The variants of the function stand in one module, which is compiled once.
"""

import argparse
import pathlib
import random
import re
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "reference"))
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import artifact  # noqa: E402
from program import binary  # noqa: E402

# Every pass alone, then in random orders: any order is legal, a pass leaves what it does not know.
PASSES = [
    "canonicalize",
    "cse",
    "moe-insert-communication",
    "moe-decompose-experts",
    "moe-distribute-weights",
    "moe-distribute-weights{always=true}",
    "moe-share-base",
    "moe-group-tokens",
    "moe-fuse-residual",
    "moe-fuse-combine",
]
# Sums are taken in another order, and products in front of sums instead of behind: a few roundings of numbers that may be
# larger than the result, since parts cancel.
TOLERANCE = {"float32": 2e-5, "float64": 1e-12}


class Invalid(Exception):
    """The module does not parse, verify or run at all: nothing to compare."""


def function_of(text):
    """Lines of function @f in a printed module."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("  func.func @f("))
    end = next(i for i in range(start, len(lines)) if lines[i] == "  }")
    return lines[start : end + 1]


def run_passes(path, pipeline):
    """The module after a pipeline, printed with nothing hidden in aliases."""
    done = subprocess.run(
        [binary("moe-opt"), path, f"--pass-pipeline=builtin.module({pipeline})", "--mlir-print-local-scope"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{pipeline}: exit {done.returncode}\n{done.stderr[-3000:]}")
    return done.stdout


def pipelines(seed):
    """Each pass alone, the whole pipeline, and random orders."""
    draw = random.Random(seed)
    alone = [f"func.func({name})" for name in PASSES[2:]]
    orders = []
    for _ in range(2):
        names = [draw.choice(PASSES) for _ in range(draw.randint(3, 8))]
        orders.append(f"func.func({','.join(names)})")
    whole = "func.func(canonicalize,cse,moe-decompose-experts,moe-share-base,canonicalize,cse,moe-group-tokens,cse,moe-fuse-residual,canonicalize,cse,moe-fuse-combine,canonicalize,cse)"
    # On one rank communication changes nothing, and what follows it may not need to know.
    return [*alone, whole, whole.replace("moe-decompose-experts", "moe-insert-communication,moe-decompose-experts"), *orders]


def random_inputs(arguments, tokens, seed):
    """Seeded arrays for the inputs of an entry; integers reach a little outside what ids may be."""
    rng = np.random.default_rng(seed)
    inputs = []
    for argument in arguments:
        shape = [extent if extent >= 0 else tokens for extent in argument.shape]
        if argument.element.startswith("i"):
            inputs.append(rng.integers(-1, 4, shape))
        else:
            inputs.append(rng.standard_normal(shape))
    return inputs


def variants_of(path, seed):
    """Module text with @f and its rewritten forms @f1 …, and the pipeline of each."""
    base = run_passes(path, "")
    original = function_of(base)
    head = base.splitlines()
    start = head.index(original[0])
    params = head[1:start]
    forms, seen = [], {"\n".join(original): "as it is"}
    for pipeline in pipelines(seed):
        text = "\n".join(function_of(run_passes(path, pipeline)))
        if text not in seen:
            seen[text] = pipeline
            forms.append((pipeline, text))
    functions = ["\n".join(original)]
    functions += [text.replace("func.func @f(", f"func.func @f{i}(", 1) for i, (_, text) in enumerate(forms, 1)]
    module = "module {\n" + "\n".join([*params, *functions]) + "\n}\n"
    return module, [pipeline for pipeline, _ in forms]


def check(path, seed, keep=None):
    """Differences found, as lines of text; empty if all forms agree."""
    source = pathlib.Path(path).read_text()
    tokens = int((re.search(r"// tokens: (\d+)", source) or [0, 3])[1])
    if subprocess.run([binary("moe-opt"), path, "-o", "/dev/null"], capture_output=True).returncode != 0:
        raise Invalid(path)
    try:
        module, names = variants_of(path, seed)
    except RuntimeError as error:
        return [str(error)]
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(keep or scratch)
        folder.mkdir(exist_ok=True, parents=True)
        (folder / "variants.mlir").write_text(module)
        done = subprocess.run(
            [binary("moe-compile"), folder / "variants.mlir", "-o", folder / "artifact", "--opt-level=0"],
            capture_output=True,
            text=True,
            timeout=300,
        )
        if done.returncode != 0:
            return [f"moe-compile: exit {done.returncode}\n{done.stderr[-3000:]}"]
        compiled = artifact.Artifact(folder / "artifact")
        inputs = random_inputs([a for a in compiled.functions["f"] if not a.is_output], tokens, seed)
        expected = compiled("f", *inputs)
        found = []
        for i, name in enumerate(names, 1):
            found += differences(expected, compiled(f"f{i}", *inputs), name)
        # An archive stores no f64 but encoded.
        if "moe.param" in source and "xf64" not in source:
            found += check_layer(path, seed, folder, compiled.functions["f"], inputs, expected)
        return found


def check_layer(path, seed, folder, arguments, inputs, expected):
    """The same function as a moe.layer: its params become bindings, then passes run, and weights come from an archive."""
    pipeline = f"moe-bind-params,{pipelines(seed)[-1]}"
    try:
        text = run_passes(path, pipeline)
    except RuntimeError as error:
        return [str(error)]
    if "moe.layer @f runs @" not in text:
        return []  # no param is a leaf of the function
    (folder / "layer.mlir").write_text(text)
    command = [binary("moe-compile"), folder / "layer.mlir", "-o", folder / "layer", "--separate-weights",
               "--pipeline=reference", "--opt-level=0"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        return [f"moe-compile --separate-weights: exit {done.returncode}\n{done.stderr[-3000:]}"]
    command = [binary("moe-run"), folder / "layer", "--layer", "f", "--output", folder / "results"]
    for argument, values in zip([a for a in arguments if not a.is_output], inputs):
        np.save(folder / f"{argument.name}.npy", np.asarray(values, artifact.ELEMENTS[argument.element][0]))
        command += ["--input", f"{argument.name}={folder / argument.name}.npy"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        return [f"moe-run --layer: exit {done.returncode}\n{done.stderr[-3000:]}"]
    results = [np.load(folder / "results" / f"{a.name}.npy") for a in arguments if a.is_output]
    return differences(expected, results, pipeline)


def differences(expected, results, name):
    found = []
    for j, (want, got) in enumerate(zip(expected, results)):
        scale = max(1.0, float(np.max(np.abs(want[np.isfinite(want)]), initial=0)))
        same = np.isclose(got, want, rtol=0, atol=TOLERANCE[str(want.dtype)] * scale, equal_nan=True)
        if not same.all():
            worst = float(np.nanmax(np.abs(np.where(same, 0, got - want))))
            found.append(f"result {j} differs by {worst:g} (largest value {scale:g}) after {name}")
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("module")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", help="keep the module of variants and the artifact in this folder")
    parser.add_argument("--interesting", action="store_true", help="exit 1 while the module is valid and disagrees")
    options = parser.parse_args()
    try:
        found = check(options.module, options.seed, options.keep)
    except Invalid:
        return 0 if options.interesting else 2
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
