"""Checks the artifact loader against the C header: layouts, and a hand-written library that uses the runtime's own check.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import ctypes
import json
import os
import pathlib
import subprocess

import numpy as np
import pytest

import artifact

ROOT = pathlib.Path(__file__).resolve().parents[2]
INCLUDE = ROOT / "runtime" / "include"
COMPILER = os.environ.get("CC", "cc")

LAYOUTS = r"""
#include <stddef.h>
#include <stdio.h>
#include "moert/abi.h"
#define FIELD(type, field) printf("%zu ", offsetof(type, field))
int main(void) {
  printf("%zu ", sizeof(DLTensor));
  FIELD(DLTensor, data); FIELD(DLTensor, device); FIELD(DLTensor, ndim); FIELD(DLTensor, dtype); FIELD(DLTensor, shape);
  FIELD(DLTensor, strides); FIELD(DLTensor, byte_offset);
  printf("%zu ", sizeof(moert_call));
  FIELD(moert_call, size); FIELD(moert_call, abi_version); FIELD(moert_call, stream); FIELD(moert_call, workspace);
  FIELD(moert_call, workspace_bytes); FIELD(moert_call, error); FIELD(moert_call, binding);
  FIELD(moert_call, executor); FIELD(moert_call, isa);
  printf("%u %d %d %d %d %d\n", MOERT_ABI_VERSION, MOERT_INVALID_ARGUMENT, MOERT_WORKSPACE_TOO_SMALL, MOERT_INCOMPATIBLE,
         MOERT_INTERNAL, kDLBfloat);
  return 0;
}
"""

# y = x + 1 of rank 2, with a workspace of 128 bytes that it fills.
LIBRARY = r"""
#include "moert/abi.h"
typedef struct { float *allocated, *aligned; int64_t offset, sizes[2], strides[2]; } Matrix;
typedef struct { char *allocated, *aligned; int64_t offset, sizes[1], strides[1]; } Bytes;
static void kernel(void **d) {
  Matrix *x = d[0], *y = d[1];
  Bytes *w = d[2];
  for (int i = 0; i < 128; ++i) w->aligned[i] = (char)i;
  for (int64_t i = 0; i < x->sizes[0]; ++i)
    for (int64_t j = 0; j < x->sizes[1]; ++j)
      y->aligned[i * y->strides[0] + j * y->strides[1]] = x->aligned[i * x->strides[0] + j * x->strides[1]] + 1.0f;
}
static void workspace(void **d) { *(int64_t *)d[2] = 128; }
static const moert_argument arguments[] = {{"x", kDLFloat, 32, 0, 2, {-2, 3}}, {"y", kDLFloat, 32, 1, 2, {-2, 3}}};
static const moert_variant variant = {"portable", 0, kernel, workspace};
static const moert_entry entry = {sizeof(moert_entry), 2, "next", arguments, &variant, 1};
int32_t moec_next(const moert_call *c, DLTensor *const *a, int32_t n) { return moert_entry_call(&entry, c, a, n); }
int32_t moec_next_workspace(const moert_call *c, DLTensor *const *a, int32_t n, uint64_t *b) { return moert_entry_workspace(&entry, c, a, n, b); }
const char *moec_manifest(void) { return MANIFEST; }
uint32_t moec_abi_version(void) { return VERSION; }
"""

MANIFEST = {"moec_manifest": "0.1", "abi": "0.6", "entries": [
    {"name": "next", "symbol": "moec_next", "arguments": [
        {"name": "x", "dtype": "float32", "shape": [-2, 3], "role": "input"},
        {"name": "y", "dtype": "float32", "shape": [-2, 3], "role": "output"}]}]}


def c_compile(source, target, *options):
    done = subprocess.run([COMPILER, "-x", "c", "-", "-I", INCLUDE, "-o", target, *options], input=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_layouts(tmp_path):
    c_compile(LAYOUTS, tmp_path / "layouts")
    told = [int(n) for n in subprocess.run([tmp_path / "layouts"], capture_output=True, text=True).stdout.split()]
    fields = [getattr(artifact.Tensor, name).offset for name, _ in artifact.Tensor._fields_]
    call = [getattr(artifact.Call, name).offset for name, _ in artifact.Call._fields_]
    assert told == [ctypes.sizeof(artifact.Tensor), *fields, ctypes.sizeof(artifact.Call), *call, artifact.ABI_VERSION,
                    artifact.INVALID_ARGUMENT, artifact.WORKSPACE_TOO_SMALL, artifact.INCOMPATIBLE, artifact.INTERNAL, artifact.BFLOAT]


def library(directory, manifest=MANIFEST, version="MOERT_ABI_VERSION", beside=None):
    text = json.dumps(json.dumps(manifest))
    (directory / "manifest.json").write_text(json.dumps(manifest if beside is None else beside))
    objects = []
    for part in ("entry", "variant", "cpu_features"):
        objects.append(directory / f"{part}.o")
        subprocess.run([COMPILER, "-c", "-fPIC", "-I", INCLUDE, ROOT / f"runtime/src/entry/{part}.c", "-o", objects[-1]], check=True)
    source = f"#define MANIFEST {text}\n#define VERSION {version}\n{LIBRARY}"
    c_compile(source, directory / "library.so", "-shared", "-fPIC", "-x", "none", *objects)
    return artifact.Artifact(directory)


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    return library(tmp_path_factory.mktemp("next"))


def test_call_allocates_results(compiled):
    x = np.arange(12, dtype=np.float32).reshape(4, 3)
    [y] = compiled("next", x)
    assert np.array_equal(y, x + 1)
    assert compiled("next", np.zeros((0, 3), np.float32))[0].shape == (0, 3)


def test_views_may_be_strided(compiled):
    x, y = np.arange(24, dtype=np.float32).reshape(3, 8), np.zeros((4, 6), np.float32)
    compiled.call_views("next", [artifact.view(x.T[::2]), artifact.view(y[:, ::2])])
    assert np.array_equal(y[:, ::2], x.T[::2] + 1) and not y[:, 1::2].any()


def test_errors_carry_the_library_message(compiled):
    x = np.zeros((4, 3), np.float32)
    with pytest.raises(artifact.ArtifactError, match=r"invalid argument: next: argument 1 'y' .*shape\[0\] = 5.*expected 4") as error:
        compiled.call_views("next", [artifact.view(x), artifact.view(np.zeros((5, 3), np.float32))])
    assert error.value.status == artifact.INVALID_ARGUMENT
    with pytest.raises(artifact.ArtifactError, match="workspace of 64 bytes, expected at least 128") as error:
        compiled.call_views("next", [artifact.view(x), artifact.view(x.copy())], workspace=artifact.aligned(64))
    assert error.value.status == artifact.WORKSPACE_TOO_SMALL


def test_refuses_another_manifest_and_another_version(tmp_path):
    changed = json.loads(json.dumps(MANIFEST))
    changed["entries"][0]["arguments"][0]["shape"][1] = 4
    with pytest.raises(artifact.ArtifactError, match=r"manifest.json is not the manifest of library.so: .entries\[0\]"):
        library(tmp_path, beside=changed)
    for version in ("1u << 16", "MOERT_ABI_VERSION + 1"):
        (tmp_path / version[:1]).mkdir()
        with pytest.raises(artifact.ArtifactError, match="library has ABI"):
            library(tmp_path / version[:1], version=version)


def test_bf16_goes_as_bit_patterns():
    tensor = artifact.view(np.zeros((2, 2), np.uint16))
    assert (tensor.dtype.code, tensor.dtype.bits) == (artifact.BFLOAT, 16)
