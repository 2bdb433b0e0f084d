"""Rate of matrix products in GFLOP/s, one JSON line: the peer of src/product-worker.ts."""

import argparse
import json
import time

import torch

from mkl import answer_as_intel

# Shapes that follow each other in a chain, so that every product has the one before it as its input.
CHAINS = {"square": [(2048, 2048, 2048)], "vit": [(3152, 192, 768), (3152, 768, 192)]}
LINKS, ROUNDS = 8, 8


def rate(shapes):
    first = shapes[0]
    x = torch.randn(first[0], first[1])
    weights = [torch.randn(k, n) / k**0.5 for _, k, n in shapes]
    flops = LINKS * sum(2 * m * k * n for m, k, n in shapes)
    best = float("inf")
    for _ in range(ROUNDS):
        start, y = time.perf_counter(), x
        for _ in range(LINKS):
            for weight in weights:
                y = y @ weight
        best = min(best, time.perf_counter() - start)
    return flops / best / 1e9


parser = argparse.ArgumentParser()
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--mkl-as-intel", action="store_true")
args = parser.parse_args()
torch.set_num_threads(args.threads)
if args.mkl_as_intel:
    answer_as_intel()
print(json.dumps({name: rate(shapes) for name, shapes in CHAINS.items()}))
