"""Reference training run of DINO, SimDINO, DINOv2 or SimDINOv2 on CIFAR binaries, in eager PyTorch on the CPU.

    python train.py RUN.json

RUN.json holds the resolved configuration of one of this project's runs, where its start weights and the data are, and
how often to evaluate. Prints one JSON object per evaluated step, or with `batches` (a folder of stored batches of
this project's run) the loss of every step on exactly these.
"""

import copy
import json
import random
import statistics
import sys
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file
from torch import nn

from augment import MultiCrop, batch_masks
from data import batches, load_cifar, normalized, pictures
from knn import knn_accuracy
from losses import (
    Center,
    coding_rate_loss,
    dino_loss,
    koleo_loss,
    patch_alignment,
    patch_cross_entropy,
    patch_weights,
)
from schedules import schedules
from vit import ProjectionHead, Vit, drop_path_rates


def peak_bytes():
    """Peak resident memory of this process (VmHWM)."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM"))


class FirstGeneration:
    """DINO and SimDINO: losses of CLS tokens, clipping per tensor, a last layer without gradients while frozen."""

    def __init__(self, config, vit):
        self.config, self.vit = config, vit
        self.student = nn.ModuleDict({"backbone": Vit(vit), "head": ProjectionHead(vit["width"], config["head"])})
        if config["recipe"] == "dino":
            self.center = Center(config["head"]["prototypes"], config["loss"]["centerMomentum"])

    def groups_of_parameters(self):
        for name, parameter in self.student.named_parameters():
            if parameter.requires_grad:
                yield name, parameter, 1, 0 if name.endswith(".bias") or parameter.ndim == 1 else 1

    def draw(self, rng):
        """Keep masks of stochastic depth."""
        batch, local = self.config["batchSize"], self.config["crops"]["local"]["count"]
        keep = lambda rows, rate: (torch.rand(2, rows) >= rate).float()
        return {
            f"drops.{kind}": {i: keep(rows, rate) for i, rate in enumerate(drop_path_rates(self.vit)) if rate > 0}
            for kind, rows in (("global", 2 * batch), ("local", local * batch))
        }

    def outputs(self, networks, batch, kinds, train):
        cls = [networks["backbone"](batch[kind], None, batch[f"drops.{kind}"] if train else None)["cls"] for kind in kinds]
        rows = networks["head"](torch.cat(cls))
        return rows.reshape(-1, self.config["batchSize"], rows.shape[-1])

    def loss(self, teacher, batch, temperature):
        config = self.config
        with torch.no_grad():
            target = self.outputs(teacher, batch, ["global"], False)
        kinds = [kind for kind in ("global", "local") if kind in batch]
        student = self.outputs(self.student, batch, kinds, True)
        if config["recipe"] == "simdino":
            return coding_rate_loss(student, target, config["loss"], config["groups"], cosine=True)
        loss = dino_loss(student, self.center.targets(target, temperature), config["loss"]["studentTemperature"])
        self.center.update(target.mean((0, 1)))
        return loss

    def clip(self, norm):
        for parameter in self.student.parameters():
            if parameter.grad is not None and norm > 0:
                parameter.grad *= (norm / (parameter.grad.norm() + 1e-6)).clamp(max=1)

    def freeze(self, frozen, optimizer):
        for name, parameter in self.student.named_parameters():
            if frozen and "last_layer" in name:
                parameter.grad = None


class SecondGeneration:
    """DINOv2 and SimDINOv2: masked patches too, clipping per module, layer-wise learning rates, lr 0 while frozen."""

    def __init__(self, config, vit):
        self.config, self.vit = config, vit
        self.student = nn.ModuleDict({"backbone": Vit(vit), "dino_head": ProjectionHead(vit["width"], config["head"])})
        if config["recipe"] == "dinov2":
            momentum, prototypes = config["loss"]["centerMomentum"], config["head"]["prototypes"]
            self.center, self.patch_center = Center(prototypes, momentum), Center(prototypes, momentum)

    def groups_of_parameters(self):
        optimizer, depth = self.config["optimizer"], self.vit["depth"]
        for name, parameter in self.student.named_parameters():
            if not parameter.requires_grad:
                continue
            parts = name.split(".")
            layer = depth + 1
            if parts[1] == "blocks":
                layer = int(parts[2]) + 1
            elif parts[1] in ("cls_token", "pos_embed", "register_tokens", "mask_token", "patch_embed"):
                layer = 0
            rate = optimizer["layerDecay"] ** (depth + 1 - layer)
            rate *= optimizer["patchEmbedMultiplier"] if parts[1] == "patch_embed" else 1
            plain = name.endswith(".bias") or "norm" in name or "gamma" in name
            yield name, parameter, rate, 0 if plain else 1

    def draw(self, rng):
        """Block masks, and the rows each block computes: drawn by group, as by one process each."""
        config = self.config
        batch, groups, local = config["batchSize"], config["groups"], config["crops"]["local"]["count"]
        own = batch // groups

        def rows(crops, rate):
            kept = max(int(crops * own * (1 - rate)), 1)
            all_rows = torch.arange(crops * batch).reshape(crops, groups, own)
            return torch.cat([all_rows[:, g].flatten()[torch.randperm(crops * own)[:kept]] for g in range(groups)])

        drops = {
            f"drops.{kind}": {
                i: torch.stack([rows(crops, rate), rows(crops, rate)])
                for i, rate in enumerate(drop_path_rates(self.vit))
                if rate > 0
            }
            for kind, crops in (("global", 2), ("local", local))
            if crops > 0
        }
        grid = self.vit["imageSize"] // self.vit["patchSize"]
        return {**drops, "masks": torch.from_numpy(batch_masks(grid, batch, groups, config["masks"], rng))}

    def loss(self, teacher, batch, temperature):
        config, images = self.config, self.config["batchSize"]
        settings, groups, masks = config["loss"], config["groups"], batch["masks"]
        per_view = lambda rows: rows.reshape(-1, images, rows.shape[-1])
        with torch.no_grad():
            tokens = teacher["backbone"](batch["global"])
            target, target_patches = (
                per_view(teacher["dino_head"](tokens["cls"])),
                teacher["dino_head"](tokens["patches"][masks]),
            )
        tokens = self.student["backbone"](batch["global"], masks, batch["drops.global"])
        cls = [tokens["cls"]]
        if "local" in batch:
            cls.append(self.student["backbone"](batch["local"], None, batch["drops.local"])["cls"])
        student = per_view(self.student["dino_head"](torch.cat(cls)))
        patches = self.student["dino_head"](tokens["patches"][masks])
        weights = patch_weights(masks)
        if config["recipe"] == "simdinov2":
            image = coding_rate_loss(student, target, settings, groups, cosine=False)
            patch = patch_alignment(patches, target_patches, weights, 2 * images)
            return settings["clsWeight"] * image + settings["patchWeight"] * patch
        student_temperature = settings["studentTemperature"]
        image = dino_loss(student, self.center.targets(target, temperature), student_temperature)
        patch_targets = self.patch_center.targets(target_patches, temperature)
        patch = patch_cross_entropy(patches, patch_targets, weights, 2 * images, student_temperature)
        koleo = sum(koleo_loss(view, groups) for view in tokens["cls"].chunk(2))
        self.center.update(target.mean((0, 1)))
        # Of the masked patches of every process the mean, of these the mean.
        group = (torch.arange(2 * images) % images // (images // groups))[:, None].expand_as(masks)[masks]
        self.patch_center.update(torch.stack([target_patches[group == g].mean(0) for g in group.unique()]).mean(0))
        return settings["clsWeight"] * image + settings["patchWeight"] * patch + settings["koleoWeight"] * koleo

    def clip(self, norm):
        for module in self.student.values():
            if norm > 0:
                nn.utils.clip_grad_norm_(module.parameters(), norm)

    def freeze(self, frozen, optimizer):
        for group in optimizer.param_groups:
            if frozen and group["last"]:
                group["lr"] = 0.0


def stored_batch(path):
    """One step's batch of the other side: the same crops, masks and rows."""
    arrays = load_file(path)
    batch = {"drops.global": {}, "drops.local": {}}
    for name, array in arrays.items():
        kind = name.split(".")[1] if "." in name else name
        if name.startswith("crops."):
            batch[kind] = normalized(array.numpy())
        elif name.startswith(("keep.", "subset.")):
            batch[f"drops.{kind}"][int(name.split(".")[3])] = array if name.startswith("keep.") else array.long()
        elif name == "masks":
            batch["masks"] = array > 0
    return batch


