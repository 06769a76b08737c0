"""Layers in PyTorch, and transformers models on compiled blocks. `make test-torch` has PyTorch.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import concurrent.futures
import copy
import os
import pathlib
import pickle
import re
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

import moec  # noqa: E402
import moec.torch  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Of logits, relative to the largest: four exact blocks, each within 1e-6 of the model's, and what attention makes of that.
EXACT = 1e-5
TEXT = b"The GNU General Public License is a free, copyleft license for software and other kinds of works."


def ids_of(*texts):
    return torch.tensor([list(text) for text in texts])


def relative(found, expected):
    return ((found - expected).abs().max() / expected.abs().max()).item()


@pytest.fixture(scope="module")
def original(model_folder):
    return transformers.AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32).eval()


@pytest.fixture(scope="module")
def model(original, artifact):
    """The example model on compiled blocks."""
    copied = copy.deepcopy(original)
    assert moec.torch.replace_moe(copied, artifact) == [f"layers.{number}.mlp" for number in range(4)]
    return copied


@pytest.fixture(scope="module")
def operator(artifact):
    return moec.torch.operator(artifact, "layer1")


@pytest.fixture(scope="module")
def x(samples):
    return torch.from_numpy(samples["layers.1.input"])


@pytest.fixture(scope="module")
def y(artifact, x):
    return torch.from_numpy(artifact.layer("layer1")(x))


# The operator


def test_it_computes_what_the_layer_does(operator, x, y, samples):
    assert torch.equal(operator(x), y)
    assert relative(y, torch.from_numpy(samples["layers.1.output"])) <= 1e-6
    assert torch.equal(operator(x.reshape(2, 4, 32, 96)), y.reshape(2, 4, 32, 96))
    assert torch.equal(operator(x[3]), y[3])
    assert operator(x[:0]).shape == (0, 96)


def test_strides_are_honoured(operator, x, y):
    for view in (x.T.contiguous().T, torch.cat([x, x], 1)[:, 96:], x.repeat_interleave(3, 0)[::3], x[:1].expand(5, 96)):
        expected = y[:1].expand(5, 96) if view.shape[0] == 5 else y
        assert torch.equal(operator(view), expected)
    turned = x.reshape(8, 32, 96).transpose(0, 1)
    assert torch.equal(operator(turned), y.reshape(8, 32, 96).transpose(0, 1))


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_narrow_types_go_through_float32(operator, artifact, x, kind):
    found = operator(x.to(kind))
    assert found.dtype == kind
    assert torch.equal(found, torch.from_numpy(artifact.layer("layer1")(x.to(kind).float())).to(kind))


def test_of_an_instrumented_layer_y_alone(instrumented, x, y):
    assert torch.equal(moec.torch.operator(instrumented, "layer1")(x), y)


def test_it_is_registered_as_pytorch_wants(operator, x):
    torch.library.opcheck(operator, (x[:5],))
    torch.library.opcheck(operator, (x[:5].bfloat16(),))


def test_artifacts_of_one_identity_share_it(operator, artifact):
    assert moec.torch.operator(moec.load(artifact.path), "layer1") is operator


def test_under_compile_without_a_break(operator, x, y):
    def program(x):
        return operator(torch.relu(x)) * 2

    compiled = torch.compile(program, fullgraph=True, dynamic=True)
    for count in (256, 7, 100):
        assert torch.allclose(compiled(x[:count]), program(x[:count]), atol=1e-5)


def test_what_is_refused(operator, artifact, x):
    for message, value in [
        ("layer1: x has dtype torch.float64, expected torch.float32, bfloat16 or float16", x.double()),
        ("layer1: x has dtype torch.int64, expected torch.float32, bfloat16 or float16", x.long()),
        ("layer1: x has shape [256, 95], expected [..., 96]", x[:, :95]),
        ("layer1: x has shape [], expected [..., 96]", x[0, 0]),
        ("layer1: x has layout torch.sparse_coo, expected torch.strided: call x.to_dense()", x.to_sparse()),
        ("layer1: x has layout torch.sparse_csr, expected torch.strided", x.to_sparse_csr()),
        ("layer1: x has layout torch._mkldnn, expected torch.strided", x.to_mkldnn()),
    ]:
        with pytest.raises(moec.Error, match=re.escape(message)) as caught:
            operator(value)
        assert caught.value.status is moec.Status.INVALID_ARGUMENT
    # Without a GPU: what tracing would see of one.
    from torch._subclasses.fake_tensor import FakeTensorMode

    with FakeTensorMode(), pytest.raises(moec.Error, match="layer1: x is on cuda:0, expected the CPU"):
        operator(torch.empty(3, 96, device="cuda"))
    with pytest.raises(moec.Error, match="expected a layer 'layer7'"):
        moec.torch.operator(artifact, "layer7")


def test_gradients_are_refused_when_asked_for(operator, x):
    wanted = x[:3].clone().requires_grad_()
    result = operator(wanted)
    with pytest.raises(
        moec.Error, match="layer1: compiled layers have no gradients: run the model under torch.no_grad"
    ):
        result.sum().backward()
    # Forward derivatives would be zeros without a word.
    with pytest.raises(moec.Error, match="layer1: compiled layers have no gradients"):
        torch.func.jvp(operator, (x[:3],), (x[:3],))
    with torch.autograd.forward_ad.dual_level():
        with pytest.raises(moec.Error, match="layer1: compiled layers have no gradients"):
            operator(torch.autograd.forward_ad.make_dual(x[:3], x[:3]))
        assert torch.equal(operator(x[:3]), result)


def test_numbers_still_to_be_negated(operator, artifact, x):
    """A conjugate's imaginary part is a view whose numbers have the other sign in memory."""
    negative = torch.complex(x, x).conj().imag
    expected = operator(-x)
    assert negative.is_neg() and torch.equal(operator(negative), expected)
    assert torch.equal(torch.from_numpy(artifact.layer("layer1")(negative)), expected)
    with pytest.raises(moec.Error, match="output 'y' is a negative view, expected plain memory"):
        artifact.layer("layer1")(x, out=negative)


