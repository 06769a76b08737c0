"""moe-compile under faults: ended by a signal, a directory that cannot be written to, a disk that is full.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

After each, the directory of the artifact has what it had before, and nothing lies beside it.
"""

import ctypes
import os
import pathlib
import re
import resource
import shutil
import signal
import subprocess
import time

import pytest

from program import ROOT, binary, tool

MODEL = ROOT / "examples" / "tiny-mixtral"
QUICK = ["--opt-level=0"]
SOURCE = "func.func @twice(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {\n  %y = arith.addf %x, %x : tensor<?x4xf32>\n  return %y : tensor<?x4xf32>\n}\n"
# Without these, root may not do what others may not.
CAPABILITIES = (1, 2)  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


@pytest.fixture(scope="module")
def older(tmp_path_factory):
    """An artifact of another module, to be kept."""
    folder = tmp_path_factory.mktemp("older")
    (folder / "module.mlir").write_text(SOURCE.replace("twice", "earlier"))
    tool("moe-compile", folder / "module.mlir", "-o", folder / "artifact", *QUICK)
    (folder / "artifact" / "weights.safetensors").write_text("earlier")
    return folder / "artifact"


def contents(folder):
    return {path.relative_to(folder): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def compile_with(arguments, **options):
    command = [binary("moe-compile"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, **options)


def refused(done, pattern):
    """It failed with one diagnostic, which reads like this."""
    assert done.returncode == 1, done
    assert "LLVM ERROR" not in done.stderr and "Stack dump" not in done.stderr, done.stderr
    lines = [line for line in done.stderr.splitlines() if "error:" in line or line.startswith("moe-compile:")]
    assert len([line for line in lines if not line.startswith("collect2:")]) == 1, done.stderr
    assert re.search(pattern, lines[0]), lines[0]


# Signals


def slow_linker(folder, ready):
    """A linker that says when it runs, and then makes its output rather late."""
    script = folder / "slow-cc"
    script.write_text(f'#!/bin/sh\ntouch "{ready}"\nsleep 1\nwhile [ "$1" != -o ]; do shift; done\necho late > "$2"\n')
    script.chmod(0o755)
    return script


def wait_for(path, process):
    for _ in range(3000):
        if path.exists():
            return
        assert process.poll() is None, process.communicate()
        time.sleep(0.01)
    raise AssertionError(f"{path} does not appear")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("is_there", [True, False])
def test_a_signal_leaves_nothing(tmp_path, older, number, is_there):
    out = tmp_path / "place" / "artifact"
    out.parent.mkdir()
    if is_there:
        shutil.copytree(older, out)
    before = contents(out.parent)
    ready = tmp_path / "ready"
    command = [binary("moe-compile"), MODEL, "-o", out, *QUICK, f"--cc={slow_linker(tmp_path, ready)}"]
    # Who runs the tests in the background may have made them deaf to some signals.
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               preexec_fn=lambda: signal.signal(number, signal.SIG_DFL))  # fmt: skip
    wait_for(ready, process)
    scratch = [path.name for path in out.parent.iterdir() if path.name.startswith("artifact.tmp-")]
    assert len(scratch) == 1 and (out.parent / scratch[0] / "weights.safetensors").exists()
    process.send_signal(number)
    process.communicate(timeout=30)
    # Ended by that signal, so that a shell sees it.
    assert process.returncode == -number
    assert contents(out.parent) == before
    assert [path.name for path in out.parent.iterdir()] == (["artifact"] if is_there else [])
    # The linker, which nobody told, finds no place for what it makes.
    time.sleep(1.2)
    assert contents(out.parent) == before


def test_a_signal_at_any_time(tmp_path, older):
    """However far it is, the artifact is the old one or the new one."""
    module = tmp_path / "module.mlir"
    module.write_text(SOURCE)
    out = tmp_path / "place" / "artifact"
    out.parent.mkdir()
    begin = time.monotonic()
    tool("moe-compile", module, "-o", tmp_path / "new", *QUICK)
    duration = time.monotonic() - begin
    old, new = contents(older), contents(tmp_path / "new")
    new[pathlib.Path("weights.safetensors")] = b"earlier"
    for step in range(16):
        shutil.rmtree(out, ignore_errors=True)
        shutil.copytree(older, out)
        process = subprocess.Popen([binary("moe-compile"), module, "-o", out, *QUICK], stderr=subprocess.PIPE)
        time.sleep(duration * step / 15)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)
        assert [path.name for path in out.parent.iterdir()] == ["artifact"]
        assert contents(out) in ((old,) if process.returncode > 0 else (old, new))


def test_an_ignored_signal_stays_ignored(tmp_path):
    module, ready, out = tmp_path / "module.mlir", tmp_path / "ready", tmp_path / "artifact"
    module.write_text(SOURCE)
    command = ["nohup", binary("moe-compile"), module, "-o", out, *QUICK, f"--cc={slow_linker(tmp_path, ready)}"]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    wait_for(ready, process)
    process.send_signal(signal.SIGHUP)
    process.communicate(timeout=30)
    assert process.returncode == 0 and (out / "library.so").read_text() == "late\n"


# Directories that cannot be written to


def without_override():
    """In the child: root obeys permissions as everybody does."""
    if os.geteuid() == 0:
        for capability in CAPABILITIES:
            assert ctypes.CDLL(None, use_errno=True).prctl(24, capability, 0, 0, 0) == 0  # PR_CAPBSET_DROP


