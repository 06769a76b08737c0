"""What moe programs compute, in plain NumPy: the independent oracle of the value tests.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Written from docs/spec.md alone, section by section, and meant to be read beside it: loops instead of tricks. It shares
no code and no idea with the compiler. Sections and constraint numbers are those of the specification; sections 1 to 3
(arithmetic, stored tensors, weight expressions) are in numpy_weights.py and re-exported here.

Arrays are as described there; an id tensor is an integer array where -1, or any number outside the axis, means none.
T tokens, D model width, F expert width, E experts, S special experts, G clusters, M clusters per token, k chosen experts
per token.
"""

import math
from dataclasses import dataclass

import numpy as np

from numpy_weights import *  # noqa: F401,F403
from numpy_weights import computing, contract, entry, exp, round_to, sigmoid, softmax

# ---------------------------------------------------------------------------------------------------------------------
# 4.1 moe.route


@dataclass
class Limit:
    """`<keep M of G by max|top2_sum|sum|logits [masked zero]>`."""

    keep: int
    of: int
    by: str
    masked: str = "neg_inf"


@dataclass
class Choice:
    """`<kind k [at x]>`."""

    kind: str
    k: int
    at: float = 0.0


@dataclass
class Gates:
    """`<source [, norm] [eps e] [scale s]>`."""

    source: str = "scores"
    norm: str | None = None
    eps: float = 0.0
    scale: float = 1.0


@dataclass
class Capacity:
    """`<f [at_least a] drop last|lowest>`."""

    factor: float
    drop: str = "last"
    at_least: int = 0


def score_row(x, kind, present):
    """Stage 1: the scores s [N] of logits x [N]; columns that are not present have no part in the softmax."""
    if kind == "softmax":
        s = np.zeros_like(x)
        s[present] = softmax(x[present])
        return s
    if kind == "sigmoid":
        return sigmoid(x)
    if kind == "sqrt_softplus":
        return np.sqrt(np.maximum(x, 0) + np.log1p(exp(-np.abs(x))))
    return x.copy()


def best(keys, allowed=None):
    """Index of the largest key, the lowest on a tie; -1 if all are NaN, -inf or not allowed."""
    winner, largest = -1, -math.inf
    for i, key in enumerate(keys):
        if (allowed is None or allowed[i]) and key > largest:  # false for NaN and for -inf
            winner, largest = i, key
    return winner


def descending(keys, count, allowed=None):
    """Up to count indices by descending key, ties to the lowest index, NaN and -inf left out."""
    allowed = np.ones(len(keys), bool) if allowed is None else allowed.copy()
    chosen = []
    while len(chosen) < count and (i := best(keys, allowed)) >= 0:
        chosen.append(i)
        allowed[i] = False
    return chosen


def limit_row(keys, limit, table, group_logits):
    """Stage 3: keys [N] with those outside the kept groups masked. table [E] gives groups; without, they are contiguous.

    Exactly `keep` groups are kept, even such that score -inf; a NaN score counts as -inf."""
    if table is None:
        group_of = np.arange(len(keys)) // (len(keys) // limit.of)
    else:
        group_of = np.asarray(table)
    grouped = len(group_of)  # special experts, behind the table's entries, belong to no group and are never masked
    if limit.by == "logits":
        score = list(group_logits)
    else:
        score = []
        for group in range(limit.of):
            members = keys[:grouped][group_of == group]
            first = descending(members, 2)
            top = [members[i] for i in first]
            if not top:
                score.append(-math.inf)
            elif limit.by == "max" or len(members) == 1:
                score.append(top[0])
            elif limit.by == "sum":
                total = keys.dtype.type(0)
                for key in members:
                    total += -math.inf if math.isnan(key) else key
                score.append(total)
            else:
                score.append(top[0] + top[1] if len(top) == 2 else -math.inf)
    score = [-math.inf if math.isnan(value) else value for value in score]
    kept = sorted(range(limit.of), key=lambda group: -score[group])[: limit.keep]  # stable: ties to the lowest
    masked = keys.copy()
    for column in range(grouped):
        if group_of[column] not in kept:  # also where a table points outside
            masked[column] = 0 if limit.masked == "zero" else -math.inf
    return masked


