"""Reads weight archives with the safetensors package and decodes them as docs/archive.md says, in NumPy.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import json
import os
import pathlib
import subprocess

import numpy as np
import pytest
import safetensors
import safetensors.numpy
from interruption import kill_at_any_time
from program import tool

BIN = pathlib.Path(os.environ.get("MOEC_BIN", pathlib.Path(__file__).resolve().parents[2] / "build" / "bin"))
MAKE = BIN.parent / "test" / "tools" / "moe-archive" / "make-archive"


@pytest.fixture(scope="module")
def archive(tmp_path_factory):
    """An archive, and its values as moe-archive unpacks them."""
    folder = tmp_path_factory.mktemp("archive")
    subprocess.run([MAKE, "example", folder / "example.moec"], check=True)
    subprocess.run([BIN / "moe-archive", "unpack", folder / "example.moec", "-o", folder / "plain"], check=True)
    return folder / "example.moec", safetensors.numpy.load_file(folder / "plain")


def description(path):
    with safetensors.safe_open(path, framework="np") as file:
        return json.loads(file.metadata()["moec.archive"])


def raw(path):
    """Each tensor's bytes: not every type is one of NumPy's."""
    data = path.read_bytes()
    length = 8 + int.from_bytes(data[:8], "little")
    header = json.loads(data[8:length])
    header.pop("__metadata__")
    return {name: np.frombuffer(data[length:], np.uint8)[slice(*entry["data_offsets"])] for name, entry in header.items()}


def test_safetensors_opens_it(archive):
    path, _ = archive
    with safetensors.safe_open(path, framework="np") as file:
        stored = {
            tensor["name"]
            for record in description(path)["records"]
            for tensor in record["tensors"]
            if "splat" not in tensor
        }
        keys = set(file.keys())
        assert stored <= keys
        assert file.get_slice("layers.0.router.weight").get_dtype() == "F32"
        assert file.get_slice("layers.0.clusters.0.down").get_shape() == [20, 8]
        for name in keys:
            if name.startswith("__pad__."):
                assert not file.get_tensor(name).any()


def test_records_begin_at_pages(archive):
    path, _ = archive
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    assert start % 4096 == 0 and len(data) % 4096 == 0
    header = json.loads(data[8:start])
    for record in description(path)["records"]:
        assert record["offset"] % 4096 == 0
        stored = [tensor["name"] for tensor in record["tensors"] if "splat" not in tensor]
        if stored:
            assert header[stored[0]]["data_offsets"][0] == record["offset"]


def test_plain_types_are_read_directly(archive):
    path, values = archive
    with safetensors.safe_open(path, framework="np") as file:
        for name in ("layers.0.router.weight", "layers.0.cluster_of", "layers.0.experts.2.gate.a"):
            np.testing.assert_array_equal(file.get_tensor(name).astype(values[name].dtype), values[name])


def test_int8_groups(archive):
    path, values = archive
    with safetensors.safe_open(path, framework="np") as file:
        name = "layers.0.experts.1.gate.b"
        codes = file.get_tensor(name)
        scales = file.get_tensor(name + ".scales")[0]
    assert codes.dtype == np.int8 and scales.shape == (1, 20)
    np.testing.assert_array_equal(codes.astype(np.float32) * np.repeat(scales, 2, axis=0), values[name])


def test_bf16_panels(archive):
    path, values = archive
    name = "layers.0.clusters.0.gate"
    # [8, 20] as two panels of 16 columns, the second filled up with zeros.
    panels = raw(path)[name].view(np.uint16).reshape(2, 8, 16)
    rows = panels.transpose(1, 0, 2).reshape(8, 32)
    assert not rows[:, 20:].any()
    np.testing.assert_array_equal((rows[:, :20].astype(np.uint32) << 16).view(np.float32), values[name])


def test_int4_panels_with_zero_points(archive):
    path, values = archive
    name = "layers.0.clusters.1.up"
    parts = raw(path)
    pairs = parts[name].reshape(2, 4, 16)
    rows = np.stack([pairs & 15, pairs >> 4], axis=2).reshape(2, 8, 16)
    codes = rows.transpose(1, 0, 2).reshape(8, 32)[:, :20].astype(np.float32)

    def grid(part, dtype):
        """[groups, columns], repeated for each row of a group."""
        panels = parts[name + part].view(dtype).reshape(2, 2, 16)
        return np.repeat(panels.transpose(1, 0, 2).reshape(2, 32)[:, :20], 4, axis=0).astype(np.float32)

    decoded = grid(".scales", np.float16) * (codes - grid(".zero_points", np.uint8))
    np.testing.assert_array_equal(decoded, values[name])


def test_mxfp4(archive):
    path, values = archive
    name = "layers.0.shared.bias"
    parts = raw(path)
    nibbles = np.stack([parts[name] & 15, parts[name] >> 4], axis=1).reshape(32)
    numbers = np.array([0, 0.5, 1, 1.5, 2, 3, 4, 6], np.float32)
    decoded = np.where(nibbles & 8, -1, 1) * numbers[nibbles & 7] * np.exp2(float(parts[name + ".scales"][0]) - 127)
    np.testing.assert_array_equal(decoded.astype(np.float32), values[name])


def test_splats_and_empty_tensors(archive):
    _, values = archive
    np.testing.assert_array_equal(values["layers.0.prototypes"], np.full((2, 8), 0.5, np.float32))
    np.testing.assert_array_equal(values["layers.0.rank_of"], np.full(4, 2, np.uint8))
    assert values["empty"].shape == (0, 4)


def test_repack_can_be_killed_at_any_time(tmp_path):
    example = pathlib.Path(__file__).resolve().parents[2] / "examples" / "tiny-mixtral"
    tool("moe-compile", example, "--pipeline=reference", "--opt-level=0", "-o", tmp_path / "exact")
    source = tmp_path / "exact" / "weights.safetensors"
    command = [BIN / "moe-archive", "repack", source, "-o", tmp_path / "out", "--encoding", "int4 group 32", "--layout", "panel16"]
    kill_at_any_time(command, source, tmp_path / "out")