class Run:
    def __init__(self, run):
        config = self.config = run["config"]
        self.method = (SecondGeneration if "masks" in config else FirstGeneration)(config, run["vit"])
        self.student = self.method.student
        self.student.load_state_dict(load_file(run["weights"]))
        self.teacher = copy.deepcopy(self.student).requires_grad_(False)
        settings = config["optimizer"]
        groups = {}
        for name, parameter, rate, decay in self.method.groups_of_parameters():
            last = "last_layer" in name
            group = groups.setdefault((rate, decay, last), {"params": [], "rate": rate, "decay": decay, "last": last})
            group["params"].append(parameter)
        self.optimizer = torch.optim.AdamW(
            groups.values(),
            betas=(settings["beta1"], settings["beta2"]),
            eps=settings["epsilon"],
        )
        self.schedules = schedules(config, run["stepsPerEpoch"])

    def step(self, step, batch):
        """Learning rate and decay, teacher, student, loss, backward, clip, freeze, update, EMA."""
        plan = self.schedules
        for group in self.optimizer.param_groups:
            group["lr"] = plan["lr"][step] * group["rate"]
            group["weight_decay"] = plan["decay"][step] * group["decay"]
        temperature = float(plan["temperature"][step]) if "temperature" in plan else None
        loss = self.method.loss(self.teacher, batch, temperature)
        value = loss.item()
        if not np.isfinite(value):
            raise SystemExit(f"loss {value} in step {step + 1}")
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        with torch.no_grad():
            self.method.clip(self.config["optimizer"]["clipNorm"])
            self.method.freeze(step < plan["frozen"], self.optimizer)
            self.optimizer.step()
            momentum = plan["momentum"][step]
            averages = list(self.teacher.parameters())
            torch._foreach_mul_(averages, momentum)
            torch._foreach_add_(averages, list(self.student.parameters()), alpha=1 - momentum)
        return value


