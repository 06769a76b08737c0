# Runs a command, prints both its streams, and fails unless it ends with the given code: exits.sh CODE COMMAND...
# Part of moec, under the Apache License v2.0 with LLVM Exceptions.
expected=$1
shift
"$@" 2>&1
found=$?
[ "$found" -eq "$expected" ] || { echo "expected exit code $expected, found $found of: $*" >&2 && exit 1; }
