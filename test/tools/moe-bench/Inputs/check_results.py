"""Checks what moe-bench --json wrote: `check_results.py FILE`. No time is looked at but that it is one.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import json
import sys

lines = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
assert lines, "expected results, found none"
for line in lines:
    assert 0 < line["min_s"] <= line["median_s"], line
    assert line["rounds"] == 2 and line["threads"] == 1 and line["tokens"] >= 1, line
    assert 0 <= line["max_error"] < 1e-3, line
    assert line["bytes"] > 0 and line["flops"] > 0 and line["roofline_s"] > 0, line
    assert line["bytes_per_s"] > 0 and line["flops_per_s"] > 0, line
    assert line["contender"] != line["baseline"] or line["speedup"] == 1, line
places = [(line["problem"], line["tokens"], line["contender"]) for line in lines]
assert len(set(places)) == len(places), places
if lines[0]["suite"] == "tiny":
    # Two experts of one token; in flat routing they may be of different clusters.
    for line in lines:
        if line["tokens"] == 1:
            assert line["experts_hit"] == 2 and 1 <= line["clusters_hit"] <= 2, line
        if "M=1" in line["contender"] and line["tokens"] == 1:
            assert line["clusters_hit"] == 1, line
