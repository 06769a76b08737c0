# The layer of this folder with residuals of rank 16.
# Part of moec, under the Apache License v2.0 with LLVM Exceptions.
s/x4xbf16, expert/x16xbf16, expert/
s/<4x\([0-9]*\)xbf16, expert/<16x\1xbf16, expert/
