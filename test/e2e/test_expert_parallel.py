"""Compiled layers whose experts are on several ranks: each rank's results are those of one process that has all experts.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Ranks are threads. What brings rows from one to another is written here, from the words of moert/abi.h: an exchange of ctypes and NumPy.
"""

import ctypes
import itertools
import os
import threading

import numpy as np
import pytest

import artifact
from program import binary, tool

WIDTH, EXPERTS, K, CLUSTERS = 40, 6, 2, 3
SECONDS = 60
CLUSTER_OF = [0, 1, 2, 1, 2, 0]
CLUSTERED = """
moe.param private @t : !t = dense<[0, 1, 2, 1, 2, 0]> : tensor<6xi32>
moe.param private @up_base : !moe.weight<40x24x$f, cluster[3]> = #moe.seeded<1 scale 0.2> encoding <f16>
moe.param private @up_a : !moe.weight<40x4x$f, expert[6]> = #moe.seeded<2 scale 0.2>
moe.param private @up_b : !moe.weight<4x24x$f, expert[6]> = #moe.seeded<3 scale 0.2>
moe.param private @down_base : !moe.weight<24x40x$f, cluster[3]> = #moe.seeded<4 scale 0.2> encoding <int8 group 8>
func.func @layer(%x: !x, %choices: tensor<?x2xi32>, %p: !p) -> !x {
  %ids = moe.id_cast %choices : tensor<?x2xi32> to !ids
  %t = moe.leaf @t : !t
  %base = moe.leaf @up_base : !moe.weight<40x24x$f, cluster[3]>
  %a = moe.leaf @up_a : !moe.weight<40x4x$f, expert[6]>
  %b = moe.leaf @up_b : !moe.weight<4x24x$f, expert[6]>
  %d = moe.leaf @down_base : !moe.weight<24x40x$f, cluster[3]>
  %s = moe.weight.select %base by %t : !moe.weight<40x24x$f, cluster[3]>, !t
  %m = moe.weight.mul %a, %b : !moe.weight<40x4x$f, expert[6]>, !moe.weight<4x24x$f, expert[6]>
  %up = moe.weight.add %s, %m : !w, !w
  %down = moe.weight.select %d by %t : !moe.weight<24x40x$f, cluster[3]>, !t
  %y = moe.experts %x to %ids weighted %p up %up down %down act <silu> : (!x, !ids, !p, !w, !d) -> !x
  return %y : !x
}
"""
PLAIN = """
moe.param private @up : !w = #moe.seeded<1 scale 0.2>
moe.param private @down : !d = #moe.seeded<2 scale 0.2>
func.func @layer(%x: !x, %choices: tensor<?x2xi32>, %p: !p) -> !x {
  %ids = moe.id_cast %choices : tensor<?x2xi32> to !ids
  %up = moe.leaf @up : !w
  %down = moe.leaf @down : !d
  %y = moe.experts %x to %ids weighted %p up %up down %down act <silu> : (!x, !ids, !p, !w, !d) -> !x
  return %y : !x
}
"""
TYPES = """
!x = tensor<?x40x$f>
!ids = tensor<?x2x!moe.id<expert[6]>>
!p = tensor<?x2x$f>
!w = !moe.weight<40x24x$f, expert[6]>
!d = !moe.weight<24x40x$f, expert[6]>
!t = !moe.table<expert[6] -> cluster[3]>
"""
RUNTIME = ctypes.CDLL(os.path.join(os.path.dirname(binary("moe-run")), "..", "lib", "libmoert.so"))
SINK = ctypes.POINTER(artifact.ErrorSink)


class Routing(ctypes.Structure):
    """moert_routing."""

    _fields_ = [("size", ctypes.c_uint32), ("x_type", ctypes.c_int32), ("y_type", ctypes.c_int32), ("chunks", ctypes.c_int32),
                ("x", ctypes.c_void_p), ("ids", ctypes.c_void_p), ("clusters", ctypes.c_void_p), ("weights", ctypes.c_void_p),
                ("y", ctypes.c_void_p), ("tokens", ctypes.c_int64), ("choices", ctypes.c_int64), ("x_width", ctypes.c_int64),
                ("y_width", ctypes.c_int64)]  # fmt: skip


class Received(ctypes.Structure):
    """moert_received."""

    _fields_ = [("count", ctypes.c_int64), ("rows", ctypes.c_void_p), ("ids", ctypes.c_void_p), ("weights", ctypes.c_void_p),
                ("results", ctypes.c_void_p)]  # fmt: skip


