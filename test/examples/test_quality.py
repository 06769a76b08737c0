"""What artifacts cost the example model on held-out text: bounds on rows of quality.py, and the order of what they lose.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Needs PyTorch and transformers, as train.py does (`make test-torch`). The text is that of installed packages, a part of it:
bounds leave room for other versions of them. All of the text, and all rows: docs/quality.md.
"""

import math
import os
import pathlib
import sys

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "examples" / "tiny-mixtral"
os.environ["MOEC_HOME"] = str(pathlib.Path(os.environ.get("MOEC_BIN", ROOT / "build" / "bin")).resolve().parent)
sys.path[:0] = [str(ROOT / "python"), str(MODEL)]

import quality  # noqa: E402
import quality_report  # noqa: E402
import train  # noqa: E402
from quality_bounds import BOUNDS  # noqa: E402

WINDOWS = 48
# One of each kind: what is compiled here. test_quality_report.py holds the measured figures of all to their bounds.
ROWS = (
    "exact",
    "rank 32",
    "rank 16",
    "rank 16, M = 2",
    "rank 16, M = 1",
    "f16 + int4",
    "int4 + int4",
    "random groups, seed 0",
    "no residual",
    "no base",
    "INT4 experts",
    "INT4 experts, calibrated",
    "one base (D²-MoE), rank 32, int8",
)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    windows = quality.windows_of(train.read_text()[1], WINDOWS)
    return dict(quality.measure(MODEL, windows, tmp_path_factory.mktemp("quality"), ROWS))


@pytest.fixture(scope="module")
def lost(rows):
    return {name: quality_report.lost_bits(row, rows["original"]) for name, row in rows.items()}


def test_the_original_is_as_trained(rows):
    row = rows["original"]
    assert 1.3 < row["loss"] / math.log(2) < 1.7 and 0.65 < row["right"] < 0.76 and row["same"] == 1


@pytest.mark.parametrize("name", ROWS)
def test_rows_are_within_their_bounds(rows, lost, name):
    most, kept = BOUNDS[name]
    assert abs(lost[name]) <= most
    assert rows[name]["same"] >= kept
    assert abs(rows[name]["right"] - rows["original"]["right"]) <= 1 - kept


def test_bytes_are_those_that_were_measured_before(rows):
    known = quality_report.read()["rows"]
    assert {name: row["bytes"] for name, row in rows.items()} == {name: known[name]["bytes"] for name in rows}


def test_more_bytes_of_one_form_lose_less(rows, lost):
    order = ["rank 16, M = 1", "rank 16", "rank 32", "exact"]
    assert [lost[name] for name in order] == sorted((lost[name] for name in order), reverse=True)
    assert [rows[name]["bytes"] for name in order] == sorted(rows[name]["bytes"] for name in order)
    # With two choices a token meets two clusters at most: nothing is lost by keeping two.
    assert rows["rank 16, M = 2"]["loss"] == pytest.approx(rows["rank 16"]["loss"], abs=1e-6)


def test_what_is_left_out_is_missed(lost):
    """Base and residual each earn their bytes: without one of them more is lost."""
    assert lost["rank 16"] < lost["no residual"] and lost["rank 16"] < lost["no base"]
