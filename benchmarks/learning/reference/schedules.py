"""Everything that changes with the step."""

import math

import numpy as np


def cosine(start, end, steps):
    j = np.arange(steps)
    return end + 0.5 * (start - end) * (1 + np.cos(math.pi * j / steps))


def peak_learning_rate(optimizer, batch):
    rules = {"linear-per-256": batch / 256, "sqrt-per-1024": math.sqrt(batch / 1024), "none": 1}
    return optimizer["learningRate"] * rules[optimizer["rule"]]


def ramp(start, end, steps, inclusive):
    return np.linspace(start, end, steps, endpoint=inclusive)


def schedules(config, steps_per_epoch):
    """Arrays over the steps of a run: learning rate, weight decay, teacher momentum and temperature, frozen steps."""
    optimizer, teacher, recipe = config["optimizer"], config["teacher"], config["recipe"]
    total, warmup = config["length"]["steps"], config["length"]["warmupSteps"]
    # SimDINOv2 warms up from the final rate and reaches the peak one step later.
    exclusive = recipe == "simdinov2"
    peak, last = peak_learning_rate(optimizer, config["batchSize"]), optimizer["minLearningRate"]
    rising = ramp(last if exclusive else 0, peak, warmup, not exclusive)
    found = {
        "lr": np.concatenate([rising, cosine(peak, last, total - warmup)]),
        "decay": cosine(optimizer["weightDecay"], optimizer["weightDecayEnd"], total),
        "momentum": cosine(teacher["momentum"], teacher["momentumEnd"], total),
        "frozen": config["head"].get("freezeEpochs", 0) * steps_per_epoch,
    }
    if "teacherTemperature" in config["loss"]:
        found["temperature"] = temperatures(config["loss"]["teacherTemperature"], recipe, steps_per_epoch, total)
    return found


def temperatures(setting, recipe, steps_per_epoch, total):
    start, end, epochs = setting["start"], setting["end"], setting["warmupEpochs"]
    if recipe == "dino":  # moves once per epoch
        rising = np.repeat(ramp(start, end, epochs, True), steps_per_epoch)
    else:
        rising = ramp(start, end, round(epochs * steps_per_epoch), True)
    return np.concatenate([rising, np.full(total, end)])[:total]
