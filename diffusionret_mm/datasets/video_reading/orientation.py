"""How the pictures of a file are to be turned and mirrored."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from av.sidedata.sidedata import Type
from av.video.frame import VideoFrame


@dataclass(frozen=True)
class Orientation:
    """One of the eight ways to show a picture.

    Attributes:
        transpose: whether rows and columns are exchanged first.
        flip_rows: whether the rows are then reversed.
        flip_columns: whether the columns are then reversed.
    """

    transpose: bool = False
    flip_rows: bool = False
    flip_columns: bool = False

    @property
    def is_mirrored(self) -> bool:
        """Whether no turn does the same."""
        return self.transpose ^ self.flip_rows ^ self.flip_columns

    def apply(self, image: np.ndarray) -> np.ndarray:
        """Return a picture as it is to be shown.

        Args:
            image: [H, W, 3].
        """
        if self.transpose:
            image = image.transpose(1, 0, 2)
        rows, columns = (
            slice(None, None, -1 if flip else None) for flip in (self.flip_rows, self.flip_columns)
        )
        return np.ascontiguousarray(image[rows, columns])

    def size(self, width: int, height: int) -> tuple[int, int]:
        """Return width and height as shown."""
        return (height, width) if self.transpose else (width, height)


AS_STORED = Orientation()


def orientation_of(frame: VideoFrame) -> Orientation:
    """Read the display matrix of a frame; without one it is shown as it is stored.

    A matrix that turns by another angle than quarters counts as the nearest of the eight ways.
    """
    side_data: Any = frame.side_data  # a mapping by type, too
    data = side_data.get(Type.DISPLAYMATRIX)
    if data is None:
        return AS_STORED
    return from_matrix(np.frombuffer(bytes(data), dtype=np.int32).reshape(3, 3))


def from_matrix(matrix: np.ndarray) -> Orientation:
    """Return what a display matrix does.

    Args:
        matrix: [3, 3]; a stored point (x, y) is shown at (x, y, 1) @ matrix.
    """
    (a, b), (c, d) = np.asarray(matrix, dtype=np.int64)[:2, :2]
    if abs(a) + abs(d) >= abs(b) + abs(c):
        return Orientation(False, flip_rows=bool(d < 0), flip_columns=bool(a < 0))
    return Orientation(True, flip_rows=bool(b < 0), flip_columns=bool(c < 0))