BEGIN = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.POINTER(Routing), SINK)
STEP = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64, SINK)
RECEIVE = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_int64, ctypes.POINTER(Received), SINK)
ALL_REDUCE = ctypes.CFUNCTYPE(ctypes.c_int32, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, SINK)
FAIL = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_char_p)


class Exchange(ctypes.Structure):
    """moert_exchange."""

    _fields_ = [("size", ctypes.c_uint32), ("rank", ctypes.c_int32), ("ranks", ctypes.c_int32), ("context", ctypes.c_void_p),
                ("begin", BEGIN), ("dispatch", STEP), ("receive", RECEIVE), ("send_back", STEP), ("collect", STEP),
                ("all_reduce", ALL_REDUCE), ("fail", FAIL)]  # fmt: skip


class Binding(ctypes.Structure):
    """moert_layer_binding."""

    _fields_ = [("size", ctypes.c_uint32), ("count", ctypes.c_int32), ("tensors", ctypes.c_void_p), ("epoch", ctypes.c_uint64),
                ("paging", ctypes.c_void_p), ("exchange", ctypes.c_void_p)]  # fmt: skip


def array_at(address, shape, kind):
    """The numbers at an address, as an array that shares them."""
    size = int(np.prod(shape)) * np.dtype(kind).itemsize
    if size == 0:
        return np.zeros(shape, kind)
    return np.frombuffer((ctypes.c_char * size).from_address(address), kind).reshape(shape)


class Post:
    """What ranks have sent each other, by (kind, step, chunk, from, to)."""

    def __init__(self):
        self.letters, self.arrived = {}, threading.Condition()

    def send(self, key, letter):
        with self.arrived:
            assert key not in self.letters, key
            self.letters[key] = letter
            self.arrived.notify_all()

    def take(self, key):
        with self.arrived:
            assert self.arrived.wait_for(lambda: key in self.letters, SECONDS), f"nothing came: {key}"
            return self.letters.pop(key)


class Rank:
    """One rank's exchange."""

    def __init__(self, number, ranks, owners, post):
        self.number, self.ranks, self.owners, self.post = number, ranks, owners, post
        self.step, self.calls, self.sent_rows = 0, [], 0
        self.received = {}
        self.failed = None
        self.table = Exchange(ctypes.sizeof(Exchange), number, ranks, None, BEGIN(self.guarded(self.begin)), STEP(self.guarded(self.dispatch)),
                              RECEIVE(self.guarded(self.receive)), STEP(self.guarded(self.send_back)), STEP(self.guarded(self.collect)),
                              ALL_REDUCE(lambda *_: artifact.INTERNAL), FAIL(lambda *_: None))  # fmt: skip

    def guarded(self, function):
        """What is raised does not get lost in a callback."""

        def call(context, argument, *more):
            try:
                self.calls.append((function.__name__, argument if isinstance(argument, int) else None))
                function(argument, *more)
                return artifact.OK
            except BaseException as error:
                self.failed = error
                return artifact.INTERNAL

        return call

    def begin(self, routing, sink):
        self.step += 1
        self.routing = Routing.from_buffer_copy(routing.contents)
        assert self.routing.size == ctypes.sizeof(Routing)
        assert self.routing.x_type == self.routing.y_type
        self.kind = {artifact.FLOAT << 8 | 32: np.float32, artifact.BFLOAT << 8 | 16: np.uint16}[self.routing.x_type]
        shape = (self.routing.tokens, self.routing.choices)
        self.ids, self.weights = array_at(self.routing.ids, shape, np.int32), array_at(self.routing.weights, shape, np.float32)
        self.clusters = array_at(self.routing.clusters, shape, np.int32) if self.routing.clusters else self.ids

    def tokens_of(self, chunk):
        total, chunks = self.routing.tokens, self.routing.chunks
        return range(total * chunk // chunks, total * (chunk + 1) // chunks)

    def dispatch(self, chunk, sink):
        x = array_at(self.routing.x, (self.routing.tokens, self.routing.x_width), self.kind)
        wanted = [{} for _ in range(self.ranks)]
        for token, choice in itertools.product(self.tokens_of(chunk), range(self.routing.choices)):
            cluster = self.clusters[token, choice]
            assert (cluster < 0) == (self.ids[token, choice] < 0)
            if cluster >= 0:
                owners = self.owners[cluster]
                wanted[owners[token % len(owners)]].setdefault(token, []).append(choice)
        self.tokens = getattr(self, "tokens", {})
        for to, tokens in enumerate(wanted):
            order = sorted(tokens)
            ids, weights = np.full((len(order), self.routing.choices), -1, np.int32), np.zeros((len(order), self.routing.choices), np.float32)
            for row, token in enumerate(order):
                for choice in tokens[token]:
                    ids[row, choice], weights[row, choice] = self.ids[token, choice], self.weights[token, choice]
            self.tokens[chunk, to] = order
            self.sent_rows += len(order)
            self.post.send(("go", self.step, chunk, self.number, to), (x[order].copy(), ids, weights))

    def receive(self, chunk, received, sink):
        letters = [self.post.take(("go", self.step, chunk, other, self.number)) for other in range(self.ranks)]
        rows, ids, weights = (np.concatenate(parts) for parts in zip(*letters))
        results = np.full((len(rows), self.routing.y_width), 99).astype(self.kind)
        self.received[chunk] = [len(letter[0]) for letter in letters], rows, ids, weights, results
        answer = received.contents
        answer.count = len(rows)
        answer.rows, answer.ids, answer.weights, answer.results = (a.ctypes.data for a in (rows, ids, weights, results))

    def send_back(self, chunk, sink):
        counts, *_, results = self.received.pop(chunk)
        for other, part in enumerate(np.split(results, np.cumsum(counts)[:-1])):
            self.post.send(("back", self.step, chunk, self.number, other), part.copy())

    def collect(self, chunk, sink):
        y = array_at(self.routing.y, (self.routing.tokens, self.routing.y_width), self.kind)
        sums = np.zeros((len(self.tokens_of(chunk)), self.routing.y_width), np.float32)
        for other in range(self.ranks):
            rows = self.post.take(("back", self.step, chunk, other, self.number))
            places = [token - self.tokens_of(chunk).start for token in self.tokens.pop((chunk, other))]
            np.add.at(sums, places, floats(rows))
        if len(sums):
            y[self.tokens_of(chunk).start : self.tokens_of(chunk).stop] = narrowed(sums, self.kind)


def floats(values):
    """f32 of f32, or of the bits of bf16."""
    return values if values.dtype == np.float32 else (values.astype(np.uint32) << 16).view(np.float32)


def narrowed(values, kind):
    """To f32, or to the bits of bf16, to nearest even."""
    if kind == np.float32:
        return values
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16)


