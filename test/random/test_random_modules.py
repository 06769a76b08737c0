"""Random modules mean the same before and after every pass: MOEC_RANDOM_MODULES of them (default 200), from MOEC_RANDOM_SEED.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import check  # noqa: E402
import generate  # noqa: E402

COUNT = int(os.environ.get("MOEC_RANDOM_MODULES", "200"))
FIRST = int(os.environ.get("MOEC_RANDOM_SEED", "0"))


@pytest.mark.parametrize("seed", range(FIRST, FIRST + COUNT))
def test_passes_keep_the_meaning(seed, tmp_path):
    module = tmp_path / "module.mlir"
    module.write_text(generate.generate(seed))
    assert check.check(module, seed) == []


@pytest.mark.parametrize("path", sorted((pathlib.Path(__file__).resolve().parents[1] / "regression").glob("*.mlir")), ids=lambda p: p.stem)
def test_regressions(path):
    """What random modules once found; see check.py for how the passes are run."""
    assert check.check(path, 17) == []


def test_generator_covers_the_dialect():
    """Two hundred modules meet every op of graph and slot form, every choice, limit, norm and special expert."""
    text = "".join(generate.generate(seed) for seed in range(200))
    for word in [
        "moe.weight.select", "moe.weight.mul", "moe.weight.add", "moe.weight.mix", "moe.weight.scale", "moe.weight.ragged",
        "moe.weight.sparse", "moe.wrap", "moe.leaf", "moe.id_cast", "moe.route", "moe.experts", "moe.apply", "moe.lookup",
        "moe.clusters_of", "moe.spread", "moe.scale_rows", "moe.combine", "moe.activate", "moe.real_experts",
        "score softmax", "score sigmoid", "score sqrt_softplus", "score identity", "choose <top_k", "choose <top_p",
        "choose <threshold", "choose <hash", "choose <expert_choice", "choose <sparsemixer", "by max", "by top2_sum",
        "by sum",
        "by logits", "masked zero", ", l1", ", l2", "l1_floor", "drop last", "drop lowest", "at_least", "zero ", "identity ",
        "#moe.permuted<input", "#moe.permuted<output", "#moe.mean<", " weighted [", "#moe.svd<input", "#moe.svd<output",
        "constant ", "mixed by", "gated on_input", "gate_bias", "down_bias", "clamp", "offset", "encoding <int4",
    ]:  # fmt: skip
        assert word in text, word


def test_a_wrong_rewrite_is_found(tmp_path, monkeypatch):
    """The check can fail: a form that drops the gate weights is not taken for equal."""
    module = tmp_path / "module.mlir"
    module.write_text(
        """// tokens: 4
module {
  func.func @f(%x: tensor<?x2x4xf32>, %p: tensor<?x2xf32>) -> tensor<?x4xf32> {
    %y = moe.combine %x weighted %p : tensor<?x2x4xf32> weighted tensor<?x2xf32> -> tensor<?x4xf32>
    return %y : tensor<?x4xf32>
  }
}
"""
    )
    honest = check.run_passes

    def broken(path, pipeline):
        text = honest(path, pipeline)
        return text if not pipeline else text.replace("weighted %arg1", "").replace("weighted tensor<?x2xf32>", "")

    monkeypatch.setattr(check, "run_passes", broken)
    assert any("differs" in line for line in check.check(module, 0))
