"""Coarser levels of words and frames, and the interaction of single tokens (HBI)."""

from diffusionret_mm.models.hierarchy.banzhaf import BanzhafNetwork, banzhaf_interaction
from diffusionret_mm.models.hierarchy.clustering import cluster_tokens, merge_tokens
from diffusionret_mm.models.hierarchy.token_merging import TokenMerging

__all__ = [
    'BanzhafNetwork',
    'TokenMerging',
    'banzhaf_interaction',
    'cluster_tokens',
    'merge_tokens',
]
