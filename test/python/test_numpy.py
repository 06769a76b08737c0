"""The package on NumPy arrays: values against the model's own outputs and moe-run, views, errors, threads, processes.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import concurrent.futures
import copy
import gc
import json
import os
import pathlib
import pickle
import re
import shutil
import subprocess
import sys
import threading
import weakref

import moec
import numpy as np
import pytest
from moec import home, tensors

ROOT = pathlib.Path(__file__).resolve().parents[2]
LAYERS = [f"layer{number}" for number in range(4)]
# What an exact artifact may differ by from the samples, relative to the largest value: sums of 96 and 160 products.
EXACT = 1e-6


def relative(found, expected):
    return np.abs(found - expected).max() / np.abs(expected).max()


def sample(samples, name):
    number = name[len("layer") :]
    return samples[f"layers.{number}.input"], samples[f"layers.{number}.output"]


@pytest.mark.parametrize("name", LAYERS)
def test_layers_give_the_models_outputs(artifact, samples, name):
    x, y = sample(samples, name)
    found = artifact.layer(name)(x)
    assert (found.shape, found.dtype) == (y.shape, y.dtype)
    assert relative(found, y) <= EXACT


def test_values_are_those_of_moe_run(artifact, model_folder, samples, tmp_path):
    source = f"{model_folder}/samples.safetensors:layers.1.input"
    command = [
        home.find("bin/moe-run"),
        artifact.path,
        "--layer",
        "layer1",
        "--input",
        f"x={source}",
        "--output",
        tmp_path,
    ]
    subprocess.run(list(map(str, command)), check=True, capture_output=True)
    assert np.array_equal(artifact.layer("layer1")(samples["layers.1.input"]), np.load(tmp_path / "y.npy"))


def test_an_artifact_says_what_is_in_it(artifact):
    assert list(artifact.layers) == LAYERS
    assert artifact.source == "mixtral, 4 MoE layers of 16 experts (2 chosen), hidden 96, intermediate 160, BF16"
    layer = artifact.layers["layer2"]
    assert layer.inputs == (moec.Argument("x", "float32", (-2, 96)),)
    assert layer.outputs == (moec.Argument("y", "float32", (-2, 96)),)
    assert repr(layer) == "<moec Layer layer2(x: float32 [-2, 96]) -> y: float32 [-2, 96]>"
    assert layer.resident_bytes == 1477632
    assert "4 layers, 1 entries" in repr(artifact)


def test_several_outputs_are_a_named_tuple(instrumented, artifact, samples):
    x, _ = sample(samples, "layer0")
    found = instrumented.layer("layer0")(x)
    assert found._fields == ("y", "ids", "gates")
    assert np.array_equal(found.y, artifact.layer("layer0")(x))
    assert found.ids.dtype == np.int32 and found.ids.shape == (256, 2)
    assert np.allclose(found.gates.sum(1), 1)
    logits = samples["layers.0.logits"]
    assert np.array_equal(found.ids, np.argsort(-logits, axis=1, kind="stable")[:, :2])


@pytest.mark.parametrize("count", [0, 1, 7])
def test_any_number_of_tokens(artifact, samples, count):
    x, y = sample(samples, "layer0")
    found = artifact.layer("layer0")(x[:count])
    assert found.shape == (count, 96)
    assert np.abs(found - y[:count]).max(initial=0) <= EXACT * np.abs(y).max()


VIEWS = {
    "columns first": lambda x: np.asfortranarray(x),
    "every third row": lambda x: np.repeat(x, 3, axis=0)[::3],
    "part of wider rows": lambda x: np.concatenate([x * 0, x, x * 0], axis=1)[:, 96:192],
    "backwards twice": lambda x: x[::-1].copy()[::-1],
    "columns backwards twice": lambda x: x[:, ::-1].copy()[:, ::-1],
    "other byte order": lambda x: x.astype(">f4"),
    "not aligned": lambda x: np.frombuffer(b"\0" + x.tobytes(), np.uint8)[1:].view(np.float32).reshape(x.shape),
    "read only": lambda x: np.frombuffer(x.tobytes(), np.float32).reshape(x.shape),
    "odd strides": lambda x: in_records(x),
    "list": lambda x: x.tolist(),
    "array interface": lambda x: Interface(x),
}


def in_records(x):
    """The values as a field of records of 5 bytes: strides are no whole elements."""
    records = np.zeros(x.shape, np.dtype([("value", "<f4"), ("more", "u1")]))
    records["value"] = x
    return records["value"]


class Interface:
    def __init__(self, x):
        self.kept, self.__array_interface__ = x, x.__array_interface__


@pytest.mark.parametrize("name", VIEWS)
def test_views_are_never_misread(artifact, samples, name):
    layer, (x, _) = artifact.layer("layer3"), sample(samples, "layer3")
    view = VIEWS[name](x)
    assert np.array_equal(layer(view), layer(x))


def test_memory_is_read_in_place(samples):
    x, _ = sample(samples, "layer0")
    for view in (x, x.T, x[3:, 5:], x[::2]):
        assert tensors.of_input(view, "float32", "x").address == view.ctypes.data
    assert tensors.of_input(x[::-1], "float32", "x").address != x[::-1].ctypes.data


def test_results_go_where_the_caller_says(artifact, instrumented, samples):
    layer, (x, _) = artifact.layer("layer0"), sample(samples, "layer0")
    expected = layer(x)
    out = np.full((256, 192), 7, np.float32)
    part = out[:, ::2]
    assert layer(x, out=part) is part
    assert np.array_equal(part, expected) and (out[:, 1::2] == 7).all()
    room = np.empty((256, 96), np.float32), np.empty((256, 2), np.int32), np.empty((256, 2), np.float32)
    found = instrumented.layer("layer0")(x, out=room)
    assert found.y is room[0] and np.array_equal(room[0], expected)


class FakeDevice:
    """An array that says that it is on a GPU."""

    def __dlpack_device__(self):
        return 2, 1

    def __dlpack__(self, **options):
        raise AssertionError("must not be asked")


class Lent:
    """An array that is known by DLPack alone; of before DLPack 1.0, where there are no versions."""

    def __init__(self, array, versions):
        self.array, self.versions = array, versions

    def __dlpack_device__(self):
        return self.array.__dlpack_device__()

    def __dlpack__(self, **options):
        if options and not self.versions:
            raise TypeError("max_version")
        return self.array.__dlpack__(**options)


@pytest.mark.parametrize("versions", [True, False])
def test_arrays_of_other_libraries(artifact, samples, versions):
    layer, (x, _) = artifact.layer("layer0"), sample(samples, "layer0")
    expected = layer(x)
    for array in (x.copy(), np.asfortranarray(x), np.repeat(x, 2, axis=0)[::2]):
        lent = Lent(array, versions)
        view = tensors.of_input(lent, "float32", "x")
        assert view.address == array.ctypes.data
        assert np.array_equal(layer(lent), expected)
    out = Lent(np.zeros_like(x), versions)
    if versions:
        assert layer(x, out=out) is out and np.array_equal(out.array, expected)
    else:
        # It might be one that must not be written to, and cannot say so.
        with pytest.raises(moec.Error, match="output 'y' cannot be written to"):
            layer(x, out=out)
    if versions:
        out.array.flags.writeable = False
        with pytest.raises(moec.Error, match="output 'y' cannot be written to"):
            layer(x, out=out)


def test_bfloat16_is_held_as_bits(tmp_path):
    module = """func.func @double(%x: tensor<?x4xbf16>) -> tensor<?x4xbf16> {
      %y = arith.addf %x, %x : tensor<?x4xbf16>
      return %y : tensor<?x4xbf16>
    }
    """
    (tmp_path / "double.mlir").write_text(module)
    double = moec.load(moec.compile(tmp_path / "double.mlir", tmp_path / "double")).entry("double")
    numbers = np.array([[1.0, -2.5, 0.0, 96.0]], np.float32)
    bits = (numbers.view(np.uint32) >> 16).astype(np.uint16)
    found = double(bits)
    assert found.dtype == np.uint16
    assert np.array_equal((found.astype(np.uint32) << 16).view(np.float32), 2 * numbers)
    with pytest.raises(moec.Error, match="has dtype float32, expected bfloat16"):
        double(numbers)


def test_what_does_not_fit_is_refused(artifact, instrumented, samples):
    layer, (x, _) = artifact.layer("layer0"), sample(samples, "layer0")
    good = np.empty_like(x)
    locked = np.empty_like(x)
    locked.flags.writeable = False
    for message, inputs, out in [
        ("moec_block0: argument 0 'x' has dtype float64, expected float32", x.astype(np.float64), None),
        ("moec_block0: argument 0 'x' has dtype float16, expected float32", x.astype(np.float16), None),
        ("moec_block0: argument 0 'x' has shape[1] = 95, expected 96", x[:, :95], None),
        ("moec_block0: argument 0 'x' has rank 1, expected 2", x[0], None),
        ("argument 'x' has dtype complex64, expected float32", x.astype(np.complex64), None),
        ("argument 'x' is on CUDA 1, expected the CPU", FakeDevice(), None),
        ("argument 'x' is a masked array, expected a plain one: call x.filled(number)", np.ma.masked_array(x, x > 0), None),
        ("output 'y' cannot be written to", x, locked),
        ("output 'y' is a list, expected an array that can be written to", x, [[0.0]]),
        ("output 'y' has negative or odd strides", x, good[::-1]),
        ("moec_block0: argument 1 'y' has shape[0] = 255", x, good[:255]),
        ("moec_block0: argument 1 'y' has dtype float64, expected float32", x, good.astype(np.float64)),
        ("argument 1 'y' overlaps argument 0 'x' in memory, expected outputs of their own", x, x),
    ]:
        # A list of outputs is taken for several.
        with pytest.raises(moec.Error, match=re.escape(message)) as caught:
            layer(inputs, out=[out] if isinstance(out, list) else out)
        assert caught.value.status is moec.Status.INVALID_ARGUMENT
        assert str(caught.value) == caught.value.message
    with pytest.raises(TypeError, match=r"layer0 takes 1 inputs \(x\), 2 given"):
        layer(x, x)
    with pytest.raises(TypeError, match=r"layer0 has 3 outputs \(y, ids, gates\), 1 given"):
        instrumented.layer("layer0")(x, out=good)
    # And the layer still works.
    layer(x, out=good)


def test_names_that_are_not_there(artifact, tmp_path):
    with pytest.raises(
        moec.Error, match="expected a layer 'layer9', found only layer0, layer1, layer2, layer3"
    ) as caught:
        artifact.layer("layer9")
    assert caught.value.status is moec.Status.NOT_FOUND
    with pytest.raises(moec.Error, match="'nothing'.*block0"):
        artifact.entry("nothing")
    with pytest.raises(moec.Error, match="absent: cannot open: No such file or directory") as caught:
        moec.load(tmp_path / "absent")
    assert caught.value.status is moec.Status.NOT_FOUND


def test_a_damaged_archive_is_refused(artifact, tmp_path):
    for file in artifact.path.iterdir():
        data = bytearray(file.read_bytes())
        if file.suffix == ".safetensors":
            data[-100] ^= 1
        (tmp_path / file.name).write_bytes(data)
    with pytest.raises(moec.Error) as caught:
        moec.load(tmp_path)
    assert caught.value.status is moec.Status.INCOMPATIBLE


def patched(path, to, change):
    """A copy of an artifact's library with some bytes changed, to be opened alone."""
    data = bytearray((path / "library.so").read_bytes())
    change(data)
    to.write_bytes(data)
    return to


