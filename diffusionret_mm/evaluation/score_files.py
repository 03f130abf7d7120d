"""Score matrices in .npy files, checked before anything is ranked by them."""

from __future__ import annotations

import os

import numpy as np
import torch
from torch import Tensor

ROWS = ('texts', 'videos')
CHUNK = 1024  # rows that are checked at a time


def read_matrix(path: str | os.PathLike[str]) -> Tensor:
    """Read a matrix of finite numbers, mapped from its file if it is of float32 or float64.

    Args:
        path: .npy file; it is read without running code that it may contain.

    Returns:
        Shape [rows, columns], float32; float64 stays as it is.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds something else; it names the place.
    """
    array = _read_array(path)
    if array.ndim != 2 or array.dtype.kind not in 'fiu' or not array.size:
        raise ValueError(
            f'{path} must hold a matrix of numbers; it holds {array.dtype} of the shape '
            f'{list(array.shape)}.'
        )
    for start in range(0, len(array), CHUNK):
        finite = np.isfinite(array[start : start + CHUNK])
        if not finite.all():
            row, column = np.argwhere(~finite)[0]
            raise ValueError(
                f'{path}: scores are NaN or infinite, the first in row {start + row}, column '
                f'{column}.'
            )
    dtype = np.float64 if array.dtype == np.float64 else np.float32
    return torch.from_numpy(np.ascontiguousarray(array, dtype))


def read_truth(path: str | os.PathLike[str]) -> Tensor:
    """Read the index of each text's video.

    Args:
        path: .npy file with N integers.

    Returns:
        Shape [N], int64.

    Raises:
        FileNotFoundError: if there is no such file.
        ValueError: if it holds something else.
    """
    array = _read_array(path)
    if array.ndim != 1 or array.dtype.kind not in 'iu' or not array.size:
        raise ValueError(
            f'{path} must hold the index of the video of each text, integers of the shape [N]; it '
            f'holds {array.dtype} of the shape {list(array.shape)}.'
        )
    return torch.from_numpy(array.astype(np.int64))


def check_truth(video_of_text: Tensor, num_videos: int, path: str | os.PathLike[str]) -> None:
    """Refuse indices of videos that the scores do not have, and videos without a text.

    Args:
        video_of_text: index of each text's video, [N], int64.
        num_videos: number M of videos.
        path: where the indices come from, for messages.

    Raises:
        ValueError: if there is one; it is named.
    """
    outside = torch.nonzero((video_of_text < 0) | (video_of_text >= num_videos)).flatten()
    if len(outside):
        row = int(outside[0])
        raise ValueError(
            f'{path}: text {row} belongs to video {int(video_of_text[row])}, and the scores have '
            f'the videos 0 to {num_videos - 1}.'
        )
    without = torch.nonzero(video_of_text.bincount(minlength=num_videos) == 0).flatten()
    if len(without):
        raise ValueError(
            f'{path}: {len(without):,} of {num_videos:,} videos have no text, the first is video '
            f'{int(without[0])}; take their columns out of the scores.'
        )


def texts_by_videos(
    scores: Tensor, num_texts: int, rows: str | None, path: str | os.PathLike[str]
) -> Tensor:
    """Bring a matrix into the form [texts, videos].

    Args:
        scores: the matrix.
        num_texts: number N of texts.
        rows: what its rows are, 'texts' or 'videos'; None: its shape must say it.
        path: where it comes from, for messages.

    Returns:
        Shape [N, M].

    Raises:
        ValueError: if it has no side of length N, rows are not what was said, or nothing says
            what they are.
    """
    shape = list(scores.shape)
    if rows is None and shape == [num_texts, num_texts]:
        raise ValueError(
            f'{path} is square, {shape}, so its shape does not say whether its rows are texts or '
            'videos; say it by --rows texts or --rows videos.'
        )
    if num_texts not in shape:
        raise ValueError(
            f'{path} has the shape {shape}, and neither side is the number of texts, {num_texts}.'
        )
    if rows is None and shape[0] != num_texts:
        raise ValueError(
            f'{path} has the shape {shape}; texts x videos is expected, and its columns are the '
            f'{num_texts} texts. Say so by --rows videos.'
        )
    by_text = scores.t() if rows == 'videos' else scores
    if len(by_text) != num_texts:
        raise ValueError(
            f'{path} has the shape {shape}, so its rows cannot be {rows}: there are {num_texts} '
            'texts. Give the other --rows.'
        )
    return by_text


def _read_array(path: str | os.PathLike[str]) -> np.ndarray:
    try:
        array = np.load(path, mmap_mode='c', allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(
            f'{path} is no .npy file of numbers ({error}); write it by numpy.save.'
        ) from error
    if not isinstance(array, np.ndarray):
        raise ValueError(f'{path} is an archive of arrays; one matrix in an .npy file is wanted.')
    return array
