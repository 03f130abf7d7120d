"""Density peaks clustering of the tokens of each item (DPC-KNN)."""

from __future__ import annotations

import math

import torch
from torch import Tensor

NOISE = 1e-6  # breaks ties between densities
EPSILON = 1e-6


@torch.no_grad()
def cluster_tokens(tokens: Tensor, mask: Tensor, num_clusters: int, num_nearest: int = 3) -> Tensor:
    """Assign the tokens of each item to clusters (Du et al. 2016; HBI, Section 3.3).

    With distances d over sqrt(D), the density of a token is exp(-mean of its squared distances to
    the `num_nearest` nearest, itself among them), and its separation the distance to the nearest
    token of a higher density. The tokens with the largest products of both are the centres, and
    each token joins the nearest centre. Padding is farther from every token than any other, has
    density 0, and becomes a centre where there are fewer real tokens than clusters.

    Args:
        tokens: shape [B, T, D], float.
        mask: True for real tokens, shape [B, T], bool.
        num_clusters: number C of clusters, at most T.
        num_nearest: neighbours that make a density; as many as there are.

    Returns:
        Cluster of each token, shape [B, T], int64, in [0, C).

    Raises:
        ValueError: if there are more clusters than tokens.
    """
    num_tokens = tokens.shape[1]
    if not 1 <= num_clusters <= num_tokens:
        raise ValueError(f'{num_tokens} tokens cannot make {num_clusters} clusters.')
    distance = torch.cdist(tokens, tokens) / math.sqrt(tokens.shape[2])
    distance = distance.masked_fill(~mask[:, None], distance.max().item() + 1)
    nearest = distance.topk(min(num_nearest, num_tokens), dim=-1, largest=False).values
    density = nearest.square().mean(dim=-1).neg().exp()
    density = (density + NOISE * torch.rand_like(density)) * mask
    denser = density[:, None, :] > density[:, :, None]
    farthest = distance.flatten(1).amax(dim=-1)[:, None, None]
    separation = torch.where(denser, distance, farthest).amin(dim=-1)
    centres = (density * separation).topk(num_clusters, dim=-1).indices
    to_centres = distance.gather(1, centres[..., None].expand(-1, -1, num_tokens))
    clusters = to_centres.argmin(dim=1)
    return clusters.scatter(
        1, centres, torch.arange(num_clusters, device=tokens.device).expand_as(centres)
    )


def merge_tokens(tokens: Tensor, weights: Tensor, clusters: Tensor, num_clusters: int) -> Tensor:
    """Average the tokens of each cluster by their weights.

    Args:
        tokens: shape [B, T, D], float.
        weights: at least 0, shape [B, T], float.
        clusters: cluster of each token, shape [B, T], int64.
        num_clusters: number C of clusters.

    Returns:
        Shape [B, C, D]; 0 for a cluster without weight, such as one of padding.
    """
    members = torch.nn.functional.one_hot(clusters, num_clusters).to(tokens) * weights[..., None]
    members = members / (EPSILON + members.sum(dim=1, keepdim=True))
    return members.transpose(1, 2) @ tokens
