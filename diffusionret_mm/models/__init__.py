"""Everything that has weights, and what feeds it."""

from diffusionret_mm.models.backbones import *  # noqa: F403
from diffusionret_mm.models.data_preprocessor import (
    RetrievalDataPreprocessor as RetrievalDataPreprocessor,
)
from diffusionret_mm.models.feature_preprocessor import (
    FeatureDataPreprocessor as FeatureDataPreprocessor,
)
from diffusionret_mm.models.generators import *  # noqa: F403
from diffusionret_mm.models.hierarchy import *  # noqa: F403
from diffusionret_mm.models.losses import *  # noqa: F403
from diffusionret_mm.models.retrievers import *  # noqa: F403
from diffusionret_mm.models.similarity import *  # noqa: F403
from diffusionret_mm.models.temporal import *  # noqa: F403
