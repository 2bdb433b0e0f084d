"""Weighted k-NN accuracy of CLS features."""

import torch
import torch.nn.functional as F

from data import normalized


@torch.no_grad()
def features(backbone, images, batch=250):
    parts = [backbone(normalized(images[i : i + batch]))["cls"] for i in range(0, len(images), batch)]
    return F.normalize(torch.cat(parts), dim=-1)


def knn_accuracy(backbone, train, test, k, temperature):
    """Share of test images, in percent, whose k nearest training images vote for their class, weights exp(cos / T)."""
    (train_images, train_labels), (test_images, test_labels) = train, test
    similarity, near = (features(backbone, test_images) @ features(backbone, train_images).T).topk(k)
    votes = F.one_hot(torch.from_numpy(train_labels)[near]) * (similarity / temperature).exp()[:, :, None]
    return 100 * (votes.sum(1).argmax(1) == torch.from_numpy(test_labels)).float().mean().item()