def choose_row(keys, s, choice, allowed):
    """Stage 4 for one token: chosen columns of keys [N] in slot order, at most choice.k (not hash, not expert_choice)."""
    columns = descending(keys, choice.k, allowed)  # sparsemixer: the two largest logits, one after the other
    if choice.kind == "threshold":
        columns = [c for c in columns if keys[c] >= keys.dtype.type(choice.at)]
    if choice.kind == "top_p":
        kept, before = [], keys.dtype.type(0)
        for c in columns:
            if kept and not before < keys.dtype.type(choice.at):
                break
            kept.append(c)
            before = before + s[c]
        columns = kept
    return columns


def expert_choice(keys, choice):
    """Stage 4, `expert_choice`: keys [T, N] -> the chosen columns of each token."""
    tokens, columns = keys.shape
    capacity = min(tokens, math.ceil(choice.at * tokens / columns))
    taken = np.zeros(keys.shape, bool)
    for column in range(columns):
        for token in descending(keys[:, column], capacity):
            taken[token, column] = True
    return [descending(keys[t], choice.k, taken[t]) for t in range(tokens)]


def gate_row(x, s, columns, gates, choice):
    """Stage 5 for one token: gate weights of the chosen columns, before rounding. x and s [N]."""
    kind = x.dtype.type
    if not columns:
        return np.zeros(0, kind)
    if gates.source == "scores":
        w = s[columns]
    elif gates.source == "softmax":
        w = softmax(x[columns])
    elif gates.source == "sigmoid":
        w = sigmoid(x[columns])
    else:  # sparsemixer
        w = np.zeros(len(columns), kind)
        for j, column in enumerate(columns):
            m = x[column]
            with np.errstate(invalid="ignore", divide="ignore"):
                masked = (m - x) / np.maximum(np.abs(x), m) > kind(2) * kind(choice.at)
            masked[columns[:j]] = True
            rest = np.flatnonzero(~masked)
            w[j] = softmax(x[rest])[list(rest).index(column)]
    if gates.norm is not None:
        total = kind(0)
        for value in w:
            total = total + (value * value if gates.norm == "l2" else value)
        if gates.norm == "l1_floor":
            total = max(total, kind(gates.eps))
        else:
            total = (np.sqrt(total) if gates.norm == "l2" else total) + kind(gates.eps)
        w = w / total if total != 0 else np.zeros_like(w)
    return w * kind(gates.scale)


def drop_over_capacity(ids, weights, capacity, columns):
    """Stage 6: pairs beyond each column's capacity become id -1, weight 0. ids and weights [T, k], changed in place."""
    tokens, k = ids.shape
    accepts = max(capacity.at_least, math.ceil(capacity.factor * tokens * k / columns))
    for i in sorted(set(ids[ids >= 0].tolist())):
        pairs = [(t, j) for j in range(k) for t in range(tokens) if ids[t, j] == i]
        if capacity.drop == "lowest":
            # Before rounding; stable: ties stay by slot, then by token; NaN is the lowest.
            pairs.sort(key=lambda pair: math.inf if math.isnan(weights[pair]) else -weights[pair])
        for pair in pairs[accepts:]:
            ids[pair], weights[pair] = -1, 0


