"""Features of the training set, encoded once for the whole second stage."""

from diffusionret_mm.features.cached_features import CachedFeatures, cached_loader
from diffusionret_mm.features.caching import cache_features, encode_videos
from diffusionret_mm.features.feature_dataset import FeatureDataset
from diffusionret_mm.features.fingerprint import fingerprint
from diffusionret_mm.features.open_or_build import open_or_build
from diffusionret_mm.features.store import FeatureStore, FeatureWriter
from diffusionret_mm.features.whole_videos import WholeVideos

__all__ = [
    'CachedFeatures',
    'FeatureDataset',
    'FeatureStore',
    'FeatureWriter',
    'WholeVideos',
    'cache_features',
    'cached_loader',
    'encode_videos',
    'fingerprint',
    'open_or_build',
]
