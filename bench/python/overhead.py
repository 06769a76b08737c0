"""What a call costs beside the layer: `overhead.py [--artifact DIR] [--tokens 1]`, of Python's ways to call one.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Each round times all ways in turn, some hundred calls of each; printed are the least and the median of the rounds, and the median of
how much longer than the C call each took in the same round. The C call is `moert_layer_call` by ctypes on structures made before; what ctypes
itself adds to it, about half a microsecond, is not taken off.
"""

import argparse
import contextlib
import pathlib
import statistics
import sys
import tempfile
import time

root = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(root / "python"))

import numpy as np  # noqa: E402

import moec  # noqa: E402
from moec import tensors  # noqa: E402
from moec.artifact import workspace  # noqa: E402
from moec.frame import Frame  # noqa: E402


def c_call(layer, x):
    """The layer's C function on arguments that are ready."""
    y, frame = np.empty_like(x), Frame(2)
    layer(x, out=y)  # The workspace is large enough from now on.
    frame.fill([tensors.of_array(array, "float32", "") for array in (x, y)])
    (room, frame.call.workspace), function = workspace.of(0), layer._function
    frame.call.workspace_bytes = room.size
    own, call, arguments = layer._own, frame.call, frame.arguments
    if status := function(own, call, arguments, 2):
        frame.sink.check(status)
    # The memory stays as long as the function does.
    return lambda held=(x, y, room, frame): function(own, call, arguments, 2)


def ways(artifact, tokens):
    """Name, function and context of each; the C call first."""
    layer = next(iter(artifact.layers.values()))
    x = np.random.default_rng(0).standard_normal((tokens, layer.inputs[0].shape[1]), np.float32)
    yield "C call", c_call(layer, x), contextlib.nullcontext
    yield "NumPy", lambda: layer(x), contextlib.nullcontext
    try:
        import torch

        import moec.torch
    except ImportError:
        print("PyTorch: left out: this Python does not have it")
        return
    torch.set_num_threads(1)
    operator, rows = moec.torch.operator(artifact, layer.name), torch.from_numpy(x)
    yield "torch operator", lambda: operator(rows), contextlib.nullcontext
    yield "torch operator, no_grad", lambda: operator(rows), torch.no_grad
    yield "torch operator, inference_mode", lambda: operator(rows), torch.inference_mode


def time_of(function, context, calls):
    """Microseconds of one call."""
    with context():
        start = time.perf_counter()
        for _ in range(calls):
            function()
        return (time.perf_counter() - start) / calls * 1e6


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--artifact", help="of a checkpoint (default: examples/tiny-mixtral, compiled here)")
    parser.add_argument("--tokens", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--calls", type=int, default=200, help="of each way in a round (default 200)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        path = options.artifact or moec.compile(root / "examples/tiny-mixtral", pathlib.Path(scratch) / "tiny")
        found = list(ways(moec.load(path), options.tokens))
        rounds = [[time_of(function, context, options.calls) for _, function, context in found] for _ in range(options.rounds)]
    print(f"{options.tokens} tokens, microseconds\n{'':34}{'least':>9}{'median':>9}{'above the C call':>19}")
    for place, (name, *_) in enumerate(found):
        times = [one[place] for one in rounds]
        above = statistics.median(one[place] - one[0] for one in rounds)
        print(f"{name:34}{min(times):9.2f}{statistics.median(times):9.2f}{above:19.2f}")


if __name__ == "__main__":
    main()
