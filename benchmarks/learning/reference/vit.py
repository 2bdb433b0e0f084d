"""Vision transformer of both generations, parameters under the published state-dict names."""

import torch
import torch.nn.functional as F
from torch import nn


def drop_path_rates(vit):
    """Rate of stochastic depth of every block."""
    rate, depth = vit["dropPathRate"], vit["depth"]
    if vit["dropPathRule"] == "uniform":
        return [rate] * depth
    return [rate * block / max(1, depth - 1) for block in range(depth)]


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x):
        rows, tokens, width = x.shape
        q, k, v = self.qkv(x).reshape(rows, tokens, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        return self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(rows, tokens, width))


class Mlp(nn.Module):
    def __init__(self, width, hidden):
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class LayerScale(nn.Module):
    def __init__(self, width, value):
        super().__init__()
        self.gamma = nn.Parameter(torch.full((width,), value))

    def forward(self, x):
        return x * self.gamma


class Block(nn.Module):
    """Pre-norm block. `drop`: per-sample keep masks [2, rows] of 0 and 1, or indices [2, k] of the rows computed."""

    def __init__(self, vit, rate):
        super().__init__()
        width, eps, scale = vit["width"], vit["layerNormEps"], vit.get("layerScale")
        self.rate = rate
        self.norm1 = nn.LayerNorm(width, eps=eps)
        self.attn = Attention(width, vit["heads"])
        self.ls1 = nn.Identity() if scale is None else LayerScale(width, scale)
        self.norm2 = nn.LayerNorm(width, eps=eps)
        self.mlp = Mlp(width, int(width * vit["mlpRatio"]))
        self.ls2 = nn.Identity() if scale is None else LayerScale(width, scale)

    def add(self, x, branch, drop):
        if drop is None:
            return x + branch(x)
        if drop.dtype == torch.float32:
            return x + branch(x) * (drop / (1 - self.rate))[:, None, None]
        return x.index_add(0, drop, branch(x[drop]), alpha=len(x) / len(drop))

    def forward(self, x, drop=None):
        attention, mlp = (None, None) if drop is None else drop
        x = self.add(x, lambda rows: self.ls1(self.attn(self.norm1(rows))), attention)
        return self.add(x, lambda rows: self.ls2(self.mlp(self.norm2(rows))), mlp)


class PatchEmbed(nn.Module):
    def __init__(self, channels, width, patch):
        super().__init__()
        self.proj = nn.Conv2d(channels, width, patch, patch)

    def forward(self, images):
        return self.proj(images).flatten(2).transpose(1, 2)


class Vit(nn.Module):
    """NCHW images to normed tokens: `cls` [rows, D] and `patches` [rows, N, D]."""

    def __init__(self, vit):
        super().__init__()
        self.grid = vit["imageSize"] // vit["patchSize"]
        self.interpolation = vit["interpolation"]
        width = vit["width"]
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + self.grid**2, width))
        self.registers = vit["registers"]
        if self.registers > 0:
            self.register_tokens = nn.Parameter(torch.zeros(1, self.registers, width))
        if vit["maskToken"]:
            self.mask_token = nn.Parameter(torch.zeros(1, width))
        self.patch_embed = PatchEmbed(vit["channels"], width, vit["patchSize"])
        self.blocks = nn.ModuleList(Block(vit, rate) for rate in drop_path_rates(vit))
        self.norm = nn.LayerNorm(width, eps=vit["layerNormEps"])

    def positions(self, side):
        if side == self.grid:
            return self.pos_embed
        patches = self.pos_embed[:, 1:].reshape(1, self.grid, self.grid, -1).permute(0, 3, 1, 2)
        offset, antialias = self.interpolation["offset"], self.interpolation["antialias"]
        size = {"scale_factor": ((side + offset) / self.grid,) * 2} if offset > 0 else {"size": (side, side)}
        patches = F.interpolate(patches, mode="bicubic", align_corners=False, antialias=antialias, **size)
        return torch.cat([self.pos_embed[:, :1], patches.flatten(2).transpose(1, 2)], 1)

    def forward(self, images, masks=None, drops=None):
        """`masks` [rows, N] bool: patches to replace; `drops`: by block, see `Block`."""
        x = self.patch_embed(images)
        side = round(x.shape[1] ** 0.5)
        if masks is not None:
            x = torch.where(masks[:, :, None], self.mask_token[None], x)
        x = torch.cat([self.cls_token.expand(len(x), -1, -1), x], 1) + self.positions(side)
        if self.registers > 0:
            x = torch.cat([x[:, :1], self.register_tokens.expand(len(x), -1, -1), x[:, 1:]], 1)
        for index, block in enumerate(self.blocks):
            x = block(x, None if drops is None else drops.get(index))
        x = self.norm(x)
        return {"cls": x[:, 0], "patches": x[:, 1 + self.registers :]}


class ProjectionHead(nn.Module):
    """Linear maps with GELU between them, unit length, and weight-normalised prototypes where there are any."""

    def __init__(self, width, head):
        super().__init__()
        widths = [width] + [head["hiddenWidth"]] * (head["layers"] - 1) + [head["width"]]
        layers = []
        for inside, outside in zip(widths, widths[1:]):
            layers += [nn.Linear(inside, outside), nn.GELU()]
        self.mlp = nn.Sequential(*layers[:-1])
        self.last_layer = Prototypes(head) if "prototypes" in head else nn.Identity()

    def forward(self, x):
        return self.last_layer(F.normalize(self.mlp(x), dim=-1))


class Prototypes(nn.Module):
    def __init__(self, head):
        super().__init__()
        self.weight_g = nn.Parameter(torch.ones(head["prototypes"], 1))
        self.weight_v = nn.Parameter(torch.zeros(head["prototypes"], head["width"]))
        self.weight_g.requires_grad = head["prototypeNorms"] == "trainable"

    def forward(self, x):
        return F.linear(x, self.weight_g * F.normalize(self.weight_v, dim=1, eps=0))
