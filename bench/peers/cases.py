"""What the peers of moe-bench share: problems of a suite, inputs, times, checks, and results as moe-bench writes them.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Peers solve the uncompressed layers of a suite of kind layer, with the choices of its first contender.
"""

import argparse
import json
import os
import statistics
import sys
import time


def options(description):
    """The command line of a peer. Threads are set before any library starts its own."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--suite", required=True)
    parser.add_argument("--only", default="", help="problems with this in their name")
    parser.add_argument("--problem", action="append", default=[], help="a problem of just this name; several times if need be (default: all)")
    parser.add_argument("--tokens", default="", help="N,N... (default: the suite's)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", help="file for the results (default: stdout)")
    found = parser.parse_args()
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = str(found.threads)
    processors = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, processors[: found.threads])
    return found


def problems(found, encodings=("f16", "bf16", "f32")):
    """The problems of the suite with weights of these encodings; of f16 and bf16, peers hold them as what they compute with."""
    with open(found.suite, encoding="utf-8") as file:
        suite = json.load(file)
    if suite["kind"] != "layer":
        sys.exit(f"{found.suite}: error: expected a suite of kind layer, found {suite['kind']}")
    for problem in suite["problems"]:
        if found.problem and problem["name"] not in found.problem:
            continue
        if found.only in problem["name"] and problem.get("encoding", "f16").split()[0] in encodings:
            tokens = [int(text) for text in found.tokens.split(",")] if found.tokens else problem["tokens"]
            yield suite["suite"], problem, tokens


class Routing:
    """Logits of Gumbel noise and popularity, as moe-bench draws them; ids and gates that follow from them."""

    def __init__(self, problem, tokens, seed):
        import numpy as np

        experts, clusters, k = problem["experts"], problem["clusters"], problem["k"]
        keep = problem["contenders"][0].get("keep", 0)
        random = np.random.default_rng(1000 + 77 * seed)
        popularity = np.empty(experts)
        popularity[np.random.default_rng(77).permutation(experts)] = -problem.get("zipf", 0) * np.log(np.arange(1, experts + 1))
        logits = popularity + random.gumbel(size=(tokens, experts))
        if keep:
            # Expert e is in cluster e mod clusters; the others are out of the question.
            best = logits.reshape(tokens, experts // clusters, clusters).max(axis=1)
            kept = np.zeros_like(best, dtype=bool)
            np.put_along_axis(kept, np.argsort(-best, axis=1)[:, :keep], True, axis=1)
            logits = np.where(np.tile(kept, (1, experts // clusters)), logits, -1e4)
        self.logits = logits.astype(np.float32)
        self.ids = np.argsort(-logits, axis=1, kind="stable")[:, :k]
        scores = np.exp(np.take_along_axis(logits, self.ids, axis=1) - logits.max(axis=1, keepdims=True))
        self.gates = (scores / scores.sum(axis=1, keepdims=True)).astype(np.float32)


def weights(problem):
    """Gate and up [experts, 2 inner, width], gate first, and down [experts, width, inner], as f32 of about unit gain."""
    import numpy as np

    experts, width, inner = problem["experts"], problem["width"], problem["inner"]
    random = np.random.default_rng(7)

    def values(*shape):
        made = np.empty(shape, dtype=np.float32)
        for entry in made:
            random.standard_normal(out=entry, dtype=np.float32)
            entry /= np.float32(shape[-1] ** 0.5)
        return made

    return values(experts, 2 * inner, width), values(experts, width, inner)


def check(output, x, routing, gate_up, down, bound):
    """Largest error of up to three tokens against a plain solution in f64, in terms of the root mean square."""
    import numpy as np

    largest, inner = 0.0, gate_up.shape[1] // 2
    for token in sorted({0, len(x) // 2, len(x) - 1}):
        expected = np.zeros(x.shape[1])
        for expert, gate in zip(routing.ids[token], routing.gates[token]):
            both = gate_up[expert].astype(np.float64) @ x[token]
            h = both[:inner] / (1 + np.exp(-both[:inner])) * both[inner:]
            expected += gate * (down[expert].astype(np.float64) @ h)
        error = np.abs(np.asarray(output[token], dtype=np.float64) - expected).max() / np.sqrt((expected**2).mean())
        largest = max(largest, float(error))
        if not error <= bound:
            sys.exit(f"error: expected errors up to {bound} of the root mean square, found {error}")
    return largest


def measure(found, suite, problem, routings, name, call, error, element_bytes):
    """Times call(routing) in turn over the routings and writes one result. A peer knows neither the baseline nor the rates:
    moe-bench --from fills them in."""
    tokens = len(routings[0].ids)
    clock = time.thread_time if found.threads == 1 else time.perf_counter
    call(0)
    times, end = [], time.perf_counter() + found.seconds
    while len(times) < found.rounds or time.perf_counter() < end:
        start = clock()
        call(len(times) % len(routings))
        times.append(clock() - start)
    quartiles = statistics.quantiles(times, n=4) if len(times) > 1 else [times[0]] * 3
    matrix = 3 * problem["width"] * problem["inner"]
    experts = statistics.fmean(len(set(routing.ids.ravel().tolist())) for routing in routings)
    clusters = statistics.fmean(len(set((routing.ids % problem["clusters"]).ravel().tolist())) for routing in routings)
    zipf = problem.get("zipf", 0)
    result = {
        "suite": suite, "problem": problem["name"], "contender": name, "routing": f"zipf {zipf:g}" if zipf else "uniform",
        "tokens": tokens, "threads": found.threads, "rounds": len(times), "median_s": statistics.median(times),
        "min_s": min(times), "iqr_s": quartiles[2] - quartiles[0],
        "bytes": experts * matrix * element_bytes + 4 * tokens * (2 * problem["width"] + problem["experts"]),
        "flops": 2.0 * tokens * problem["k"] * matrix, "experts_hit": experts, "clusters_hit": clusters,
        "rotated_bytes": problem["experts"] * matrix * element_bytes, "max_error": error,
    }  # fmt: skip
    line = json.dumps(result)
    if found.json:
        with open(found.json, "a", encoding="utf-8") as file:
            file.write(line + "\n")
    else:
        print(line, flush=True)