class Layer:
    """An artifact of one layer, and the binding of its weights."""

    def __init__(self, folder):
        self.code = artifact.Artifact(folder)
        self.model, self.layer, self.bound = (ctypes.c_void_p() for _ in range(3))
        assert RUNTIME.moert_model_open(os.fsencode(folder), None, ctypes.byref(self.model)) == artifact.OK
        assert RUNTIME.moert_model_find_layer(self.model, b"layer", None, ctypes.byref(self.layer)) == artifact.OK
        assert RUNTIME.moert_layer_acquire(self.layer, ctypes.byref(self.bound)) == artifact.OK

    def run(self, inputs, exchange=None):
        """Results of one rank, or of the only one."""
        binding = Binding.from_buffer_copy(ctypes.cast(self.bound, ctypes.POINTER(Binding)).contents)
        binding.size, binding.paging = ctypes.sizeof(Binding), None
        binding.exchange = ctypes.addressof(exchange) if exchange else None
        kind = inputs[0].dtype
        y = np.full((len(inputs[0]), WIDTH), 77).astype(kind)
        self.code.call_views("block0", [artifact.view(a) for a in (*inputs, y)], call=artifact.Call(binding=ctypes.addressof(binding)))
        return y


@pytest.fixture(scope="module")
def layers(tmp_path_factory):
    """By form, element type and parts: compiled once."""
    folder, known = tmp_path_factory.mktemp("ranks"), {}

    def compiled(form, element, parts):
        key = form, element, parts
        if key not in known:
            place = folder / f"{form}-{element}-{parts}"
            text = (TYPES + {"clustered": CLUSTERED, "plain": PLAIN}[form]).replace("$f", element)
            options = ["--expert-parallel", f"--exchange-parts={parts}"] if parts else []
            place.with_suffix(".mlir").write_text(text)
            tool("moe-compile", place.with_suffix(".mlir"), "--optimize", "--separate-weights", "--isas=portable", "--opt-level=1", *options, "-o", place)
            known[key] = Layer(place)
        return known[key]

    return compiled


