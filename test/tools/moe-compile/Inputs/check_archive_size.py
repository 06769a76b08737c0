"""Compares the archive size that a plan states with the file's: `check_archive_size.py PLAN ARCHIVE`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import os
import re
import sys

planned = int(re.search(r"^  archive (\d+) bytes$", open(sys.argv[1]).read(), re.MULTILINE)[1])
found = os.path.getsize(sys.argv[2])
if abs(found - planned) > 0.005 * planned:
    sys.exit(f"planned {planned} bytes, found {found}")
