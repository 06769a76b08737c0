"""Runs suites and their peers in interleaved rounds, and writes RESULTS.md: `run.py [--suite NAME]... [options]`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Each round runs moe-bench, and behind it each peer that the Python of --peers has; so what the machine does meanwhile meets
all of them. `moe-bench --from` merges the rounds. RESULTS.md has the tables, the commands, and a picture for each suite.
"""

import argparse
import datetime
import json
import os
import pathlib
import shlex
import subprocess
import sys
import tempfile

here = pathlib.Path(__file__).resolve().parent
SUITES = ("kernels", "layers", "blocks", "routers", "compile", "import")
# Of the layer suite: the program, and the module it needs.
PEERS = {"torch_layer.py": "transformers", "onnxruntime_layer.py": "onnxruntime"}
# What --quick stands for: the least that shows every suite, and peers on one problem of each encoding that they have.
QUICK = {"rounds": 1, "seconds": 0.4, "tokens": "1,8,64,512"}
QUICK_PEERS = ["qwen3-like f16", "qwen3-like int4"]


def processor():
    """The name of the CPU, and the newest instruction set of the CPU pipeline that it has."""
    lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
    found = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in lines)}
    flags = found.get("flags", "").split()
    newest = "sapphirerapids" if {"amx_bf16", "avx512_fp16"} <= set(flags) else "x86-64-v4" if "avx512bw" in flags else "x86-64-v3"
    return found.get("model name", "unknown CPU"), newest


def parse():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--suite", action="append", help=f"a name among {', '.join(SUITES)}, or a file; several times if need be (default: all)")
    parser.add_argument("--moe-bench", default=str(here.parent / "build/bin/moe-bench"))
    parser.add_argument("--peers", default=sys.executable, help="Python with torch and transformers, or onnxruntime and onnx")
    parser.add_argument("--without-peers", action="store_true")
    parser.add_argument("--quick", action="store_true", help="one round of 0.4 s for each of 1, 8, 64 and 512 tokens; peers on two problems")
    parser.add_argument("--rounds", type=int, help="rounds of programs (default 3)")
    parser.add_argument("--seconds", type=float, help="seconds for each point and round (default 2)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", default="", help="problems with this in their name")
    parser.add_argument("--tokens", help="N,N... (default: the suite's)")
    parser.add_argument("--flags", default=f"--pipeline=cpu --layout=panel16 --cpu={processor()[1]}", help="of moe-compile (default: %(default)s)")
    parser.add_argument("--output", default=str(here), help="folder for RESULTS.md and pictures (default: bench)")
    parser.add_argument("arguments", nargs="*", help="behind --: more options of moe-bench")
    options = parser.parse_args()
    for name, value in (QUICK if options.quick else {"rounds": 3, "seconds": 2.0, "tokens": ""}).items():
        if getattr(options, name) is None:
            setattr(options, name, value)
    return options


def suite_path(name):
    path = pathlib.Path(name) if name.endswith(".json") else here / "suites" / f"{name}.json"
    if not path.exists():
        sys.exit(f"run.py: error: expected a suite among {', '.join(SUITES)}, or a file, found '{name}'")
    return path


def call(command, needed):
    """Runs one program. A peer that fails is left out, and moe-bench ends the run."""
    print("+", shlex.join(command), flush=True)
    done = subprocess.run(command, check=False)
    if done.returncode and needed:
        sys.exit(done.returncode)
    return done.returncode == 0


def has(python, module):
    return subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False).returncode == 0


def programs_of(options, path):
    """Commands of a suite's programs, and whether it can go on without."""
    kind = json.loads(path.read_text())["kind"]
    common = ["--suite", os.path.relpath(path), "--threads", str(options.threads), "--seconds", f"{options.seconds:g}"]
    common += ["--only", options.only] if options.only else []
    # Of what is compiled, tokens are layers: the suite's.
    common += ["--tokens", options.tokens] if options.tokens and kind != "compile" else []
    # One compilation of many layers takes as long as all else that is quick.
    common += ["--rounds", "1"] if options.quick and kind == "compile" else []
    flags = [] if path.stem == "import" else ["--flags", options.flags]
    programs = [([options.moe_bench, *common, *flags, *options.arguments], True)]
    if kind != "layer" or options.without_peers:
        return programs
    few = [word for problem in QUICK_PEERS for word in ("--problem", problem)] if options.quick else []
    for program, module in PEERS.items():
        if has(options.peers, module):
            programs.append(([options.peers, str(here / "peers" / program), *common, *few], False))
        else:
            print(f"{program}: left out: {options.peers} has no {module}", flush=True)
    return programs


def run_suite(options, path, scratch):
    """One suite; its text for RESULTS.md."""
    name, results = path.stem, []
    folder = pathlib.Path(options.output)
    programs = programs_of(options, path)
    for number in range(options.rounds):
        for place, (command, needed) in enumerate(programs):
            result = f"{scratch}/{name}-{number}-{place}.json"
            call([*command, "--json", result], needed)
            if os.path.exists(result) and os.path.getsize(result):
                results.append(result)
    commands = [shlex.join([os.path.relpath(word) if os.path.isabs(word) else word for word in command]) for command, _ in programs]
    folder.mkdir(parents=True, exist_ok=True)
    picture, table = folder / f"{name}.svg", f"{scratch}/{name}.md"
    froms = [word for result in results for word in ("--from", result)]
    call([options.moe_bench, *froms, "--md", table, "--svg", str(picture)], True)
    shown = "\n".join("    " + command for command in commands)
    text = pathlib.Path(table).read_text()
    return f"## {name}\n\n{options.rounds} rounds of\n\n{shown}\n\n![times against tokens, and their bound]({picture.name})\n\n{text}"


def main():
    options = parse()
    paths = [suite_path(name) for name in options.suite or SUITES]
    with tempfile.TemporaryDirectory() as scratch:
        parts = [run_suite(options, path, scratch) for path in paths]
    head = (f"# Results\n\nWritten by `bench/run.py` on {datetime.date.today()}, {processor()[0]}, {len(os.sched_getaffinity(0))} processors. "
            f"bench/README.md says what the columns mean.\n\n")  # fmt: skip
    output = pathlib.Path(options.output) / "RESULTS.md"
    output.write_text(head + "\n".join(parts))
    print(f"written: {output}")


if __name__ == "__main__":
    main()
