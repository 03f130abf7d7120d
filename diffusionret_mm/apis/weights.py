"""The weights of a model that is put to work."""

from __future__ import annotations

import os

from mmengine.runner import load_checkpoint

from diffusionret_mm.models.checkpoint_check import check_passport
from diffusionret_mm.models.retrievers import TextVideoRetriever


def load_weights(model: TextVideoRetriever, checkpoint: str | os.PathLike[str] | None) -> None:
    """Load a checkpoint into a model, or pre-trained weights where they are all that it needs.

    Args:
        model: the model, on the CPU.
        checkpoint: checkpoint file; None: the pre-trained weights that its config names.

    Raises:
        FileNotFoundError: if the checkpoint does not exist.
        CheckpointError: if the checkpoint does not fit, or parts of the model would be random
            without one.
    """
    if checkpoint is None:
        model.load_pretrained()
        return
    path = os.fspath(checkpoint)
    loaded = load_checkpoint(model, path, map_location='cpu', logger='silent')
    check_passport(model.backbone.passport, loaded.get('meta'), path)
