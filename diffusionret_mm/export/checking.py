"""The comparison of exported graphs with torch."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from diffusionret_mm.export.files import EncoderFacts, ExportError

if TYPE_CHECKING:
    from diffusionret_mm.export.onnx_encoders import OnnxEncoders
    from diffusionret_mm.models.retrievers import TextVideoRetriever

LONGEST = 12  # frames of a random video, to save memory


@torch.no_grad()
def compare_encoders(
    model: TextVideoRetriever, encoders: OnnxEncoders, tolerance: float
) -> dict[str, float]:
    """Compare exported encoders with torch on random inputs of several sizes, padded ones too.

    Args:
        model: the retriever, on the CPU and in evaluation mode.
        encoders: its exported encoders.
        tolerance: largest error, relative to the largest entry of torch's output.

    Returns:
        The largest relative error of 'words', 'pooled' and 'frames'.

    Raises:
        ExportError: if an error is larger, or is not a number.
    """
    facts = encoders.facts
    longest = min(LONGEST, facts.max_frames or LONGEST)
    errors = dict(words=0.0, pooled=0.0, frames=0.0)
    for rows, num_words, num_frames in ((1, facts.max_words, longest), (5, 4, 1), (3, 9, 2)):
        texts = random_texts(rows, num_words, facts, seed=rows)
        videos = random_videos(rows, min(num_frames, longest), facts.image_size, seed=rows)
        expected, found = model.encode_text(*texts), encoders.encode_text(*texts)
        pairs = dict(
            words=(found.words, expected.words),
            pooled=(found.pooled, expected.pooled),
            frames=(encoders.encode_video(*videos).frames, model.encode_video(*videos).frames),
        )
        for name, (value, reference) in pairs.items():
            error = float((value - reference).abs().max() / reference.abs().max())
            if not error <= tolerance:
                raise ExportError(
                    f'The exported encoders differ from torch: relative error {error:.2e} of {name}'
                    f' [{", ".join(map(str, value.shape))}], tolerance {tolerance:.0e}.'
                )
            errors[name] = max(errors[name], error)
    return errors


def random_texts(
    num_texts: int, length: int, facts: EncoderFacts, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Draw token ids [N, L] int64 and their mask [N, L] bool; texts are padded, the first is not.

    Args:
        num_texts: number N of texts.
        length: tokens of a text, 2 or more. L is that, bounded by the context; or the context,
            where texts must fill it.
        facts: what the encoders read. The largest id ends a text.
        seed: seed of the draw.
    """
    generator = torch.Generator().manual_seed(seed)
    length = facts.max_words if facts.fills_context else min(length, facts.max_words)
    end = facts.vocabulary - 1
    lengths = torch.randint(2, length + 1, (num_texts, 1), generator=generator)
    lengths[0] = length
    mask = torch.arange(length) < lengths
    ids = torch.randint(1, end, (num_texts, length), generator=generator)
    return ids.scatter(1, lengths - 1, end) * mask, mask


def random_videos(
    num_videos: int, num_frames: int, image_size: tuple[int, int], seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Draw frames [M, F, 3, H, W] and their mask [M, F] bool; videos are padded, the first is not.

    Args:
        num_videos: number M of videos.
        num_frames: number F of frames.
        image_size: H and W.
        seed: seed of the draw.
    """
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, num_frames + 1, (num_videos, 1), generator=generator)
    lengths[0] = num_frames
    frames = torch.randn(num_videos, num_frames, 3, *image_size, generator=generator)
    mask = torch.arange(num_frames) < lengths
    return frames * mask[:, :, None, None, None], mask
