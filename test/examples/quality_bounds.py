"""What rows of quality.py may lose: bounds on the measured figures (quality.json), and on a part of the text (test_quality.py).

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

# Bits per byte that a row may lose beside the original, and the share of bytes that it must predict as the original does. A
# bound is about one and a half times what was lost when it was first measured, on all of the held-out text, so that it also
# holds on a part of the text and with other versions of the packages.
BOUNDS = {
    "exact": (1e-4, 0.999),
    "rank 32": (0.04, 0.93),
    "rank 16": (0.09, 0.89),
    "rank 16, M = 2": (0.09, 0.89),
    "rank 16, M = 1": (0.14, 0.86),
    "f16 + int4": (0.095, 0.89),
    "int8 + int8": (0.09, 0.89),
    "int4 + f16": (0.1, 0.885),
    "int4 + int4": (0.1, 0.88),
    "experts, 2.0 MB": (0.012, 0.945),
    "rank 32, 1.5 MB": (0.04, 0.925),
    "no S_task (alpha 1)": (0.09, 0.89),
    "no S_param (alpha 0)": (0.095, 0.89),
    "random groups, seed 0": (0.1, 0.88),
    "one cluster": (0.13, 0.87),
    "no residual": (0.29, 0.8),
    "no base": (6.7, 0.15),
    "INT8 experts": (0.002, 0.99),
    "INT4 experts": (0.02, 0.93),
    "INT4 experts, calibrated": (0.012, 0.94),
    "one base (D²-MoE), rank 32, int8": (0.05, 0.92),
    "4 mixed bases (MoBE), int8": (0.012, 0.955),
    "4 mixed bases (MoBE), int4": (0.061, 0.9),
    "8 merged experts": (0.2, 0.85),
}
