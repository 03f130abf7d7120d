"""Exported encoders, run by ONNX Runtime."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from diffusionret_mm.export.files import TEXT_FILE, VIDEO_FILE, read_facts
from diffusionret_mm.extras import import_extra
from diffusionret_mm.structures import TextFeatures, VideoFeatures


class OnnxEncoders:
    """The encoders of a retriever, run by ONNX Runtime: on a GPU if its package can, else the CPU.

    `encode_text` and `encode_video` take and return what those of `TextVideoRetriever` do.

    Args:
        folder: what `export_encoders` wrote.

    Raises:
        ModuleNotFoundError: if the extra `export` is not installed; it names the command.
        ExportError: if the folder holds no complete export.
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        runtime = import_extra('onnxruntime', 'export')
        self.folder = Path(folder)
        self.facts = read_facts(self.folder)
        wanted = ('CUDAExecutionProvider', 'CPUExecutionProvider')
        providers = [name for name in wanted if name in runtime.get_available_providers()]
        self._text, self._video = (
            runtime.InferenceSession(str(self.folder / name), providers=providers)
            for name in (TEXT_FILE, VIDEO_FILE)
        )

    def encode_text(self, ids: Tensor, mask: Tensor) -> TextFeatures:
        """Encode tokenised texts.

        Args:
            ids: CLIP token ids, shape [N, L], int64.
            mask: true for real tokens, shape [N, L], bool.

        Returns:
            Features of N texts, float32, on the device of `ids`.

        Raises:
            ValueError: if the shapes do not fit the graph.
        """
        longest, fixed = self.facts.max_words, self.facts.fills_context
        fits = ids.dim() == 2 and (ids.shape[1] == longest or ids.shape[1] < longest and not fixed)
        if not fits or mask.shape != ids.shape:
            raise ValueError(
                f'ids {list(ids.shape)} and mask {list(mask.shape)} must be [N, L] with L of '
                f'{"" if fixed else "at most "}{longest}.'
            )
        words, pooled = _run(self._text, dict(ids=ids, mask=mask))
        return TextFeatures(words=words, mask=mask, pooled=pooled)

    def encode_video(self, frames: Tensor, mask: Tensor) -> VideoFeatures:
        """Encode normalised frames.

        Args:
            frames: shape [M, F, 3, H, W], float32.
            mask: true for real frames, shape [M, F], bool.

        Returns:
            Features of M videos, float32, on the device of `frames`.

        Raises:
            ValueError: if the shapes do not fit the graph.
        """
        facts, shape = self.facts, tuple(frames.shape)
        too_long = facts.max_frames is not None and len(shape) > 1 and shape[1] > facts.max_frames
        if too_long or shape[2:] != (3, *facts.image_size) or tuple(mask.shape) != shape[:2]:
            raise ValueError(
                f'frames {list(shape)} and mask {list(mask.shape)} must be '
                f'[M, F, 3, {facts.image_size[0]}, {facts.image_size[1]}] and [M, F] with F of at '
                f'most {facts.max_frames}.'
            )
        (features,) = _run(self._video, dict(frames=frames, mask=mask))
        return VideoFeatures(frames=features, mask=mask)


def _run(session: Any, inputs: dict[str, Tensor]) -> list[Tensor]:
    device = inputs['mask'].device
    arrays = {name: value.detach().cpu().numpy() for name, value in inputs.items()}
    return [torch.from_numpy(array).to(device) for array in session.run(None, arrays)]
