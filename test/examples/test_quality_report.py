"""The report of what compression costs the example model: tables and plot are those of the measured figures.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import pathlib
import re
import sys
import xml.etree.ElementTree

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "examples" / "tiny-mixtral"))

import quality_report as report  # noqa: E402
import quality_rows  # noqa: E402
from quality_bounds import BOUNDS  # noqa: E402

MEASURED = report.read()
ORIGINAL = MEASURED["rows"]["original"]


def row(size, loss):
    return {"bytes": size, "loss": loss, "right": 0.5, "same": 0.5}


def test_every_row_was_measured():
    assert list(MEASURED["rows"]) == ["original", *quality_rows.ROWS]
    names = [name for section in quality_rows.SECTIONS.values() for name in section]
    assert len(names) == len(set(names)) and not set(names) & set(quality_rows.EXACT)


def test_page_and_plot_are_current():
    """Else: examples/tiny-mixtral/quality_report.py."""
    text = report.PAGE.read_text()
    assert report.page(MEASURED, text) == text
    assert report.PLOT.read_text() == report.plot(MEASURED)


def test_a_changed_figure_changes_page_and_plot():
    text = report.PAGE.read_text()
    other = {**MEASURED, "rows": {**MEASURED["rows"], "rank 16": row(3_000_000, 1.2)}}
    assert report.page(other, text) != text and report.plot(other) != report.plot(MEASURED)
    with pytest.raises(SystemExit, match="expected one place for tables in .*quality.md, found 0"):
        report.page(MEASURED, "no marks")


@pytest.mark.parametrize("name", BOUNDS)
def test_measured_rows_are_within_their_bounds(name):
    most, kept = BOUNDS[name]
    found = MEASURED["rows"][name]
    assert abs(report.lost_bits(found, ORIGINAL)) <= most and found["same"] >= kept


def test_the_exact_artifact_loses_nothing():
    assert report.lost_bits(MEASURED["rows"]["exact"], ORIGINAL) == pytest.approx(0, abs=1e-6)


def test_the_front_is_what_nothing_beats():
    rows = {name: found for name, found in MEASURED["rows"].items() if name != "original"}

    def beaten(one):
        return any(
            (other["bytes"], other["loss"]) != (one["bytes"], one["loss"])
            and other["bytes"] <= one["bytes"]
            and other["loss"] <= one["loss"]
            for other in rows.values()
        )

    assert set(report.front(rows)) == {name for name, one in rows.items() if not beaten(one)}
    assert report.front({"a": row(3, 1.0), "b": row(1, 2.0), "c": row(2, 2.5), "d": row(3, 1.5)}) == ["b", "a"]


def test_the_readme_quotes_measured_figures():
    text = (ROOT / "README.md").read_text()
    section = text[text.index("## What compression costs") : text.index("## What is in it")]
    quoted = re.findall(r"(\d\.\d\d) MB,\s+(?:perplexity\s+)?(\d\.\d{3})", section)
    known = {(f"{found['bytes'] / 1e6:.2f}", f"{report.perplexity(found):.3f}") for found in MEASURED["rows"].values()}
    assert len(quoted) == 3 and set(quoted) <= known
    assert f"the original has {report.perplexity(ORIGINAL):.3f}" in section


def test_commands_are_as_people_type_them():
    assert report.command({}) == ""
    assert (
        report.command({"compress": True, "base_encoding": "int4 group 32", "rank": 16, "align": False or None})
        == "--compress --base-encoding='int4 group 32' --rank=16"
    )


def test_the_plot_has_a_mark_for_each_row():
    svg = xml.etree.ElementTree.fromstring(report.plot(MEASURED))
    space = {"svg": "http://www.w3.org/2000/svg"}
    titles = [title.text.split(":")[0] for title in svg.findall("./*/svg:title", space)]
    assert sorted(titles) == sorted(name for name in MEASURED["rows"] if name != "original")
    # Fewer bytes lie further left, more perplexity further up.
    small, large = report.Axis(1, 100, 0, 10).at(1), report.Axis(1, 100, 0, 10).at(10)
    assert (small, large) == (0, 5)
    assert report.Axis(1, 100, 0, 10).ticks() == [1, 2, 5, 10, 20, 50, 100]


def test_families_of_the_plot():
    names = [report.FAMILIES[report.family_of(name)][1] for name in ("INT4 experts", "rank 16", "no base", "rank 16, M = 1")]
    assert [re.match(r"\w+", name)[0] for name in names] == ["plain", "bases", "per", "bases"]
    assert all(any(re.fullmatch(pattern, name) for name in quality_rows.ROWS) for pattern, *_ in report.FAMILIES)
