"""Artifacts under a memory budget: the values of one without, what paging says of itself, and what is refused.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import os
import pickle
import subprocess

import numpy as np
import pytest

import moec

SLOT = 65536 * 4 + 4096  # bytes of a base of the model below, in whole pages
LAYERS, CLUSTERS = 12, 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model written by hand: y = x * sum(w of ids) + b of ids."""
    path = tmp_path_factory.mktemp("paged")
    subprocess.run([f"{os.environ['MOEC_HOME']}/test/tools/moe-run/moe-run-paged-weights", path], check=True)
    return path


def run(artifact, steps=3):
    random = np.random.default_rng(1)
    return [
        layer(np.ones(5, np.float32), random.integers(0, CLUSTERS, 5, np.int32))
        for _ in range(steps)
        for layer in artifact.layers.values()
    ]


def test_values_are_those_without_a_budget(folder):
    everything = moec.load(folder)
    expected = run(everything)
    assert everything.paging_statistics.slot_bytes == 0
    few = moec.load(folder, memory_budget=6 * SLOT, eviction="lfu", predictor="rolling", lookahead=2, idle_steps=1)
    few.begin_request()
    assert np.array_equal(run(few), expected)
    counted = few.paging_statistics
    assert counted.slot_bytes == 6 * SLOT and counted.base_bytes == LAYERS * CLUSTERS * SLOT
    assert 0 < counted.resident_bytes <= counted.slot_bytes
    assert counted.misses > 6 and counted.stall_seconds > 0 and counted.failures == 0
    assert few.layer("l0").resident_bytes == 32 and everything.layer("l0").resident_bytes > CLUSTERS * (SLOT - 4096)
    # The budget goes with a pickle.
    again = pickle.loads(pickle.dumps(few))
    assert again.paging == few.paging and again.paging_statistics.slot_bytes == 6 * SLOT


def test_refusals(folder, artifact):
    with pytest.raises(moec.Error, match=f"expected a memory budget of at least {4 * SLOT} bytes") as error:
        moec.load(folder, memory_budget=1000)
    assert error.value.status == moec.Status.INVALID_ARGUMENT
    with pytest.raises(moec.Error, match="expected a memory budget beside an eviction"):
        moec.load(folder, eviction="lru")
    with pytest.raises(moec.Error, match="expected an artifact of moe-compile --page-bases for a memory budget"):
        moec.load(artifact.path, memory_budget=1 << 30)
    other = moec.load(folder, memory_budget=4 * SLOT)
    child = os.fork()
    if not child:
        code = 1
        try:
            run(other, 1)
        except moec.Error as error:
            code = 0 if "found a child of its fork()" in error.message else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
