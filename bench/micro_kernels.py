#!/usr/bin/env python3
"""Instructions of CUDA devices, a few at a time: what a device makes of them, against what the PTX ISA says.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

    python3 bench/micro_kernels.py [--record FILE] [--golden FILE]

Kernels of one block use what compiled kernels lean on: fragments of ldmatrix, mma.sync and wgmma, swizzles, descriptors, copies that reach past
an edge, phases of barriers, collectives, roundings. Expected results are computed here, from the text of the PTX ISA, apart from the
emulator. --record writes what came out, --golden compares with such a file. Needs Python and the driver (MOERT_CUDA_DRIVER, else
libcuda.so.1), nothing else. Sums are of small integers, so that their order does not matter, but in kernels named `rounding`; what hardware approximates has the ISA's own bound.
"""

import argparse
import ctypes
import json
import math
import os
import pathlib
import random
import struct
import sys
from dataclasses import dataclass
from fractions import Fraction

WARP, WARPGROUP = 32, 128
# Roundings are compared in units of the sum of the absolute values: f32, whatever its order and its truncation.
MOST_ROUNDING = 2.0**-20


@dataclass(frozen=True)
class TensorMap:
    """A map of 16-bit numbers; extents and box innermost first; swizzled rows of `swizzle` bytes, or 0."""

    extents: tuple
    box: tuple
    swizzle: int


@dataclass(frozen=True)
class MicroKernel:
    name: str
    target: str
    text: str
    inputs: bytes
    expected: bytes
    threads: int = WARP
    blocks: int = 1
    tensor_map: TensorMap = None
    # None: the same bits, any NaN for a NaN. Else what an f32 may differ by, for each number.
    slack: tuple = None


#
# Text
#


def kernel_text(target, body, shared=0, own_input=0, own_output=0, takes_map=False, cluster=0):
    """%r0: the thread; %r1: shared memory; %rd0, %rd1: input and output; %rd2, %rd3: what is the thread's own of them."""
    parameters = ".param .u64 in, .param .u64 out" + (", .param .align 64 .b8 map[128]" if takes_map else "")
    # Blocks of one cluster, as the kernel itself says.
    directives = f"\n.explicitcluster\n.reqnctapercluster {cluster}, 1, 1" if cluster else ""
    memory = f".shared .align 1024 .b8 memory[{shared}];\n  mov.u32 %r1, memory;" if shared else ""
    return f""".version 8.0
.target {target}
.address_size 64
.visible .entry micro({parameters}){directives}
{{
  .reg .pred %p<8>;
  .reg .b16 %h<2>;
  .reg .b32 %r<128>;
  .reg .b64 %rd<16>;
  {memory}
  mov.u32 %r0, %tid.x;
  ld.param.u64 %rd0, [in];
  ld.param.u64 %rd1, [out];
  mul.wide.u32 %rd2, %r0, {own_input};
  add.u64 %rd2, %rd2, %rd0;
  mul.wide.u32 %rd3, %r0, {own_output};
  add.u64 %rd3, %rd3, %rd1;
{body}
  ret;
}}
"""


def registers(first, count):
    return ", ".join(f"%r{first + i}" for i in range(count))


def take(first, count):
    return "\n".join(f"  ld.global.b32 %r{first + i}, [%rd2+{4 * i}];" for i in range(count))


def give(first, count):
    return "\n".join(f"  st.global.b32 [%rd3+{4 * i}], %r{first + i};" for i in range(count))


def copy(source, target, space, count, threads):
    """16 bytes a turn by all threads; `source` and `target` are spaces, one of them shared memory at its begin."""
    assert count % (16 * threads) == 0
    lines = ["  shl.b32 %r2, %r0, 4;", "  cvt.u64.u32 %rd4, %r2;", f"  add.u64 %rd4, %rd4, {space};", "  add.u32 %r3, %r1, %r2;"]
    for at in range(0, count, 16 * threads):
        address = {"global": f"[%rd4+{at}]", "shared": f"[%r3+{at}]"}
        lines.append(f"  ld.{source}.v4.b32 {{{registers(4, 4)}}}, {address[source]};")
        lines.append(f"  st.{target}.v4.b32 {address[target]}, {{{registers(4, 4)}}};")
    return "\n".join(lines)


#
# Numbers
#


def f32_bits(value):
    return struct.unpack("<I", struct.pack("<f", value))[0]


def f32_of(bits):
    return struct.unpack("<f", struct.pack("<I", bits & 0xFFFFFFFF))[0]


