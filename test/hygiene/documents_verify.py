"""Puts every mlir code block of the documents through moe-opt: `documents_verify.py SOURCE_ROOT`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Blocks fenced as ```mlir in .td descriptions, README.md and docs/ parse and verify, each by itself; a fragment that cannot
stand alone is fenced without a language. Every operation of a dialect has a block that uses it in its description.
"""

import concurrent.futures
import pathlib
import re
import subprocess
import sys
import textwrap

import project

root = pathlib.Path(sys.argv[1])
BLOCK = re.compile(r"^([ \t]*)```mlir[ \t]*\n(.*?)^[ \t]*```[ \t]*$", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^[ \t]*```mlir", re.MULTILINE)
OPERATION = re.compile(r'^def \w+Op\s*:\s*\w+<"([^"]+)"(.*?)(?=^def |\Z)', re.MULTILINE | re.DOTALL)


def verify(job):
    """What moe-opt says against a block, or None."""
    path, line, block = job
    done = subprocess.run(["moe-opt"], input=block, capture_output=True, text=True)
    return None if done.returncode == 0 else f"{path}:{line}: block does not verify:\n{done.stderr[:1500]}"


def main():
    findings = []
    jobs = []
    # The generated reference repeats the .td files.
    documents = [
        path
        for path in project.files(root, ".td", ".md")
        if path.parts[0] != "test" and not path.is_relative_to("docs/reference")
    ]
    for path in documents:
        text = (root / path).read_text()
        blocks = list(BLOCK.finditer(text))
        if len(blocks) != len(FENCE.findall(text)):
            findings.append(f"{path}: an mlir block is not closed")
        for block in blocks:
            jobs.append((path, text.count("\n", 0, block.start()) + 1, textwrap.dedent(block[2])))
        if path.suffix == ".td":
            for name, body in OPERATION.findall(text):
                if not any(re.search(rf"\bmoe(?:rt)?\.\S*{re.escape(name)}\b", block[2]) for block in BLOCK.finditer(body)):
                    findings.append(f"{path}: the description of '{name}' has no mlir block that uses it")
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        findings += [found for found in pool.map(verify, jobs) if found]
    project.finish(findings, len(jobs), "blocks")


main()