def route(logits, *, score, choose, gates=Gates(), bias=None, limit=None, table=None, group_logits=None, hash_table=None,
          tokens=None, candidates=None, capacity=None, element="f32", experts=None):
    """4.1 moe.route: logits [T, N] -> ids [T, k] (int32), gate weights [T, k].

    bias [N]; table [E] (clusters of a limit); group_logits [T, G]; hash_table [tokens, k] and tokens [T]; candidates
    [T, N] ids. `experts` is E + S of the id type: candidates beyond it stand for nobody, and a capacity with
    candidates counts them."""
    kind = computing(element)
    x = np.asarray(logits, kind)
    rows, columns = x.shape
    present = np.ones(x.shape, bool)
    if candidates is not None:
        present = (np.asarray(candidates) >= 0) & (np.asarray(candidates) < (experts or math.inf))
    s = np.empty_like(x)
    keys = np.empty_like(x)
    for t in range(rows):
        s[t] = score_row(x[t], score, present[t])
        keys[t] = s[t] if bias is None else s[t] + np.asarray(bias, kind)
        if limit is not None:
            groups = None if group_logits is None else np.asarray(group_logits, kind)[t]
            keys[t] = limit_row(keys[t], limit, table, groups)
    if choose.kind == "expert_choice":
        chosen = expert_choice(keys, choose)
    elif choose.kind == "hash":
        known = [0 <= tokens[t] < len(hash_table) for t in range(rows)]
        chosen = [list(hash_table[tokens[t]]) if known[t] else [] for t in range(rows)]
        chosen = [[c if 0 <= c < columns and best([keys[t, c]]) == 0 else -1 for c in row] for t, row in enumerate(chosen)]
    else:
        chosen = [choose_row(keys[t], s[t], choose, present[t]) for t in range(rows)]
    ids = np.full((rows, choose.k), -1, np.int32)
    weights = np.zeros((rows, choose.k), kind)
    for t in range(rows):
        slots = [j for j, c in enumerate(chosen[t]) if c >= 0]  # a hash table may give -1 in the middle
        picked = [int(chosen[t][j]) for j in slots]
        weights[t, slots] = gate_row(x[t], s[t], picked, gates, choose)
        ids[t, slots] = picked if candidates is None else np.asarray(candidates)[t, picked]
    if capacity is not None:
        drop_over_capacity(ids, weights, capacity, columns if candidates is None else experts)
    return ids, round_to(weights, element)


# ---------------------------------------------------------------------------------------------------------------------
# 4.2 moe.experts


@dataclass
class Act:
    """`<kind [alpha a] [clamp c] [offset o]>`."""

    kind: str
    alpha: float = 1.0
    clamp: float | None = None
    offset: float = 0.0


def activate(act, u, g=None, element="f32"):
    """act(u, g) with a gate, act(u) without; u and g of one shape."""
    kind = computing(element)
    u = np.asarray(u, kind)
    x = u if g is None else np.asarray(g, kind)
    if act.clamp is not None:
        limit = kind(act.clamp)
        x, u = np.minimum(x, limit), np.clip(u, -limit, limit)
    if act.kind == "identity":
        y = x
    elif act.kind == "silu":
        y = x * sigmoid(x)
    elif act.kind == "gelu":
        y = kind(0.5) * x * (1 + np.vectorize(math.erf, otypes=[kind])(x * kind(math.sqrt(0.5))))
    elif act.kind == "gelu_tanh":
        y = kind(0.5) * x * (1 + np.tanh(kind(math.sqrt(2 / math.pi)) * (x + kind(0.044715) * x * x * x)))
    elif act.kind == "relu":
        y = np.maximum(x, 0)
    elif act.kind == "relu2":
        y = np.maximum(x, 0) * np.maximum(x, 0)
    elif act.kind == "sigmoid_alpha":
        y = x * sigmoid(kind(act.alpha) * x)
    elif act.kind == "tanh":
        y = np.tanh(x)
    else:
        raise ValueError(f"no activation {act.kind}")
    if g is not None:
        y = y * (u + kind(act.offset))
    return round_to(y, element)


@dataclass
class Specials:
    """`<zero = a, identity = b, constant = c>` with the values of the constants [c, D] and their mixing [c, D, 2]."""

    zero: int = 0
    identity: int = 0
    constant: int = 0
    constants: np.ndarray | None = None
    mixing: np.ndarray | None = None


