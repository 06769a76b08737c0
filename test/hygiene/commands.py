"""Runs every ```sh block of the documents, so that no command in them is stale: `commands.py SOURCE_ROOT`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Blocks run in an empty folder that sees examples/, with the tools on PATH. `make TARGET` is not run (a test within a test):
the target must exist. Where a block is followed by a ```text block, that text must be what the block prints; a line of only
`…` stands for lines left out. Blocks without a language are not commands to be run as they stand.
"""

import pathlib
import re
import subprocess
import sys
import tempfile

root = pathlib.Path(sys.argv[1])
BLOCK = re.compile(r"^```sh\n(.*?)^```\n(?:\n*^```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)


def targets():
    """Targets of the Makefile."""
    return set(re.findall(r"^([a-z-]+):", (root / "Makefile").read_text(), re.MULTILINE))


def matches(expected, printed):
    """True if the printed text is the expected one; a line `…` stands for any lines."""
    pattern = ".*\n".join(re.escape(part) for part in re.split(r"^…\n", expected, flags=re.MULTILINE))
    pattern = pattern.replace(".*\n", "(?:.*\n)*")
    return re.fullmatch(pattern, printed) is not None


def run(document, number, commands, expected):
    """Runs one block; returns what is wrong, or None."""
    lines = commands.splitlines()
    for line in lines:
        if line.startswith("make "):
            for target in line.split("#")[0].split()[1:]:
                if target not in targets():
                    return f"{document}: block {number}: no make target '{target}'"
    script = "\n".join(line for line in lines if not line.startswith("make "))
    if not script.strip():
        return None
    with tempfile.TemporaryDirectory() as folder:
        (pathlib.Path(folder) / "examples").symlink_to(root / "examples")
        done = subprocess.run(["sh", "-e"], input=script, cwd=folder, capture_output=True, text=True, timeout=100)
    if done.returncode != 0:
        return f"{document}: block {number} exits with {done.returncode}:\n{script}\n{done.stderr[-2000:]}"
    if expected is not None and not matches(expected, done.stdout):
        return f"{document}: block {number} prints something else:\n{script}\n--- documented\n{expected}--- printed\n{done.stdout}"
    return None


def main():
    found = blocks = 0
    documents = [root / "README.md", root / "CONTRIBUTING.md", *sorted((root / "docs").glob("*.md")),
                 *sorted((root / "bench").rglob("*.md"))]  # fmt: skip
    for document in documents:
        if not document.exists():
            continue
        for number, match in enumerate(BLOCK.finditer(document.read_text()), 1):
            blocks += 1
            problem = run(document.relative_to(root), number, match[1], match[2])
            if problem:
                found += 1
                print(problem)
    print(f"{blocks} blocks, {found} problems")
    return 1 if found or blocks == 0 else 0


sys.exit(main())
