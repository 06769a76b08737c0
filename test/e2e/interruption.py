"""Kills a program that reads one file and writes another, at one time after the other.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import subprocess
import time

import numpy as np


def kill_at_any_time(command, source, output):
    """The source stays as it is; the output is whole or not there; the next run makes it as an undisturbed one does."""
    before, began = source.read_bytes(), time.monotonic()
    subprocess.run(command, check=True, capture_output=True)
    seconds, expected = time.monotonic() - began, output.read_bytes()
    output.unlink()
    killed = 0
    for part in np.linspace(0.1, 1.1, 8):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            process.wait(part * seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            killed += process.wait() != 0
        assert source.read_bytes() == before
        if output.exists():
            assert output.read_bytes() == expected
            output.unlink()
    assert killed > 1
    subprocess.run(command, check=True, capture_output=True)
    assert output.read_bytes() == expected
    assert [path.name for path in output.parent.glob(output.name + "*")] == [output.name]
