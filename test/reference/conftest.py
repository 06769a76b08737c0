"""Makes the oracle and the artifact loader importable from any working directory.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