@pytest.fixture
def sealed():
    """Takes the right to write from directories until the test ends."""
    folders = []

    def seal(folder):
        folder.chmod(0o555)
        folders.append(folder)

    yield seal
    for folder in folders:
        folder.chmod(0o755)


@pytest.mark.parametrize("is_there", [True, False])
def test_a_directory_that_cannot_be_written_to(tmp_path, older, sealed, is_there):
    parent = tmp_path / "parent"
    parent.mkdir()
    if is_there:
        shutil.copytree(older, parent / "artifact")
    before = contents(parent)
    sealed(parent)
    done = compile_with([MODEL, "-o", parent / "artifact", *QUICK], preexec_fn=without_override)
    refused(done, "cannot create a directory next to .*parent/artifact: Permission denied")
    assert contents(parent) == before
    deeper = compile_with([MODEL, "-o", parent / "some" / "artifact", *QUICK], preexec_fn=without_override)
    refused(deeper, "cannot create .*parent/some: Permission denied")


def test_an_artifact_that_cannot_be_written_to(tmp_path, older, sealed):
    out = tmp_path / "place" / "artifact"
    shutil.copytree(older, out)
    before = contents(out.parent)
    sealed(out)
    refused(compile_with([MODEL, "-o", out, *QUICK], preexec_fn=without_override), "cannot replace .*: Permission denied")
    assert contents(out.parent) == before and len(list(out.parent.iterdir())) == 1


def test_files_are_replaced_all_or_none(tmp_path, older):
    out = tmp_path / "place" / "artifact"
    shutil.copytree(older, out)
    # The last file that moves cannot; the first was not there, the second was.
    (out / "manifest.json").unlink()
    (out / "manifest.json").mkdir()
    (out / "manifest.json" / "of somebody").write_text("else")
    (out / "weights.safetensors").unlink()
    before = contents(out.parent)
    refused(compile_with([MODEL, "-o", out, *QUICK]), "cannot replace .*manifest.json: Is a directory")
    assert contents(out.parent) == before and len(list(out.parent.iterdir())) == 1


def test_a_file_is_not_replaced_by_an_artifact(tmp_path):
    out = tmp_path / "place" / "artifact"
    out.parent.mkdir()
    out.write_text("of somebody else")
    done = compile_with([MODEL, "-o", out, *QUICK])
    refused(done, "cannot write an artifact to .*: expected a directory or nothing there")
    assert contents(out.parent) == {pathlib.Path("artifact"): b"of somebody else"}


# Full disks


def at_most(size):
    """In the child: no file beyond that size, as on a disk with that much room."""

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))

    return limit


@pytest.mark.parametrize(
    "size, module, pattern",
    [
        (1_000_000, None, "weights.safetensors: cannot make a file of [0-9]+ bytes: File too large"),
        (500, SOURCE, "cannot write .*entries0.o: File too large"),
        (9_000, SOURCE, "linking by .* failed with status .*: File too large"),
    ],
    ids=["weights", "object", "library"],
)
@pytest.mark.parametrize("is_there", [True, False])
def test_no_room(tmp_path, older, size, module, pattern, is_there):
    source = MODEL
    if module:
        source = tmp_path / "module.mlir"
        source.write_text(module)
    out = tmp_path / "place" / "artifact"
    out.parent.mkdir()
    if is_there:
        shutil.copytree(older, out)
    before = contents(out.parent)
    done = compile_with([source, "-o", out, *QUICK], preexec_fn=at_most(size))
    refused(done, pattern)
    assert contents(out.parent) == before
    assert [path.name for path in out.parent.iterdir()] == (["artifact"] if is_there else [])


def test_a_full_disk(tmp_path, older):
    """On a disk of 2 MB, where the machine lets its users mount one; else on files of that size."""
    script = """
    mount -t tmpfs -o size=2m none "$1" || exit
    echo mounted
    cp -r "$2" "$1/artifact"
    "$3" "$4" -o "$1/artifact" --opt-level=0
    code=$?
    ls "$1"
    diff -r "$2" "$1/artifact" && exit $code
    exit 78
    """
    disk = tmp_path / "disk"
    disk.mkdir()
    arguments = [disk, older, binary("moe-compile"), MODEL]
    command = ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", script, "sh", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    expected = "No space left on device"
    if not done.stdout.startswith("mounted"):
        shutil.copytree(older, disk / "artifact")
        done = compile_with([MODEL, "-o", disk / "artifact", *QUICK], preexec_fn=at_most(2_000_000))
        expected = "File too large"
        assert contents(disk / "artifact") == contents(older)
    else:
        assert done.stdout.splitlines()[-1] == "artifact"  # all there is, and as it was
    refused(done, "weights.safetensors: .*: " + expected)


@pytest.mark.parametrize("kind", ["linalg", "llvm", "object"])
def test_a_file_that_takes_nothing(tmp_path, kind):
    module = tmp_path / "module.mlir"
    module.write_text(SOURCE)
    done = compile_with([module, "-o", "/dev/full", f"--emit={kind}"])
    refused(done, "moe-compile: cannot write output file '/dev/full': No space left on device")
    report = compile_with([module, "-o", tmp_path / "artifact", "--report=/dev/full", *QUICK])
    refused(report, "moe-compile: cannot write the report '/dev/full': No space left on device")
    with open("/dev/full", "w") as full:
        command = [binary("moe-compile"), MODEL, "--dry-run"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    refused(done, "moe-compile: cannot write to standard output: No space left on device")