def test_another_machines_library_is_refused(tmp_path, double):
    def change(data):
        data[18:20] = (183).to_bytes(2, "little")  # AArch64, in the ELF header

    with pytest.raises(moec.Error, match="other.so: cannot load: made for AArch64, expected x86-64") as caught:
        moec.load(patched(double, tmp_path / "other.so", change))
    assert caught.value.status is moec.Status.INCOMPATIBLE


def test_a_cpu_that_lacks_something_is_refused(tmp_path, double):
    """The one variant needs one more feature than there are names of."""
    features = ((1 << 15) - 1).to_bytes(8, "little")  # x86-64-v3

    def change(data):
        assert data.count(features) == 1
        place = data.index(features)
        data[place : place + 8] = ((1 << 40) | (1 << 15) - 1).to_bytes(8, "little")

    layer = moec.load(patched(double, tmp_path / "later.so", change)).entry("double")
    with pytest.raises(moec.Error, match="moec_double: needs x86-64-v3, this CPU or its system lacks") as caught:
        layer(np.zeros((1, 4), np.float32))
    assert caught.value.status is moec.Status.INCOMPATIBLE


@pytest.fixture(scope="module")
def double(tmp_path_factory):
    """A module's artifact, of one instruction set."""
    folder = tmp_path_factory.mktemp("double")
    module = "func.func @double(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {\n  %y = arith.addf %x, %x : tensor<?x4xf32>\n  return %y : tensor<?x4xf32>\n}\n"
    (folder / "double.mlir").write_text(module)
    return moec.compile(folder / "double.mlir", folder / "double", opt_level=1, isas="x86-64-v3")


