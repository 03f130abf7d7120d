"""Scores of every text against every video."""

from diffusionret_mm.models.similarity.base import Similarity
from diffusionret_mm.models.similarity.cosine import CosineSimilarity
from diffusionret_mm.models.similarity.expectation_maximization import EMSimilarity
from diffusionret_mm.models.similarity.imported_scores import ImportedScores
from diffusionret_mm.models.similarity.pair_transformer import PairTransformer
from diffusionret_mm.models.similarity.stochastic_xpool import StochasticXPool
from diffusionret_mm.models.similarity.token_interaction import TokenInteraction
from diffusionret_mm.models.similarity.weighted_token_interaction import WeightedTokenInteraction
from diffusionret_mm.models.similarity.xpool import XPool

__all__ = [
    'CosineSimilarity',
    'EMSimilarity',
    'ImportedScores',
    'PairTransformer',
    'Similarity',
    'StochasticXPool',
    'TokenInteraction',
    'WeightedTokenInteraction',
    'XPool',
]
