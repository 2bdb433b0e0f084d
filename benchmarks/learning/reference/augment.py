"""Multi-crop augmentation with Pillow (and torchvision's blur), and the random block masks of the second generation."""

import math
import random

import numpy as np
from PIL import Image, ImageChops, ImageEnhance, ImageFilter, ImageOps
from torchvision.transforms import functional as torchvision

TRIES = 10


def crop_box(width, height, scale, ratio):
    """Left, top, right, bottom of a random crop: area and log-uniform aspect, drawn until it fits."""
    for _ in range(TRIES):
        area = width * height * random.uniform(*scale)
        aspect = math.exp(random.uniform(math.log(ratio[0]), math.log(ratio[1])))
        w, h = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
        if 0 < w <= width and 0 < h <= height:
            left, top = random.randint(0, width - w), random.randint(0, height - h)
            return left, top, left + w, top + h
    w = min(width, round(height * ratio[1]))
    h = min(height, round(width / ratio[0]))
    left, top = (width - w) // 2, (height - h) // 2
    return left, top, left + w, top + h


def turn_hue(image, turns):
    hue, saturation, value = image.convert("HSV").split()
    shift = Image.new("L", image.size, int(turns * 255) % 256)
    return Image.merge("HSV", (ImageChops.add_modulo(hue, shift), saturation, value)).convert("RGB")


def jittered(image, view):
    """Brightness, contrast, saturation and hue in random order."""
    enhancers = {
        "brightness": ImageEnhance.Brightness,
        "contrast": ImageEnhance.Contrast,
        "saturation": ImageEnhance.Color,
    }
    for name in random.sample([*enhancers, "hue"], 4):
        strength = view[name]
        if strength == 0:
            continue
        if name == "hue":
            image = turn_hue(image, random.uniform(-strength, strength))
        else:
            image = enhancers[name](image).enhance(random.uniform(max(0, 1 - strength), 1 + strength))
    return image


def blurred(image, view):
    sigma = random.uniform(*view["blurSigma"])
    if view["blurKernel"] == "pillow":
        return image.filter(ImageFilter.GaussianBlur(radius=sigma))
    return torchvision.gaussian_blur(image, [9, 9], [sigma, sigma])


def augmented(image, view):
    """One random view: crop, flip, jitter, grey, blur, solarize."""
    size = (view["size"], view["size"])
    image = image.crop(crop_box(*image.size, view["scale"], view["ratio"])).resize(size, Image.Resampling.BICUBIC)
    if random.random() < view["flipProbability"]:
        image = ImageOps.mirror(image)
    if random.random() < view["jitterProbability"]:
        image = jittered(image, view)
    if random.random() < view["grayscaleProbability"]:
        image = image.convert("L").convert("RGB")
    if random.random() < view["blurProbability"]:
        image = blurred(image, view)
    if random.random() < view["solarizeProbability"]:
        image = ImageOps.solarize(image, view["solarizeThreshold"])
    return image


class MultiCrop:
    """PIL images to bytes, NHWC, crop-major: all images' first view, then all images' second, ..."""

    def __init__(self, crops):
        shared, local = crops["view"], crops["local"]
        options = lambda part, own: {**shared, "size": part["size"], "scale": part["scale"], **own}
        self.views = {"global": [options(crops["global"], own) for own in crops["global"]["views"]]}
        if local["count"] > 0:
            self.views["local"] = [options(local, local["view"])] * local["count"]

    def __call__(self, images):
        return {
            kind: np.stack([np.asarray(augmented(image, view)) for view in views for image in images])
            for kind, views in self.views.items()
        }


def block_mask(grid, target, rng):
    """Masks rectangles until `target` patches are reached, or ten tries in a row find none that fits."""
    mask = np.zeros((grid, grid), bool)
    most = grid // 2 * grid
    count, placed = 0, True
    while count < target and placed:
        cap, placed = min(target - count, most), False
        for _ in range(TRIES):
            area = rng.uniform(4, cap)
            aspect = math.exp(rng.uniform(math.log(0.3), -math.log(0.3)))
            height, width = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if height >= grid or width >= grid:
                continue
            top, left = rng.randint(0, grid - height), rng.randint(0, grid - width)
            block = mask[top : top + height, left : left + width]
            added = block.size - int(block.sum())
            if 0 < added <= cap:
                block[:] = True
                count, placed = count + added, True
                break
    return mask


def group_masks(grid, views, masks, rng):
    """Masks [views, N] of one process: a share of the views, ratios spread evenly over the range, shuffled."""
    masked = int(views * masks["probability"])
    ladder = np.linspace(*masks["ratio"], masked + 1)
    targets = [int(grid * grid * rng.uniform(low, high)) for low, high in zip(ladder, ladder[1:])]
    found = [block_mask(grid, target, rng).reshape(-1) for target in targets]
    found += [np.zeros(grid * grid, bool)] * (views - masked)
    rng.shuffle(found)
    return np.stack(found)


def batch_masks(grid, images, groups, masks, rng):
    """Masks [2 * images, N], crop-major, each group of images with masks of its own."""
    own = images // groups
    parts = [group_masks(grid, 2 * own, masks, rng).reshape(2, own, -1) for _ in range(groups)]
    return np.concatenate(parts, 1).reshape(2 * images, -1)
