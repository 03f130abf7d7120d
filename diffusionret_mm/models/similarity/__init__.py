"""Scores of every text against every video."""

from diffusionret_mm.models.similarity.cosine import CosineSimilarity
from diffusionret_mm.models.similarity.expectation_maximization import EMSimilarity
from diffusionret_mm.models.similarity.weighted_token_interaction import WeightedTokenInteraction

__all__ = ['CosineSimilarity', 'EMSimilarity', 'WeightedTokenInteraction']
