"""Layers in JAX: under jit, vmap and scan, from many threads, with one CPU, and what is refused. `make test-torch` has JAX.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import concurrent.futures
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

jax = pytest.importorskip("jax")

import jax.numpy as jnp  # noqa: E402
import moec  # noqa: E402
import moec.jax  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def x(samples):
    return samples["layers.1.input"]


@pytest.fixture(scope="module")
def expected(artifact, x):
    return artifact.layer("layer1")(x)


@pytest.fixture(scope="module")
def layer1(artifact):
    return moec.jax.function(artifact, "layer1")


def test_it_computes_what_the_layer_does(layer1, x, expected):
    for function in (layer1, jax.jit(layer1)):
        found = function(x)
        assert isinstance(found, jax.Array) and found.dtype == jnp.float32
        assert np.array_equal(found, expected)
        assert np.array_equal(function(x.reshape(2, 4, 32, 96)), expected.reshape(2, 4, 32, 96))
        assert function(x[:0]).shape == (0, 96)


def test_inside_a_compiled_program(layer1, x, expected):
    @jax.jit
    def program(x):
        return layer1(2 * x - x) + 1

    assert np.allclose(program(x), expected + 1, atol=1e-6)


def test_vmap_and_scan(layer1, x, expected):
    parts = x.reshape(8, 32, 96)
    assert np.array_equal(jax.jit(jax.vmap(layer1))(parts), expected.reshape(8, 32, 96))
    assert np.array_equal(jax.vmap(layer1, in_axes=1, out_axes=1)(parts), expected.reshape(8, 32, 96))
    _, found = jax.lax.scan(lambda carry, rows: (carry, layer1(rows)), 0, parts)
    assert np.array_equal(found, expected.reshape(8, 32, 96))


@pytest.mark.parametrize("kind", [jnp.bfloat16, jnp.float16])
def test_narrow_types_go_through_float32(layer1, artifact, x, kind):
    narrow = jnp.asarray(x).astype(kind)
    found = jax.jit(layer1)(narrow)
    assert found.dtype == kind
    assert jnp.array_equal(found, jnp.asarray(artifact.layer("layer1")(np.asarray(narrow, np.float32))).astype(kind))


def test_of_an_instrumented_layer_y_alone(instrumented, x, expected):
    assert np.array_equal(jax.jit(moec.jax.function(instrumented, "layer1"))(x), expected)


def test_one_cpu_and_large_arrays(artifact):
    # jax.pure_callback hangs here.
    code = f"""
import moec, moec.jax, jax
f = jax.jit(moec.jax.function(moec.load({str(artifact.path)!r}), "layer0"))
print(f(f(jax.numpy.ones((6000, 96)))).shape)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    command = ["taskset", "-c", str(min(os.sched_getaffinity(0))), sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=60)
    assert done.stdout == "(6000, 96)\n", done.stderr[-2000:]


def test_what_fails_inside_is_an_error_of_xla(artifact, x, monkeypatch):
    def fails(self, views):
        raise moec.Error(moec.Status.INTERNAL, "moec_block0: no such luck")

    compiled = jax.jit(moec.jax.function(artifact, "layer2"))
    monkeypatch.setattr(moec.Layer, "run", fails)
    with pytest.raises(jax.errors.JaxRuntimeError, match="layer2: moec_block0: no such luck"):
        compiled(x).block_until_ready()
    monkeypatch.undo()
    assert np.array_equal(compiled(x), artifact.layer("layer2")(x))


def test_many_threads(layer1, x, expected):
    compiled = jax.jit(layer1)
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for found in pool.map(lambda _: np.asarray(compiled(x)), range(32)):
            assert np.array_equal(found, expected)


def test_arrays_of_jax_are_read_in_place(artifact, x, expected):
    assert np.array_equal(artifact.layer("layer1")(jnp.asarray(x)), expected)
    with pytest.raises(moec.Error, match="output 'y' cannot be written to"):
        artifact.layer("layer1")(x, out=jnp.asarray(x))


def test_what_is_refused(layer1, artifact, x):
    for function in (layer1, jax.jit(layer1)):
        with pytest.raises(moec.Error, match="layer1: x has dtype int32, expected float32, bfloat16 or float16"):
            function(x.astype(np.int32))
        with pytest.raises(moec.Error, match=r"layer1: x has shape \[256, 95\], expected \[..., 96\]"):
            function(x[:, :95])
    with pytest.raises(moec.Error, match="layer1: compiled layers have no gradients"):
        jax.grad(lambda x: layer1(x).sum())(x)
    with pytest.raises(moec.Error, match="expected a layer 'layer7'"):
        moec.jax.function(artifact, "layer7")


def test_artifacts_on_other_devices_are_refused(small_layers):
    with pytest.raises(moec.Error, match="^layer0: artifact on cuda:0, expected the CPU: JAX's calls are there$"):
        moec.jax.function(moec.load(small_layers["cuda"]), "layer0")
