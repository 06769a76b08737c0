"""Makes the package of the tree importable, with the tools of the build; artifacts of the example model, compiled once.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import os
import pathlib
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "python"))
os.environ["MOEC_HOME"] = str(pathlib.Path(os.environ.get("MOEC_BIN", ROOT / "build" / "bin")).resolve().parent)
# No test looks anything up.
os.environ["HF_HUB_OFFLINE"] = "1"

import moec  # noqa: E402


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
