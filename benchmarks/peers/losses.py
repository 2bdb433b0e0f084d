"""Losses of the four recipes. CLS outputs are crop-major: student [C, B, d], teacher [2, B, d] without gradient."""

import torch
import torch.nn.functional as F

from recipes import CENTER_MOMENTUM, CODING_RATE_EPS, KOLEO_WEIGHT, STUDENT_TEMPERATURE, TEACHER_TEMPERATURE


def different_crops(pairs):
    """Mean over entries [2, C] of a teacher crop with another student crop."""
    return (pairs.sum() - pairs[0, 0] - pairs[1, 1]) / (pairs.numel() - 2)


def coding_rate(student, teacher):
    """Coding rate of the global views' features, weighted as in the authors' code; one process."""
    batch, width = student.shape[1:]
    features = (student[:2] + teacher) / 2
    gram = torch.eye(width) + width / (batch * CODING_RATE_EPS) * features.transpose(1, 2) @ features
    rate = torch.linalg.cholesky(gram).diagonal(dim1=-2, dim2=-1).log().sum(-1)
    return (width + batch) / (width * batch) * rate.mean()


class Center:
    """Running mean of teacher logits, and the targets it gives."""

    def __init__(self, prototypes):
        self.value = torch.zeros(prototypes)

    def targets(self, logits):
        targets = torch.softmax((logits - self.value) / TEACHER_TEMPERATURE, dim=-1)
        self.value.mul_(CENTER_MOMENTUM).add_(logits.flatten(0, -2).mean(0), alpha=1 - CENTER_MOMENTUM)
        return targets


def cross_entropy(student, targets):
    """DINO: every student crop against every other teacher crop. One log-softmax, one product for all pairs."""
    batch = student.shape[1]
    logs = F.log_softmax(student / STUDENT_TEMPERATURE, dim=-1)
    return different_crops(-(targets.flatten(1) @ logs.flatten(1).T) / batch)


def patch_cross_entropy(student, targets, weights, crops):
    """iBOT: rows [M, K] of masked patches, weighted by one over the masked patches of their crop."""
    rows = -(targets * F.log_softmax(student / STUDENT_TEMPERATURE, dim=-1)).sum(-1)
    return (rows * weights).sum() / crops


def koleo(tokens):
    """Spreading of the CLS tokens [B, D] of one global crop."""
    x = F.normalize(tokens, dim=-1, eps=1e-8)
    with torch.no_grad():
        near = (x @ x.T).fill_diagonal_(-1).argmax(1)
    return -torch.log(F.pairwise_distance(x, x[near], eps=1e-8) + 1e-8).mean()


class SimDino:
    """Alignment of every student view with the other teacher views, and the coding rate of the global ones."""

    def __init__(self, recipe):
        # The first generation takes a cosine, the second a dot product of the same unit rows.
        self.cosine = not recipe.masked

    def __call__(self, student, teacher):
        if self.cosine:
            pairs = F.cosine_similarity(teacher.unsqueeze(1), student.unsqueeze(0), dim=-1).mean(-1)
        else:
            pairs = teacher.flatten(1) @ student.flatten(1).T / student.shape[1]
        return -different_crops(pairs) - coding_rate(student, teacher)

    def patches(self, student, teacher, weights, crops):
        return -(F.cosine_similarity(student, teacher, dim=-1) * weights).sum() / crops

    def tokens(self, tokens):
        return 0


class Dino:
    """Cross entropy against centred, sharpened targets; in the second generation also of masked patches, and KoLeo."""

    def __init__(self, recipe):
        self.center, self.patch_center = Center(recipe.prototypes), Center(recipe.prototypes)

    def __call__(self, student, teacher):
        return cross_entropy(student, self.center.targets(teacher))

    def patches(self, student, teacher, weights, crops):
        return patch_cross_entropy(student, self.patch_center.targets(teacher), weights, crops)

    def tokens(self, tokens):
        return KOLEO_WEIGHT * sum(koleo(crop) for crop in tokens)
