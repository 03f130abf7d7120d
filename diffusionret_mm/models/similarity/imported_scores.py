"""A first stage that is a matrix of scores of another program."""

from __future__ import annotations

from typing import NoReturn

from mmaction.registry import MODELS

from diffusionret_mm.models.similarity.base import Similarity
from diffusionret_mm.structures import TextFeatures, VideoFeatures


@MODELS.register_module()
class ImportedScores(Similarity):
    """Stands where scores were imported with the features (`tools/import_features.py --scores`).

    Evaluation takes the scores of the split from its data set, and so does the feature cache, which
    finds the hard negatives of the generators in those of the training split. It scores nothing
    itself.
    """

    is_imported = True

    def forward(self, texts: TextFeatures, videos: VideoFeatures) -> NoReturn:
        """Score nothing.

        Raises:
            ValueError: always; it says what needs other scores.
        """
        raise ValueError(
            'ImportedScores has the scores of whole splits alone, and none of a batch, a bank or a '
            "query. Train stage two with model.negatives='training_set' and the FeatureCacheHook, "
            'begin it at epoch 0, and evaluate without query_bank.'
        )