def test_partial_checkpoints_are_refused(model_folder, tmp_path):
    """Without a file, a tensor, or the end of the file: what is missing is named, and nothing is written."""
    folder, out = tmp_path / "model", tmp_path / "out"
    folder.mkdir()
    shutil.copy(model_folder / "config.json", folder)
    with pytest.raises(moec.CompileError, match="expected model.safetensors or model.safetensors.index.json, found neither"):
        moec.compile(folder, out)
    data, name = (model_folder / "model.safetensors").read_bytes(), b"model.layers.2.block_sparse_moe.experts.5.w3.weight"
    assert data.count(name) == 1
    (folder / "model.safetensors").write_bytes(data.replace(name, name.replace(b"_moe", b"_mlp")))
    with pytest.raises(moec.CompileError, match=r"layers\.2\.block_sparse_moe\.experts\.5\.w3\.weight"):
        moec.compile(folder, out)
    (folder / "model.safetensors").write_bytes(data[:-1000])
    with pytest.raises(moec.CompileError, match="expected data_offsets within the 6206168 bytes of data"):
        moec.compile(folder, out)
    config = (folder / "config.json").read_text()
    (folder / "config.json").write_text(config.replace('"mixtral"', '"gpt2"').replace("Mixtral", "GPT2"))
    with pytest.raises(moec.CompileError, match=r"expected a model of a known family \(mixtral, .*, found 'gpt2'"):
        moec.compile(folder, out)
    assert not out.exists()