def report(**values):
    print(json.dumps(values), flush=True)


def on_stored_batches(training, folder):
    for step, path in enumerate(sorted(Path(folder).glob("*.safetensors"))):
        report(step=step + 1, loss=training.step(step, stored_batch(path)))


def on_own_batches(training, run):
    config, seed = run["config"], run["config"]["seed"]
    torch.manual_seed(seed)
    random.seed(seed)
    masks_rng = random.Random(seed)
    train, test = (load_cifar(run["data"], part) for part in ("train", "test"))
    images = pictures(train[0])
    crop, order = MultiCrop(config["crops"]), batches(len(images), config["batchSize"], seed)
    seconds, losses = [], []

    def evaluate(step):
        top1 = knn_accuracy(training.teacher["backbone"], train, test, run["k"], run["temperature"])
        report(
            step=step,
            top1=top1,
            loss=statistics.fmean(losses) if losses else None,
            secondsPerStep=statistics.median(seconds) if seconds else None,
            peakMemoryBytes=peak_bytes(),
        )
        losses.clear()

    evaluate(0)
    for step in range(config["length"]["steps"]):
        crops = crop([images[i] for i in next(order)])
        batch = {**{kind: normalized(views) for kind, views in crops.items()}, **training.method.draw(masks_rng)}
        began = time.perf_counter()
        losses.append(training.step(step, batch))
        seconds.append(time.perf_counter() - began)
        if (step + 1) % run["evaluateEvery"] == 0 or step + 1 == config["length"]["steps"]:
            evaluate(step + 1)


def main():
    run = json.loads(Path(sys.argv[1]).read_text())
    torch.set_num_threads(run["threads"])
    training = Run(run)
    if run.get("batches") is not None:
        on_stored_batches(training, run["batches"])
    else:
        on_own_batches(training, run)


if __name__ == "__main__":
    main()
