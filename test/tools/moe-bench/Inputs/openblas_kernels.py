"""Runs moe-bench with and without OPENBLAS_CORETYPE, and checks what it says of OpenBLAS.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import os
import re
import subprocess
import sys


def kernels(**more):
    """What moe-bench names, and the vector instructions it found; None where there is no OpenBLAS."""
    environment = {name: value for name, value in os.environ.items() if name != "OPENBLAS_CORETYPE"}
    done = subprocess.run(sys.argv[1:], capture_output=True, text=True, env={**environment, **more})
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    if "left out: OpenBLAS: expected libopenblas.so.0, found none" in done.stdout:
        return None
    (has,) = re.findall(r", (AVX-512|AVX2|plain), largest cache", done.stdout)
    said = re.findall(r"  OpenBLAS, (?:un)?compressed.*: OpenBLAS with its kernels for (\w+)\n", done.stdout)
    assert len(said) == 2 and said[0] == said[1], done.stdout
    return has, said[0].lower()


found = kernels()
if found:
    has, name = found
    assert has == "plain" or name == {"AVX-512": "skylakex", "AVX2": "haswell"}[has], found
    assert kernels(OPENBLAS_CORETYPE="Nehalem") == (has, "nehalem")
