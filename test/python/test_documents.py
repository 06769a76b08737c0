"""Python in the documents: every ```python block of README.md and docs/ runs, and prints the ```text behind it; examples.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import importlib.util
import os
import pathlib
import re
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
BLOCK = re.compile(r"^```python\n(.*?)^```\n(?:\n*^```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
BLOCKS = {
    f"{path.relative_to(ROOT)} {number}": block.groups()
    for path in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    for number, block in enumerate(BLOCK.finditer(path.read_text()), 1)
}


def run(command, folder):
    """What a Python program prints, in a folder that sees examples/; skipped where a library it imports is missing."""
    text = command[-1] if command[0] == "-c" else pathlib.Path(command[0]).read_text()
    for name in ("torch", "transformers", "jax", "tvm_ffi"):
        if re.search(rf"\b{name}\b", text) and not importlib.util.find_spec(name):
            pytest.skip(f"needs {name}: make test-torch")
    (folder / "examples").symlink_to(ROOT / "examples")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    done = subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.mark.parametrize("name", BLOCKS)
def test_blocks_print_what_the_documents_say(tmp_path, name):
    code, expected = BLOCKS[name]
    printed = run(["-c", code], tmp_path)
    if expected is not None:
        assert printed == expected


def test_documents_have_blocks():
    assert {name.split()[0] for name in BLOCKS} == {"README.md", "docs/python.md"}


def test_example_of_numpy(tmp_path):
    model = ROOT / "examples" / "tiny-mixtral"
    example = ROOT / "examples" / "python" / "numpy_layers.py"
    printed = run([str(example), str(model), "tiny", str(model / "samples.safetensors")], tmp_path)
    errors = re.findall(r"^layer\d: 1.48 MB, 256 tokens, max rel (\S+)$", printed, re.MULTILINE)
    assert len(errors) == 4 and max(map(float, errors)) <= 1e-6
    assert printed.endswith("INVALID_ARGUMENT: moec_block0: argument 0 'x' has dtype float64, expected float32\n")


def test_example_of_pytorch(tmp_path):
    example = ROOT / "examples" / "python" / "replace_moe.py"
    printed = run([str(example), str(ROOT / "examples" / "tiny-mixtral"), "tiny"], tmp_path)
    assert printed.startswith("replaced: layers.0.mlp layers.1.mlp layers.2.mlp layers.3.mlp\nimport os\nimport sys\n")
