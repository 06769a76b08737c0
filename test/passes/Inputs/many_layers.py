"""Prints a module of N equal layers, each with a router, a table and weights of its own: `many_layers.py N`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.
"""

import sys

for layer in range(int(sys.argv[1])):
    table = ", ".join(str((expert + layer) % 2) for expert in range(4))
    print(f"""
moe.param private @layer{layer}.router : !moe.weight<8x4xf32> = #moe.seeded<{layer}>
moe.param private @layer{layer}.cluster : !moe.table<expert[4] -> cluster[2]> = dense<[{table}]> : tensor<4xi32>
moe.param private @layer{layer}.up : !moe.weight<8x6xf32, cluster[2]> = #moe.seeded<{layer + 100}>
moe.param private @layer{layer}.down : !moe.weight<6x8xf32, cluster[2]> = #moe.seeded<{layer + 200}>
func.func @layer{layer}(%x: tensor<?x8xf32> {{moec.name = "x"}}) -> (tensor<?x8xf32> {{moec.name = "y"}}) {{
  %r = moe.leaf @layer{layer}.router : !moe.weight<8x4xf32>
  %l = moe.apply %x, %r : tensor<?x8xf32>, !moe.weight<8x4xf32> -> tensor<?x4xf32>
  %ids, %p = moe.route %l score softmax choose <top_k 2> gates <scores, l1>
    : (tensor<?x4xf32>) -> (tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>)
  %t = moe.leaf @layer{layer}.cluster : !moe.table<expert[4] -> cluster[2]>
  %a = moe.leaf @layer{layer}.up : !moe.weight<8x6xf32, cluster[2]>
  %b = moe.leaf @layer{layer}.down : !moe.weight<6x8xf32, cluster[2]>
  %u = moe.weight.select %a by %t : !moe.weight<8x6xf32, cluster[2]>, !moe.table<expert[4] -> cluster[2]>
  %d = moe.weight.select %b by %t : !moe.weight<6x8xf32, cluster[2]>, !moe.table<expert[4] -> cluster[2]>
  %y = moe.experts %x to %ids weighted %p up %u down %d act <silu>
    : (tensor<?x8xf32>, tensor<?x2x!moe.id<expert[4]>>, tensor<?x2xf32>, !moe.weight<8x6xf32, expert[4]>, !moe.weight<6x8xf32, expert[4]>) -> tensor<?x8xf32>
  return %y : tensor<?x8xf32>
}}""")