def test_entries_of_a_module(tmp_path):
    module = "func.func @double(%x: tensor<?x4xf32>) -> tensor<?x4xf32> {\n  %y = arith.addf %x, %x : tensor<?x4xf32>\n  return %y : tensor<?x4xf32>\n}\n"
    (tmp_path / "double.mlir").write_text(module)
    made = moec.load(moec.compile(tmp_path / "double.mlir", tmp_path / "double", opt_level=1))
    assert not made.layers and made.source == "" and list(made.entries) == ["double"]
    x = np.arange(12, dtype=np.float32).reshape(3, 4)
    assert np.array_equal(made.entry("double")(x), 2 * x)
    # A library alone is an artifact too.
    alone = moec.load(tmp_path / "double" / "library.so")
    assert np.array_equal(alone.entry("double")(x), 2 * x)
    assert alone.identity == made.identity


def test_compiling_says_what_is_wrong(model_folder, tmp_path):
    with pytest.raises(
        moec.CompileError, match="^cannot open input file '/absent': No such file or directory$"
    ) as caught:
        moec.compile("/absent", tmp_path / "out")
    assert caught.value.exit_code == 1
    with pytest.raises(moec.CompileError, match="expected --base to be mean, usage, fisher or none, found 'median'"):
        moec.compile(model_folder, tmp_path / "out", compress=True, base="median")
    with pytest.raises(moec.CompileError, match="Unknown command line argument '--colour=blue'"):
        moec.compile(model_folder, tmp_path / "out", colour="blue")
    assert not list(tmp_path.iterdir())