def half_bits(value, kind):
    """Bits of a number that is exact in this type."""
    return struct.unpack("<H", struct.pack("<e", value))[0] if kind == "f16" else f32_bits(value) >> 16


def rounded_f32(value):
    """A fraction, to the nearest f32, ties to even; its bits."""
    sign, value = (0x80000000, -value) if value < 0 else (0, value)
    if value == 0:
        return sign
    exponent = max(math.floor(math.log2(value)) - 1, -126)
    while value >= Fraction(2) ** (exponent + 1):
        exponent += 1
    unit = Fraction(2) ** (exponent - 23)
    mantissa, rest = divmod(value, unit)
    mantissa += rest * 2 > unit or (rest * 2 == unit and mantissa % 2)
    bits = int(mantissa) if mantissa < 1 << 23 else ((exponent + 126) << 23) + int(mantissa)
    return sign | min(bits, 0x7F800000)


def words(values):
    return struct.pack(f"<{len(values)}I", *(v & 0xFFFFFFFF for v in values))


def small_integers(count, seed):
    """Exact in bf16, and so are sums of hundreds of their products in f32."""
    draw = random.Random(seed)
    return [draw.randint(-8, 8) for _ in range(count)]


def product(a, b, rows, columns, depth):
    """Of a[row][k] and b[k][column], as lists."""
    return [[sum(a[i * depth + k] * b[k * columns + j] for k in range(depth)) for j in range(columns)] for i in range(rows)]


#
# Matrices in registers of a warp: row and column of each half in lane order (PTX ISA, matrix fragments of mma.m16n8k16)
#


