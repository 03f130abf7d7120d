"""Score matrices that are imported with the features they rank."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from diffusionret_mm.evaluation.score_files import read_matrix, texts_by_videos
from diffusionret_mm.features.importing.items import ImportFeaturesError
from diffusionret_mm.features.store import FeatureWriter

SCORES, SCORES_V2T = 'scores', 'scores_v2t'  # arrays of a folder of features
CHUNK = 1024  # rows that are written at a time


def read_scores(
    paths: Sequence[Path], rows: str | None, num_texts: int, num_videos: int
) -> dict[str, Tensor]:
    """Read the matrices of all texts and videos, in the order in which they were found.

    Args:
        paths: .npy of texts x videos, and one of videos x texts if the directions differ.
        rows: what the rows of the first one are, 'texts' or 'videos'; a square one needs it.
        num_texts: number of texts that were found.
        num_videos: number of videos that were found.

    Returns:
        By their names in a folder of features, [N, M] and [M, N], mapped.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if one has another shape, or scores are not finite.
    """
    if not paths:
        return {}
    t2v = texts_by_videos(read_matrix(paths[0]), num_texts, rows, paths[0])
    matrices = dict(zip((SCORES, SCORES_V2T), (t2v, *map(read_matrix, paths[1:])), strict=False))
    expected = {SCORES: [num_texts, num_videos], SCORES_V2T: [num_videos, num_texts]}
    for path, (name, matrix) in zip(paths, matrices.items(), strict=True):
        if list(matrix.shape) != expected[name]:
            raise ImportFeaturesError(
                f'{path} has scores of the shape {list(matrix.shape)}; {expected[name]} is '
                f'expected for the {num_texts} texts and {num_videos} videos that were found.'
            )
    return matrices


def write_scores(
    writer: FeatureWriter, matrices: Mapping[str, Tensor], texts: np.ndarray, videos: np.ndarray
) -> None:
    """Write the scores of some texts and videos.

    Args:
        writer: takes the arrays.
        matrices: what `read_scores` gave.
        texts: numbers of the texts, in the order of the result.
        videos: numbers of the videos.
    """
    for name, matrix in matrices.items():
        rows, columns = (texts, videos) if name == SCORES else (videos, texts)
        for part in torch.from_numpy(rows).split(CHUNK):
            writer.append(name, matrix[part][:, columns].float())