def test_options_are_those_of_moe_compile(model_folder, tmp_path):
    text = moec.plan(model_folder, compress=True, clusters=4, rank=32)
    assert "plan: 4 clusters a layer" in text and "down rank 32" in text
    small = moec.load(
        moec.compile(model_folder, tmp_path / "small", compress=True, clusters=4, rank=16, align=False, cache=None)
    )
    assert list(small.layers) == LAYERS
    assert sum(layer.resident_bytes for layer in small.layers.values()) < 4 * 1477632 / 1.5


def test_identity_tells_artifacts_apart(artifact, instrumented, model_folder, tmp_path):
    again = moec.load(moec.compile(model_folder, tmp_path / "again"))
    assert again.identity == artifact.identity != instrumented.identity
    # The last bit of one weight of an expert.
    folder = tmp_path / "model"
    shutil.copytree(model_folder, folder)
    data = bytearray((folder / "model.safetensors").read_bytes())
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    begin, _ = header["model.layers.2.block_sparse_moe.experts.5.w1.weight"]["data_offsets"]
    data[8 + int.from_bytes(data[:8], "little") + begin] ^= 1
    (folder / "model.safetensors").write_bytes(data)
    other = moec.load(moec.compile(folder, tmp_path / "other"))
    assert other.manifest == artifact.manifest and other.identity != artifact.identity


def test_many_threads_call_at_once(artifact, samples):
    expected = {name: artifact.layer(name)(sample(samples, name)[0]) for name in LAYERS}
    start = threading.Barrier(8)

    def work(seed):
        random = np.random.default_rng(seed)
        start.wait()
        for _ in range(20):
            name = LAYERS[random.integers(4)]
            rows = random.integers(0, 256, random.integers(1, 256))
            if not np.array_equal(artifact.layer(name)(sample(samples, name)[0][rows]), expected[name][rows]):
                return False
        return True

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))


def test_a_thread_keeps_its_workspace(artifact, samples):
    from moec.artifact import workspace

    x, _ = sample(samples, "layer0")
    artifact.layer("layer0")(x)
    room, address = workspace.of(0)
    artifact.layer("layer1")(x[:5])
    assert workspace.of(0)[0] is room and room.ctypes.data == address and address % 64 == 0
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        assert pool.submit(workspace.of, 0).result()[0] is not room


def test_more_shapes_than_are_remembered(artifact, samples, monkeypatch):
    from moec import artifact as module

    monkeypatch.setattr(module, "MOST_SHAPES", 5)
    x, y = sample(samples, "layer0")
    layer = moec.load(artifact.path).layer("layer0")
    for tokens in [*range(1, 30), 3, 64]:
        assert np.array_equal(layer(x[:tokens]), artifact.layer("layer0")(x[:tokens]))
        assert len(layer._sizes) <= 5


def test_a_refused_call_leaves_nothing_behind(artifact, samples):
    x, _ = sample(samples, "layer0")
    layer = artifact.layer("layer0")
    expected = layer(x)
    for _ in range(3):
        with pytest.raises(moec.Error, match="has rank 9, expected 2"):
            layer(np.zeros((1,) * 9, np.float32), out=x)
        with pytest.raises(moec.Error, match=r"shape\[1\] = 95, expected 96"):
            layer(x[:, :95])
        assert np.array_equal(layer(x), expected)