def inputs_of(tokens, element, seed):
    """x, choices and gates of so many tokens; one choice in six is none."""
    random = np.random.default_rng([tokens, seed])
    kind = np.float32 if element == "f32" else np.uint16
    ids = np.array([random.permutation(EXPERTS)[:K] for _ in range(tokens)], np.int32).reshape(tokens, K)
    ids[random.random(ids.shape) < 1 / 6] = -1
    return [narrowed(random.standard_normal((tokens, WIDTH)).astype(np.float32), kind), ids,
            narrowed(random.random((tokens, K)).astype(np.float32), kind)]  # fmt: skip


def run_ranks(layer, inputs, owners):
    """Each rank's results, and the ranks; all run at once."""
    post = Post()
    ranks = [Rank(number, len(inputs), owners, post) for number in range(len(inputs))]
    results = [None] * len(ranks)

    def work(number):
        results[number] = layer.run(inputs[number], ranks[number].table)

    threads = [threading.Thread(target=work, args=[number], daemon=True) for number in range(len(ranks))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(SECONDS)
    for rank in ranks:
        if rank.failed:
            raise rank.failed
    assert all(result is not None for result in results) and not post.letters
    return results, ranks


def close(got, expected, element):
    got, expected = floats(got), floats(expected)
    assert got.shape == expected.shape
    if got.size:
        assert np.abs(got - expected).max() <= (2e-6 if element == "f32" else 2.0**-6) * max(1, np.abs(expected).max())


# Tokens of each rank: few and many, more than memory is planned for, none.
TOKENS = {1: [7], 2: [3, 150], 3: [90, 0, 1], 4: [1, 33, 0, 200]}


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("form", ["clustered", "plain"])
@pytest.mark.parametrize("element", ["f32", "bf16"])
@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_ranks_compute_what_one_process_does(layers, ranks, element, form, parts):
    layer, alone = layers(form, element, parts), layers(form, element, 0)
    count = CLUSTERS if form == "clustered" else EXPERTS
    owners = [[cluster % ranks] for cluster in range(count)]
    owners[0] = list(range(ranks))  # a replica on every rank
    inputs = [inputs_of(tokens, element, rank) for rank, tokens in enumerate(TOKENS[ranks])]
    results, workers = run_ranks(layer, inputs, owners)
    for given, got in zip(inputs, results):
        close(got, alone.run(given), element)
    steps = [("begin", None), *(step for step in workers[0].calls if step[0] != "begin")]
    assert all(worker.calls == steps for worker in workers), "collective order differs"
    assert sorted(steps[1:]) == sorted((name, part) for name in ("dispatch", "receive", "send_back", "collect") for part in range(parts))
    # The next part is on its way before this one is computed.
    assert parts == 1 or steps.index(("dispatch", 1)) < steps.index(("receive", 0))


def test_all_tokens_to_one_rank(layers):
    layer, alone = layers("clustered", "f32", 1), layers("clustered", "f32", 0)
    inputs = [inputs_of(100, "f32", rank) for rank in range(3)]
    results, workers = run_ranks(layer, inputs, [[2]] * CLUSTERS)
    for given, got in zip(inputs, results):
        close(got, alone.run(given), "f32")


def test_a_token_is_sent_once_to_each_rank(layers):
    """Bytes against those of a copy for each choice."""
    layer = layers("clustered", "f32", 1)
    inputs = [inputs_of(200, "f32", rank) for rank in range(2)]
    owners = [[0], [1], [1]]
    _, workers = run_ranks(layer, inputs, owners)
    for given, worker in zip(inputs, workers):
        ranks = [{owners[CLUSTER_OF[i]][0] for i in row if i >= 0} for row in given[1]]
        assert worker.sent_rows == sum(map(len, ranks)) < np.count_nonzero(given[1] >= 0)


def test_runs_are_equal_to_the_last_bit(layers):
    layer = layers("clustered", "f32", 3)
    inputs = [inputs_of(tokens, "f32", rank) for rank, tokens in enumerate([40, 90, 5])]
    first, _ = run_ranks(layer, inputs, [[0], [1], [2]])
    second, _ = run_ranks(layer, inputs, [[0], [1], [2]])
    assert all(np.array_equal(a, b) for a, b in zip(first, second))


@pytest.mark.parametrize("parts", [1, 3])
@pytest.mark.parametrize("tokens", [0, 1, 5, 64, 65, 200])
def test_one_rank_is_as_without(layers, tokens, parts):
    """Without an exchange nothing is sent."""
    given = inputs_of(tokens, "f32", 0)
    close(layers("clustered", "f32", parts).run(given), layers("clustered", "f32", 0).run(given), "f32")
