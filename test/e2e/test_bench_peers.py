"""What the peers of moe-bench share (bench/peers/cases.py): traffic, a plain solution, results. They need no PyTorch for it.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import json
import pathlib
import types

import numpy as np
import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
SUITE = ROOT / "test/tools/moe-bench/Inputs/layers.json"


@pytest.fixture
def cases(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "bench/peers"))
    import cases

    return cases


def options(**changes):
    return types.SimpleNamespace(**({"suite": str(SUITE), "only": "f16", "problem": [], "tokens": "1,40", "threads": 1, "seconds": 0, "rounds": 3, "json": None} | changes))


def test_choices_keep_the_clusters_of_the_first_contender(cases):
    ((suite, problem, tokens),) = cases.problems(options())
    assert (suite, problem["name"], tokens) == ("tiny", "f16", [1, 40])
    routing = cases.Routing(problem, 40, 1)
    assert routing.ids.shape == routing.gates.shape == (40, problem["k"])
    assert np.allclose(routing.gates.sum(axis=1), 1)
    assert all(len(set(row % problem["clusters"])) == 1 and len(set(row)) == problem["k"] for row in routing.ids)
    assert (np.argsort(-routing.logits, axis=1, kind="stable")[:, : problem["k"]] == routing.ids).all()


def test_results_are_checked_and_written(cases, tmp_path, capsys):
    ((suite, problem, _),) = cases.problems(options())
    gate_up, down = cases.weights(problem)
    routing = cases.Routing(problem, 5, 0)
    x = np.ones((5, problem["width"]), dtype=np.float32)
    output = np.zeros_like(x)
    for token in range(5):
        for expert, gate in zip(routing.ids[token], routing.gates[token]):
            both = gate_up[expert] @ x[token]
            inner = problem["inner"]
            output[token] += gate * (down[expert] @ (both[:inner] / (1 + np.exp(-both[:inner])) * both[inner:]))
    error = cases.check(output, x, routing, gate_up, down, 1e-4)
    assert error < 1e-4
    with pytest.raises(SystemExit, match="expected errors up to 0.0001 of the root mean square, found"):
        cases.check(output + 1, x, routing, gate_up, down, 1e-4)
    with pytest.raises(SystemExit, match="expected errors up to 0.0001 of the root mean square, found nan"):
        cases.check(output * np.nan, x, routing, gate_up, down, 1e-4)

    calls = []
    cases.measure(options(), suite, problem, [routing, routing], "peer", calls.append, error, 4)
    line = json.loads(capsys.readouterr().out)
    assert line["contender"] == "peer" and line["tokens"] == 5 and line["rounds"] == 3 and line["routing"] == "zipf 0.5"
    assert line["flops"] == 5 * problem["k"] * 6 * problem["width"] * problem["inner"]
    assert calls == [0, 0, 1, 0]
    cases.measure(options(json=str(tmp_path / "out")), suite, problem, [routing], "peer", calls.append, error, 4)
    assert json.loads((tmp_path / "out").read_text())["median_s"] >= 0


def test_problems_are_chosen_by_encoding_and_name(cases):
    def names(*encodings, **changes):
        return [problem["name"] for _, problem, _ in cases.problems(options(**changes), *encodings)]

    assert names(only="") == ["f16"]
    assert names(("f16", "int4"), only="") == ["f16", "int4"]
    assert names(("f16", "int4"), only="", problem=["int4", "int8"]) == ["int4"]


def test_other_suites_are_refused(cases):
    with pytest.raises(SystemExit, match="expected a suite of kind layer, found router"):
        list(cases.problems(options(suite=str(SUITE.parent / "routers.json"))))