def test_a_forked_child_goes_on(operator, x, y):
    child = os.fork()
    if child == 0:
        code = 1
        try:
            code = 0 if torch.equal(operator(x), y) else 2
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert torch.equal(operator(x), y)


def test_layers_of_other_modules_are_refused(tmp_path):
    layer = (ROOT / "test/install/Inputs/layer.mlir").read_text()
    (tmp_path / "layer.mlir").write_text(layer)
    made = moec.load(moec.compile(tmp_path / "layer.mlir", tmp_path / "out"))
    with pytest.raises(moec.Error, match="expected an artifact made from a checkpoint, found one of 'a module without"):
        moec.torch.replace_moe(torch.nn.Linear(1, 1), made)


def test_tensors_of_pytorch_in_the_numpy_api(artifact, x, y):
    layer = artifact.layer("layer1")
    assert torch.equal(torch.from_numpy(layer(x)), y)
    assert torch.equal(torch.from_numpy(layer(x.T.contiguous().T)), y)
    out = torch.empty_like(x)
    assert layer(x, out=out) is out and torch.equal(out, y)
    with pytest.raises(moec.Error, match="has dtype bfloat16, expected float32"):
        layer(x.bfloat16())
    for given, message in [
        (x.to_sparse(), "argument 'x' cannot be read in place: Can't export tensors with layout other than torch.strided"),
        (torch.nn.Parameter(x), "argument 'x' cannot be read in place: Can't export tensors that require gradient"),
    ]:
        with pytest.raises(moec.Error, match=message) as caught:
            layer(given)
        assert caught.value.status is moec.Status.INVALID_ARGUMENT


# Models


def test_logits_are_the_models_own(original, model):
    ids = ids_of(TEXT, TEXT[::-1])
    with torch.no_grad():
        assert relative(model(ids).logits, original(ids).logits) <= EXACT


