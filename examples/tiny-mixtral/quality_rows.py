"""What quality.py compares: artifacts of the model by name, in sections, as options of moe-compile.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Rows get a traffic profile, but for those that need none. All forms are those of the compiler: docs/quality.md says which row is which
weight expression. Ranks and encodings of competing forms are chosen so that they take like many bytes.
"""

INT8, INT4, F8 = "int8 group 32 scale f16", "int4 group 32 scale f16", "f8e4m3 group 32 scale f16"
INT4_ZERO = "int4 group 32 zero_point scale f16"
# A residual's output factor has as many rows as its rank, 16 or 32, and groups lie along them.
INT8_16, INT4_16, F8_16 = "int8 group 16 scale f16", "int4 group 16 scale f16", "f8e4m3 group 16 scale f16"


def shared(rank, of_bases=None, of_residuals=None, **options):
    """Bases of 4 clusters and residuals of a rank, in encodings."""
    encodings = {"base_encoding": of_bases, "residual_encoding": of_residuals}
    return {"compress": True, "clusters": 4, "rank": rank, **encodings, **options}


def one_base(rank, of_base=None, of_residuals=None, **options):
    """D²-MoE: one base a layer, weighted by Fisher information, whitened residuals."""
    return shared(rank, of_base, of_residuals, clusters=1, base="fisher", whiten="full", **options)


def products(rank, encoding=None, **options):
    """Per-expert SVD."""
    return {"compress": True, "base": "none", "rank": rank, "residual_encoding": encoding, **options}


def merged(clusters, encoding=None, **options):
    """Experts of a cluster become their mean."""
    return {"compress": True, "residual": "none", "clusters": clusters, "base_encoding": encoding, **options}


def mixed(bases, rank, encoding=None, **options):
    """MoBE: experts mix bases of their layer, and multiply by a factor of their own."""
    return {"compress": True, "bases": bases, "rank": rank, "base_encoding": encoding, "residual_encoding": encoding, **options}


EXACT = {"exact": {}}

SECTIONS = {
    "Bases of clusters and residuals": {
        "rank 32": shared(32),
        "rank 16": shared(16),
        "rank 16, M = 2": shared(16, two_stage=2),
        "rank 16, M = 1": shared(16, two_stage=1),
        "rank 16, M = 1 by prototypes": shared(16, two_stage=1, cluster_score="prototypes"),
        "rank 16, whitened": shared(16, whiten="full"),
        "rank 16, bases by usage": shared(16, base="usage"),
        "rank 16, neurons aligned": shared(16, align=True),
    },
    "Encodings of bases and residuals": {
        "f32 + f32": shared(16, "f32", "f32"),
        "f16 + f16": shared(16, "f16", "f16"),
        "bf16 + bf16": shared(16, "bf16", "bf16"),
        "f16 + int8": shared(16, "f16", INT8_16),
        "f16 + int4": shared(16, "f16", INT4_16),
        "f8e4m3 + f8e4m3": shared(16, F8, F8_16),
        "int8 + f16": shared(16, INT8, "f16"),
        "int8 + int8": shared(16, INT8, INT8_16),
        "int8 + int4": shared(16, INT8, INT4_16),
        "int4 + f16": shared(16, INT4, "f16"),
        "int4 + int8": shared(16, INT4, INT8_16),
        "int4 + int4": shared(16, INT4, INT4_16),
        "int8 + int8, rank 32": shared(32, INT8, INT8_16),
        "int4 + int4, rank 32": shared(32, INT4, INT4_16),
        "int4 + int4, M = 1": shared(16, INT4, INT4_16, two_stage=1),
    },
    "Encodings that the compiler chooses, for all bytes of experts": {
        "experts, 2.0 MB": {"bytes": 2_000_000},
        "experts, 2.45 MB": {"bytes": 2_450_000},
        "rank 16, 1.0 MB": shared(16, bytes=1_000_000),
        "rank 32, 1.5 MB": shared(32, bytes=1_500_000),
    },
    "Ablations, at rank 16": {
        "no S_task (alpha 1)": shared(16, alpha=1.0),
        "no S_param (alpha 0)": shared(16, alpha=0.0),
        "random groups, seed 0": shared(16, clustering="random"),
        "random groups, seed 1": shared(16, clustering="random", seed=1),
        "random groups, seed 2": shared(16, clustering="random", seed=2),
        "one cluster": shared(16, clusters=1),
        "no residual": merged(4),
        "no base": products(16),
        "M = 1, no S_task": shared(16, alpha=1.0, two_stage=1),
        "M = 1, no S_param": shared(16, alpha=0.0, two_stage=1),
        "M = 1, random groups, seed 0": shared(16, clustering="random", two_stage=1),
        "M = 1, random groups, seed 1": shared(16, clustering="random", seed=1, two_stage=1),
        "M = 1, random groups, seed 2": shared(16, clustering="random", seed=2, two_stage=1),
    },
    "Competing forms at about 3.1 MB": {
        "INT8 experts": {"encoding": INT8},
        "INT8 experts, calibrated": {"encoding": INT8, "rounding": "calibrated"},
        "F8E4M3 experts": {"encoding": F8},
        "per-expert SVD, rank 32": products(32),
        "per-expert SVD, rank 32, whitened": products(32, whiten="full"),
        "one base (D²-MoE), rank 32, 32, 16": one_base(None, bytes=2_640_000),
        "4 mixed bases (MoBE), int8": mixed(4, None, INT8),
        "8 merged experts": merged(8),
        "8 merged experts, by usage": merged(8, base="usage"),
    },
    "Competing forms at about 1.6 MB": {
        "INT4 experts": {"encoding": INT4},
        "INT4 experts, calibrated": {"encoding": INT4, "rounding": "calibrated"},
        "INT4 experts, with zero points": {"encoding": INT4_ZERO},
        "INT4 experts, with zero points, calibrated": {"encoding": INT4_ZERO, "rounding": "calibrated"},
        "per-expert SVD, rank 32, int8": products(32, INT8_16, whiten="full"),
        "per-expert SVD, rank 48, int4": products(48, INT4_16, whiten="full"),
        "one base (D²-MoE), rank 32, int8": one_base(32, INT8, INT8_16),
        "one base (D²-MoE), rank 48, int4": one_base(48, INT4, INT4_16),
        "4 mixed bases (MoBE), int4": mixed(4, None, INT4),
        "4 mixed bases (MoBE), SiLU, int4": mixed(4, None, INT4, phi="silu"),
        "4 merged experts": merged(4, base="usage"),
        "8 merged experts, int8": merged(8, INT8, base="usage"),
    },
    "Competing forms at about 0.9 MB": {
        "per-expert SVD, rank 32, int4": products(32, INT4_16, whiten="full"),
        "one base (D²-MoE), rank 16, int8": one_base(16, INT8, INT8_16),
        "one base (D²-MoE), rank 32, int4": one_base(32, INT4, INT4_16),
        "2 mixed bases (MoBE), rank 64, int4": mixed(2, 64, INT4_16),
        "8 merged experts, int4": merged(8, INT4, base="usage"),
        "4 merged experts, int8": merged(4, INT8, base="usage"),
    },
}

ROWS = {**EXACT, **{name: options for rows in SECTIONS.values() for name, options in rows.items()}}
