"""Draws which bases of the example model are in memory when, on held-out text: docs/residency.svg.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

  moe-compile examples/tiny-mixtral --compress --clusters=8 --rank=16 -o small
  python3 examples/tiny-mixtral/residency_picture.py small -o docs/residency.svg

The trace is that of samples.safetensors: 8 requests of 32 bytes of text, a byte a step; which experts the routers chose is in it, and their
clusters in the artifact. Hints are what a layer's router says of the input of the block before it. moe-simulate says what is in slots at the
end of each step of each layer: half of all bases, next_use by hints, reads that take 0.7 ms beside steps of a layer of 1 ms. Needs NumPy
and safetensors.
"""

import argparse
import json
import pathlib
import subprocess
import tempfile

import numpy as np
import safetensors
import safetensors.numpy

HERE = pathlib.Path(__file__).resolve().parent
LAYERS, CLUSTERS, CHOICES, STEPS_OF_REQUEST = 4, 8, 2, 32
MACHINE = "--slots 16 --unit-bytes 4e6 --bandwidth 7e9 --layer-seconds 1e-3 --lookahead 1 --evictions next_use --predictors hint"
WIDTH, HEIGHT, LEFT, TOP, BETWEEN = 3, 7, 64, 22, 8  # of a step, of a base; margins; between layers
COLOURS = {"in memory": "#c6d3e3", "met, and there": "#2166ac", "met, waited for": "#d6342c"}


def router(layer: int) -> np.ndarray:
    """[experts, hidden] in f32; NumPy has no bfloat16."""
    data = (HERE / "model.safetensors").read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    entry = json.loads(data[8:begin])[f"model.layers.{layer}.block_sparse_moe.gate.weight"]
    first, last = entry["data_offsets"]
    words = np.frombuffer(data[begin + first : begin + last], np.uint16).astype(np.uint32) << 16
    return words.view(np.float32).reshape(entry["shape"])


def clusters_of(logits: np.ndarray, table: np.ndarray) -> list[list[int]]:
    """The different clusters of each row's chosen experts."""
    best = np.argsort(-logits, axis=1, kind="stable")[:, :CHOICES]
    return [sorted(set(table[row].tolist())) for row in best]


def traces(artifact: pathlib.Path) -> tuple[list, list]:
    """What each layer's steps met, and were said to meet: [layer][step]."""
    samples = safetensors.numpy.load_file(HERE / "samples.safetensors")
    met, hints = [], []
    with safetensors.safe_open(artifact / "weights.safetensors", framework="np") as archive:
        for layer in range(LAYERS):
            table = archive.get_tensor(f"layer{layer}.cluster")
            met.append(clusters_of(samples[f"layers.{layer}.logits"], table))
            before = samples[f"layers.{max(layer - 1, 0)}.input"]
            hints.append(clusters_of(before @ router(layer).T, table) if layer else [[]] * len(before))
    return met, hints


def padded(lists: list) -> np.ndarray:
    """[steps, layers, most], with -1 behind."""
    steps = len(lists[0])
    array = np.full((steps, LAYERS, CHOICES), -1, np.int32)
    for layer in range(LAYERS):
        for step in range(steps):
            array[step, layer, : len(lists[layer][step])] = lists[layer][step]
    return array


def simulated(met: list, hints: list, simulate: str) -> list[set[int]]:
    """The bases in slots at the end of each step of each layer."""
    with tempfile.TemporaryDirectory() as folder:
        trace, residency = pathlib.Path(folder) / "trace", pathlib.Path(folder) / "residency"
        tensors = {"trace.used": padded(met), "trace.hints": padded(hints)}
        tensors["trace.requests"] = np.arange(0, len(met[0]), STEPS_OF_REQUEST, dtype=np.int64)
        about = {"moec.trace": json.dumps({"clusters": CLUSTERS, "version": "1.0"})}
        safetensors.numpy.save_file(tensors, trace, metadata=about)
        command = [simulate, "--trace", trace, "--write-residency", residency, *MACHINE.split()]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return [set(map(int, line.split())) for line in residency.read_text().splitlines()]


def kinds(met: list, resident: list[set[int]]) -> dict[str, np.ndarray]:
    """By colour, where it is: [layers, clusters, steps]."""
    steps = len(met[0])
    found = {name: np.zeros((LAYERS, CLUSTERS, steps), bool) for name in COLOURS}
    for layer in range(LAYERS):
        for step in range(steps):
            turn = step * LAYERS + layer
            for cluster in range(CLUSTERS):
                unit = layer * CLUSTERS + cluster
                was_there = turn > 0 and unit in resident[turn - 1]
                if cluster in met[layer][step]:
                    found["met, and there" if was_there else "met, waited for"][layer, cluster, step] = True
                elif unit in resident[turn]:
                    found["in memory"][layer, cluster, step] = True
    return found


def path_of(where: np.ndarray) -> str:
    """A rectangle for each run of steps."""
    d = []
    for layer, cluster in np.ndindex(*where.shape[:2]):
        y = TOP + layer * (CLUSTERS * HEIGHT + BETWEEN) + cluster * HEIGHT
        edges = np.flatnonzero(np.diff(np.concatenate([[0], where[layer, cluster].astype(int), [0]])))
        d += [f"M{LEFT + a * WIDTH} {y}h{(b - a) * WIDTH}v{HEIGHT - 1}h-{(b - a) * WIDTH}z" for a, b in edges.reshape(-1, 2)]
    return "".join(d)


def picture(met: list, resident: list[set[int]]) -> str:
    steps = len(met[0])
    height = TOP + LAYERS * (CLUSTERS * HEIGHT + BETWEEN)
    width = LEFT + steps * WIDTH + 8
    lines = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height + 18}" font-family="sans-serif" font-size="11">']
    lines.append(f'<rect width="{width}" height="{height + 18}" fill="white"/>')
    for i, (name, colour) in enumerate(COLOURS.items()):
        lines.append(f'<rect x="{LEFT + i * 130}" y="6" width="10" height="8" fill="{colour}"/>')
        lines.append(f'<text x="{LEFT + 14 + i * 130}" y="14">{name}</text>')
    lines += [f'<path fill="{COLOURS[name]}" d="{path_of(where)}"/>' for name, where in kinds(met, resident).items()]
    for layer in range(LAYERS):
        y = TOP + layer * (CLUSTERS * HEIGHT + BETWEEN) + CLUSTERS * HEIGHT // 2 + 4
        lines.append(f'<text x="8" y="{y}">layer {layer}</text>')
    for request in range(1, steps // STEPS_OF_REQUEST):
        x = LEFT + request * STEPS_OF_REQUEST * WIDTH
        lines.append(f'<path stroke="#888" stroke-width="0.5" d="M{x} {TOP - 4}V{height - BETWEEN}"/>')
    lines.append(f'<text x="{LEFT}" y="{height + 10}">steps, a byte of text each; lines: another request; rows: the bases of a layer</text>')
    return "\n".join([*lines, "</svg>", ""])


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("artifact", type=pathlib.Path)
    parser.add_argument("-o", dest="output", type=pathlib.Path, required=True)
    parser.add_argument("--simulate", default="moe-simulate", help="the program, if it is not on PATH")
    options = parser.parse_args()
    met, hints = traces(options.artifact)
    options.output.write_text(picture(met, simulated(met, hints, options.simulate)))


if __name__ == "__main__":
    main()
