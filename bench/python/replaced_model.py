"""A transformers model on compiled blocks beside itself: `replaced_model.py [--threads 1] [--dtype float32]`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

One process, the same threads. Prefill: one sequence of 512 tokens. Decode: one more token for each of 1, 8 and 64 sequences of 32 tokens.
Contenders are the model with each implementation of experts that transformers has, the fastest of them under torch.compile, and the model
after moec.torch.replace_moe, as it is and under torch.compile. Each round calls all in turn; printed are the median of the rounds, and the
median of the ratios to the replaced model within a round: above 1, the replaced model is faster. The whole model is timed, attention and head
included; logits are compared with the first contender's.

Without --model a Qwen3-MoE of random weights is made: two layers, hidden 1024, 64 experts of inner width 384, 8 chosen.
"""

import argparse
import copy
import pathlib
import statistics
import sys
import tempfile
import time

root = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(root / "python"))

import torch  # noqa: E402
import transformers  # noqa: E402

import moec  # noqa: E402
import moec.torch  # noqa: E402

transformers.utils.logging.disable_progress_bar()
IMPLEMENTATIONS = ("eager", "batched_mm", "grouped_mm")
# batched_mm copies the weights of every choice: of more tokens at once it runs out of memory.
MOST_BATCHED = 8
CONTEXT = 32  # tokens that a decoded sequence has behind it


def make_model(folder, dtype):
    config = transformers.Qwen3MoeConfig(
        vocab_size=1024, hidden_size=1024, intermediate_size=1024, moe_intermediate_size=384, num_hidden_layers=2, num_experts=64,
        num_experts_per_tok=8, num_attention_heads=16, num_key_value_heads=4, head_dim=64, norm_topk_prob=True, max_position_embeddings=2048,
    )  # fmt: skip
    torch.manual_seed(0)
    transformers.AutoModelForCausalLM.from_config(config, dtype=dtype).save_pretrained(folder)
    return folder


def with_experts(model, implementation):
    """The same model, sharing its weights, with another implementation of experts."""
    memo = {id(tensor): tensor for tensor in model.state_dict(keep_vars=True).values()}
    copied = copy.deepcopy(model, memo)
    for module in copied.modules():
        if hasattr(module, "config"):
            module.config._experts_implementation = implementation
    return copied


class Prefill:
    def __init__(self, tokens):
        self.name, self.tokens = f"prefill {tokens}", tokens
        self.ids = torch.randint(1, 200, (1, tokens), generator=torch.Generator().manual_seed(1))

    def call_of(self, model, forward):
        return lambda: forward(input_ids=self.ids, use_cache=False).logits, lambda: None


class Decode:
    def __init__(self, sequences):
        self.name, self.tokens = f"decode {sequences}", sequences
        generator = torch.Generator().manual_seed(2)
        self.ids = torch.randint(1, 200, (sequences, CONTEXT), generator=generator)
        self.next = torch.randint(1, 200, (sequences, 1), generator=generator)

    def call_of(self, model, forward):
        cache = model(input_ids=self.ids, use_cache=True).past_key_values
        return (
            lambda: forward(input_ids=self.next, past_key_values=cache, use_cache=True).logits,
            lambda: cache.crop(-1),
        )


def contenders(model, artifact, with_compile):
    """Name, model and forward function of each; of what this machine or these libraries lack, nothing."""
    for implementation in IMPLEMENTATIONS:
        made = with_experts(model, implementation)
        yield f"transformers {implementation}", made, made
    replaced = with_experts(model, "eager")
    moec.torch.replace_moe(replaced, artifact)
    yield "moec", replaced, replaced
    if with_compile:
        made = with_experts(model, "grouped_mm")
        yield "torch.compile, grouped_mm", made, torch.compile(made, dynamic=False)
        yield "moec, torch.compile", replaced, torch.compile(replaced, dynamic=False)


def try_calls(phase, found):
    """Ready calls by name, each tried once and compared with the first; a contender that fails is left out, and said so."""
    ready, expected = {}, None
    for name, model, forward in found:
        if "batched_mm" in name and phase.tokens > MOST_BATCHED:
            continue
        try:
            call, reset = phase.call_of(model, forward)
            logits = call()
            reset()
            call()  # Another may be compiled for the second call.
            reset()
        except Exception as error:  # whatever a release lacks on this machine
            print(f"{phase.name}: {name}: left out: {str(error).splitlines()[0][:120]}", file=sys.stderr)
            continue
        expected = logits if expected is None else expected
        ready[name] = call, reset, ((logits - expected).abs().max() / expected.abs().max()).item()
    return ready


def measure(phase, ready, seconds):
    """Times by name, of as many rounds as there is time for."""
    times, end = {name: [] for name in ready}, time.perf_counter() + seconds
    while len(times["moec"]) < 3 or time.perf_counter() < end:
        for name, (call, reset, _) in ready.items():
            start = time.perf_counter()
            call()
            times[name].append(time.perf_counter() - start)
            reset()
    print(f"{phase.name}, {len(times['moec'])} rounds\n{'':28}{'median':>12}{'over moec':>12}{'difference':>13}")
    for name, found in times.items():
        ratio = statistics.median(one / own for one, own in zip(found, times["moec"]))
        print(f"{name:28}{statistics.median(found) * 1e3:9.2f} ms{ratio:11.2f}x{ready[name][2]:13.1e}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", help="a checkpoint's directory (default: one is made)")
    parser.add_argument("--dtype", default="float32", choices=("float32", "bfloat16"), help="of the model, and of the one made")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10, help="for each phase (default 10)")
    parser.add_argument("--prefill", type=int, default=512, help="tokens (default 512)")
    parser.add_argument("--decode", default="1,8,64", help="sequences (default 1,8,64)")
    parser.add_argument("--without-compile", action="store_true", help="leave torch.compile out, which takes a minute for each phase")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.set_grad_enabled(False)
    dtype = getattr(torch, options.dtype)
    with tempfile.TemporaryDirectory() as scratch:
        path = options.model or make_model(pathlib.Path(scratch) / "model", dtype)
        model = transformers.AutoModelForCausalLM.from_pretrained(path, dtype=dtype).eval()
        artifact = moec.load(moec.compile(path, pathlib.Path(scratch) / "artifact"), threads=options.threads)
        print(f"{artifact.source}; {options.threads} threads, {options.dtype}, transformers {transformers.__version__}, torch {torch.__version__}")
        found = list(contenders(model, artifact, not options.without_compile))
        for phase in (Prefill(options.prefill), *(Decode(int(count)) for count in options.decode.split(","))):
            measure(phase, try_calls(phase, found), options.seconds)


if __name__ == "__main__":
    main()