def left_places(lane):
    group, in_group = divmod(lane, 4)
    return [(group + 8 * (i % 4 // 2), 2 * in_group + i % 2 + 8 * (i // 4)) for i in range(8)]


def right_places(lane):
    group, in_group = divmod(lane, 4)
    return [(2 * in_group + i % 2 + 8 * (i // 2), group) for i in range(4)]


def sum_places(lane):
    group, in_group = divmod(lane, 4)
    return [(group + 8 * (i // 2), 2 * in_group + i % 2) for i in range(4)]


def mma(kind, rounding=False):
    rows, columns, depth = 16, 8, 16
    if rounding:
        draw = random.Random(7)
        # 7 bits of mantissa are exact in both types.
        a, b, c = ([math.ldexp(draw.randint(-127, 127), draw.randint(-9, -5)) for _ in range(n)] for n in (256, 128, 128))
    else:
        a, b, c = small_integers(rows * depth, 1), small_integers(depth * columns, 2), small_integers(rows * columns, 3)
    inputs, expected, slack = b"", b"", []
    for lane in range(WARP):
        halves = [half_bits(a[i * depth + k], kind) for i, k in left_places(lane)]
        halves += [half_bits(b[k * columns + j], kind) for k, j in right_places(lane)]
        inputs += struct.pack("<12H", *halves)
        inputs += struct.pack("<4f", *(c[i * columns + j] for i, j in sum_places(lane)))
        for i, j in sum_places(lane):
            terms = [a[i * depth + k] * b[k * columns + j] for k in range(depth)] + [c[i * columns + j]]
            expected += struct.pack("<f", math.fsum(terms))
            slack.append(MOST_ROUNDING * sum(map(abs, terms)))
    body = f"""{take(8, 10)}
  mma.sync.aligned.m16n8k16.row.col.f32.{kind}.{kind}.f32 {{{registers(32, 4)}}}, {{{registers(8, 4)}}}, {{{registers(12, 2)}}}, {{{registers(14, 4)}}};
{give(32, 4)}"""
    return MicroKernel(
        f"mma.m16n8k16.{kind}" + (" rounding" if rounding else ""), "sm_80", kernel_text("sm_80", body, own_input=40, own_output=16),
        inputs, expected, slack=tuple(slack) if rounding else None,
    )  # fmt: skip


def ldmatrix(is_transposed):
    """Four matrices of 8 x 8, a row for each lane."""
    modifier = ".trans" if is_transposed else ""
    body = f"""{take(8, 4)}
  shl.b32 %r2, %r0, 4;
  add.u32 %r2, %r2, %r1;
  st.shared.v4.b32 [%r2], {{{registers(8, 4)}}};
  bar.warp.sync -1;
  ldmatrix.sync.aligned.m8n8.x4{modifier}.shared.b16 {{{registers(16, 4)}}}, [%r2];
{give(16, 4)}"""
    expected = b""
    for lane in range(WARP):
        row, column = lane // 4, 2 * (lane % 4)
        for matrix in range(4):
            places = [(column, row), (column + 1, row)] if is_transposed else [(row, column), (row, column + 1)]
            expected += struct.pack("<2H", *(64 * matrix + 8 * i + j for i, j in places))
    text = kernel_text("sm_80", body, shared=512, own_input=16, own_output=16)
    return MicroKernel(f"ldmatrix{modifier}", "sm_80", text, struct.pack("<256H", *range(256)), expected)


#
# Copies
#


def cp_async():
    """16 bytes of which the source gives the first 0 to 16; the rest become zero."""
    body = f"""  mov.b32 %r4, -1;
  shl.b32 %r2, %r0, 4;
  add.u32 %r2, %r2, %r1;
  st.shared.v4.b32 [%r2], {{%r4, %r4, %r4, %r4}};
  min.u32 %r3, %r0, 16;
  cp.async.cg.shared.global [%r2], [%rd2], 16, %r3;
  cp.async.commit_group;
  cp.async.wait_group 0;
  ld.shared.v4.b32 {{{registers(8, 4)}}}, [%r2];
{give(8, 4)}"""
    inputs = bytes(1 + i % 255 for i in range(16 * WARP))
    expected = b"".join(inputs[16 * i : 16 * i + min(i, 16)].ljust(16, b"\0") for i in range(WARP))
    return MicroKernel("cp.async", "sm_80", kernel_text("sm_80", body, shared=512, own_input=16, own_output=16), inputs, expected)


def swizzled(byte, span):
    """Where a byte of a box lies, whose rows are `span` bytes: units of 16 bytes change places (PTX ISA, swizzling modes)."""
    return byte ^ (byte >> 7) % (span // 16) << 4 if span else byte


WAIT = """WAIT:
  mbarrier.try_wait.parity.shared.b64 %p1, [%r1+{barrier}], 0;
  @!%p1 bra WAIT;"""


def tensor_box(name, extents, box, corner, swizzle):
    """One copy of a box, which may reach beyond the tensor on every side: zeros come from there."""
    count = 2 * math.prod(box)
    barrier = count
    coordinates = ", ".join(f"%r{16 + i}" for i in range(len(box)))
    body = f"""  setp.ne.u32 %p0, %r0, 0;
  @%p0 bra COPIED;
  mbarrier.init.shared.b64 [%r1+{barrier}], 1;
  fence.mbarrier_init.release.cluster;
  fence.proxy.async;
  mov.b64 %rd5, map;
  cvta.param.u64 %rd5, %rd5;
""" + "\n".join(f"  mov.b32 %r{16 + i}, {c};" for i, c in enumerate(corner)) + f"""
  mbarrier.arrive.expect_tx.shared.b64 %rd6, [%r1+{barrier}], {count};
  cp.async.bulk.tensor.{len(box)}d.shared::cluster.global.tile.mbarrier::complete_tx::bytes [%r1], [%rd5, {{{coordinates}}}], [%r1+{barrier}];
COPIED:
  bar.sync 0;
{WAIT.format(barrier=barrier)}
{copy("shared", "global", "%rd1", count, WARP)}"""
    inputs = struct.pack(f"<{math.prod(extents)}H", *(i + 1 for i in range(math.prod(extents))))
    image = bytearray(count)
    for number in range(math.prod(box)):
        at, place, stride, is_inside = number, 0, 1, True
        for extent, size, begin in zip(extents, box, corner):
            at, coordinate = at // size, at % size + begin
            is_inside &= 0 <= coordinate < extent
            place, stride = place + coordinate * stride, stride * extent
        struct.pack_into("<H", image, swizzled(2 * number, swizzle), place + 1 if is_inside else 0)
    text = kernel_text("sm_90a", body, shared=count + 16, takes_map=True)
    return MicroKernel(name, "sm_90a", text, inputs, bytes(image), tensor_map=TensorMap(extents, box, swizzle))


def multicast():
    """Each of two blocks copies half of a box into both, whose barriers count the bytes of both halves."""
    rows, columns = 16, 64
    half, count = rows * columns, 2 * rows * columns
    barrier = count
    body = f"""  setp.ne.u32 %p0, %r0, 0;
  mov.u32 %r8, %cluster_ctarank;
  @%p0 bra READY;
  mbarrier.init.shared.b64 [%r1+{barrier}], 1;
  fence.mbarrier_init.release.cluster;
  mbarrier.arrive.expect_tx.shared.b64 %rd6, [%r1+{barrier}], {count};
READY:
  barrier.cluster.arrive.aligned;
  barrier.cluster.wait.aligned;
  @%p0 bra COPIED;
  mov.b64 %rd5, map;
  cvta.param.u64 %rd5, %rd5;
  mov.b32 %r16, 0;
  mul.lo.u32 %r17, %r8, {rows // 2};
  mad.lo.u32 %r9, %r8, {half}, %r1;
  mov.b16 %h0, 3;
  cp.async.bulk.tensor.2d.shared::cluster.global.tile.mbarrier::complete_tx::bytes.multicast::cluster [%r9], [%rd5, {{%r16, %r17}}], [%r1+{barrier}], %h0;
COPIED:
  bar.sync 0;
{WAIT.format(barrier=barrier)}
  mul.wide.u32 %rd7, %r8, {count};
  add.u64 %rd7, %rd7, %rd1;
{copy("shared", "global", "%rd7", count, WARP)}
  barrier.cluster.arrive.aligned;
  barrier.cluster.wait.aligned;"""
    numbers = range(1, rows * columns + 1)
    image = bytearray(count)
    for place, number in enumerate(numbers):
        struct.pack_into("<H", image, swizzled(2 * place, 128), number)
    return MicroKernel(
        "multicast", "sm_90a", kernel_text("sm_90a", body, shared=count + 16, takes_map=True, cluster=2),
        struct.pack(f"<{rows * columns}H", *numbers), bytes(image) * 2, blocks=2,
        tensor_map=TensorMap((columns, rows), (columns, rows // 2), 128),
    )  # fmt: skip


def mbarrier_phases():
    """What test_wait says of both parities after each step, of a barrier that two arrive at; bytes are awaited in its second phase."""
    barrier, seen = 64, []
    lines = [f"  mbarrier.init.shared.b64 [%r1+{barrier}], 2;", "  fence.mbarrier_init.release.cluster;", "  fence.proxy.async;"]

    def ask(even, odd):
        for parity, expected in ((0, even), (1, odd)):
            lines.append(f"  mbarrier.test_wait.parity.shared.b64 %p1, [%r1+{barrier}], {parity};")
            lines.append(f"  selp.b32 %r{32 + len(seen)}, 1, 0, %p1;")
            seen.append(expected)

    arrive = f"  mbarrier.arrive.shared.b64 %rd5, [%r1+{barrier}];"
    ask(0, 1)
    lines.append(arrive)
    ask(0, 1)
    lines.append(arrive)
    ask(1, 0)
    lines.append(f"  mbarrier.arrive.expect_tx.shared.b64 %rd5, [%r1+{barrier}], 64;")
    ask(1, 0)
    lines.append(arrive)
    ask(1, 0)
    lines.append(f"  cp.async.bulk.shared::cluster.global.mbarrier::complete_tx::bytes [%r1], [%rd0], 64, [%r1+{barrier}];")
    lines.append(WAIT.format(barrier=barrier).replace("], 0;", "], 1;"))
    ask(0, 1)
    body = "\n".join(["  setp.ne.u32 %p0, %r0, 0;", "  @%p0 bra DONE;", *lines, give(32, len(seen)), "DONE:"])
    return MicroKernel("mbarrier phases", "sm_90a", kernel_text("sm_90a", body, shared=128), bytes(64), words(seen))


#
# wgmma
#

DEPTH = 64  # of one row of 128 bytes
PATTERN = 1024  # bytes: eight rows of the 128-byte swizzle


def matrix_image(values, rows, columns):
    """values[row][column] in blocks of 64 columns, each row of a block 128 swizzled bytes."""
    image = bytearray(2 * rows * columns)
    for row in range(rows):
        for column in range(columns):
            block, inside = divmod(column, 64)
            at = 128 * rows * block + swizzled(128 * row + 2 * inside, 128)
            struct.pack_into("<H", image, at, values(row, column))
    return bytes(image)


def wgmma(kind, columns, is_transposed):
    """64 rows by `columns`, depth 64 in four steps; the right factor lies by depth, or transposed, by columns."""
    a, b = small_integers(64 * DEPTH, 4), small_integers(DEPTH * columns, 5)
    left = matrix_image(lambda i, k: half_bits(a[i * DEPTH + k], kind), 64, DEPTH)
    if is_transposed:
        right = matrix_image(lambda k, j: half_bits(b[k * columns + j], kind), DEPTH, columns)
    else:
        right = matrix_image(lambda j, k: half_bits(b[k * columns + j], kind), columns, DEPTH)
    # Patterns of eight rows follow each other; where columns lie beside each other, the next 64 of them are a block away.
    leading, step = (128 * DEPTH, 16 * 128) if is_transposed else (16, 32)
    fixed = {"a": 1 << 62 | PATTERN // 16 << 32 | 1 << 16, "b": 1 << 62 | PATTERN // 16 << 32 | leading // 16 << 16}
    first, count = 16, columns // 2
    lines = [copy("global", "shared", "%rd0", len(left + right), WARPGROUP), "  fence.proxy.async;", "  bar.sync 0;"]
    for name, begin, register in (("a", 0, 8), ("b", len(left), 10)):
        lines += [f"  add.u32 %r2, %r1, {begin};", "  shr.u32 %r2, %r2, 4;", "  and.b32 %r2, %r2, 16383;", "  cvt.u64.u32 %rd5, %r2;"]
        lines.append(f"  or.b64 %rd{register}, %rd5, {fixed[name]};")
    lines += [f"  mov.b32 %r{first + i}, 0;" for i in range(count)] + ["  wgmma.fence.sync.aligned;"]
    for at in range(4):
        lines += [f"  add.u64 %rd9, %rd8, {32 * at // 16};", f"  add.u64 %rd11, %rd10, {step * at // 16};"]
        lines.append(
            f"  wgmma.mma_async.sync.aligned.m64n{columns}k16.f32.{kind}.{kind} {{{registers(first, count)}}}, %rd9, %rd11, 1, 1, 1, 0, "
            f"{int(is_transposed)};"
        )
    lines += ["  wgmma.commit_group.sync.aligned;", "  wgmma.wait_group.sync.aligned 0;", give(first, count)]
    sums, expected = product(a, b, 64, columns, DEPTH), []
    for thread in range(WARPGROUP):
        warp, lane = divmod(thread, WARP)
        places = [(i + 16 * warp, j + 8 * block) for block in range(columns // 8) for i, j in sum_places(lane)]
        expected += [f32_bits(sums[i][j]) for i, j in places]
    text = kernel_text("sm_90a", "\n".join(lines), shared=len(left + right), own_output=4 * count)
    layout = "by columns" if is_transposed else "by depth"
    return MicroKernel(f"wgmma.m64n{columns}k16.{kind} {layout}", "sm_90a", text, left + right, words(expected), threads=WARPGROUP)


#
# Lanes, and single numbers
#


def collectives():
    values = [random.Random(9).randint(0, 3) for _ in range(WARP)]
    body = f"""{take(4, 1)}
  shfl.sync.up.b32 %r8|%p1, %r4, 4, 0, -1;
  selp.b32 %r9, 1, 0, %p1;
  shfl.sync.bfly.b32 %r10, %r4, 8, 31, -1;
  shfl.sync.idx.b32 %r11, %r4, 5, 31, -1;
  match.any.sync.b32 %r12, %r4, -1;
  setp.gt.u32 %p2, %r4, 1;
  vote.sync.ballot.b32 %r13, %p2, -1;
{give(8, 6)}"""
    expected = []
    for lane, value in enumerate(values):
        expected += [values[max(lane - 4, 0) if lane >= 4 else lane], int(lane >= 4), values[lane ^ 8], values[5]]
        expected += [sum(1 << i for i, other in enumerate(values) if other == value), sum(1 << i for i, other in enumerate(values) if other > 1)]
    return MicroKernel("collectives", "sm_80", kernel_text("sm_80", body, own_input=4, own_output=24), words(values), words(expected))


def elect():
    """One lane, of all 32 and of those that take part; PTX does not say which."""
    body = f"""  elect.sync %r4|%p1, -1;
  selp.b32 %r5, 1, 0, %p1;
  setp.eq.u32 %p2, %r4, %r0;
  selp.b32 %r6, 1, 0, %p2;
  sub.u32 %r7, %r5, %r6;
  vote.sync.ballot.b32 %r8, %p1, -1;
  popc.b32 %r8, %r8;
{give(7, 2)}"""
    return MicroKernel("elect", "sm_90a", kernel_text("sm_90a", body, own_output=8), b"", words([0, 1] * WARP))


def shared_atomics():
    body = f"""  setp.ne.u32 %p1, %r0, 0;
  mov.b32 %r4, 0;
  @!%p1 st.shared.b32 [%r1], %r4;
  bar.sync 0;
  atom.shared.add.u32 %r5, [%r1], %r0;
  bar.sync 0;
  ld.shared.b32 %r6, [%r1];
{give(6, 1)}"""
    text = kernel_text("sm_80", body, shared=16, own_output=4)
    return MicroKernel("shared atomics", "sm_80", text, b"", words([sum(range(WARPGROUP))] * WARPGROUP), threads=WARPGROUP)


EDGES = [0.0, -0.0, 1.0, -1.5, 2.5, 3.5, -0.5, math.inf, -math.inf, math.nan, 3.4028234663852886e38, 2.0**-126, 2.0**-149, 1 / 3, 16777217.0, -7.25]


def floats():
    """Rounded to nearest, with denormals: sums, products, quotients; floors; the larger of two."""
    draw = random.Random(11)
    numbers = [f32_of(f32_bits(x)) for x in EDGES] + [f32_of(draw.getrandbits(32) & 0xBFFFFFFF) for _ in range(48)]
    pairs = [(numbers[i], numbers[(7 * i + 3) % 64]) for i in range(64)] + [(x, x) for x in numbers[:16]] + [(x, 1.0) for x in numbers[:48]]
    body = f"""{take(4, 2)}
  add.rn.f32 %r8, %r4, %r5;
  sub.rn.f32 %r9, %r4, %r5;
  mul.rn.f32 %r10, %r4, %r5;
  fma.rn.f32 %r11, %r4, %r5, %r4;
  div.rn.f32 %r12, %r4, %r5;
  max.f32 %r13, %r4, %r5;
  min.f32 %r14, %r4, %r5;
  cvt.rmi.f32.f32 %r15, %r4;
  neg.f32 %r16, %r4;
{give(8, 9)}"""
    expected = b"".join(words(arithmetic(x, y)) for x, y in pairs)
    inputs = b"".join(struct.pack("<2f", *pair) for pair in pairs)
    return MicroKernel("floats", "sm_80", kernel_text("sm_80", body, own_input=8, own_output=36), inputs, expected, threads=WARPGROUP)


def fast_tanh():
    """Within the relative error that the PTX ISA states, 2^-11, and a bit of the last place."""
    numbers = [f32_of(f32_bits((i - 64) / 16)) for i in range(WARPGROUP)]
    body = f"""{take(4, 1)}
  tanh.approx.f32 %r8, %r4;
{give(8, 1)}"""
    expected = b"".join(struct.pack("<f", math.tanh(x)) for x in numbers)
    slack = tuple(abs(math.tanh(x)) * 2.0**-10.9 for x in numbers)
    text = kernel_text("sm_80", body, own_input=4, own_output=4)
    return MicroKernel("tanh.approx", "sm_80", text, struct.pack("<128f", *numbers), expected, threads=WARPGROUP, slack=slack)


def arithmetic(x, y):
    """Bits of the nine results of floats()."""

    def exact(operation, limit):
        """Finite operands by fractions; what IEEE 754 says of others."""
        if all(map(math.isfinite, (x, y))):
            found = operation(Fraction(x), Fraction(y))
            if found is not None and found != 0:
                return rounded_f32(found)
        return f32_bits(limit())

    def quotient():
        if math.isnan(x) or math.isnan(y) or (x == 0 and y == 0) or (math.isinf(x) and math.isinf(y)):
            return math.nan
        sign = math.copysign(1, x) * math.copysign(1, y)
        return math.copysign(math.inf if y == 0 or math.isinf(x) else 0.0, sign)

    def chosen(pick):
        if math.isnan(x) or math.isnan(y):
            return y if math.isnan(x) else x
        if x == y == 0:
            return pick(math.copysign(1, x), math.copysign(1, y)) * 0.0
        return pick(x, y)

    return [
        exact(lambda a, b: a + b, lambda: x + y),
        exact(lambda a, b: a - b, lambda: x - y),
        exact(lambda a, b: a * b, lambda: x * y),
        exact(lambda a, b: a * b + a, lambda: x * y + x),
        exact(lambda a, b: a / b if b else None, quotient),
        f32_bits(chosen(max)),
        f32_bits(chosen(min)),
        f32_bits(math.floor(x) if math.isfinite(x) and x == x and math.floor(x) else math.copysign(0.0, x) if math.isfinite(x) else x),
        f32_bits(x) ^ 0x80000000,
    ]


def integers():
    draw = random.Random(13)
    pairs = [(draw.getrandbits(64) >> draw.randint(0, 63), draw.getrandbits(64) >> draw.randint(0, 62) | 1) for _ in range(WARP)]
    body = f"""  ld.global.b64 %rd4, [%rd2];
  ld.global.b64 %rd5, [%rd2+8];
  cvt.u32.u64 %r4, %rd4;
  cvt.u32.u64 %r5, %rd5;
  mul.hi.u32 %r8, %r4, %r5;
  bfe.u32 %r9, %r4, 5, 9;
  div.u32 %r10, %r4, %r5;
  popc.b32 %r11, %r4;
  shr.s32 %r12, %r4, 7;
  mad.lo.s32 %r13, %r4, %r5, %r4;
  mul.hi.u64 %rd6, %rd4, %rd5;
  div.u64 %rd7, %rd4, %rd5;
  bfe.u64 %rd8, %rd4, 17, 33;
{give(8, 6)}
  st.global.b64 [%rd3+24], %rd6;
  st.global.b64 [%rd3+32], %rd7;
  st.global.b64 [%rd3+40], %rd8;"""
    expected = b""
    for x, y in pairs:
        a, b = x & 0xFFFFFFFF, y & 0xFFFFFFFF
        signed = a - (a >> 31 << 32)
        expected += words([a * b >> 32, a >> 5 & 511, a // b, a.bit_count(), signed >> 7, a * b + a])
        expected += struct.pack("<3Q", x * y >> 64, x // y, x >> 17 & (1 << 33) - 1)
    inputs = b"".join(struct.pack("<2Q", *pair) for pair in pairs)
    return MicroKernel("integers", "sm_80", kernel_text("sm_80", body, own_input=16, own_output=48), inputs, expected)


def all_kernels():
    plane, volume = (40, 20), (40, 9, 3)
    kernels = [mma(kind, rounding) for kind in ("bf16", "f16") for rounding in (False, True)]
    kernels += [ldmatrix(False), ldmatrix(True), cp_async(), collectives(), elect(), shared_atomics(), floats(), fast_tanh(), integers(), mbarrier_phases()]
    kernels.append(multicast())
    for span in (0, 32, 64, 128):
        box = (span // 2 or 16, 32)
        for name, corner in (("inside", (8, 2)), ("before the edges", (-9, -3)), ("past the edges", (31, 11))):
            kernels.append(tensor_box(f"box of rows of {span or 'no'} swizzled bytes, {name}", plane, box, corner, span))
    for place in (2, -1, 3):
        kernels.append(tensor_box(f"box of matrix {place} of 3", volume, (64, 16, 1), (0, -2, place), 128))
    kernels += [wgmma(kind, columns, how) for kind, columns, how in (("bf16", 128, True), ("f16", 128, True), ("bf16", 64, True), ("bf16", 128, False))]
    return kernels


#
# The driver
#


class DriverError(RuntimeError):
    """There is no driver or no device, or a call failed."""


class Driver:
    """What a launch needs of it, by ctypes."""

    def __init__(self, path=None):
        try:
            self.library = ctypes.CDLL(path or os.environ.get("MOERT_CUDA_DRIVER") or "libcuda.so.1")
        except OSError as error:
            raise DriverError(f"needs the CUDA driver, found none: {error}") from None
        self.call("cuInit", 0)
        self.device, context = ctypes.c_int(), ctypes.c_void_p()
        self.call("cuDeviceGet", ctypes.byref(self.device), 0)
        self.call("cuDevicePrimaryCtxRetain", ctypes.byref(context), self.device)
        self.call("cuCtxSetCurrent", context)

    def call(self, name, *arguments):
        error = getattr(self.library, name)(*arguments)
        if error:
            text = ctypes.c_char_p()
            self.library.cuGetErrorString(error, ctypes.byref(text))
            raise DriverError(f"{name}: {(text.value or b'unknown').decode()}")

    @property
    def name(self):
        text = ctypes.create_string_buffer(256)
        self.call("cuDeviceGetName", text, 256, self.device)
        return text.value.decode()

    @property
    def capability(self):
        major, minor = ctypes.c_int(), ctypes.c_int()
        self.call("cuDeviceGetAttribute", ctypes.byref(major), 75, self.device)
        self.call("cuDeviceGetAttribute", ctypes.byref(minor), 76, self.device)
        return 10 * major.value + minor.value

    def upload(self, data):
        address = ctypes.c_uint64()
        self.call("cuMemAlloc_v2", ctypes.byref(address), ctypes.c_size_t(max(len(data), 16)))
        if data:
            self.call("cuMemcpyHtoD_v2", address, data, ctypes.c_size_t(len(data)))
        return address

    def encode(self, tensor_map, address):
        """The map's bytes, in memory aligned as the driver wants it, and that memory's owner."""
        owner = ctypes.create_string_buffer(192)
        place = ctypes.c_void_p(ctypes.addressof(owner) + 63 & ~63)
        rank = len(tensor_map.extents)
        strides = [2 * math.prod(tensor_map.extents[:i]) for i in range(1, rank)]
        u16, modes = 1, {0: 0, 32: 1, 64: 2, 128: 3}
        self.call(
            "cuTensorMapEncodeTiled", place, u16, rank, ctypes.c_void_p(address.value), (ctypes.c_uint64 * rank)(*tensor_map.extents),
            (ctypes.c_uint64 * max(rank - 1, 1))(*strides), (ctypes.c_uint32 * rank)(*tensor_map.box), (ctypes.c_uint32 * rank)(*[1] * rank),
            0, modes[tensor_map.swizzle], 0, 0,
        )  # fmt: skip
        return place, owner

    def run(self, kernel):
        """What it writes."""
        module, function = ctypes.c_void_p(), ctypes.c_void_p()
        self.call("cuModuleLoadData", ctypes.byref(module), kernel.text.encode())
        self.call("cuModuleGetFunction", ctypes.byref(function), module, b"micro")
        size = len(kernel.expected)
        source, target = self.upload(kernel.inputs), self.upload(b"\xee" * size)
        parameters = [ctypes.cast(ctypes.byref(source), ctypes.c_void_p), ctypes.cast(ctypes.byref(target), ctypes.c_void_p)]
        if kernel.tensor_map:
            place, _owner = self.encode(kernel.tensor_map, source)
            parameters.append(place)
        block = (kernel.blocks, 1, 1, kernel.threads, 1, 1)
        self.call("cuLaunchKernel", function, *block, 0, None, (ctypes.c_void_p * len(parameters))(*parameters), None)
        self.call("cuCtxSynchronize")
        result = ctypes.create_string_buffer(size)
        self.call("cuMemcpyDtoH_v2", result, target, ctypes.c_size_t(size))
        for address in (source, target):
            self.call("cuMemFree_v2", address)
        self.call("cuModuleUnload", module)
        return result.raw


def difference(kernel, found):
    """Where and how a result is not what is expected; None where it is."""
    expected = kernel.expected
    for at in range(0, len(expected), 4):
        one, other = (int.from_bytes(x[at : at + 4], "little") for x in (found, expected))
        x, y = f32_of(one), f32_of(other)
        if kernel.slack:
            is_same = abs(x - y) <= kernel.slack[at // 4]
        else:
            is_same = one == other or (kernel.name == "floats" and math.isnan(x) and math.isnan(y))
        if not is_same:
            return f"byte {at} of {len(expected)}: found {one:#010x} ({x:.9g}), expected {other:#010x} ({y:.9g})"
    return None


def check(driver, golden=None, report=print):
    """Runs all that the device can; results by name, and how many are not as expected, or not as in a golden file."""
    results, wrong, left_out = {}, 0, 0
    capability = driver.capability
    for kernel in all_kernels():
        if capability < 80 or (kernel.target == "sm_90a" and capability != 90):
            left_out += 1
            continue
        found = driver.run(kernel)
        results[kernel.name] = found.hex()
        finding = difference(kernel, found)
        if not finding and golden and golden["kernels"].get(kernel.name, found.hex()) != found.hex() and not kernel.slack:
            finding = f"not what {golden['device']} made of it"
        if finding:
            wrong += 1
            report(f"{kernel.name}: {finding}")
    report(f"micro-kernels on {driver.name}: {len(results) - wrong} as expected, {wrong} not, {left_out} not for this device")
    return results, wrong


def record(path, driver, results):
    path.write_text(json.dumps({"device": driver.name, "kernels": results}, indent=1) + "\n")


def open_driver(program):
    """The driver with its first device; ends the program with a line of what is missing."""
    try:
        return Driver()
    except DriverError as error:
        sys.exit(f"{program}: {error}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--record", type=pathlib.Path, help="write the results here, as JSON")
    parser.add_argument("--golden", type=pathlib.Path, help="results that a device gave: compared with")
    arguments = parser.parse_args()
    driver = open_driver("micro_kernels.py")
    golden = json.loads(arguments.golden.read_text()) if arguments.golden else None
    results, wrong = check(driver, golden)
    if arguments.record:
        record(arguments.record, driver, results)
    sys.exit(wrong != 0)


if __name__ == "__main__":
    main()
