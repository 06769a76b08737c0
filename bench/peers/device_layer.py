"""PyTorch as a peer of layers on a CUDA device: `device_layer.py --shape 4096,14336,32,4,2,16 --tokens 32,4096 [--device cuda]`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

One JSON object a line: the seconds of one call, ids and gate weights given, bf16. Contenders: the experts of Hugging Face transformers'
Qwen3-MoE block with each implementation it has, of a matrix for each expert; and shared bases with residuals as a composition of library
products, base and low-rank factors each by `grouped_mm` (cuBLAS or CUTLASS, as PyTorch chooses), tokens in one cluster each. On
a device calls are captured in a graph (but of the eager loop over experts) and timed by events; on a CPU, which shows that all of it works,
by its clock. Each contender is compared with a plain solution in f32 of a few tokens. One that does not run here is left out, and said so.
"""

import argparse
import json
import statistics
import sys
import time
from dataclasses import dataclass

import torch
from torch.nn.functional import grouped_mm, silu

torch.set_grad_enabled(False)
MOST_ERROR = 0.1  # of the root mean square: rows, hidden rows and sums are rounded to bf16


@dataclass(frozen=True)
class Shape:
    d: int
    f: int
    experts: int
    clusters: int
    k: int
    rank: int


def values(*shape, device):
    """Uniform, of the variance that keeps a row's."""
    made = torch.empty(shape, dtype=torch.bfloat16, device=device)
    return made.uniform_(-1, 1).mul_((3 / shape[-2]) ** 0.5)


