"""Makes the package of the tree importable, with the tools of the build; artifacts of the example model, compiled once.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))
os.environ["MOEC_HOME"] = str(pathlib.Path(os.environ.get("MOEC_BIN", ROOT / "build" / "bin")).resolve().parent)
# No test looks anything up.
os.environ["HF_HUB_OFFLINE"] = "1"

import moec  # noqa: E402
from moec import home  # noqa: E402

# What artifacts for CUDA devices find instead of a driver, unless a GPU is asked for.
os.environ.setdefault("MOERT_CUDA_DRIVER", str(home.find("lib/libmoec-emulated-cuda.so")))

# A layer that the emulator runs in no time.
SMALL_LAYER = """
!up = !moe.weight<16x24xf32, expert[4]>
!down = !moe.weight<24x16xf32, expert[4]>
moe.param private @up : !up = #moe.seeded<1 scale 0.3>
moe.param private @down : !down = #moe.seeded<2 scale 0.3>
moe.param private @router : !moe.weight<16x4xf32> = #moe.seeded<3>
func.func @layer0(%x: tensor<?x16xf32>) -> tensor<?x16xf32> {
  %r = moe.leaf @router : !moe.weight<16x4xf32>
  %u = moe.leaf @up : !up
  %d = moe.leaf @down : !down
  %l = moe.apply %x, %r : tensor<?x16xf32>, !moe.weight<16x4xf32> -> tensor<?x4xf32>
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores, l1>
    : (tensor<?x4xf32>) -> (tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>)
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x16xf32>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>, !up, !down) -> tensor<?x16xf32>
  return %y : tensor<?x16xf32>
}
"""


def pytest_configure(config):
    """Under pytest-xdist a file's tests stay together, so that its artifacts are compiled once."""
    if getattr(config.option, "dist", "no") == "load":
        config.option.dist = "loadfile"


@pytest.fixture(scope="session")
def model_folder():
    return ROOT / "examples" / "tiny-mixtral"


@pytest.fixture(scope="session")
def samples(model_folder):
    from safetensors.numpy import load_file

    return load_file(model_folder / "samples.safetensors")


@pytest.fixture(scope="session")
def artifact(model_folder, tmp_path_factory):
    """The example model, exactly."""
    return moec.load(moec.compile(model_folder, tmp_path_factory.mktemp("exact") / "tiny"))


@pytest.fixture(scope="session")
def instrumented(model_folder, tmp_path_factory):
    """The same, with ids and gates as outputs of their own."""
    return moec.load(moec.compile(model_folder, tmp_path_factory.mktemp("instrumented") / "tiny", instrument=True))


@pytest.fixture(scope="session")
def small_layers(tmp_path_factory):
    """Artifacts of one small layer, layer0 from 16 inputs, for the CPU and for CUDA devices: their paths by "cpu" and "cuda"."""
    folder = tmp_path_factory.mktemp("small")
    (folder / "layer.mlir").write_text(SMALL_LAYER)
    for name, flag in (("cpu", "--isas=portable"), ("cuda", "--target=cuda")):
        command = [home.find("bin/moe-compile"), folder / "layer.mlir", "--optimize", "--separate-weights", flag]
        subprocess.run([*map(str, command), "-o", str(folder / name)], check=True)
    return {name: folder / name for name in ("cpu", "cuda")}
