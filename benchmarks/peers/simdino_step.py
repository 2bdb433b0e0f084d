"""One whole SimDINO training step in eager PyTorch: the peer of `selfsup bench step --recipe simdino`.

Two 224 px and eight 96 px crops per image through a ViT/16 student, the two large ones through an EMA teacher, the
three-layer projection head, alignment plus coding rate, per-tensor gradient clipping, AdamW (foreach) and EMA
(foreach). Attention is `scaled_dot_product_attention`. Prints one JSON object.

    python simdino_step.py --arch vit_tiny --batch-size 8 --steps 20 --threads 2
    python simdino_step.py --idle          # peak memory of the same imports, for the difference
"""

import argparse
import json
import time

import torch
import torch.nn.functional as F
from torch import nn

WIDTHS = {"vit_tiny": (192, 3), "vit_small": (384, 6), "vit_base": (768, 12)}


def peak_bytes():
    """Peak resident memory of this process (VmHWM)."""
    with open("/proc/self/status") as status:
        for line in status:
            if line.startswith("VmHWM"):
                return int(line.split()[1]) * 1024
    return 0


class Block(nn.Module):
    """Pre-norm transformer block with per-sample stochastic depth on both branches."""

    def __init__(self, width, heads, drop):
        super().__init__()
        self.heads, self.drop = heads, drop
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)

    def branch(self, x):
        if not self.training or self.drop == 0:
            return x
        keep = (torch.rand(x.shape[0], 1, 1) >= self.drop).to(x.dtype)
        return x * (keep / (1 - self.drop))

    def forward(self, x):
        b, n, d = x.shape
        qkv = self.qkv(self.norm1(x)).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        o = F.scaled_dot_product_attention(qkv[0], qkv[1], qkv[2])
        x = x + self.branch(self.proj(o.transpose(1, 2).reshape(b, n, d)))
        return x + self.branch(self.fc2(F.gelu(self.fc1(self.norm2(x)))))


class Network(nn.Module):
    """ViT/16 and the projection head: NCHW images to unit vectors [B, 256]."""

    def __init__(self, width, heads, depth=12, drop_path=0.1):
        super().__init__()
        self.patch = nn.Conv2d(3, width, 16, 16)
        self.cls = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.pos = nn.Parameter(torch.randn(1, 197, width) * 0.02)
        rates = [drop_path * i / (depth - 1) for i in range(depth)]
        self.blocks = nn.ModuleList(Block(width, heads, r) for r in rates)
        self.norm = nn.LayerNorm(width, eps=1e-6)
        self.head = nn.Sequential(
            nn.Linear(width, 2048), nn.GELU(), nn.Linear(2048, 2048), nn.GELU(), nn.Linear(2048, 256)
        )

    def positions(self, side):
        if side == 14:
            return self.pos
        grid = self.pos[:, 1:].reshape(1, 14, 14, -1).permute(0, 3, 1, 2)
        scale = (side + 0.1) / 14
        grid = F.interpolate(grid, scale_factor=(scale, scale), mode="bicubic", align_corners=False)
        return torch.cat([self.pos[:, :1], grid.flatten(2).transpose(1, 2)], 1)

    def backbone(self, images):
        x = self.patch(images).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(x.shape[0], -1, -1), x], 1) + self.positions(images.shape[-1] // 16)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)[:, 0]

    def forward(self, groups):
        return F.normalize(self.head(torch.cat([self.backbone(g) for g in groups])), dim=-1)


def simdino_loss(student, teacher, views, batch, eps=0.05):
    """Alignment of every student view with the other teacher views, and the coding rate of the global views."""
    s, t = student.reshape(views, batch, -1), teacher.reshape(2, batch, -1)
    d = s.shape[-1]
    cosine = F.cosine_similarity(t.unsqueeze(1), s.unsqueeze(0), dim=-1).mean(-1)
    alignment = (cosine.sum() - cosine[0, 0] - cosine[1, 1]) / (2 * views - 2)
    f = (s[:2] + t) / 2
    gram = torch.eye(d) + d / (batch * eps) * f.transpose(1, 2) @ f
    rate = torch.linalg.cholesky(gram).diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return -alignment - (d + batch) / (d * batch) * rate.mean()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--arch", choices=sorted(WIDTHS), default="vit_tiny")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--local-crops", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--idle", action="store_true", help="only the imports: peak memory to subtract")
    parser.add_argument("--stream", action="store_true", help="one step per line read from standard input")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.idle:
        torch.ones(8, 8) @ torch.ones(8, 8)
        print(json.dumps({"peakMemoryBytes": peak_bytes()}))
        return
    torch.manual_seed(0)
    width, heads = WIDTHS[args.arch]
    student, teacher = Network(width, heads), Network(width, heads)
    teacher.load_state_dict(student.state_dict())
    teacher.requires_grad_(False).eval()
    decayed = [p for p in student.parameters() if p.ndim > 1]
    plain = [p for p in student.parameters() if p.ndim <= 1]
    optimizer = torch.optim.AdamW(
        [{"params": decayed, "weight_decay": 0.04}, {"params": plain, "weight_decay": 0.0}], lr=5e-4, foreach=True
    )
    parameters, averages = list(student.parameters()), list(teacher.parameters())
    b, views = args.batch_size, 2 + args.local_crops
    # Images travel as bytes on both sides of the comparison and are normalised inside the step.
    large = torch.randint(0, 256, (2 * b, 3, 224, 224), dtype=torch.uint8)
    small = torch.randint(0, 256, (args.local_crops * b, 3, 96, 96), dtype=torch.uint8)
    mean = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1) * 255
    std = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1) * 255

    def step():
        g, l = (large.float() - mean) / std, (small.float() - mean) / std
        with torch.no_grad():
            targets = teacher([g])
        loss = simdino_loss(student([g, l]), targets, views, b)
        value = loss.item()
        if value != value or abs(value) == float("inf"):
            raise SystemExit("the loss is not finite")
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        with torch.no_grad():
            gradients = [p.grad for p in parameters]
            norms = torch._foreach_norm(gradients)
            torch._foreach_mul_(gradients, [torch.clamp(3.0 / (n + 1e-6), max=1.0) for n in norms])
        optimizer.step()
        with torch.no_grad():
            torch._foreach_mul_(averages, 0.996)
            torch._foreach_add_(averages, parameters, alpha=0.004)
        return value

    times, losses = [], []

    def timed():
        start = time.perf_counter()
        losses.append(step())
        times.append(time.perf_counter() - start)

    if args.stream:
        import sys

        for _ in sys.stdin:
            timed()
            print(json.dumps({"seconds": times[-1], "loss": losses[-1], "peakMemoryBytes": peak_bytes()}), flush=True)
        return
    for _ in range(args.steps):
        timed()
    warm = sorted(times[2:] or times)
    print(
        json.dumps(
            {
                "arch": args.arch,
                "batchSize": b,
                "torch": torch.__version__,
                "threads": torch.get_num_threads(),
                "secondsPerStep": {"min": warm[0], "median": warm[len(warm) // 2], "max": warm[-1]},
                "firstStepSeconds": times[0],
                "peakMemoryBytes": peak_bytes(),
                "losses": losses,
            }
        )
    )


if __name__ == "__main__":
    main()
