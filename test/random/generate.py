"""Random valid modules over the moe dialect: `generate.py SEED` prints one.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

A module has one function @f of one of two kinds: a layer (router, weight expressions, moe.experts, things around it), or
a graph of slot-form operations. Sizes are small, values are seeded, and everything the dialect allows may come up: ids of
-1 and outside the count, empty clusters, special experts, narrow limits, every choice and activation.
"""

import random
import sys


class Module:
    """One module under construction: params, arguments and operations as text."""

    def __init__(self, seed):
        self.draw = random.Random(seed)
        self.params, self.arguments, self.lines, self.results = [], [], [], []
        self.named = 0
        draw = self.draw
        self.element = draw.choice(["f32"] * 5 + ["f64"])
        self.experts = draw.choice([1, 2, 3, 4, 6, 8])
        self.clusters = draw.randint(1, self.experts)
        self.k = draw.randint(1, min(self.experts, 4))
        self.width = draw.choice([4, 6, 8, 12])
        self.inner = draw.choice([3, 4, 8, 10])
        self.tokens = draw.choice([0, 1, 2, 5, 7])

    # Text

    def name(self):
        self.named += 1
        return f"%v{self.named}"

    def op(self, text):
        result = self.name()
        self.lines.append(f"{result} = {text}")
        return result

    def argument(self, kind):
        name = f"%a{len(self.arguments)}"
        self.arguments.append((name, kind))
        return name

    def tensor(self, *shape, element=None):
        return "tensor<" + "x".join([*map(str, shape), element or self.element]) + ">"

    def real(self, low=0.1, high=2.0):
        return f"{self.draw.uniform(low, high):.3f}"

    def text(self):
        arguments = ", ".join(f"{name}: {kind}" for name, kind in self.arguments)
        names = ", ".join(name for name, _ in self.results)
        kinds = ", ".join(kind for _, kind in self.results)
        body = "\n".join("    " + line for line in [*self.lines, f"return {names} : {kinds}"])
        params = "\n".join("  " + param for param in self.params)
        return f"// tokens: {self.tokens}\nmodule {{\n{params}\n  func.func @f({arguments}) -> ({kinds}) {{\n{body}\n  }}\n}}\n"

    # Weights: values are (name, rows, columns, axis, count)

    def weight_type(self, rows, columns, axis):
        suffix = {None: "", "expert": f", expert[{self.experts}]", "cluster": f", cluster[{self.clusters}]"}
        index = suffix[axis] if axis in suffix else f", {axis}"
        return f"!moe.weight<{rows}x{columns}x{self.element}{index}>"

    def leaf(self, rows, columns, axis):
        kind = self.weight_type(rows, columns, axis)
        if self.draw.random() < 0.15:
            count = {None: [], "expert": [self.experts], "cluster": [self.clusters]}.get(axis)
            if count is not None:
                argument_kind = self.tensor(*count, rows, columns)
                return self.op(f"moe.wrap {self.argument(argument_kind)} : {argument_kind} to {kind}")
        if axis in ("expert", "cluster") and self.draw.random() < 0.25:
            return self.op(f"moe.leaf {self.recipe(rows, columns, axis)} : {kind}")
        encodings = ["bf16", "f16", "int8", "int8 zero_point", "f8e4m3"]
        if rows % 4 == 0:
            encodings += ["int4 group 4", "int4 group 4 zero_point scale f16", "int8 group 4"]
        encoding = f" encoding <{self.draw.choice(encodings)}>" if self.draw.random() < 0.1 else ""
        return self.op(f"moe.leaf {self.param(kind, self.seeded(), encoding)} : {kind}")

    def param(self, kind, source, encoding=""):
        symbol = f"@p{len(self.params)}"
        self.params.append(f"moe.param private {symbol} : {kind} = {source}{encoding}")
        return symbol

    def seeded(self):
        return f"#moe.seeded<{self.draw.randint(0, 1000)} scale 0.5>"

    def recipe(self, rows, columns, axis):
        """A param whose values come from other params: what compression makes."""
        draw, kind = self.draw, self.weight_type(rows, columns, axis)
        if axis == "cluster":
            of = self.param(self.weight_type(rows, columns, "expert"), self.seeded())
            weighted = ""
            if draw.random() < 0.6:
                weighted = f" weighted [{', '.join(f'{draw.choice([0.0, draw.uniform(0, 3)]):e}' for _ in range(self.experts))}]"
            return self.param(kind, f"#moe.mean<{of} by {self.table_param()}{weighted}>")
        if draw.random() < 0.5:
            of = self.param(kind, self.seeded())
            side, size = draw.choice([("input", rows), ("output", columns)])
            orders = [draw.sample(range(size), size) for _ in range(self.experts)]
            return self.param(kind, f"#moe.permuted<{side} of {of} by dense<{orders}> : tensor<{self.experts}x{size}xi32>>")
        # A factor of the residuals of something that has this rank.
        side = draw.choice(["input", "output"])
        rank, size = (columns, rows) if side == "input" else (rows, columns)
        if rank > size:
            side, rank, size = ("output" if side == "input" else "input"), size, rank
        other = draw.randint(rank, rank + 4)
        shape = (size, other) if side == "input" else (other, size)
        of = self.param(self.weight_type(*shape, "expert"), self.seeded())
        if draw.random() < 0.2:
            return self.param(kind, f"#moe.svd<{side} rank {rank} of {of}>")
        by = self.table_param()
        base = self.param(self.weight_type(*shape, "cluster"), f"#moe.mean<{of} by {by}>", draw.choice(["", " encoding <bf16>"]))
        return self.param(kind, f"#moe.svd<{side} rank {rank} of {of} minus {base} by {by}>")

    def table_param(self):
        targets = [self.draw.randrange(self.clusters) for _ in range(self.experts)]
        kind = f"!moe.table<expert[{self.experts}] -> cluster[{self.clusters}]>"
        return self.param(kind, f"dense<{targets}> : tensor<{self.experts}xi32>")

    def table(self):
        kind = f"!moe.table<expert[{self.experts}] -> cluster[{self.clusters}]>"
        if not hasattr(self, "tables"):
            self.tables = []
        if self.tables and self.draw.random() < 0.9:
            return self.draw.choice(self.tables), kind
        if self.draw.random() < 0.2:
            argument_kind = f"tensor<{self.experts}xi32>"
            value = self.op(f"moe.wrap {self.argument(argument_kind)} : {argument_kind} to {kind}")
        else:
            targets = [self.draw.randrange(self.clusters) for _ in range(self.experts)]
            symbol = f"@t{len(self.params)}"
            self.params.append(f"moe.param private {symbol} : {kind} = dense<{targets}> : tensor<{self.experts}xi32>")
            value = self.op(f"moe.leaf {symbol} : {kind}")
        self.tables.append(value)
        return value, kind

    def weight(self, rows, columns, axis="expert", depth=3):
        """A random expression of the given matrix, indexed by `axis` or, where allowed, by nothing."""
        draw = self.draw
        if depth == 0:
            return self.leaf(rows, columns, axis), axis
        form = draw.choice(["leaf", "select", "none", "add", "mul", "mul", "add", "mix", "scale", "ragged", "sparse"])
        if form == "none":
            return self.leaf(rows, columns, None), None
        if form == "select" and axis == "expert":
            inner, inner_axis = self.weight(rows, columns, "cluster", depth - 1)
            if inner_axis is None:
                return inner, None
            table, table_kind = self.table()
            kind = self.weight_type(rows, columns, "cluster")
            return self.op(f"moe.weight.select {inner} by {table} : {kind}, {table_kind}"), "expert"
        if form == "add":
            left, left_axis = self.weight(rows, columns, axis, depth - 1)
            right, right_axis = self.weight(rows, columns, axis, depth - 1)
            kinds = f"{self.weight_type(rows, columns, left_axis)}, {self.weight_type(rows, columns, right_axis)}"
            return self.op(f"moe.weight.add {left}, {right} : {kinds}"), left_axis or right_axis
        if form == "mul":
            rank = draw.randint(1, 4)
            left, left_axis = self.weight(rows, rank, axis, depth - 1)
            right, right_axis = self.weight(rank, columns, axis, depth - 1)
            kinds = f"{self.weight_type(rows, rank, left_axis)}, {self.weight_type(rank, columns, right_axis)}"
            return self.op(f"moe.weight.mul {left}, {right} : {kinds}"), left_axis or right_axis
        if form == "mix":
            m = draw.randint(1, 3)
            basis = self.leaf(rows, columns, f"basis[{m}]")
            alpha = self.leaf(1, m, axis)
            phi = draw.choice(["", "phi silu ", "phi tanh "])
            kinds = f"{self.weight_type(rows, columns, f'basis[{m}]')}, {self.weight_type(1, m, axis)}"
            return self.op(f"moe.weight.mix {phi}{basis}, {alpha} : {kinds}"), axis
        if form == "scale":
            side = draw.choice(["input", "output"])
            inner, inner_axis = self.weight(rows, columns, axis, depth - 1)
            size = rows if side == "input" else columns
            diagonal_axis = draw.choice([axis, None])
            diagonal = self.leaf(1, size, diagonal_axis)
            kinds = f"{self.weight_type(rows, columns, inner_axis)}, {self.weight_type(1, size, diagonal_axis)}"
            return self.op(f"moe.weight.scale {side} {inner}, {diagonal} : {kinds}"), inner_axis or diagonal_axis
        if form == "ragged":
            side = draw.choice(["input", "output"])
            inner, inner_axis = self.weight(rows, columns, axis, depth - 1)
            count = {None: 1, "expert": self.experts, "cluster": self.clusters}[inner_axis]
            most = rows if side == "input" else columns
            sizes = [draw.randint(-1, most) for _ in range(count)]
            value = self.op(f"arith.constant dense<{sizes}> : tensor<{count}xi32>")
            kind = self.weight_type(rows, columns, inner_axis)
            return self.op(f"moe.weight.ragged {side} {inner} to {value} : {kind}, tensor<{count}xi32>"), inner_axis
        if form == "sparse":
            nonzeros = draw.randint(1, 5)
            count = {"expert": self.experts, "cluster": self.clusters}[axis]
            positions = [[[draw.randint(-1, rows), draw.randint(-1, columns)] for _ in range(nonzeros)] for _ in range(count)]
            kind = f"tensor<{count}x{nonzeros}x2xi32>"
            at = self.op(f"arith.constant dense<{positions}> : {kind}")
            values = self.leaf(1, nonzeros, axis)
            result = self.weight_type(rows, columns, axis)
            kinds = f"{self.weight_type(1, nonzeros, axis)}, {kind} -> {result}"
            return self.op(f"moe.weight.sparse {values} at {at} : {kinds}"), axis
        return self.leaf(rows, columns, axis), axis

    # Routing

    def id_kind(self, slots, axis="expert", specials=0):
        count = self.experts if axis == "expert" else self.clusters
        return f"tensor<?x{slots}x!moe.id<{axis}[{count}{f'+{specials}' if specials else ''}]>>"

    def free_ids(self, specials=0):
        """Ids and gate weights straight from arguments: -1 and numbers outside may come up."""
        plain = f"tensor<?x{self.k}xi32>"
        ids = self.op(f"moe.id_cast {self.argument(plain)} : {plain} to {self.id_kind(self.k, 'expert', specials)}")
        return ids, self.argument(self.tensor("?", self.k))

    def route(self, specials):
        """A random router; returns ids and gate weights."""
        draw, total = self.draw, self.experts + (specials[1] if specials else 0)
        kind = draw.choice(["top_k"] * 5 + ["top_p", "threshold", "expert_choice", "hash", "sparsemixer"])
        if kind == "sparsemixer" and total < 2:
            kind = "top_k"
        score = draw.choice(["softmax", "sigmoid", "sqrt_softplus", "identity"])
        score = {"top_p": "softmax", "sparsemixer": "identity"}.get(kind, score)
        operands, kinds = [self.argument(self.tensor("?", total))], [self.tensor("?", total)]
        text = f"moe.route {operands[0]} score {score}"
        k = 2 if kind == "sparsemixer" else self.k
        self.k = k
        if kind not in ("hash", "sparsemixer") and draw.random() < 0.3:
            operands.append(self.argument(self.tensor(total)))
            kinds.append(self.tensor(total))
            text += f" bias {operands[-1]}"
        if kind == "top_k" and draw.random() < 0.4:
            text += self.limit(total, k, score, operands, kinds)
        value = {"top_p": " at 0.7", "threshold": f" at {self.real(0.05, 0.4)}", "expert_choice": f" at {self.real(0.5, 2.0)}",
                 "sparsemixer": " at 0.1"}.get(kind, "")
        text += f" choose <{kind} {k}{value}>"
        if kind == "hash":
            plain = f"tensor<11x{k}xi32>"
            table_kind = f"tensor<11x{k}x{self.id_kind(k, 'expert', specials[1] if specials else 0).split('x', 2)[2]}"
            table = self.argument(plain)
            cast = self.op(f"moe.id_cast {table} : {plain} to {table_kind}")
            operands += [cast, self.argument("tensor<?xi32>")]
            kinds += [table_kind, "tensor<?xi32>"]
            text += f" from {operands[-2]} at {operands[-1]}"
        source = "sparsemixer" if kind == "sparsemixer" else "scores"
        if score == "identity" and kind != "sparsemixer":
            source = draw.choice(["scores", "softmax", "sigmoid"])
        norm = draw.choice(["", ", l1", ", l2", ", l1_floor eps 0.01", ", l1 eps 0.001"])
        if source == "scores" and score == "identity":
            norm = ""
        scale = f" scale {self.real()}" if draw.random() < 0.3 else ""
        text += f" gates <{source}{norm}{scale}>"
        if kind != "expert_choice" and draw.random() < 0.15:
            floor = f" at_least {draw.randint(1, 3)}" if draw.random() < 0.3 else ""
            text += f" capacity <{self.real(0.5, 1.5)}{floor} drop {draw.choice(['last', 'lowest'])}>"
        if specials:
            text += f" specials {specials[0]}"
        id_kind, weight_kind = self.id_kind(k, "expert", specials[1] if specials else 0), self.tensor("?", k)
        ids, weights = self.name(), self.name()
        self.lines.append(f"{ids}, {weights} = {text} : ({', '.join(kinds)}) -> ({id_kind}, {weight_kind})")
        return ids, weights

    def limit(self, total, k, score, operands, kinds):
        draw = self.draw
        masked = " masked zero" if score != "identity" and draw.random() < 0.3 else ""
        if draw.random() < 0.6:
            groups = self.clusters
            table, table_kind = self.table()
            suffix = f" clusters {table}"
            by = draw.choice(["max", "top2_sum", "sum", "logits"])
            keep = draw.randint(1, groups)
            operands.append(table)
            kinds.append(table_kind)
        else:
            groups = draw.choice([g for g in range(1, total + 1) if total % g == 0])
            fitting = [m for m in range(1, groups + 1) if m * (total // groups) >= k]
            keep, suffix = draw.choice(fitting), ""
            by = draw.choice(["max", "sum", "logits"] + (["top2_sum"] if total // groups >= 2 else []))
        if by == "logits":
            operands.append(self.argument(self.tensor("?", groups)))
            kinds.append(self.tensor("?", groups))
            suffix += f" scored by {operands[-1]}"
        return f" limit <keep {keep} of {groups} by {by}{masked}>{suffix}"

    def activation(self, gated):
        draw = self.draw
        kind = draw.choice(["identity", "silu", "gelu", "gelu_tanh", "relu", "relu2", "sigmoid_alpha", "tanh"])
        text = kind
        if kind == "sigmoid_alpha" and draw.random() < 0.7:
            text += " alpha 1.702"
        if draw.random() < 0.3:
            text += f" clamp {self.real(0.3, 1.0)}"
        if gated and draw.random() < 0.3:
            text += f" offset {self.real()}"
        return f"<{text}>"

    # Kinds of functions

    def layer(self):
        """Router, expert layer, and something around it."""
        draw, wide = self.draw, self.tensor("?", self.width)
        specials = None
        if draw.random() < 0.2:
            counts = [draw.randint(0, 1), draw.randint(0, 2), draw.randint(0, 2)]
            if sum(counts) == 0:
                counts[1] = 1
            parts = [f"{name} {count}" for name, count in zip(("zero", "identity", "constant"), counts) if count]
            specials = (f"<{' '.join(parts)}>", sum(counts), counts[2])
        x = self.argument(wide)
        ids, p = self.route(specials) if draw.random() < 0.8 else self.free_ids(specials[1] if specials else 0)
        depth = draw.choice([0, 2, 3, 3])
        operands = [x, ids, p]
        kinds = [wide, self.id_kind(self.k, "expert", specials[1] if specials else 0), self.tensor("?", self.k)]
        text = f"moe.experts {x} to {ids} weighted {p}"
        if draw.random() < 0.25:
            text += " gated on_input"
        gated = draw.random() < 0.7
        shapes = [("gate", self.width, self.inner)] if gated else []
        shapes += [("up", self.width, self.inner), ("down", self.inner, self.width)]
        if gated and draw.random() < 0.3:
            shapes.append(("gate_bias", 1, self.inner))
        shapes += [(name, 1, size) for name, size in (("up_bias", self.inner), ("down_bias", self.width)) if draw.random() < 0.3]
        for name, rows, columns in shapes:
            weight, axis = self.weight(rows, columns, "expert", depth)
            operands.append(weight)
            kinds.append(self.weight_type(rows, columns, axis))
            text += f" {name} {weight}"
        text += f" act {self.activation(gated)}"
        if specials:
            text += f" specials {specials[0]}"
            if specials[2]:
                operands.append(self.argument(self.tensor(specials[2], self.width)))
                kinds.append(self.tensor(specials[2], self.width))
                text += f" constants {operands[-1]}"
                if draw.random() < 0.5:
                    operands.append(self.argument(self.tensor(specials[2], self.width, 2)))
                    kinds.append(self.tensor(specials[2], self.width, 2))
                    text += f" mixed by {operands[-1]}"
        y = self.op(f"{text} : ({', '.join(kinds)}) -> {wide}")
        if draw.random() < 0.5:
            y = self.op(f"arith.addf {y}, {x} : {wide}")
        self.results = [(y, wide)]
        return self

    def slots(self):
        """A random graph of slot-form operations."""
        draw = self.draw
        ids, p = self.route(None) if draw.random() < 0.5 else self.free_ids()
        id_kind, p_kind = self.id_kind(self.k), self.tensor("?", self.k)
        if draw.random() < 0.5:
            real, masked = self.name(), self.name()
            self.lines.append(f"{real}, {masked} = moe.real_experts {ids}, {p} : {id_kind}, {p_kind} -> {id_kind}")
            ids, p = real, masked
        table, table_kind = self.table()
        m = min(self.k, self.clusters)
        clusters, slot = self.name(), self.name()
        cluster_kind, slot_kind = self.id_kind(m, "cluster"), f"tensor<?x{self.k}xi32>"
        self.lines.append(f"{clusters}, {slot} = moe.clusters_of {ids} by {table} : {id_kind}, {table_kind} -> {cluster_kind}, {slot_kind}")
        pools = {"tokens": [], "rows": [], "pairs": []}  # (name, features)
        pools["tokens"].append((self.argument(self.tensor("?", self.width)), self.width))
        extent = {"tokens": [], "rows": [m], "pairs": [self.k]}

        def kind_of(pool, features):
            return self.tensor("?", *extent[pool], features)

        def put(pool, features, text):
            pools[pool].append((self.op(text), features))

        for _ in range(draw.randint(4, 14)):
            step = draw.choice(["apply", "apply", "apply_clusters", "apply_plain", "lookup", "spread", "spread_rows", "scale",
                                "add", "activate", "combine", "combine", "combine_rows"])
            pool = draw.choice([name for name, values in pools.items() if values])
            x, features = draw.choice(pools[pool])
            source = kind_of(pool, features)
            out = draw.choice([self.width, self.inner])
            if step == "apply" and pool != "rows":
                weight, axis = self.weight(features, out, "expert", 2)
                put("pairs", out, f"moe.apply {x}, {weight} at {ids} : {source}, {self.weight_type(features, out, axis)} "
                                  f"at {id_kind} -> {kind_of('pairs', out)}")
            elif step == "apply_clusters" and pool != "pairs":
                weight, axis = self.weight(features, out, "cluster", 2)
                put("rows", out, f"moe.apply {x}, {weight} at {clusters} : {source}, {self.weight_type(features, out, axis)} "
                                 f"at {cluster_kind} -> {kind_of('rows', out)}")
            elif step == "apply_plain":
                weight = self.leaf(features, out, None)
                put(pool, out, f"moe.apply {x}, {weight} : {source}, {self.weight_type(features, out, None)} -> {kind_of(pool, out)}")
            elif step == "lookup":
                weight, axis = self.weight(1, out, "expert", 2)
                put("pairs", out, f"moe.lookup {weight} at {ids} : {self.weight_type(1, out, axis)}, {id_kind} -> {kind_of('pairs', out)}")
            elif step == "spread" and pool == "tokens":
                form, suffix = draw.choice([(f" for {ids}", f" for {id_kind}"), ("", "")])
                put("pairs", features, f"moe.spread {x}{form} : {source}{suffix} -> {kind_of('pairs', features)}")
            elif step == "spread_rows" and pool == "rows":
                put("pairs", features, f"moe.spread {x} at {slot} : {source} at {slot_kind} -> {kind_of('pairs', features)}")
            elif step == "scale" and pool != "rows":
                put("pairs", features, f"moe.scale_rows {x} by {p} : {source}, {p_kind} -> {kind_of('pairs', features)}")
            elif step in ("add", "activate"):
                y = draw.choice([name for name, other in pools[pool] if other == features])
                if step == "add":
                    put(pool, features, f"arith.{draw.choice(['addf', 'mulf'])} {x}, {y} : {source}")
                else:
                    put(pool, features, f"moe.activate {self.activation(True)} {x} gated by {y} : {source}")
            elif step == "combine" and pool == "pairs":
                weighted = draw.random() < 0.7
                into = draw.random() < 0.4
                target = "rows" if into else "tokens"
                put(target, features,
                    f"moe.combine {x}{f' weighted {p}' if weighted else ''}{f' into {slot}' if into else ''} : {source}"
                    f"{f' weighted {p_kind}' if weighted else ''}{f' into {slot_kind}' if into else ''} -> {kind_of(target, features)}")
            elif step == "combine_rows" and pool == "rows":
                put("tokens", features, f"moe.combine {x} : {source} -> {kind_of('tokens', features)}")
        made = [(value, kind_of(pool, features)) for pool, values in pools.items() for value, features in values]
        self.results = draw.sample(made[1:] or made, min(len(made[1:] or made), 3))
        # The last tokens, too: what a layer would return.
        return self


def generate(seed):
    """Text of the module of a seed: same seed, same text."""
    module = Module(seed)
    return (module.layer() if module.draw.random() < 0.6 else module.slots()).text()


if __name__ == "__main__":
    print(generate(int(sys.argv[1])), end="")
