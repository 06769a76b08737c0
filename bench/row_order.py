"""Experts of 16 rows that a warp finishes together, by the order that moe.group's kernels give the rows of a cluster.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

    python bench/row_order.py

Draws what tokens choose: in each cluster some experts are chosen more often than others (logits of deviation 0.5). Prints, for
each order, the mean number of experts that any of 16 rows has. docs/cuda.md has the table.
"""

import numpy as np

# Clusters, experts of each, experts of a row, rows of a cluster about.
CASES = ((4, 8, 2, 256), (4, 8, 2, 1024), (16, 16, 2, 256), (16, 16, 2, 1024), (4, 8, 3, 1024), (16, 16, 8, 1024))
# Name, experts of a row that are compared, rows that are sorted together.
ORDERS = (("by token", 0, 1), ("least expert, runs of 2048", 1, 2048), ("two least, runs of 2048", 2, 2048), ("four least, runs of 512", 4, 512),
          ("four least, runs of 1024", 4, 1024), ("four least, runs of 2048", 4, 2048), ("four least, all rows", 4, 1 << 30))


def choose(random, experts, chosen, rows):
    """The experts of each row in increasing order, [rows, chosen]."""
    logits = 0.5 * random.standard_normal(experts) + random.gumbel(size=(rows, experts))
    return np.sort(np.argsort(-logits, axis=1)[:, :chosen], axis=1)


def experts_of_blocks(random, case, compared, run):
    """Of each 16 rows of each cluster, how many experts they have."""
    clusters, experts, chosen, about = case
    rows = [choose(random, experts, chosen, random.integers(about * 9 // 10, about * 11 // 10)) for _ in range(clusters)]
    cluster = np.repeat(np.arange(clusters), [len(each) for each in rows])
    rows = np.concatenate(rows)
    keys = [*rows[:, :compared].T[::-1], cluster]
    order = np.concatenate([first + np.lexsort([key[first:first + run] for key in keys]) for first in range(0, len(rows), run)])
    rows = rows[order]
    for c in range(clusters):
        own = rows[cluster == c]
        for first in range(0, len(own), 16):
            yield len(np.unique(own[first:first + 16]))


def main():
    print(f"{'':28}" + "".join(f" n={n} k={k} rows={rows}".rjust(18) for _, n, k, rows in CASES))
    for name, compared, run in ORDERS:
        random = np.random.default_rng(1)
        means = [np.mean([count for _ in range(5) for count in experts_of_blocks(random, case, compared, run)]) for case in CASES]
        print(f"{name:28}" + "".join(f"{mean:18.1f}" for mean in means))


if __name__ == "__main__":
    main()
