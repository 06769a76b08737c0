"""What artifacts cost the example model on held-out text: bounds on every row of quality.py, and the table of its README.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Needs PyTorch and transformers, as train.py does (`make test-torch`). The text is that of installed packages, a part of it:
bounds leave room for other versions of them.
"""

import math
import os
import pathlib
import re
import sys

import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "examples" / "tiny-mixtral"
os.environ["MOEC_HOME"] = str(pathlib.Path(os.environ.get("MOEC_BIN", ROOT / "build" / "bin")).resolve().parent)
sys.path[:0] = [str(ROOT / "python"), str(MODEL)]

import quality  # noqa: E402
import train  # noqa: E402

WINDOWS = 48
# Bits per byte that a row may lose, and the share of bytes that it must predict as the original does. On all of the
# held-out text they were 0.0234 and 94.53 %, 0.0651 and 90.95 %, 0.0994 and 88.38 %.
BOUNDS = {
    "exact": (1e-4, 0.999),
    "rank 32": (0.04, 0.93),
    "rank 16": (0.09, 0.89),
    "rank 16, M = 2": (0.09, 0.89),
    "rank 16, M = 1": (0.14, 0.86),
}


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    text = train.tokens(train.read_text()[1])
    starts = torch.linspace(0, len(text) - train.WINDOW - 1, WINDOWS).long()
    windows = torch.stack([text[start : start + train.WINDOW + 1] for start in starts])
    return {name: found for name, *found in quality.measure(MODEL, windows, tmp_path_factory.mktemp("quality"))}


def test_the_original_is_as_trained(rows):
    _, loss, right, same = rows["original"]
    assert 1.3 < loss / math.log(2) < 1.7 and 0.65 < right < 0.76 and same == 1


@pytest.mark.parametrize("name", BOUNDS)
def test_rows_are_within_their_bounds(rows, name):
    _, loss, right, same = rows[name]
    _, loss_of_original, right_of_original, _ = rows["original"]
    lost, kept = BOUNDS[name]
    assert abs(loss - loss_of_original) / math.log(2) <= lost
    assert same >= kept
    assert abs(right - right_of_original) <= 1 - kept


def test_more_bytes_lose_less(rows):
    order = ["rank 16, M = 1", "rank 16", "rank 32", "exact"]
    losses = [rows[name][1] for name in order]
    assert losses == sorted(losses, reverse=True)
    sizes = [rows[name][0] for name in order]
    assert sizes == sorted(sizes)
    # With two choices a token meets two clusters at most: nothing is lost by keeping two.
    assert rows["rank 16, M = 2"][1] == pytest.approx(rows["rank 16"][1], abs=1e-6)


def test_the_readmes_table_has_these_rows_and_sizes(rows):
    printed = [quality.row(name, *found) for name, found in rows.items()]
    documented = re.findall(r"^\| (?:original|exact|rank) ?.*\|$", (MODEL / "README.md").read_text(), re.MULTILINE)
    assert [line.split("|")[1:3] for line in printed] == [line.split("|")[1:3] for line in documented]
    for line, (name, (lost, kept)) in zip(documented[1:], BOUNDS.items()):
        bits, of_original = (float(row.split("|")[3]) for row in (line, documented[0]))
        assert abs(bits - of_original) <= lost, name
        assert float(line.split("|")[6].strip(" %")) / 100 >= kept, name
