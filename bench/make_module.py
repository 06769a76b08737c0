"""Writes the module of one contender of a suite: `make_module.py '{"kind": "layer", "width": 64, ...}' > module.mlir`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Takes the fields of a problem and of a contender (bench/README.md) as one JSON object. Activations are f32; weights are
external, so no numbers are stored or read; expert e is in cluster e mod clusters. Kinds:
  kernel  y = x w, or x (w + w_a w_b)
  router  logits to ids and gates
  layer   logits and x to y, by gated experts: the logits are an input, so that whoever measures decides the traffic
  block   x + layer(norm(x)), the logits being norm(x) times the router
  compile a function for each of many layers, which have their own weights
"""

import json
import sys

DEFAULTS = {"form": "uncompressed", "keep": 0, "by": "max", "experts": 1, "clusters": 1, "k": 1, "rank": 0, "layers": 1,
            "encoding": "f16", "residual_encoding": "f16"}  # fmt: skip
PARTS = ("gate", "up", "down")


class Module:
    """Text of a module for one case."""

    def __init__(self, case):
        self.case = case
        self.params = []
        self.lines = []

    def __getattr__(self, name):
        return self.case[name]

    @property
    def compressed(self):
        return self.form == "compressed"

    @property
    def tokens(self):
        return f"tensor<?x{self.width}xf32>"

    @property
    def ids(self):
        return f"tensor<?x{self.k}x!moe.id<expert[{self.experts}]>>"

    @property
    def gates(self):
        return f"tensor<?x{self.k}xf32>"

    @property
    def logits(self):
        return f"tensor<?x{self.experts}xf32>"

    @property
    def table(self):
        return f"!moe.table<expert[{self.experts}] -> cluster[{self.clusters}]>"

    def weight(self, name, rows, columns, axis, encoding):
        """A param and the leaf of it; returns the value and its type."""
        kind = f"!moe.weight<{rows}x{columns}xf32{axis}>"
        self.params.append(f'moe.param private @{name} : {kind} = #moe.external<"model"::"{name}"> encoding <{encoding}>')
        value = "%" + name.replace(".", "_")
        self.lines.append(f"{value} = moe.leaf @{name} : {kind}")
        return value, kind

    def clusters_of_experts(self, prefix):
        """The table of the clusters that experts are in."""
        members = ", ".join(str(expert % self.clusters) for expert in range(self.experts))
        self.params.append(f"moe.param private @{prefix}cluster : {self.table} = dense<[{members}]> : tensor<{self.experts}xi32>")
        value = "%" + prefix.replace(".", "_") + "cluster"
        self.lines.append(f"{value} = moe.leaf @{prefix}cluster : {self.table}")
        return value

    def matrix(self, prefix, part, rows, columns, table):
        """The weight of one matrix of each expert: whole, or base plus factors."""
        experts, name = f", expert[{self.experts}]", prefix + part
        if not self.compressed:
            return self.weight(name, rows, columns, experts, self.encoding)
        full = f"!moe.weight<{rows}x{columns}xf32{experts}>"
        base, base_kind = self.weight(f"{name}_base", rows, columns, f", cluster[{self.clusters}]", self.encoding)
        a, a_kind = self.weight(f"{name}_a", rows, self.rank, experts, self.residual_encoding)
        b, b_kind = self.weight(f"{name}_b", self.rank, columns, experts, self.residual_encoding)
        value = "%" + name.replace(".", "_")
        self.lines += [
            f"{value}_shared = moe.weight.select {base} by {table} : {base_kind}, {self.table}",
            f"{value}_own = moe.weight.mul {a}, {b} : {a_kind}, {b_kind}",
            f"{value} = moe.weight.add {value}_shared, {value}_own : {full}, {full}",
        ]
        return value, full

    def route(self, suffix, logits, table):
        """Ids and gates from logits."""
        limit = f"limit <keep {self.keep} of {self.clusters} by {self.by}> clusters {table} " if self.keep else ""
        kinds = f"({self.logits}, {self.table})" if self.keep else f"({self.logits})"
        self.lines.append(
            f"%ids{suffix}, %p{suffix} = moe.route {logits} score softmax {limit}choose <top_k {self.k}> gates <scores, l1>"
            f" : {kinds} -> ({self.ids}, {self.gates})")  # fmt: skip

    def layer(self, prefix, suffix, x, logits):
        """Routing and experts; returns the sum."""
        table = self.clusters_of_experts(prefix) if self.compressed or self.keep else None
        self.route(suffix, logits, table)
        values, kinds = zip(*(
            self.matrix(prefix, part, *((self.inner, self.width) if part == "down" else (self.width, self.inner)), table)
            for part in PARTS
        ))  # fmt: skip
        self.lines.append(
            f"%e{suffix} = moe.experts {x} to %ids{suffix} weighted %p{suffix} gate {values[0]} up {values[1]} down {values[2]}"
            f" act <silu> : ({self.tokens}, {self.ids}, {self.gates}, {', '.join(kinds)}) -> {self.tokens}")  # fmt: skip
        return f"%e{suffix}"

    def function(self, name, arguments, results):
        """The function around the lines, which end with what it returns."""
        inputs = ", ".join(f'%{argument}: {kind} {{moec.name = "{argument}"}}' for argument, kind in arguments)
        outputs = ", ".join(f'{kind} {{moec.name = "{result}"}}' for result, _, kind in results)
        values = ", ".join(value for _, value, _ in results)
        kinds = ", ".join(kind for _, _, kind in results)
        body = "\n  ".join([*self.lines, f"return {values} : {kinds}"])
        return "\n".join([*self.params, f"func.func @{name}({inputs}) -> ({outputs}) {{\n  {body}\n}}", ""])

    def kernel(self):
        result = f"tensor<?x{self.inner}xf32>"
        value, kind = self.weight("w", self.width, self.inner, "", self.encoding)
        if self.compressed:
            a, a_kind = self.weight("w_a", self.width, self.rank, "", self.residual_encoding)
            b, b_kind = self.weight("w_b", self.rank, self.inner, "", self.residual_encoding)
            self.lines += [
                f"%own = moe.weight.mul {a}, {b} : {a_kind}, {b_kind}",
                f"%sum = moe.weight.add {value}, %own : {kind}, {kind}",
            ]
            value = "%sum"
        self.lines.append(f"%y = moe.apply %x, {value} : {self.tokens}, {kind} -> {result}")
        return self.function("kernel", [("x", self.tokens)], [("y", "%y", result)])

    def router(self):
        table = self.clusters_of_experts("") if self.keep else None
        self.route("", "%logits", table)
        return self.function("router", [("logits", self.logits)], [("ids", "%ids", self.ids), ("gates", "%p", self.gates)])

    def one_layer(self):
        result = self.layer("", "", "%x", "%logits")
        return self.function("layer", [("x", self.tokens), ("logits", self.logits)], [("y", result, self.tokens)])

    def block(self):
        norm, router = f"tensor<{self.width}xf32>", f"tensor<{self.width}x{self.experts}xf32>"
        self.params[:0] = [
            "#row = affine_map<(t, d) -> (t, d)>",
            "#token = affine_map<(t, d) -> (t)>",
            "#feature = affine_map<(t, d) -> (d)>",
        ]
        self.lines += f"""%c0 = arith.constant 0 : index
  %zero = arith.constant 0.0 : f32
  %width = arith.constant {self.width}.0 : f32
  %epsilon = arith.constant 1.0e-6 : f32
  %tokens = tensor.dim %x, %c0 : {self.tokens}
  %sums = tensor.empty(%tokens) : tensor<?xf32>
  %no_sums = linalg.fill ins(%zero : f32) outs(%sums : tensor<?xf32>) -> tensor<?xf32>
  %squares = linalg.generic {{indexing_maps = [#row, #token], iterator_types = ["parallel", "reduction"]}}
      ins(%x : {self.tokens}) outs(%no_sums : tensor<?xf32>) {{
  ^bb0(%v: f32, %sum: f32):
    %square = arith.mulf %v, %v : f32
    %next = arith.addf %sum, %square : f32
    linalg.yield %next : f32
  }} -> tensor<?xf32>
  %like_x = tensor.empty(%tokens) : {self.tokens}
  %n = linalg.generic {{indexing_maps = [#row, #token, #feature, #row], iterator_types = ["parallel", "parallel"]}}
      ins(%x, %squares, %norm : {self.tokens}, tensor<?xf32>, {norm}) outs(%like_x : {self.tokens}) {{
  ^bb0(%v: f32, %sum: f32, %weight: f32, %unused: f32):
    %mean = arith.divf %sum, %width : f32
    %safe = arith.addf %mean, %epsilon : f32
    %scale = math.rsqrt %safe : f32
    %scaled = arith.mulf %v, %scale : f32
    %weighted = arith.mulf %scaled, %weight : f32
    linalg.yield %weighted : f32
  }} -> {self.tokens}
  %like_logits = tensor.empty(%tokens) : {self.logits}
  %no_logits = linalg.fill ins(%zero : f32) outs(%like_logits : {self.logits}) -> {self.logits}
  %logits = linalg.matmul ins(%n, %router : {self.tokens}, {router}) outs(%no_logits : {self.logits}) -> {self.logits}
""".rstrip().split("\n  ")
        experts = self.layer("", "", "%n", "%logits")
        self.lines.append(f"%y = arith.addf %x, {experts} : {self.tokens}")
        return self.function("block", [("x", self.tokens), ("norm", norm), ("router", router)], [("y", "%y", self.tokens)])

    def compile(self):
        functions = []
        for number in range(self.layers):
            self.params, self.lines = [], []
            result = self.layer(f"layer{number}.", "", "%x", "%logits")
            functions.append(self.function(f"layer{number}", [("x", self.tokens), ("logits", self.logits)], [("y", result, self.tokens)]))
        return "\n".join(functions)


def main():
    if len(sys.argv) != 2:
        sys.exit("make_module.py: error: expected one JSON object, as bench/README.md says")
    case = DEFAULTS | json.loads(sys.argv[1])
    makers = {"kernel": Module.kernel, "router": Module.router, "layer": Module.one_layer, "block": Module.block, "compile": Module.compile}
    if case.get("kind") not in makers:
        sys.exit(f"make_module.py: error: expected a kind among {', '.join(makers)}, found {case.get('kind')!r}")
    sys.stdout.write(makers[case["kind"]](Module(case)))


if __name__ == "__main__":
    main()
