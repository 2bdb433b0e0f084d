"""What a run costs on the host with JAX on XLA's CPU client, the peer of src/xla-overhead.ts: adds a number to so many
donated arrays of 4 numbers. One run for every line on stdin, one JSON line each."""

import argparse
import json
import os
import sys
import time
from functools import partial

os.environ["JAX_PLATFORMS"] = "cpu"

import jax
import jax.numpy as jnp
import numpy as np

parser = argparse.ArgumentParser()
parser.add_argument("--tensors", type=int, required=True)
state = [jnp.full(4, float(i)) for i in range(parser.parse_args().tensors)]


@partial(jax.jit, donate_argnums=0)
def additions(state, x):
    sums = [w + x for w in state]
    return sums, sums[0] + 0


x = np.float32(1)
for line in sys.stdin:
    if line.strip() == "end":
        break
    start = time.perf_counter()
    state, first = additions(state, x)
    np.asarray(first)
    jax.block_until_ready(state)
    seconds = time.perf_counter() - start
    print(json.dumps({"seconds": seconds, "version": jax.__version__}), flush=True)
