"""What shared libraries export and need: artifacts of both pipelines, and the runtime.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import pathlib
import re
import subprocess

import pytest

from program import ROOT, binary, tool

# Elements that call libm: of f64 its functions are newer than those of f32.
MODULE = """
!x = tensor<?x8xf64>
func.func @layer(%x: !x, %w: tensor<8x8xf64>) -> !x {
  %weight = moe.wrap %w : tensor<8x8xf64> to !moe.weight<8x8xf64>
  %y = moe.apply %x, %weight : !x, !moe.weight<8x8xf64> -> !x
  %exp = math.exp %y : !x
  %log = math.log %exp : !x
  %power = math.powf %exp, %log : !x
  %erf = math.erf %power : !x
  %z = moe.activate <silu> %erf gated by %y : !x
  return %z : !x
}
func.func @route(%logits: tensor<?x16xf32>) -> (tensor<?x2x!moe.id<expert[16]>>, tensor<?x2xf32>) {
  %ids, %p = moe.route %logits score softmax choose <top_k 2> gates <scores> : (tensor<?x16xf32>) -> (tensor<?x2x!moe.id<expert[16]>>, tensor<?x2xf32>)
  return %ids, %p : tensor<?x2x!moe.id<expert[16]>>, tensor<?x2xf32>
}
"""
LIBRARIES = pathlib.Path(binary("moe-run")).resolve().parent.parent / "lib"
# Libraries of the runtime, and the headers that are of another one than libmoert.so.
RUNTIME = {"runtime": LIBRARIES / "libmoert.so", "regroup": LIBRARIES / "libmoert_regroup.so"}
OWN_HEADERS = {"regroup": {"regroup.h"}}
# The newest version of glibc whose symbols a library may need: docs/artifact.md states them.
GLIBC = {"cpu": (2, 29), "reference": (2, 29), "runtime": (2, 36), "regroup": (2, 36)}
NEEDED = {"cpu": {"libc.so.6", "libm.so.6"}, "reference": {"libc.so.6", "libm.so.6"},
          "runtime": {"libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"},
          "regroup": {"libmoert.so.0", "libc.so.6", "libm.so.6", "ld-linux-x86-64.so.2"}}


def readelf(path, *options):
    return subprocess.run(["readelf", "--wide", *options, path], capture_output=True, text=True, check=True).stdout


@pytest.fixture(scope="module", params=GLIBC)
def library(request, tmp_path_factory):
    """The pipeline, or a name in RUNTIME, and its library."""
    if request.param in RUNTIME:
        return request.param, RUNTIME[request.param]
    folder = tmp_path_factory.mktemp("symbols")
    (folder / "module.mlir").write_text(MODULE)
    tool("moe-compile", folder / "module.mlir", f"--pipeline={request.param}", "-o", folder / "artifact")
    return request.param, folder / "artifact" / "library.so"


def symbols(path):
    """Of the dynamic symbols: (name, version or "", whether it is defined here)."""
    for line in readelf(path, "--dyn-syms").splitlines():
        row = line.split()
        if len(row) > 7 and row[0].rstrip(":").isdigit() and row[4] in ("GLOBAL", "WEAK"):
            name, _, version = row[7].partition("@")
            yield name, version.lstrip("@"), row[6] != "UND"


def declared(kind):
    """Functions that the headers of one of the runtime's libraries declare as its own."""
    elsewhere = set().union(*OWN_HEADERS.values())
    for header in (ROOT / "runtime/include/moert").glob("*.h"):
        if header.name not in OWN_HEADERS.get(kind, {header.name} - elsewhere):
            continue
        yield from re.findall(r"^MOERT_API moert_status_t (\w+)\(", header.read_text(), re.MULTILINE)


def test_exports_what_is_documented(library):
    kind, path = library
    exported = {name for name, _, is_defined in symbols(path) if is_defined}
    entries = {f"{prefix}{name}{suffix}" for prefix in ("moec_", "__tvm_ffi_") for name in ("layer", "route") for suffix in ("", "_workspace")}
    assert exported == (set(declared(kind)) if kind in RUNTIME else entries | {"moec_manifest", "moec_abi_version"})


def test_needs_only_the_c_library(library):
    kind, path = library
    dynamic = readelf(path, "--dynamic")
    assert set(re.findall(r"NEEDED.*\[(.*)\]", dynamic)) <= NEEDED[kind]
    # In the build folder what needs libmoert.so says where that is.
    assert not re.search("TEXTREL|RPATH" if kind == "regroup" else "TEXTREL|RPATH|RUNPATH", dynamic)
    # What opens drivers is in libraries of device code alone.
    assert kind in RUNTIME or "dlopen" not in {name for name, _, _ in symbols(path)}


def test_needs_no_later_version_of_the_c_library(library):
    kind, path = library
    needed = {(name, version) for name, version, is_defined in symbols(path) if not is_defined and version}
    assert {version.split("_")[0] for _, version in needed} == {"GLIBC"}
    later = {(name, version) for name, version in needed if tuple(map(int, version.split("_")[1].split("."))) > GLIBC[kind]}
    assert not later, f"expected symbols up to glibc {GLIBC[kind]}"


def test_stack_is_not_executable(library):
    [stack] = [line for line in readelf(library[1], "--program-headers").splitlines() if "GNU_STACK" in line]
    assert " RWE " not in stack
