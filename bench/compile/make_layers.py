"""Writes a module of many shared-basis layers, to time the compiler: `make_layers.py [options] > layers.mlir`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

One function; each layer is a router limited to some clusters, gate, up and down as a base per cluster plus a low-rank
residual per expert, and a residual connection. Weights are external: no numbers are stored or read.
"""

import argparse


def params(layer, options):
    """Params of one layer: name and type."""
    experts, clusters, rank = options.experts, options.clusters, options.rank
    yield "table", f"!moe.table<expert[{experts}] -> cluster[{clusters}]>"
    for name, rows, columns in (("gate", options.width, options.inner), ("up", options.width, options.inner), ("down", options.inner, options.width)):
        yield f"{name}_base", f"!moe.weight<{rows}x{columns}x{options.element}, cluster[{clusters}]>"
        yield f"{name}_a", f"!moe.weight<{rows}x{rank}x{options.element}, expert[{experts}]>"
        yield f"{name}_b", f"!moe.weight<{rank}x{columns}x{options.element}, expert[{experts}]>"


def layer_text(layer, x, options):
    """Lines of one layer; its result is %y<layer>."""
    own, n = dict(params(layer, options)), layer
    tokens = f"tensor<?x{options.width}x{options.element}>"
    ids = f"tensor<?x{options.k}x!moe.id<expert[{options.experts}]>>"
    weights = f"tensor<?x{options.k}x{options.element}>"
    logits = f"tensor<?x{options.experts}x{options.element}>"
    full = {}
    for name, kind in own.items():
        yield f"%{name}{n} = moe.leaf @l{n}.{name} : {kind}"
    limit = f"limit <keep {options.keep} of {options.clusters} by max> clusters %table{n} " if options.keep else ""
    kinds = f"({logits}, {own['table']})" if options.keep else f"({logits})"
    yield f"%ids{n}, %p{n} = moe.route %logits{n} score softmax {limit}choose <top_k {options.k}> gates <scores, l1> : {kinds} -> ({ids}, {weights})"
    for name in ("gate", "up", "down"):
        base, a, b = (own[f"{name}_{part}"] for part in ("base", "a", "b"))
        full[name] = base.split(",")[0] + f", expert[{options.experts}]>"
        yield f"%{name}_s{n} = moe.weight.select %{name}_base{n} by %table{n} : {base}, {own['table']}"
        yield f"%{name}_r{n} = moe.weight.mul %{name}_a{n}, %{name}_b{n} : {a}, {b}"
        yield f"%{name}{n} = moe.weight.add %{name}_s{n}, %{name}_r{n} : {full[name]}, {full[name]}"
    yield (f"%e{n} = moe.experts {x} to %ids{n} weighted %p{n} gate %gate{n} up %up{n} down %down{n} act <silu>"
           f" : ({tokens}, {ids}, {weights}, {full['gate']}, {full['up']}, {full['down']}) -> {tokens}")
    yield f"%y{n} = arith.addf {x}, %e{n} : {tokens}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, value in (("layers", 48), ("experts", 128), ("clusters", 16), ("k", 8), ("keep", 4), ("width", 2048), ("inner", 768), ("rank", 16)):
        parser.add_argument(f"--{name}", type=int, default=value, help=f"default {value}")
    parser.add_argument("--element", default="f32", help="default f32")
    options = parser.parse_args()

    for layer in range(options.layers):
        for name, kind in params(layer, options):
            print(f'moe.param private @l{layer}.{name} : {kind} = #moe.external<"model"::"layers.{layer}.{name}">')
    tokens = f"tensor<?x{options.width}x{options.element}>"
    logits = f"tensor<?x{options.experts}x{options.element}>"
    arguments = [f"%x: {tokens}", *(f"%logits{layer}: {logits}" for layer in range(options.layers))]
    print(f"func.func @model({', '.join(arguments)}) -> {tokens} {{")
    x = "%x"
    for layer in range(options.layers):
        for line in layer_text(layer, x, options):
            print("  " + line)
        x = f"%y{layer}"
    print(f"  return {x} : {tokens}\n}}")


if __name__ == "__main__":
    main()
