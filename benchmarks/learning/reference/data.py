"""CIFAR binaries, and the order in which a run sees them."""

import gzip
from pathlib import Path

import numpy as np
import torch
from PIL import Image

RECORD = 3073


def load_cifar(folder, part):
    """NHWC bytes and labels of `data_batch_*` (train) or `test_batch` (test)."""
    pattern = "data_batch_*.bin.gz" if part == "train" else "test_batch.bin.gz"
    raw = b"".join(gzip.decompress(path.read_bytes()) for path in sorted(Path(folder).glob(pattern)))
    records = np.frombuffer(raw, np.uint8).reshape(-1, RECORD)
    images = records[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
    return np.ascontiguousarray(images), records[:, 0].astype(np.int64)


def pictures(images):
    return [Image.fromarray(image) for image in images]


def batches(count, batch, seed):
    """Indices of batch after batch: shuffled anew every epoch, the incomplete last batch dropped."""
    generator = torch.Generator().manual_seed(seed)
    while True:
        order = torch.randperm(count, generator=generator)
        for start in range(0, count - batch + 1, batch):
            yield order[start : start + batch].tolist()


MEAN = torch.tensor([0.485, 0.456, 0.406])
STD = torch.tensor([0.229, 0.224, 0.225])


def normalized(images):
    """NHWC bytes to normalised NCHW."""
    return ((torch.from_numpy(images).float() / 255 - MEAN) / STD).permute(0, 3, 1, 2).contiguous()