def special_expert(x, which, specials, element="f32"):
    """Special expert number `which` (0 is the first behind the real ones) of x [D] -> [D]."""
    if which < specials.zero:
        return np.zeros_like(x)
    if which < specials.zero + specials.identity:
        return x
    j = which - specials.zero - specials.identity
    if specials.mixing is None:
        return specials.constants[j]
    a = softmax(contract(x, specials.mixing[j], "f64" if element == "f64" else "f32"))
    return a[0] * x + a[1] * specials.constants[j]


def special_experts(x, ids, p, experts, specials, element="f32"):
    """Section 5: the sum over slots of special experts, x [T, D], ids and p [T, k] -> [T, D]."""
    y = np.zeros(x.shape, computing(element))
    for t in range(len(x)):
        for j, i in enumerate(ids[t]):
            if experts <= i < experts + specials.zero + specials.identity + specials.constant:
                if i - experts >= specials.zero:
                    y[t] = y[t] + p[t, j] * special_expert(x[t], i - experts, specials, element)
    return round_to(y, element)


def expert(x, i, act, up, gate, down, up_bias, gate_bias, down_bias, element="f32"):
    """expert_i of rows x [..., D] -> [..., D]; weights and biases as in `experts`."""

    def affine(rows, w, bias):
        y = contract(rows, entry(w, i), element)
        return y if bias is None else round_to(y + entry(bias, i)[0], element)

    u = affine(x, up, up_bias)
    g = None if gate is None else affine(x, gate, gate_bias)
    return affine(activate(act, u, g, element), down, down_bias)


def experts(x, ids, p, up, down, *, act, gate=None, up_bias=None, gate_bias=None, down_bias=None, gated="on_output",
            specials=None, count=None, element="f32"):
    """4.2 moe.experts: x [T, D], ids and p [T, k] -> y [T, D].

    up and gate [E,] D, F; down [E,] F, D; biases [E,] 1, F or [E,] 1, D; `count` is E, needed only where no weight has
    an axis."""
    x = np.asarray(x, computing(element))
    p = np.asarray(p, computing(element))
    for w in (up, down, gate, up_bias, gate_bias, down_bias):
        count = len(w) if w is not None and w.ndim == 3 else count
    y = np.zeros(x.shape, computing(element))
    for t in range(len(x)):
        for j, i in enumerate(ids[t]):
            if 0 <= i < count:
                row = x[t] if gated == "on_output" else round_to(p[t, j] * x[t], element)
                value = expert(row, i, act, up, gate, down, up_bias, gate_bias, down_bias, element)
                y[t] = y[t] + (p[t, j] * value if gated == "on_output" else value)
    y = round_to(y, element)
    if specials is not None:
        y = round_to(y + special_experts(x, ids, p, count, specials, element), element)
    return y


# ---------------------------------------------------------------------------------------------------------------------
# 5. Slot form


def apply(x, w, ids=None, element="f32"):
    """x [T, IN] or [T, S, IN] times w[ids] -> [T, S, OUT]; a weight without axis is masked by the ids, if there are any."""
    if ids is None:
        return contract(x, w, element)
    y = np.zeros(ids.shape + (w.shape[-1],), computing(element))
    for t in range(ids.shape[0]):
        for s in range(ids.shape[1]):
            if 0 <= ids[t, s] and (w.ndim == 2 or ids[t, s] < len(w)):
                y[t, s] = contract(x[t] if x.ndim == 2 else x[t, s], entry(w, ids[t, s]), element)
    return y


def lookup(w, ids):
    """w [n,] 1, F at ids [T, S] or [P] -> [T, S, F] or [P, F]."""
    y = np.zeros(ids.shape + (w.shape[-1],), w.dtype)
    for place in np.ndindex(ids.shape):
        if 0 <= ids[place] and (w.ndim == 2 or ids[place] < len(w)):
            y[place] = entry(w, ids[place])[0]
    return y


