"""Vision transformer of both generations and projection head, as one writes them for eager PyTorch."""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import weight_norm

from recipes import DEPTH, GRID, HEAD_HIDDEN, HEAD_WIDTH, PATCH


class Scale(nn.Module):
    """LayerScale."""

    def __init__(self, width, value):
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), value))

    def forward(self, x):
        return x * self.gamma


class Block(nn.Module):
    """Pre-norm transformer block. Stochastic depth: v1 zeroes samples, v2 computes a random subset of them."""

    def __init__(self, width, heads, drop, recipe):
        super().__init__()
        self.heads, self.drop, self.subset = heads, drop, recipe.generation == 2
        self.norm1 = nn.LayerNorm(width, eps=1e-6)
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width, eps=1e-6)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)
        scale = recipe.layer_scale
        self.ls1 = nn.Identity() if scale is None else Scale(width, scale)
        self.ls2 = nn.Identity() if scale is None else Scale(width, scale)

    def attention(self, x):
        b, n, d = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        return self.ls1(self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, d)))

    def mlp(self, x):
        return self.ls2(self.fc2(F.gelu(self.fc1(self.norm2(x)))))

    def add(self, x, branch):
        if not self.training or self.drop == 0:
            return x + branch(x)
        b = len(x)
        if self.subset:
            kept = max(int(b * (1 - self.drop)), 1)
            rows = torch.randperm(b)[:kept]
            return torch.index_add(x, 0, rows, branch(x[rows]), alpha=b / kept)
        keep = (torch.rand(b, 1, 1) >= self.drop).to(x.dtype)
        return x + branch(x) * (keep / (1 - self.drop))

    def forward(self, x):
        return self.add(self.add(x, self.attention), self.mlp)


class Backbone(nn.Module):
    """ViT/16: NCHW images to normed tokens, CLS [B, D] and patches [B, N, D]."""

    def __init__(self, width, heads, recipe):
        super().__init__()
        self.antialias = recipe.antialias
        self.patch = nn.Conv2d(3, width, PATCH, PATCH)
        self.cls = nn.Parameter(torch.randn(1, 1, width) * 0.02)
        self.pos = nn.Parameter(torch.randn(1, 1 + GRID**2, width) * 0.02)
        self.registers = nn.Parameter(torch.randn(1, recipe.registers, width) * 1e-6) if recipe.registers else None
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width)) if recipe.masked else None
        rates = [recipe.drop_path * (1 if recipe.generation == 2 else i / (DEPTH - 1)) for i in range(DEPTH)]
        self.blocks = nn.ModuleList(Block(width, heads, rate, recipe) for rate in rates)
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def positions(self, side):
        if side == GRID:
            return self.pos
        patches = self.pos[:, 1:].reshape(1, GRID, GRID, -1).permute(0, 3, 1, 2)
        size = {"size": (side, side)} if self.antialias else {"scale_factor": ((side + 0.1) / GRID,) * 2}
        patches = F.interpolate(patches, mode="bicubic", align_corners=False, antialias=self.antialias, **size)
        return torch.cat([self.pos[:, :1], patches.flatten(2).transpose(1, 2)], 1)

    def forward(self, images, masks=None):
        """`masks` [B, N], bool: patches to replace by the mask token."""
        x = self.patch(images).flatten(2).transpose(1, 2)
        if masks is not None:
            x = torch.where(masks[:, :, None], self.mask_token, x)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.positions(images.shape[-1] // PATCH)
        first = 1
        if self.registers is not None:
            first += self.registers.shape[1]
            x = torch.cat([x[:, :1], self.registers.expand(len(x), -1, -1), x[:, 1:]], 1)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        return x[:, 0], x[:, first:]


class Head(nn.Module):
    """Three linear maps with GELU between them, unit length, and weight-normalised prototypes where a recipe has them."""

    def __init__(self, width, recipe):
        super().__init__()
        hidden = HEAD_HIDDEN
        self.mlp = nn.Sequential(
            nn.Linear(width, hidden), nn.GELU(), nn.Linear(hidden, hidden), nn.GELU(), nn.Linear(hidden, HEAD_WIDTH)
        )
        self.prototypes = nn.Identity()
        if recipe.prototypes is not None:
            self.prototypes = weight_norm(nn.Linear(HEAD_WIDTH, recipe.prototypes, bias=False))
            norms = self.prototypes.parametrizations.weight.original0
            norms.data.fill_(1)
            norms.requires_grad = recipe.trained_norms

    def forward(self, x):
        return self.prototypes(F.normalize(self.mlp(x), dim=-1))


class Network(nn.Module):
    """Student or teacher."""

    def __init__(self, width, heads, recipe):
        super().__init__()
        self.backbone = Backbone(width, heads, recipe)
        self.head = Head(width, recipe)
