"""Random features of a gallery with near-duplicates in it, and queries whose answers are known.

Half of the spans stand alone: a topic plus a direction of its own, and its frames are that plus
noise. A query of the kind 'easy' has words around the direction of such a span.

The other half are families of near-duplicates. All spans of a family have the same frames, but for
1 to 4 of them, which come from 8 frames of other scenes that the family shares, and for some noise.
A word of a query is near one frame of its target, so the target's relatives answer the query nearly
as well: exact WTI has to tell spans apart that differ in a few frames. Families have 256, 64 or 16
spans.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from diffusionret_mm.structures import TextFeatures, VideoFeatures

BLOCK = 4096
# The spans of a family lie in so many blocks.
SPREAD = 8
# Spans of a block that belong to families of a size; the others stand alone.
IN_FAMILIES = {256: 1024, 64: 512, 16: 512}
ALONE = BLOCK - sum(IN_FAMILIES.values())
KINDS = {'easy': None, **{f'near-duplicates of {size}': size for size in IN_FAMILIES}}
MOST_SWAPPED, SHARED = 4, 8
FAMILY_NOISE, WORD_NOISE = 0.3, 3.0
# Makes a frame as long as the direction that it was drawn around.
FRAME_LENGTH = (2 / 3) ** 0.5


@dataclass(frozen=True)
class Sizes:
    """Sizes of a gallery.

    Args:
        spans: number of spans.
        frames: frames of a span.
        width: width of a feature.
        topics: number of topics.
        words: words of a query.
    """

    spans: int
    frames: int = 12
    width: int = 512
    topics: int = 1000
    words: int = 12

    @property
    def blocks(self) -> range:
        """Numbers of the blocks."""
        return range(-(-self.spans // BLOCK))


class Features:
    """Features, block by block; the same whenever they are drawn.

    Args:
        sizes: sizes of the gallery.
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.topics = torch.randn(sizes.topics, sizes.width, generator=_generator(0))
        self._families: dict[tuple[int, int], tuple[Tensor, Tensor]] = {}

    def block(self, block: int) -> tuple[VideoFeatures, Tensor]:
        """Draw a block of spans; the last one is cut.

        Args:
            block: its number.

        Returns:
            The spans in half precision, and weights of their frames [n, F].
        """
        sizes, generator = self.sizes, _generator(1, block)
        frames = torch.randn(BLOCK, sizes.frames, sizes.width, generator=generator)
        frames[:ALONE] += self._alone(block)[:, None]
        start = ALONE
        for size, rows in IN_FAMILIES.items():
            part = slice(start, start + rows)
            frames[part] = FAMILY_NOISE * frames[part] + self._members(block, size)
            start += rows
        weights = torch.randn(BLOCK, sizes.frames, generator=generator).softmax(dim=1)
        kept = self._order(block)[: sizes.spans - block * BLOCK]
        mask = torch.ones(len(kept), sizes.frames, dtype=torch.bool)
        return VideoFeatures(frames=frames[kept].half(), mask=mask), weights[kept]

    def queries(self, kind: str, count: int) -> tuple[TextFeatures, list[int]]:
        """Draw queries of a kind.

        Args:
            kind: one of `KINDS`.
            count: number of queries.

        Returns:
            The queries, and the row of the target of each.
        """
        sizes, generator = self.sizes, _generator(2, [*KINDS].index(kind))
        texts, targets = [], []
        while len(targets) < count:
            row = int(torch.randint(sizes.spans, (), generator=generator))
            pictures = self._pictures(row, KINDS[kind])
            if pictures is not None:
                shown = pictures[torch.randint(len(pictures), (sizes.words,), generator=generator)]
                noise = torch.randn(shown.shape, generator=generator)
                texts.append(shown + WORD_NOISE * noise)
                targets.append(row)
        words = torch.stack(texts)
        mask = torch.ones(words.shape[:2], dtype=torch.bool)
        return TextFeatures(words=words, mask=mask, pooled=words[:, -1]), targets

    def _pictures(self, row: int, size: int | None) -> Tensor | None:
        """What a query of a span may speak of, [n, D]; None if the span is of another kind."""
        block, place = divmod(row, BLOCK)
        drawn = int(self._order(block)[place])
        if size is None:
            return self._alone(block)[drawn : drawn + 1] if drawn < ALONE else None
        sizes = list(IN_FAMILIES)
        first = ALONE + sum(IN_FAMILIES[other] for other in sizes[: sizes.index(size)])
        if not first <= drawn < first + IN_FAMILIES[size]:
            return None
        return FRAME_LENGTH * self._members(block, size)[drawn - first]

    def _alone(self, block: int) -> Tensor:
        """Directions of the spans of a block that stand alone, [ALONE, D]."""
        generator = _generator(3, block)
        topic = torch.randint(len(self.topics), (ALONE,), generator=generator)
        return self.topics[topic] + torch.randn(ALONE, self.sizes.width, generator=generator)

    def _members(self, block: int, size: int) -> Tensor:
        """Frames of the spans of a block that belong to families, without noise, [n, F, D]."""
        frames, shared = self._families_of(block // SPREAD, size)
        family = torch.arange(len(frames)).repeat_interleave(size // SPREAD)
        generator, swapped = _generator(4, block, size), min(MOST_SWAPPED, self.sizes.frames)
        count = torch.randint(1, swapped + 1, (len(family), 1), generator=generator)
        place = torch.rand(len(family), self.sizes.frames, generator=generator).argsort(dim=1)
        which = torch.rand(len(family), SHARED, generator=generator).argsort(dim=1)[:, :swapped]
        row = torch.arange(len(family))[:, None]
        place, chosen = place[:, :swapped], torch.arange(swapped) < count
        members = frames[family]
        taken = torch.where(chosen[..., None], shared[family[:, None], which], members[row, place])
        members[row, place] = taken
        return members

    def _families_of(self, group: int, size: int) -> tuple[Tensor, Tensor]:
        """Frames of the families that share some blocks [n, F, D], and what their spans swap in."""
        key = group, size
        if key not in self._families:
            if len(self._families) >= len(IN_FAMILIES):
                self._families.clear()
            count, generator = IN_FAMILIES[size] * SPREAD // size, _generator(5, group, size)
            topic = self.topics[torch.randint(len(self.topics), (count, 1), generator=generator)]

            def draw(length: int) -> Tensor:
                return torch.randn(count, length, topic.shape[2], generator=generator)

            # Frames of one scene; and frames of other scenes of the topic.
            frames = topic + draw(1) + draw(self.sizes.frames)
            self._families[key] = frames, topic + draw(SHARED) + draw(SHARED)
        return self._families[key]

    def _order(self, block: int) -> Tensor:
        """Which of the drawn spans of a block lies where, [BLOCK]."""
        return torch.randperm(BLOCK, generator=_generator(6, block))


def _generator(*seed: int) -> torch.Generator:
    words = np.random.SeedSequence(seed).generate_state(1, np.uint64)
    return torch.Generator().manual_seed(int(words[0] >> 1))
