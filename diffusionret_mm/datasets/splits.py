"""A split of a public data set: its files, and how large the literature says it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Split:
    """A split of a data set.

    Attributes:
        name: what reports call it.
        options: arguments of the data set, but for data_root.
        is_test: whether papers report results on it.
        videos: number of videos with a caption in the literature; None if it has none.
        captions: number of captions in the literature.
        distinct: number of distinct captions in the literature.
        explanations: why other numbers of videos are right, too.
        families: splits that share one must have no video in common.
        list_ids: reads the ids from the annotation file alone, if it holds no captions.
    """

    name: str
    options: Mapping[str, Any]
    is_test: bool = False
    videos: int | None = None
    captions: int | None = None
    distinct: int | None = None
    explanations: Mapping[int, str] = field(default_factory=dict)
    families: tuple[str, ...] = ('',)
    list_ids: Callable[[Path], list[str]] | None = None
