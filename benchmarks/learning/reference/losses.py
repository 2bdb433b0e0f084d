"""Losses of the four methods. Views are crop-major: student [C, B, d], teacher [2, B, d], no gradient to the teacher."""

import torch
import torch.nn.functional as F


def cross_pairs(student, teacher, pair):
    """Mean over images and over all pairs of a teacher view with another student view."""
    views = len(student)
    pairs = [pair(teacher[g], student[v]).mean() for g in range(2) for v in range(views) if v != g]
    return torch.stack(pairs).mean()


def coding_rate_loss(student, teacher, loss, groups, cosine):
    """SimDINO's loss: alignment against the coding rate of the global views in groups, alpha and gamma of all images."""
    batch, width = student.shape[1:]
    similarity = (lambda t, s: F.cosine_similarity(t, s, dim=-1)) if cosine else (lambda t, s: (t * s).sum(-1))
    alignment = cross_pairs(student, teacher, similarity)
    features = student[:2]
    if loss["expansionFeatures"] == "mean-with-teacher":
        features = (features + teacher) / 2
    features = features.reshape(2 * groups, batch // groups, width)
    alpha, gamma = width / (batch * loss["codingRateEps"]), (width + batch) / (width * batch)
    moments = torch.eye(width) + alpha * features.transpose(1, 2) @ features
    rates = torch.linalg.cholesky(moments).diagonal(dim1=-2, dim2=-1).log().sum(-1)
    expansion = gamma * rates.mean()
    return -loss["compressionWeight"] * alignment - expansion


class Center:
    """Running mean of the teacher's outputs."""

    def __init__(self, prototypes, momentum):
        self.value, self.momentum = torch.zeros(prototypes), momentum

    def targets(self, logits, temperature):
        return torch.softmax((logits - self.value) / temperature, dim=-1)

    def update(self, mean):
        self.value = self.value * self.momentum + mean * (1 - self.momentum)


def dino_loss(student, targets, temperature):
    """Cross entropy of every student view with the targets of the other teacher views."""
    return cross_pairs(F.log_softmax(student / temperature, dim=-1), targets, lambda t, s: -(t * s).sum(-1))


def patch_weights(masks):
    """For every masked patch, in row order: one over the number of masked patches of its view."""
    counts = masks.sum(1)
    return (1 / counts.clamp(min=1))[:, None].expand_as(masks)[masks]


def patch_cross_entropy(student, targets, weights, crops, temperature):
    entropy = -(targets * F.log_softmax(student / temperature, dim=-1)).sum(-1)
    return (entropy * weights).sum() / crops


def patch_alignment(student, teacher, weights, crops):
    return -(F.cosine_similarity(student, teacher, dim=-1) * weights).sum() / crops


def koleo_loss(tokens, groups):
    """Spreading of CLS tokens [B, D], in groups."""
    total = 0
    for x in F.normalize(tokens, dim=-1, eps=1e-8).chunk(groups):
        with torch.no_grad():
            near = (x @ x.T).fill_diagonal_(-1).argmax(1)
        distance = F.pairwise_distance(x, x[near], eps=1e-8)
        total = total - torch.log(distance + 1e-8).mean()
    return total / groups
