"""Ranks that MPI launchers started: what every communicator does, and what survivors say of a rank that does not do its part.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

The same program runs under Open MPI and MPICH: it loads the launcher's library when it starts.
"""

import os
import pathlib
import re
import shutil
import subprocess

import pytest

BIN = pathlib.Path(os.environ.get("MOEC_BIN", "build/bin")).resolve()
PROGRAM = BIN / "moe-comm-conformance"
# Each with what keeps it from ending all ranks when one dies. MPICH's ends them even so when a process that it started dies by a
# signal, or signals them: a shell in between does not die.
LAUNCHERS = {
    "Open MPI": ["mpirun.openmpi", "--allow-run-as-root", "--oversubscribe", "--enable-recovery"],
    "MPICH": ["mpirun.mpich", "-disable-auto-cleanup"],
}
SHELL = {"Open MPI": [], "MPICH": ["sh", "-c", 'trap "" USR1; "$@"', "sh"]}
DEADLINE = 1.0  # seconds
LINE = re.compile(r"rank (\d) of (\d) MPI \((.*)\) after (.*) s: (.*)\n")


def launch(launcher, ranks, *command):
    """Runs a command on that many ranks and returns what they print, and the launcher's exit status."""
    command = [*LAUNCHERS[launcher], "-n", str(ranks), *map(str, command)]
    if not shutil.which(command[0]):
        pytest.fail(f"{command[0]} is not installed; scripts/setup.sh test installs it")
    # A group of its own, so that none of it is left behind.
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                               text=True, start_new_session=True)  # fmt: skip
    try:
        printed, _ = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        pytest.fail(f"{command} does not end")
    return printed, process.returncode


def run(launcher, ranks, folder, *arguments):
    """Runs the program and returns, by rank, after how many seconds it said what."""
    printed, _ = launch(launcher, ranks, *SHELL[launcher], PROGRAM, folder, *arguments)
    said = {}
    for path in folder.iterdir():
        rank, count, name, seconds, text = LINE.fullmatch(path.read_text()).groups()
        assert (rank, count, name) == (path.name, str(ranks), launcher)
        said[int(rank)] = (float(seconds), text)
    assert said, printed
    return said


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_ranks_do_what_each_does(launcher, ranks, tmp_path):
    said = run(launcher, ranks, tmp_path, "all")
    assert {rank: text for rank, (_, text) in said.items()} == {rank: "fine" for rank in range(ranks)}


@pytest.mark.parametrize("fault", ["killed", "stopped", "slow"])
@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_survivors_name_the_rank_within_the_deadline(launcher, fault, tmp_path):
    said = run(launcher, 3, tmp_path, fault, str(int(DEADLINE * 1000)))
    assert set(said) == ({0, 2} if fault == "killed" else {0, 1, 2})
    for rank in (0, 2):
        seconds, text = said[rank]
        assert text.startswith(f"rank {rank}: barrier: ") and text.endswith("rank 1 did not answer within 1000 ms")
        assert seconds < DEADLINE + 1
    if fault != "killed":
        # Who comes too late is told.
        assert re.fullmatch(r"rank 1: barrier: rank (0|2) gave up: .* did not answer within 1000 ms", said[1][1])


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_an_abort_ends_the_others(launcher, tmp_path):
    said = run(launcher, 3, tmp_path, "aborts", "30000")
    for rank in (0, 2):
        assert said[rank][1] == f"rank {rank}: barrier: rank 1 gave up: rank 1: abort: no more tokens"
        assert said[rank][0] < 5


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_other_operations_are_noticed(launcher, tmp_path):
    said = run(launcher, 3, tmp_path, "differs", "30000")
    assert len(said) == 3
    for rank, (seconds, text) in said.items():
        assert text.startswith(f"rank {rank}: ") and ("sends 0 bytes to rank 1, which expects 3" in text or "truncated" in text)
        assert seconds < 5


@pytest.fixture(scope="module")
def artifact(tmp_path_factory):
    """An artifact of 12 layers whose code exchanges rows, written by hand."""
    folder = tmp_path_factory.mktemp("artifact")
    maker = BIN.parent / "test/tools/moe-run/moe-run-paged-weights"
    subprocess.run([maker, folder, "1", "exchanging"], check=True)
    return folder


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_moe_run_has_the_ranks_of_its_launcher(launcher, artifact):
    options = [artifact, "--tokens", "4", "--int-range", "4", "--compare-with", artifact, "--max-error", "0"]
    local = subprocess.run([BIN / "moe-run", *options, "-n", "3"], check=True, capture_output=True, text=True).stdout
    printed, status = launch(launcher, 3, BIN / "moe-run", *options)
    assert status == 0, printed
    sums = re.compile(r"^(rank \d): 1 steps of 12 layers: outputs fnv1a (\w+)$", re.MULTILINE)
    assert len(sums.findall(local)) == 3
    assert sorted(sums.findall(printed)) == sums.findall(local)
    assert len(re.findall(r"max rel 0 ", printed)) == 3


@pytest.mark.parametrize("launcher", LAUNCHERS)
def test_moe_run_ends_where_a_rank_cannot_go_on(launcher, artifact, tmp_path):
    placement = tmp_path / "p.json"
    placement.write_text('{"moec_placement": "0.1", "ranks": 2, "layers": {}}')
    # What the launcher answers is its own affair: Open MPI's, told to leave ranks alone, always 0.
    printed, _ = launch(launcher, 3, BIN / "moe-run", artifact, "--placement", placement)
    assert "expected a placement for 3 ranks, found one for 2" in printed
    assert "steps of" not in printed