class Traffic:
    """Experts of one cluster for each token, drawn evenly, expert e in cluster e mod clusters; gate weights."""

    def __init__(self, shape, tokens, device):
        generator = torch.Generator().manual_seed(5)
        cluster = torch.randint(shape.clusters, (tokens, 1), generator=generator)
        members = torch.stack([torch.randperm(shape.experts // shape.clusters, generator=generator)[: shape.k] for _ in range(tokens)])
        self.x = torch.randn(tokens, shape.d, generator=generator).to(device, torch.bfloat16)
        self.cluster = cluster[:, 0].to(device)
        self.ids = (members * shape.clusters + cluster).to(device)
        self.gates = torch.rand(tokens, shape.k, generator=generator).to(device, torch.bfloat16)


def expert_layer(x, gate, up, down):
    return (silu(x @ gate) * (x @ up)) @ down


class Uncompressed:
    """transformers' experts, by one of its implementations."""

    def __init__(self, shape, device, implementation):
        from transformers.models.qwen3_moe.configuration_qwen3_moe import Qwen3MoeConfig
        from transformers.models.qwen3_moe.modeling_qwen3_moe import Qwen3MoeExperts

        self.name = f"transformers {implementation}"
        config = Qwen3MoeConfig(hidden_size=shape.d, moe_intermediate_size=shape.f, num_experts=shape.experts, num_experts_per_tok=shape.k,
                                hidden_act="silu", norm_topk_prob=True)  # fmt: skip
        config._experts_implementation = implementation
        with torch.device("meta"):
            self.experts = Qwen3MoeExperts(config)
        gate_up, down = values(shape.experts, 2 * shape.f, shape.d, device=device), values(shape.experts, shape.d, shape.f, device=device)
        self.experts.gate_up_proj = torch.nn.Parameter(gate_up, requires_grad=False)
        self.experts.down_proj = torch.nn.Parameter(down, requires_grad=False)

    def __call__(self, traffic):
        return self.experts(traffic.x, traffic.ids, traffic.gates)

    def matrices(self, expert):
        """Gate, up and down as x multiplies them."""
        gate, up = self.experts.gate_up_proj[expert].chunk(2)
        return gate.T, up.T, self.experts.down_proj[expert].T


class Composition:
    """W = base[cluster] + A[expert] B[expert], each product by itself."""

    name = "bases and residuals by grouped_mm"

    def __init__(self, shape, device):
        self.shape = shape
        d, f, r = shape.d, shape.f, shape.rank
        self.gate_up = values(shape.clusters, d, 2 * f, device=device)
        self.down = values(shape.clusters, f, d, device=device)
        self.shrink = values(shape.experts, d, 2 * r, device=device)  # of gate beside of up
        self.expand = [values(shape.experts, r, f, device=device) for _ in range(2)]
        self.down_shrink = values(shape.experts, f, r, device=device)
        self.down_expand = values(shape.experts, r, d, device=device)

    @staticmethod
    def sort(keys, count):
        """Stable order of rows by key, and where each key's end."""
        order = torch.argsort(keys, stable=True)
        # bincount would ask the device for the largest key, which no graph may.
        counts = torch.zeros(count, dtype=torch.int32, device=keys.device).index_add_(0, keys, torch.ones_like(keys, dtype=torch.int32))
        return order, counts.cumsum(0, dtype=torch.int32)

    def __call__(self, traffic):
        s = self.shape
        rows, row_ends = self.sort(traffic.cluster, s.clusters)
        pairs, pair_ends = self.sort(traffic.ids.flatten(), s.experts)
        place_of_token = torch.empty_like(rows).index_copy_(0, rows, torch.arange(len(rows), device=rows.device))
        row_of_pair = place_of_token[pairs // s.k]
        x = traffic.x[rows]
        base = grouped_mm(x, self.gate_up, offs=row_ends)
        shrunk = grouped_mm(x[row_of_pair], self.shrink, offs=pair_ends)
        gate, up = (
            half[row_of_pair] + grouped_mm(own.contiguous(), factor, offs=pair_ends)
            for half, own, factor in zip(base.chunk(2, 1), shrunk.chunk(2, 1), self.expand)
        )
        hidden = silu(gate) * up * traffic.gates.flatten()[pairs][:, None]
        summed = torch.zeros(len(rows), s.f, dtype=hidden.dtype, device=hidden.device).index_add_(0, row_of_pair, hidden)
        own = grouped_mm(grouped_mm(hidden, self.down_shrink, offs=pair_ends), self.down_expand, offs=pair_ends)
        y = grouped_mm(summed, self.down, offs=row_ends).index_add_(0, row_of_pair, own)
        return torch.empty_like(y).index_copy_(0, rows, y)

    def matrices(self, expert):
        s, cluster = self.shape, expert % self.shape.clusters
        halves = zip(self.gate_up[cluster].float().chunk(2, 1), self.shrink[expert].float().chunk(2, 1), self.expand)
        gate, up = (base + own @ factor[expert].float() for base, own, factor in halves)
        return gate, up, self.down[cluster].float() + self.down_shrink[expert].float() @ self.down_expand[expert].float()


def check(contender, traffic, output):
    """Largest error of up to three tokens, in terms of the root mean square."""
    largest = 0.0
    for token in sorted({0, len(output) // 2, len(output) - 1}):
        terms = [
            gate.float() * expert_layer(traffic.x[token].float(), *(m.float() for m in contender.matrices(expert)))
            for expert, gate in zip(traffic.ids[token].tolist(), traffic.gates[token])
        ]
        expected = torch.stack(terms).sum(0)
        largest = max(largest, ((output[token].float() - expected).abs().max() / expected.square().mean().sqrt()).item())
    if not largest <= MOST_ERROR:
        sys.exit(f"device_layer.py: error: {contender.name}: expected errors up to {MOST_ERROR} of the root mean square, found {largest}")
    return largest


def captured(call):
    """Replays what `call` launches."""
    stream = torch.cuda.Stream()
    with torch.cuda.stream(stream):
        call()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        call()
    return graph.replay


def seconds_on_device(call, milliseconds, rounds):
    begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))

    def replay(turns):
        begin.record()
        for _ in range(turns):
            call()
        end.record()
        torch.cuda.synchronize()
        return begin.elapsed_time(end) * 1e-3 / turns

    turns = int(min(max(milliseconds * 1e-3 / max(replay(3), 1e-7), 1), 2000))
    return statistics.median(replay(turns) for _ in range(rounds))


def seconds_on_host(call, rounds):
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def contenders(shape, device):
    """Made one after the other: two would not fit beside each other."""
    for implementation in ("grouped_mm", "batched_mm", "eager"):
        yield implementation, lambda: Uncompressed(shape, device, implementation)
    yield Composition.name, lambda: Composition(shape, device)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", required=True, help="d,f,experts,clusters,choices,rank")
    parser.add_argument("--tokens", required=True, help="N,N...")
    parser.add_argument("--device", default="cuda")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--milliseconds", type=float, default=20, help="of a round")
    options = parser.parse_args()
    shape = Shape(*map(int, options.shape.split(",")))
    for way, make in contenders(shape, options.device):
        contender = make()
        for tokens in map(int, options.tokens.split(",")):
            # It copies the weights of every choice.
            if way == "batched_mm" and tokens * shape.k > shape.experts:
                continue
            traffic = Traffic(shape, tokens, options.device)
            try:
                error = check(contender, traffic, contender(traffic))
                if options.device == "cpu":
                    seconds = seconds_on_host(lambda: contender(traffic), options.rounds)
                else:
                    # The loop over experts of `eager` looks at ids on the host, which no graph may.
                    call = (lambda: contender(traffic)) if way == "eager" else captured(lambda: contender(traffic))
                    seconds = seconds_on_device(call, options.milliseconds, options.rounds)
            except RuntimeError as failure:  # whatever a release lacks on this device
                print(f"{contender.name}, {tokens} tokens: left out: {str(failure).splitlines()[0][:120]}", file=sys.stderr)
                continue
            print(json.dumps({"contender": contender.name, "tokens": tokens, "seconds": seconds, "error": error}), flush=True)
        del contender


if __name__ == "__main__":
    main()
