"""Makes the oracle, the artifact loader and the program builder importable, and says what is missing without a compiler.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "reference")]