def clusters_of(ids, table, most, count=2**31):
    """ids [T, k] by table [E] to `count` = G clusters, at most `most` = M -> clusters [T, M], slot [T, k]."""
    clusters = np.full((len(ids), most), -1, np.int32)
    slot = np.full(ids.shape, -1, np.int32)
    for t in range(len(ids)):
        used = []
        for j, i in enumerate(ids[t]):
            if not (0 <= i < len(table) and 0 <= table[i] < count):
                continue
            cluster = int(table[i])
            if cluster not in used and len(used) < most:
                used.append(cluster)
            if cluster in used:
                slot[t, j] = used.index(cluster)
        clusters[t, : len(used)] = used
    return clusters, slot


def spread(x, slot=None, count=None, ids=None):
    """x [T, M, F] at slot [T, k] -> [T, k, F]; without slot x [T, F] -> [T, count, F], or for ids [T, k] -> [T, k, F]."""
    if slot is None and ids is None:
        return np.repeat(x[:, None, :], count, axis=1)
    if slot is None:
        return np.where((ids >= 0)[..., None], x[:, None, :], x.dtype.type(0))
    y = np.zeros(slot.shape + (x.shape[2],), x.dtype)
    for t in range(slot.shape[0]):
        for j in range(slot.shape[1]):
            if 0 <= slot[t, j] < x.shape[1]:
                y[t, j] = x[t, slot[t, j]]
    return y


def scale_rows(x, p, element="f32"):
    """x [T, k, F] by p [T, k] -> [T, k, F]; x [T, F] by p [T, k] -> [T, k, F]; x [T, F] by p [T] -> [T, F]."""
    x = x[:, None, :] if p.ndim == 2 and x.ndim == 2 else x
    return round_to(p[..., None] * x, element)


def combine(x, p=None, slot=None, most=None, element="f32"):
    """x [T, k, F], p [T, k] -> [T, F]; with slot [T, k] -> [T, most, F]."""
    tokens, k, width = x.shape
    y = np.zeros((tokens, most or 1, width), computing(element))
    for t in range(tokens):
        for j in range(k):
            m = 0 if slot is None else slot[t, j]
            if 0 <= m < y.shape[1]:
                y[t, m] = y[t, m] + (x[t, j] if p is None else p[t, j] * x[t, j])
    return round_to(y if slot is not None else y[:, 0], element)


def real_experts(ids, p, experts):
    """ids and p [T, k] -> the same without special experts: id -1, weight 0."""
    real = (ids >= 0) & (ids < experts)
    return np.where(real, ids, -1).astype(np.int32), np.where(real, p, 0).astype(p.dtype)


# ---------------------------------------------------------------------------------------------------------------------
# 6. Scheduled form


def group(clusters, slot, ids, p, count):
    """clusters [T, M] of `count` = G, slot (None: choice j uses row j), ids and p [T, k] ->
    row_token [T*M], row_offsets [G + 1], pair_row, pair_expert, pair_weight [T*k]."""
    tokens, most = clusters.shape
    slot = np.tile(np.arange(ids.shape[1]), (tokens, 1)) if slot is None else slot
    row_token, row_offsets = np.full(tokens * most, -1, np.int32), np.zeros(count + 1, np.int32)
    pairs = ids.size
    pair_row, pair_expert = np.full(pairs, -1, np.int32), np.full(pairs, -1, np.int32)
    pair_weight = np.zeros(pairs, p.dtype)
    row = pair = 0
    for cluster in range(count):
        row_offsets[cluster] = row
        for t in range(tokens):
            for m in range(most):
                if clusters[t, m] != cluster:
                    continue
                row_token[row] = t
                for j in range(ids.shape[1]):
                    if slot[t, j] == m and ids[t, j] >= 0:
                        pair_row[pair], pair_expert[pair], pair_weight[pair] = row, ids[t, j], p[t, j]
                        pair += 1
                row += 1
    row_offsets[count] = row
    return row_token, row_offsets, pair_row, pair_expert, pair_weight


def gather(x, index, missing=0):
    """x [n, ...] at index [m] -> [m, ...]; `missing` (0; -1 for ids and integers) for -1 and for an index beyond x."""
    y = np.full(index.shape + x.shape[1:], missing, x.dtype)
    for i, source in enumerate(index):
        if 0 <= source < len(x):
            y[i] = x[source]
    return y


