"""The ctypes structures of moec.abi against the C headers, by the numbers of test/unit/runtime/abi_layout.h.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import ctypes
import pathlib
import re

import pytest

from moec import abi

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAYOUT = (ROOT / "test/unit/runtime/abi_layout.h").read_text()
SIZES = {name: int(size) for name, size in re.findall(r"sizeof\((\w+)\) == (\d+)", LAYOUT)}
OFFSETS = {(name, field): int(at) for name, field, at in re.findall(r"offsetof\((\w+), (\w+)\) == (\d+)", LAYOUT)}
NUMBERS = {name: int(number) for name, number in re.findall(r"\(((?:MOERT|kDL)\w+) == (-?\d+)u?\)", LAYOUT)}
MIRRORS = {
    "DLDevice": abi.Device,
    "DLDataType": abi.DataType,
    "DLTensor": abi.Tensor,
    "moert_error_sink": abi.ErrorSink,
    "moert_call": abi.Call,
    "moert_argument": abi.ArgumentRecord,
    "moert_model_options": abi.ModelOptions,
    "moert_paging_statistics": abi.PagingStatistics,
}


@pytest.mark.parametrize("name", MIRRORS)
def test_structures_are_those_of_c(name):
    mirror = MIRRORS[name]
    assert ctypes.sizeof(mirror) == SIZES[name]
    expected = {field: at for (struct, field), at in OFFSETS.items() if struct == name}
    assert {field: getattr(mirror, field).offset for field, _ in mirror._fields_} == expected


def test_numbers_are_those_of_c():
    assert abi.VERSION == NUMBERS["MOERT_ABI_VERSION"]
    assert {status.name: status.value for status in abi.Status} == {name: NUMBERS[f"MOERT_{name}"] for name in abi.Status.__members__}
    assert (abi.MAX_RANK, abi.DYNAMIC) == (NUMBERS["MOERT_MAX_RANK"], NUMBERS["MOERT_DYNAMIC"])
    assert (abi.INPUT, abi.OUTPUT, abi.BINDING) == tuple(NUMBERS[f"MOERT_{n}"] for n in ("INPUT", "OUTPUT", "BINDING"))
    codes = ("kDLInt", "kDLUInt", "kDLFloat", "kDLBfloat", "kDLBool", "kDLCPU")
    assert (abi.INT, abi.UINT, abi.FLOAT, abi.BFLOAT, abi.BOOL, abi.CPU) == tuple(NUMBERS[code] for code in codes)


def test_functions_are_declared():
    headers = "".join(path.read_text() for path in (ROOT / "runtime/include/moert").glob("*.h"))
    assert all(f" {name}(" in headers for name in abi.FUNCTIONS)