def test_generate_gives_the_same_tokens(original, model):
    for options in (
        {"do_sample": False},
        {"do_sample": True, "temperature": 0.8},
        {"do_sample": False, "num_beams": 3},
    ):
        found = []
        for one in (original, model):
            torch.manual_seed(0)
            found.append(one.generate(ids_of(TEXT[:40]), max_new_tokens=60, **options))
        assert torch.equal(*found)
        assert found[0].shape[1] == 100


def test_experts_are_let_go(original, model):
    def count(one):
        return sum(parameter.numel() for parameter in one.parameters())

    assert count(original) - count(model) == 4 * 16 * 3 * 96 * 160
    assert "CompiledMoE" in repr(model) and "layer3" in repr(model)


def test_model_under_compile_without_a_break(model):
    ids = ids_of(TEXT)
    with torch.no_grad():
        compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
        assert relative(compiled(ids, use_cache=False).logits, model(ids).logits) <= EXACT


def test_model_exported(model, tmp_path):
    ids, more = ids_of(TEXT), ids_of(TEXT[:50], TEXT[10:60])
    with torch.no_grad():
        shapes = {"input_ids": {0: torch.export.Dim.AUTO, 1: torch.export.Dim.AUTO}, "use_cache": None}
        program = torch.export.export(model, (), {"input_ids": more, "use_cache": False}, dynamic_shapes=shapes)
        operators = [str(node.target) for node in program.graph.nodes if str(node.target).startswith("moec.layer")]
        assert len(operators) == 4
        for given in (more, ids.expand(3, -1)):
            assert relative(program.module()(input_ids=given, use_cache=False).logits, model(given).logits) <= EXACT
        torch.export.save(program, tmp_path / "program.pt2")
        torch.save((more, model(more).logits), tmp_path / "expected.pt")
    # In a process of its own, the operators are made first.
    code = f"""
import moec, moec.torch, torch, transformers.modeling_outputs
artifact = moec.load({str(model.model.layers[0].mlp.artifact.path)!r})
for name in artifact.layers:
    moec.torch.operator(artifact, name)
ids, expected = torch.load({str(tmp_path / "expected.pt")!r})
program = torch.export.load({str(tmp_path / "program.pt2")!r})
assert torch.allclose(program.module()(input_ids=ids, use_cache=False).logits, expected, atol=1e-4)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "python")}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]


def test_router_logits_where_they_are_wanted(original, artifact):
    own = copy.deepcopy(original)
    moec.torch.replace_moe(own, artifact, router_logits=True)
    with torch.no_grad():
        found, expected = (one(ids_of(TEXT), output_router_logits=True) for one in (own, original))
    assert len(found.router_logits) == 4
    for one, other in zip(found.router_logits, expected.router_logits):
        assert relative(one, other) <= EXACT


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float16])
def test_models_in_narrow_types(original, artifact, kind):
    own = copy.deepcopy(original).to(kind)
    blocks = [layer.mlp for layer in own.model.layers]
    moec.torch.replace_moe(own, artifact)
    x = torch.randn(1, 9, 96, generator=torch.Generator().manual_seed(0)).to(kind)
    with torch.no_grad():
        for block, layer in zip(blocks, own.model.layers):
            # The block, computed in float32 and rounded once.
            expected = block.float()(x.float()).to(kind)
            found = layer.mlp(x)
            assert found.dtype == kind
            assert torch.allclose(found.float(), expected.float(), atol=1e-3, rtol=2**-7)
        assert own(ids_of(TEXT)).logits.dtype == kind


def test_training_is_refused(model):
    with pytest.raises(moec.Error, match="layer3: compiled layers have no gradients"):
        model(ids_of(TEXT)).logits.sum().backward()


def test_many_threads(original, model):
    texts = [ids_of(TEXT[start : start + 30]) for start in range(16)]
    with torch.no_grad():
        expected = [original(text).logits for text in texts]

    def work(text):
        with torch.no_grad():
            return model(text).logits

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for found, wanted in zip(pool.map(work, texts), expected):
            assert relative(found, wanted) <= EXACT


def test_blocks_are_copied_and_pickled(model_folder, artifact):
    own = transformers.AutoModelForCausalLM.from_pretrained(model_folder, dtype=torch.float32).eval()
    moec.torch.replace_moe(own, artifact)
    copied = copy.deepcopy(own)
    block = pickle.loads(pickle.dumps(own.model.layers[2].mlp))
    x = torch.randn(1, 5, 96)
    with torch.no_grad():
        assert torch.equal(copied(ids_of(TEXT)).logits, own(ids_of(TEXT)).logits)
        assert torch.equal(block(x), own.model.layers[2].mlp(x))


def test_the_module_without_a_head(original, model, artifact):
    body = copy.deepcopy(original.model)
    moec.torch.replace_moe(body, artifact)
    with torch.no_grad():
        assert torch.equal(body(ids_of(TEXT)).last_hidden_state, model.model(ids_of(TEXT)).last_hidden_state)


# What does not fit is refused before anything changes


def tiny(kind="mixtral", **options):
    config = {
        "vocab_size": 32,
        "hidden_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 64,
        "num_experts_per_tok": 3,
        "initializer_range": 0.3,
    }
    own = {
        "mixtral": {"intermediate_size": 24, "num_local_experts": 8},
        "qwen3_moe": {"intermediate_size": 40, "moe_intermediate_size": 24, "num_experts": 8, "head_dim": 12},
        "olmoe": {"intermediate_size": 24, "num_experts": 8},
    }
    torch.manual_seed(3)
    config = transformers.AutoConfig.for_model(kind, **{**config, **own[kind], **options})
    return transformers.AutoModelForCausalLM.from_config(config).eval()


@pytest.fixture(scope="module")
def compiled(tmp_path_factory):
    """Saves a model and compiles it, with options."""

    def make(model, **options):
        folder = tmp_path_factory.mktemp("made")
        model.save_pretrained(folder / "model")
        return moec.load(moec.compile(folder / "model", folder / "artifact", opt_level=1, **options))

    return make


FAMILIES = {
    "mixtral": {},
    "qwen3_moe": {},
    "qwen3_moe normalised": {"norm_topk_prob": True},
    "qwen3_moe some layers dense": {"num_hidden_layers": 6, "decoder_sparse_step": 2, "mlp_only_layers": [3]},
    "olmoe": {},
    "olmoe normalised": {"norm_topk_prob": True},
}


@pytest.mark.parametrize("name", FAMILIES)
def test_families(compiled, name):
    model = tiny(name.split()[0], **FAMILIES[name])
    artifact = compiled(model)
    original = copy.deepcopy(model)
    ids = torch.arange(20)[None]
    replaced = moec.torch.replace_moe(model, artifact)
    dense = name.endswith("dense")
    assert replaced == [f"layers.{number}.mlp" for number in ((1, 5) if dense else (0, 1))]
    with torch.no_grad():
        assert relative(model(ids).logits, original(ids).logits) <= EXACT
        found, expected = (one.generate(ids, max_new_tokens=20, do_sample=False) for one in (model, original))
    assert torch.equal(found, expected)


class OldBlock(torch.nn.Module):
    """A block as releases of transformers before 5 have it: it returns router logits too, and its gate gives them alone."""

    def __init__(self, block):
        super().__init__()
        self.inside, self.experts = [block], block.experts
        self.gate = torch.nn.Linear(*block.gate.weight.shape[::-1], bias=False)
        self.gate.weight = block.gate.weight

    def forward(self, hidden_states):
        rows = hidden_states.reshape(-1, hidden_states.shape[-1])
        return self.inside[0](hidden_states), self.gate(rows)


def test_blocks_that_return_router_logits(original, artifact):
    own = copy.deepcopy(original)
    for layer in own.model.layers:
        # Under its old name, too.
        layer.block_sparse_moe = OldBlock(layer.mlp)
        del layer.mlp
    blocks = [layer.block_sparse_moe for layer in own.model.layers]
    assert moec.torch.replace_moe(own, artifact) == [f"layers.{number}.block_sparse_moe" for number in range(4)]
    x = torch.randn(2, 5, 96, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for block, layer in zip(blocks, own.model.layers):
            for found, expected in zip(layer.block_sparse_moe(x), block(x)):
                assert found.shape == expected.shape and relative(found, expected) <= EXACT


def test_what_does_not_fit_is_refused(compiled, original, artifact):
    def refused(model, artifact, message, status=moec.Status.INCOMPATIBLE):
        before = list(model.modules())
        with pytest.raises(moec.Error, match=re.escape(message)) as caught:
            moec.torch.replace_moe(model, artifact)
        assert caught.value.status is status
        assert all(one is other for one, other in zip(model.modules(), before))

    small = compiled(tiny())
    invalid = moec.Status.INVALID_ARGUMENT
    refused(tiny("olmoe"), small, "artifact of a mixtral model, found a model of olmoe")
    refused(
        original,
        small,
        "artifact of layers 0, 1, found MoE blocks in layers 0, 1, 2, 3: the artifact lacks 2, 3, the model none",
    )
    refused(tiny(num_hidden_layers=1), small, "the artifact lacks none, the model 1")
    refused(tiny(hidden_size=64), small, "it has hidden size 48, the model has 64")
    refused(tiny(num_local_experts=4), small, "it has experts 8, the model has 4")
    refused(tiny(num_experts_per_tok=2), small, "it has choices for a token 3, the model has 2")
    refused(tiny().to("meta"), small, "layer0: x is on meta, expected the CPU", invalid)
    refused(tiny().double(), small, "layer0: x has dtype torch.float64", invalid)
    refused(torch.nn.Linear(2, 2), small, "artifact of a mixtral model, found a model of Linear")
    replaced = tiny()
    moec.torch.replace_moe(replaced, small)
    refused(replaced, small, "the model's MoE blocks were replaced before", invalid)
    dense = transformers.AutoModelForCausalLM.from_config(
        transformers.LlamaConfig(
            hidden_size=48, intermediate_size=24, num_hidden_layers=1, num_attention_heads=4, vocab_size=32
        )
    )
    refused(dense, small, "artifact of a mixtral model, found a model of llama")


def test_compressed_artifacts_take_the_blocks_places(original, model_folder, tmp_path):
    own = copy.deepcopy(original)
    small = moec.load(moec.compile(model_folder, tmp_path / "small", compress=True, clusters=4, rank=16))
    moec.torch.replace_moe(own, small)
    with torch.no_grad():
        found, expected = (torch.log_softmax(one(ids_of(TEXT)).logits, -1) for one in (own, original))
    # It is another model, near the first (examples/tiny-mixtral/README.md says how near).
    assert not torch.allclose(found, expected, atol=1e-3)
    assert (found.argmax(-1) == expected.argmax(-1)).float().mean() > 0.7


def test_operators_of_a_device_take_its_tensors_alone(small_layers):
    """Without a PyTorch for CUDA: what is refused, and shapes."""
    artifact = moec.load(small_layers["cuda"], device="cuda:0")
    layer = moec.torch.operator(artifact, "layer0")
    assert layer is not moec.torch.operator(moec.load(small_layers["cpu"]), "layer0")
    with pytest.raises(moec.Error, match=re.escape("layer0: x is on cpu, expected cuda:0: call x.to('cuda:0'), or keep")):
        layer(torch.ones(2, 16))
    with torch._subclasses.FakeTensorMode():
        for shape, dtype in (((5, 16), torch.float32), ((2, 3, 16), torch.bfloat16)):
            y = layer(torch.empty(shape, dtype=dtype, device="cuda:0"))
            assert (y.shape, y.dtype, y.device) == (shape, dtype, torch.device("cuda:0"))
        with pytest.raises(moec.Error, match="x is on cpu, expected cuda:0"):
            layer(torch.empty(2, 16))
