"""Whole training steps in eager PyTorch: the peer of `selfsup bench step --recipe RECIPE`.

Two 224 px and eight 96 px crops per image through a ViT/16 student, the two large ones through an EMA teacher, the
recipe's head and losses, clipping, AdamW (foreach) and EMA (foreach). Attention is `scaled_dot_product_attention`. The
second generation masks patches of the student's large crops and gathers exactly these. Prints JSON.

    python step.py --recipe dinov2 --arch vit_tiny --batch-size 8 --steps 20 --threads 2
    python step.py --idle          # peak memory of the same imports, for the difference
"""

import argparse
import json
import sys
import time

import torch

from losses import Dino, SimDino
from mkl import answer_as_intel
from recipes import (
    CLIP_NORM,
    DEPTH,
    GRID,
    LAYER_DECAY,
    LEARNING_RATE,
    MASK_PROBABILITY,
    MASK_RATIO,
    PATCH_EMBED_MULTIPLIER,
    RECIPES,
    WEIGHT_DECAY,
    WIDTHS,
)
from vit import Network


def peak_bytes():
    """Peak resident memory of this process (VmHWM)."""
    with open("/proc/self/status") as status:
        return next((int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM")), 0)


class Crops:
    """Images as bytes, normalised inside the step as on the other side of the comparison."""

    def __init__(self, batch, local_crops):
        self.large = torch.randint(0, 256, (2 * batch, 3, 224, 224), dtype=torch.uint8)
        self.small = torch.randint(0, 256, (local_crops * batch, 3, 96, 96), dtype=torch.uint8)
        self.mean = torch.tensor([0.485, 0.456, 0.406]).reshape(1, 3, 1, 1) * 255
        self.std = torch.tensor([0.229, 0.224, 0.225]).reshape(1, 3, 1, 1) * 255

    def normalized(self):
        return [(images.float() - self.mean) / self.std for images in (self.large, self.small)]


def draw_masks(crops):
    """Masks [crops, N] with as many patches each as DINOv2's block masks; which ones makes no difference to the time."""
    count, patches = int(crops * MASK_PROBABILITY), GRID**2
    bounds = torch.linspace(*MASK_RATIO, count + 1).tolist()
    masks = torch.zeros(crops, patches, dtype=torch.bool)
    for crop, low, high in zip(torch.randperm(crops), bounds, bounds[1:]):
        masked = int(patches * (low + (high - low) * torch.rand(()).item()))
        masks[crop, torch.randperm(patches)[:masked]] = True
    return masks


def learning_rate_multiplier(name):
    """Layer-wise decay of the second generation."""
    layer = DEPTH + 1
    if name.startswith("backbone.blocks."):
        layer = int(name.split(".")[2]) + 1
    elif name.startswith(("backbone.patch", "backbone.cls", "backbone.pos", "backbone.mask", "backbone.registers")):
        layer = 0
    patch = PATCH_EMBED_MULTIPLIER if name.startswith("backbone.patch") else 1
    return LAYER_DECAY ** (DEPTH + 1 - layer) * patch


def optimizer_of(student, recipe):
    groups = {}
    for name, parameter in student.named_parameters():
        if not parameter.requires_grad:
            continue
        rate = LEARNING_RATE * (learning_rate_multiplier(name) if recipe.generation == 2 else 1)
        plain = name.endswith("bias") or (parameter.ndim == 1)
        groups.setdefault((rate, 0.0 if plain else WEIGHT_DECAY), []).append(parameter)
    return torch.optim.AdamW(
        [{"params": params, "lr": rate, "weight_decay": decay} for (rate, decay), params in groups.items()],
        foreach=True,
    )


class Training:
    """Student, teacher and optimiser of a recipe; `step()` is one whole training step and returns the loss."""

    def __init__(self, name, arch, batch, local_crops):
        self.recipe, self.batch, self.views = RECIPES[name], batch, 2 + local_crops
        self.student, self.teacher = Network(*WIDTHS[arch], self.recipe), Network(*WIDTHS[arch], self.recipe)
        self.teacher.load_state_dict(self.student.state_dict())
        self.teacher.requires_grad_(False).eval()
        self.loss = (SimDino if self.recipe.prototypes is None else Dino)(self.recipe)
        self.optimizer = optimizer_of(self.student, self.recipe)
        self.trained = [p for p in self.student.parameters() if p.requires_grad]
        self.crops = Crops(batch, local_crops)

    def per_view(self, rows):
        return rows.reshape(-1, self.batch, rows.shape[-1])

    def cls_loss(self, large, small):
        """First generation: CLS tokens alone."""
        student, teacher = self.student, self.teacher
        with torch.no_grad():
            targets = teacher.head(teacher.backbone(large)[0])
        outputs = student.head(torch.cat([student.backbone(crops)[0] for crops in (large, small)]))
        return self.loss(self.per_view(outputs), self.per_view(targets))

    def masked_loss(self, large, small, masks):
        """Second generation: CLS tokens and masked patches, which go through the shared head together."""
        student, teacher = self.student, self.teacher
        chosen = masks.flatten().nonzero().flatten()
        weights = (1 / masks.sum(1).clamp(min=1))[:, None].expand_as(masks)[masks]
        with torch.no_grad():
            cls, patches = teacher.backbone(large)
            rows = teacher.head(torch.cat([cls, patches.flatten(0, 1)[chosen]]))
            targets, patch_targets = rows.split([len(cls), len(chosen)])
        tokens, patches = student.backbone(large, masks)
        cls = torch.cat([tokens, student.backbone(small)[0]])
        rows = student.head(torch.cat([cls, patches.flatten(0, 1)[chosen]]))
        outputs, patch_outputs = rows.split([len(cls), len(chosen)])
        loss = self.loss(self.per_view(outputs), self.per_view(targets))
        loss = loss + self.loss.patches(patch_outputs, patch_targets, weights, len(large))
        return loss + self.loss.tokens(self.per_view(tokens))

    def clip(self):
        if self.recipe.generation == 2:
            for module in (self.student.backbone, self.student.head):
                torch.nn.utils.clip_grad_norm_(module.parameters(), CLIP_NORM, foreach=True)
            return
        gradients = [p.grad for p in self.trained]
        norms = torch._foreach_norm(gradients)
        torch._foreach_mul_(gradients, [torch.clamp(CLIP_NORM / (norm + 1e-6), max=1.0) for norm in norms])

    def step(self, masks):
        large, small = self.crops.normalized()
        loss = self.cls_loss(large, small) if masks is None else self.masked_loss(large, small, masks)
        value = loss.item()
        if value != value or abs(value) == float("inf"):
            raise SystemExit("the loss is not finite")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        with torch.no_grad():
            self.clip()
        self.optimizer.step()
        with torch.no_grad():
            averages, momentum = list(self.teacher.parameters()), self.recipe.momentum
            torch._foreach_mul_(averages, momentum)
            torch._foreach_add_(averages, list(self.student.parameters()), alpha=1 - momentum)
        return value

    def timed(self):
        """Seconds and loss of a step; masks are drawn before, as a data loader would."""
        masks = draw_masks(2 * self.batch) if self.recipe.masked else None
        start = time.perf_counter()
        loss = self.step(masks)
        return time.perf_counter() - start, loss


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="simdino")
    parser.add_argument("--arch", choices=sorted(WIDTHS), default="vit_tiny")
    parser.add_argument("--batch-size", type=int, default=8)
    parser.add_argument("--local-crops", type=int, default=8)
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--idle", action="store_true", help="only the imports: peak memory to subtract")
    parser.add_argument("--stream", action="store_true", help="one step per line read from standard input")
    parser.add_argument("--mkl-as-intel", action="store_true", help="MKL's best kernels on processors of other makers")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if args.mkl_as_intel:
        answer_as_intel()
    if args.idle:
        torch.ones(8, 8) @ torch.ones(8, 8)
        print(json.dumps({"peakMemoryBytes": peak_bytes()}))
        return
    torch.manual_seed(0)
    training = Training(args.recipe, args.arch, args.batch_size, args.local_crops)
    parameters = sum(p.numel() for p in training.trained)
    if args.stream:
        for _ in sys.stdin:
            seconds, loss = training.timed()
            print(json.dumps({"seconds": seconds, "loss": loss, "parameters": parameters}), flush=True)
        return
    times, losses = zip(*(training.timed() for _ in range(args.steps)))
    warm = sorted(times[2:] or times)
    result = {
        "recipe": args.recipe,
        "arch": args.arch,
        "batchSize": args.batch_size,
        "parameters": parameters,
        "torch": torch.__version__,
        "threads": torch.get_num_threads(),
        "secondsPerStep": {"min": warm[0], "median": warm[len(warm) // 2], "max": warm[-1]},
        "firstStepSeconds": times[0],
        "peakMemoryBytes": peak_bytes(),
        "losses": losses,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
