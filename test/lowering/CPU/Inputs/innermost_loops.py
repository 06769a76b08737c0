"""Checks the innermost loops of kernels in an object file: `innermost_loops.py OBJECT WIDTH SUMS [matmul_|dot_|tiles_]`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

An innermost loop is the code from the target of a jump back to that jump, without another such loop of multiply-adds in it. In
each kernel the loop of the largest tile must have SUMS multiply-adds for each step of the reduction, into at least SUMS registers;
all must be as wide as WIDTH ("ymm", "zmm", "tmm"); and no loop of eight or more multiply-adds, or of tiles, may move vectors to or
from the stack or store tiles. Prints a line for each kernel.
"""

import re
import subprocess
import sys

# A loop of so many is where time goes.
MANY = 8
# Of floats, of int8, of bf16, of tiles of bf16.
MULTIPLY_ADD = "vfmadd|vpdpbusd|vdpbf16ps|tdpbf16ps"


def functions(path):
    """Name and instructions (address, mnemonic, operands) of each function."""
    text = subprocess.run(["llvm-objdump", "-d", "--no-show-raw-insn", path], capture_output=True, text=True, check=True).stdout
    name, code = None, []
    for line in text.splitlines():
        if head := re.match(r"[0-9a-f]+ <(.+)>:$", line):
            if name:
                yield name, code
            name, code = head[1], []
        elif found := re.match(r"\s*([0-9a-f]+):\s+(\S+)\s*(.*)$", line):
            code.append((int(found[1], 16), found[2], found[3]))
    if name:
        yield name, code


def innermost(code):
    """Instructions of each innermost loop."""
    place = {address: i for i, (address, _, _) in enumerate(code)}
    loops = set()
    for i, (address, mnemonic, operands) in enumerate(code):
        target = re.match(r"0x([0-9a-f]+)", operands)
        if mnemonic.startswith("j") and target and int(target[1], 16) in place and int(target[1], 16) <= address:
            first = place[int(target[1], 16)]
            if any(re.match(MULTIPLY_ADD, mnemonic) for _, mnemonic, _ in code[first:i]):
                loops.add((first, i))
    for first, last in sorted(loops):
        if not any((a, b) != (first, last) and first <= a and b <= last for a, b in loops):
            yield code[first : last + 1]


def on_stack(mnemonic, operands, bases):
    """Whether a vector instruction reads or writes a fixed place of the frame, or a tile is stored. Tables on the stack are read with an index."""
    return mnemonic == "tilestored" or bool(re.search(r"%[xyz]mm", operands) and re.search(rf"(?:^|[\s,])-?(?:0x)?[0-9a-f]*\(%(?:{bases})\)", operands))


def main():
    path, width, expected = sys.argv[1], sys.argv[2], int(sys.argv[3])
    kernel = "moec." + (sys.argv[4] if len(sys.argv) > 4 else "matmul_")
    problems, kernels = [], 0
    many = 1 if width == "tmm" else MANY
    for name, code in functions(path):
        if not name.startswith(kernel):
            continue
        kernels += 1
        # The frame pointer, where there is one, is a name of the frame too.
        has_frame = any(m.startswith("mov") and o.replace(" ", "") == "%rsp,%rbp" for _, m, o in code)
        bases = "rsp|rbp" if has_frame else "rsp"
        loops = 0
        largest = []
        for loop in innermost(code):
            sums = [re.findall(r"%([xyzt]mm)(\d+)", operands)[-1] for _, mnemonic, operands in loop if re.match(MULTIPLY_ADD, mnemonic)]
            if len(sums) < many:
                continue
            loops += 1
            largest = max(largest, sums, key=lambda each: (len(set(each)), len(each)))
            what = f"{name}: the loop of {len(sums)} multiply-adds at {loop[0][0]:#x}"
            if kinds := {kind for kind, _ in sums} - {width}:
                problems.append(f"{what} has sums in {', '.join(kinds)}, expected {width}")
            if spilled := next((i for i in loop if on_stack(i[1], i[2], bases)), None):
                problems.append(f"{what} uses the stack at {spilled[0]:#x}: {spilled[1]} {spilled[2]}")
        print(f"{name}: {loops} loops, the largest of {len(largest)} multiply-adds")
        if "_loose" not in name and (not largest or len(largest) % expected or len(set(largest)) < expected):
            problems.append(f"{name}: the largest loop has {len(largest)} multiply-adds into {len(set(largest))} registers, "
                            f"expected {expected} for each step")
    if not kernels:
        problems.append(f"{path}: expected functions {kernel}*, found none")
    print("\n".join(problems))
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