def test_the_models_threads_change_no_value(artifact, samples):
    x, _ = sample(samples, "layer0")
    for threads in (0, 3):
        assert np.array_equal(moec.load(artifact.path, threads=threads).layer("layer0")(x), artifact.layer("layer0")(x))
    with pytest.raises(moec.Error):
        moec.load(artifact.path, threads=-1)


def test_a_forked_child_goes_on(artifact, samples):
    x, _ = sample(samples, "layer0")
    shared = moec.load(artifact.path, threads=2)
    expected = shared.layer("layer0")(x)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            same = np.array_equal(shared.layer("layer0")(x), expected)
            opened = np.array_equal(moec.load(artifact.path, threads=2).layer("layer0")(x), expected)
            # Closing what the parent opened ends no thread of the parent's.
            del shared
            gc.collect()
            code = 0 if same and opened else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert np.array_equal(shared.layer("layer0")(x), expected)


def test_it_closes_when_nothing_refers_to_it(artifact, samples):
    x, y = sample(samples, "layer0")
    own = moec.load(artifact.path)
    layer, model = own.layer("layer0"), weakref.ref(own._model)
    del own
    gc.collect()
    assert relative(layer(x), y) <= EXACT and model() is not None
    del layer
    gc.collect()
    assert model() is None


def test_copies_and_pickles(artifact, samples):
    x, _ = sample(samples, "layer0")
    assert copy.deepcopy(artifact) is artifact and copy.copy(artifact) is artifact
    again = pickle.loads(pickle.dumps(artifact))
    assert again is not artifact and again.identity == artifact.identity
    assert np.array_equal(again.layer("layer0")(x), artifact.layer("layer0")(x))


def python(code, **environment):
    """Runs code in a Python of its own that has the package on its path."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python"), **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)


def test_where_things_are_looked_for(tmp_path, artifact):
    done = python("import moec; moec.load('x')", MOEC_HOME=str(tmp_path))
    assert (
        f"moec.abi.Error: found no lib/libmoert.so in {tmp_path}; set MOEC_HOME to the folder that has bin and lib"
        in done.stderr
    )
    done = python("import moec; moec.compile('x', 'y')", MOEC_HOME=str(tmp_path))
    assert f"CompileError: found no bin/moe-compile in {tmp_path}" in done.stderr
    # Without the variable: beside moe-compile on PATH, if the package is not in its tree.
    copied = tmp_path / "copied"
    shutil.copytree(ROOT / "python" / "moec", copied / "moec")
    path = os.environ["MOEC_HOME"] + "/bin" + os.pathsep + os.environ["PATH"]
    done = python(
        "from moec import home; print(home.find('lib/libmoert.so'))", MOEC_HOME="", PYTHONPATH=str(copied), PATH=path
    )
    assert done.stdout.strip() == str(pathlib.Path(os.environ["MOEC_HOME"]) / "lib" / "libmoert.so"), done.stderr
    # A library that is not the runtime.
    (tmp_path / "lib").mkdir()
    shutil.copy(artifact.path / "library.so", tmp_path / "lib" / "libmoert.so")
    done = python("import moec; moec.load('x')", MOEC_HOME=str(tmp_path))
    message = "lib/libmoert.so: expected moec's runtime, found no symbol moert_runtime_abi_version"
    assert f"moec.abi.Error: {tmp_path}/{message}" in done.stderr


def test_pip_installs_it_from_the_tree(tmp_path):
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "-q",
        "--no-deps",
        "--no-build-isolation",
        "--no-index",
        "--disable-pip-version-check",
    ]
    done = subprocess.run([*command, "--target", str(tmp_path), str(ROOT / "python")], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    code = "import moec, importlib.metadata as m; print(moec.__file__, moec.__version__ == m.version('moec'))"
    done = python(code, PYTHONPATH=str(tmp_path))
    assert done.stdout.split() == [str(tmp_path / "moec" / "__init__.py"), "True"], done.stderr
    version = re.search(r"project\(moec VERSION (\S+)", (ROOT / "CMakeLists.txt").read_text())[1]
    assert moec.__version__ == version
