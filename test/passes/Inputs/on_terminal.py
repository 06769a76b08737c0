"""Runs a command with a terminal for stderr and prints what came there, a line for each rewriting: `on_terminal.py COMMAND...`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import os
import pty
import subprocess
import sys

ours, theirs = pty.openpty()
command = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stderr=theirs)
os.close(theirs)
seen = b""
while True:
    try:
        piece = os.read(ours, 4096)
    except OSError:  # the other end is closed
        break
    if not piece:
        break
    seen += piece
for line in seen.split(b"\r"):
    if line:
        print(line.decode().replace("\x1b[K", "<erase>").strip())
sys.exit(command.wait())