def scatter_combine(x, index, init, p=None, accumulate=False, element="f32"):
    """init [n, F] (zeroed unless `accumulate`) with p[i]·x[i] added at index[i]; x [m, F], index and p [m]."""
    y = np.array(init, computing(element)) if accumulate else np.zeros(init.shape, computing(element))
    for i, target in enumerate(index):
        if 0 <= target < len(y):
            y[target] = y[target] + (x[i] if p is None else p[i] * x[i])
    return round_to(y, element)


def rounded_rows(x, rounding):
    """6, `rounded`: to bf16, or to symmetric int8 in groups of `rounding` columns."""
    if rounding == "bf16":
        return round_to(x, "bf16")
    y = np.zeros_like(np.asarray(x, np.float32))
    for row, out in zip(np.asarray(x, np.float32), y):
        for first in range(0, len(row), rounding):
            part = row[first : first + rounding]
            largest = np.abs(part).max()
            if not np.isfinite(largest):
                out[first : first + rounding] = np.nan
            elif largest >= np.float32(2.0**-100):
                codes = np.rint(part * (np.float32(127) / largest))
                out[first : first + rounding] = codes * (largest / np.float32(127))
    return y


def grouped_matmul(x, weights, rows, *, bias=None, groups=None, entries=None, pairs=None, residual=None, segment=None,
                   act=None, init=None, experts=math.inf, element="f32", rounding=None):
    """6: x [R, IN] -> [rows, OUT]. `weights` and `bias` are lists of one or two (up, gate).

    groups: offsets [G + 1]; entries: [R]; pairs: (row [P], expert [P]); residual: a list of one or two (a, b); segment:
    (v [P, r], b, weight [P] or None); init: what `accumulate` adds to; experts: E of the pairs' ids.
    A pair without expert has no residual, no bias and no part in a segment. rounding: "bf16", or the group of int8."""
    read = rounded_rows(x, rounding) if rounding else x

    def picks(i):
        """Entry of the weights that row i uses: None if the row is zero, 0 for a weight without axis."""
        if not 0 <= i < len(x):
            return None
        if groups is not None:
            inside = [c for c in range(len(groups) - 1) if groups[c] <= i < groups[c + 1]]
            return inside[0] if inside else None
        if entries is not None:
            return int(entries[i]) if 0 <= entries[i] < len(weights[0]) else None
        return 0

    def one(n, i, p):
        """Result row of weight n from row i (and pair p), before the activation; in the type of computation."""
        y = exact(read[i], entry(weights[n], picks(i)))
        known = p is not None and 0 <= pairs[1][p] < experts
        if known and residual:
            a, b = residual[n]
            y = y + exact(exact(x[i], entry(a, pairs[1][p])), entry(b, pairs[1][p]))
        if bias and (known or p is None):
            y = y + entry(bias[n], picks(i) if p is None else pairs[1][p])[0]
        if segment is not None:
            v, b, weight = segment
            for q in range(len(pairs[0])):
                if pairs[0][q] == i and 0 <= pairs[1][q] < experts:
                    scale = 1 if weight is None else weight[q]
                    y = y + scale * exact(v[q], entry(b, pairs[1][q]))
        return y

    def exact(row, matrix):
        return contract(row, matrix, "f64" if element == "f64" else "f32")

    by_pair = pairs is not None and segment is None
    y = np.zeros((rows, weights[0].shape[-1]), computing(element))
    for out in range(rows):
        i = int(pairs[0][out]) if by_pair else out
        if picks(i) is None:
            continue
        values = [one(n, i, out if by_pair else None) for n in range(len(weights))]
        if act is not None:
            u, *g = [round_to(value, element) for value in values]
            y[out] = activate(act, u, *g, element=element)
        else:
            y[out] = values[0]
    return round_to(y if init is None else y + init, element)
