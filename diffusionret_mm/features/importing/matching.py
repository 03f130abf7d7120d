"""Texts and videos put together, and the table of what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from diffusionret_mm.evaluation.tables import Cell, Column, format_table, label
from diffusionret_mm.features.importing.items import SIDES, ImportFeaturesError
from diffusionret_mm.features.importing.pairs import Pair
from diffusionret_mm.features.importing.spool import Spool

COLUMNS = ('found', 'matched', 'missing', 'unused', 'not finite', 'zero', 'other width')


@dataclass(frozen=True)
class Matched:
    """Texts grouped by their videos, in the order of the pairs.

    Args:
        texts_of_video: pairs of each video, by its id; both have features.
        missing: ids in pairs that have no features, by side.
    """

    texts_of_video: Mapping[str, Sequence[Pair]]
    missing: Mapping[str, Sequence[str]]

    @property
    def num_texts(self) -> int:
        """Number of texts with a video."""
        return sum(map(len, self.texts_of_video.values()))


def match(pairs: Sequence[Pair], videos: Spool, texts: Spool) -> Matched:
    """Group texts by videos.

    Args:
        pairs: all pairs.
        videos: features of videos.
        texts: features of texts.
    """
    grouped: dict[str, list[Pair]] = {}
    missing: dict[str, dict[str, None]] = {side: {} for side in SIDES}
    for pair in pairs:
        if pair.video not in videos.seen:
            missing['videos'][pair.video] = None
        if pair.text not in texts.seen:
            missing['texts'][pair.text] = None
        if pair.video in videos.row_of and pair.text in texts.row_of:
            grouped.setdefault(pair.video, []).append(pair)
    return Matched(grouped, {side: list(ids) for side, ids in missing.items()})


def describe(matched: Matched, spools: Mapping[str, Spool]) -> str:
    """Draw the table of what was found, matched and is wrong, a row per side."""
    used = dict(videos=len(matched.texts_of_video), texts=matched.num_texts)
    rows: list[list[Cell]] = []
    for side, spool in spools.items():
        found = len(spool.seen)
        wrong = [len(each) for each in (spool.not_finite, spool.zero, spool.other_width)]
        unused = len(spool.row_of) - used[side]
        rows.append([side, found, used[side], len(matched.missing[side]), unused, *wrong])
    return format_table([label(), *map(Column, COLUMNS)], rows)


def refuse_defects(
    matched: Matched, spools: Mapping[str, Spool], skip_missing: bool, texts_from: str
) -> None:
    """Refuse features that cannot be trusted.

    Args:
        matched: what belongs together.
        spools: the features, by side.
        skip_missing: whether pairs without features may be left out.
        texts_from: what says which text belongs to which video, for messages.

    Raises:
        ImportFeaturesError: if some are not finite or of another width, nothing matches, or pairs
            have no features and must.
    """
    for spool in spools.values():
        _refuse(spool.other_width, f'{spool.side} differ in width')
        _refuse(spool.not_finite, f'{spool.side} are not finite (NaN or infinite)')
    widths = {side: spool.width for side, spool in spools.items()}
    if len(set(widths.values())) > 1:
        raise ImportFeaturesError(
            f'Videos have the width {widths["videos"]} and texts {widths["texts"]}; both must be '
            'of one space.'
        )
    if not matched.texts_of_video:
        raise ImportFeaturesError(
            f'No text belongs to a video by {texts_from}: ids of videos are such as '
            f'{_some(spools["videos"].row_of)}, those of texts {_some(spools["texts"].row_of)}; '
            'say which belong together by --pairs FILE.'
        )
    for side, ids in matched.missing.items():
        if ids and not skip_missing:
            raise ImportFeaturesError(
                f'{len(ids):,} {side} are named by {texts_from} and have no features: '
                f'{_some(ids)}; add them, or leave these pairs out by --skip-missing.'
            )


def _refuse(places: Sequence[str], what: str) -> None:
    if places:
        others = f' and {len(places) - 1:,} more' if len(places) > 1 else ''
        raise ImportFeaturesError(f'Some {what}: {places[0]}{others}.')


def _some(ids: Mapping[str, int] | Sequence[str]) -> str:
    names = [repr(key) for key in list(ids)[:3]]
    return ', '.join(names) + (', ...' if len(ids) > 3 else '')
